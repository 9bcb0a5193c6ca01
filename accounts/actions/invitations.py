"""Invitations: a single-use way in, 72 hours, one open at a time, bound to account and address."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from uuid import UUID

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.urls import reverse
from django.utils.crypto import salted_hmac

from accounts import audit, emails
from accounts.models import Invitation, User

VALID_FOR = timedelta(hours=72)


class InvitationSpent(Exception):
    """The link was used, revoked, has expired, or belongs to a closed account or an older address."""


class AlreadyActivated(Exception):
    """The owner has been in already: a lost password is recovered by the owner's e-mail."""


def send(*, user: User, by: User | None, now: datetime) -> Invitation:
    """Make a new way in and mail it to the account's address; the older ones are void.

    Raises `AlreadyActivated` and, for a closed account, `InvitationSpent`.
    """
    with transaction.atomic():
        user = User.objects.get_queryset().select_for_update().get(pk=user.pk)
        if user.activated_at:
            raise AlreadyActivated
        if not user.is_active:
            raise InvitationSpent
        _void(user, now)
        invitation: Invitation = Invitation.objects.create(
            user=user, email_key=user.email_key, created_by=by, expires_at=now + VALID_FOR
        )
        _record("account:invitation:sent", user=user, by=by, now=now)
        context = {"link": link(invitation), "expires_at": invitation.expires_at, "by": by}
        emails.queue("invitation", user=user, context=context)
    return invitation


def revoke(*, user: User, by: User, now: datetime) -> int:
    """Void the open invitations of an account; how many there were."""
    with transaction.atomic():
        count = _void(user, now)
        if count:
            _record("account:invitation:revoked", user=user, by=by, now=now)
    return count


def _void(user: User, now: datetime) -> int:
    count: int = Invitation.objects.filter(user=user, used_at=None, revoked_at=None).update(revoked_at=now)
    return count


def activate(*, invitation: Invitation, password: str, now: datetime) -> User:
    """Let the owner in with the password just chosen; the link having come by mail, the address is verified.

    Raises `InvitationSpent`, or `ValidationError` with every broken rule of the password.
    """
    with transaction.atomic():
        user = User.objects.get_queryset().select_for_update().get(pk=invitation.user_id)
        invitation = Invitation.objects.select_for_update().get(pk=invitation.pk)
        if not is_open(invitation, user=user, now=now):
            raise InvitationSpent
        validate_password(password, user)
        user.set_password(password)
        user.password_own_at, user.activated_at = now, user.activated_at or now
        user.save(update_fields=["password", "password_own_at", "activated_at"])
        invitation.used_at = now
        invitation.save(update_fields=["used_at"])
        EmailAddress.objects.update_or_create(
            user=user, email=user.email, defaults={"verified": True, "primary": True}
        )
        audit.record("account:user:activated", actor=user, subject=user, at=now)
        audit.record("account:email:verified", actor=user, subject=user, at=now)
    return user


def is_open(invitation: Invitation, *, user: User, now: datetime) -> bool:
    """Whether the link still lets its owner in."""
    unspent = invitation.used_at is None and invitation.revoked_at is None and invitation.expires_at > now
    return unspent and user.is_active and invitation.email_key == user.email_key


# --- the link --------------------------------------------------------------------------------
def token(invitation: Invitation) -> str:
    """What the link carries: the row's UUID and a MAC over it that only this installation can make."""
    return f"{invitation.uuid.hex}-{_mac(invitation.uuid, settings.SECRET_KEY)}"


def link(invitation: Invitation) -> str:
    """The address in the mail."""
    return emails.link(reverse("accounts:invitation", args=[token(invitation)]))


def find(text: str) -> Invitation | None:
    """The invitation a token stands for, open or spent; None for anything not made here."""
    head, _, mac = text.partition("-")
    try:
        uuid = UUID(hex=head)
    except ValueError:
        return None
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    if not any(hmac.compare_digest(mac.encode(), _mac(uuid, secret).encode()) for secret in secrets):
        return None
    found: Invitation | None = Invitation.objects.select_related("user__practice").filter(uuid=uuid).first()
    return found


def _mac(uuid: UUID, secret: str) -> str:
    return salted_hmac("accounts.Invitation", uuid.hex, secret=secret, algorithm="sha256").hexdigest()


def _record(kind: str, *, user: User, by: User | None, now: datetime) -> None:
    audit.record(kind, actor=by, system="" if by else "installation", subject=user, at=now)
