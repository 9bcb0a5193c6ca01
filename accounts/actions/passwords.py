"""Passwords and the recovery address: changed by their owner alone, told to their owner always."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts import audit, emails
from accounts.actions import invitations
from accounts.actions.people import EmailTaken, Refused, free_email, lock_names
from accounts.actions.sessions import end_sessions
from accounts.models import User


class WrongPassword(Refused):
    field: ClassVar[str] = "current_password"
    message: ClassVar[Promise | str] = _("Ce n'est pas votre mot de passe actuel.")


class SamePassword(Refused):
    field: ClassVar[str] = "password"
    message: ClassVar[Promise | str] = _("Choisissez un mot de passe différent de l'actuel.")


def check_password(*, user: User, password: str) -> None:
    """Raise `WrongPassword` unless it is the one in force."""
    if not user.check_password(password):
        raise WrongPassword


def change_password(*, user: User, password: str, now: datetime) -> None:
    """Set the owner's new password; all sessions end, also the caller's.

    The view gives the calling browser a new session.
    Raises `ValidationError` with every broken rule, or `SamePassword`.
    """
    validate_password(password, user)
    if user.check_password(password):
        raise SamePassword
    with transaction.atomic():
        _set(user, password, now)
        audit.record("account:password:changed", actor=user, subject=user, at=now)
        emails.queue("password_changed", user=user, context={"when": now})


def reset_password(*, user: User, password: str, now: datetime) -> None:
    """Set the password of who came by the reset link: ends all sessions, verifies the address, tells."""
    validate_password(password, user)
    with transaction.atomic():
        _set(user, password, now)
        _become_address(user, user.email)
        audit.record("account:password:reset", actor=user, subject=user, at=now)
        emails.queue("password_changed", user=user, context={"when": now})


def _set(user: User, password: str, now: datetime) -> None:
    end_sessions(user=user, by=user, now=now)
    user.set_password(password)
    user.password_own_at, user.activated_at = now, user.activated_at or now
    user.save(update_fields=["password", "password_own_at", "activated_at"])


# --- the address -----------------------------------------------------------------------------
def change_email(*, user: User, email: str, by: User, now: datetime) -> bool:
    """Ask for another address: it counts once its owner opens the link sent there; the old one is told.

    For an account nobody has opened yet it counts at once and gets a new invitation. False when it is the
    address in force. Raises `InvalidEmail` or `EmailTaken`.
    """
    with transaction.atomic():
        lock_names()
        address, key = free_email(email, but=user)
        if address == user.email:
            return False
        if user.activated_at is None:
            _replace_unused_address(user, address, key, by=by, now=now)
        else:
            forget_pending(user)
            EmailAddress.objects.create(user=user, email=address, primary=False, verified=False)
            emails.queue("email_change_asked", user=user, context={"by": by, "when": now})
            send_verification(user=user, email=address)
    return True


def _replace_unused_address(user: User, address: str, key: str, *, by: User, now: datetime) -> None:
    before = user.email
    user.email, user.email_key = address, key
    user.save(update_fields=["email", "email_key"])
    EmailAddress.objects.filter(user=user).delete()
    EmailAddress.objects.create(user=user, email=address, primary=True, verified=False)
    audit.record("account:email:changed", actor=by, subject=user, at=now, email=[before, address])
    invitations.send(user=user, by=by, now=now)


def forget_pending(user: User) -> None:
    """Drop an address that waits for its confirmation."""
    EmailAddress.objects.filter(user=user, primary=False).delete()


def pending_email(user: User) -> str:
    """The address that waits for its confirmation, or nothing."""
    waiting = EmailAddress.objects.filter(user=user, primary=False).values_list("email", flat=True).first()
    return waiting or ""


def email_is_verified(user: User) -> bool:
    """Whether the address in force was confirmed by a link."""
    found: bool = EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists()
    return found


def send_verification(*, user: User, email: str) -> None:
    """Mail the link that confirms one of the person's own addresses (three days)."""
    row, _created = EmailAddress.objects.get_or_create(
        user=user, email=email, defaults={"primary": email == user.email}
    )
    link = emails.link(reverse("account_confirm_email", args=[EmailConfirmationHMAC(row).key]))
    emails.queue("email_verification", user=user, to=email, context={"link": link, "email": email})


def confirm_email(*, address: EmailAddress, now: datetime) -> bool:
    """The link was opened: the address is verified and becomes the account's. False when taken meanwhile."""
    with transaction.atomic():
        lock_names()
        user: User = User.objects.get_queryset().select_for_update().get(pk=address.user_id)
        before = user.email
        try:
            _email, key = free_email(address.email, but=user)
        except EmailTaken:
            return False
        user.email, user.email_key = address.email, key
        user.save(update_fields=["email", "email_key"])
        _become_address(user, address.email)
        audit.record("account:email:verified", actor=user, subject=user, at=now)
        if before != address.email:
            _tell_old_address(user, before, now)
    return True


def _become_address(user: User, email: str) -> None:
    EmailAddress.objects.filter(user=user).exclude(email=email).delete()
    EmailAddress.objects.update_or_create(
        user=user, email=email, defaults={"verified": True, "primary": True}
    )


def _tell_old_address(user: User, before: str, now: datetime) -> None:
    audit.record("account:email:changed", actor=user, subject=user, at=now, email=[before, user.email])
    emails.queue("email_changed", user=user, to=before, context={"email": user.email, "when": now})
