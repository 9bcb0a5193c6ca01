"""Accounts and who may use them: create, name, give roles, close and open again.

Locks are taken in one order: names, practice, user. Every refusal is a `Refused` with a sentence and the
field it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

from allauth.account.models import EmailAddress
from django.db import connection, transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts import audit, contacts, emails
from accounts.access import Capability, Forbidden, assignable_roles, require
from accounts.actions import invitations
from accounts.actions.sessions import end_sessions
from accounts.identifiers import Invalid, canonical_login
from accounts.models import Practice, Role, RoleGrant, User

# One lock for all writers of logins and addresses: a login may not equal another's address, which no
# unique index can say over two columns.
NAMES_LOCK = 0x6E616D6573
NAMES_WAIT_SECONDS = 25


class Refused(Exception):
    """The act is not done; `message` says why, `field` where it belongs in a form."""

    field: ClassVar[str] = ""
    message: ClassVar[Promise | str] = ""

    def __str__(self) -> str:
        return str(self.message)


class InvalidLogin(Refused):
    field = "login"
    message = _(
        "Ce login ne convient pas. Prenez 3 à 150 lettres ou chiffres sans espace, par exemple votre adresse "
        "e-mail ou votre numéro INAMI ; les mots comme « accueil » ou « admin » sont réservés."
    )


class LoginTaken(Refused):
    field = "login"
    message = _("Ce login est déjà pris dans un cabinet. Prenez l'adresse e-mail ou le numéro INAMI.")


class InvalidEmail(Refused):
    field = "email"
    message = _("Cette adresse n'est pas complète. Exemple : anne.dupont@exemple.be")


class EmailTaken(Refused):
    field = "email"
    message = _("Cette adresse e-mail est déjà celle d'un autre compte. Prenez une adresse personnelle.")


class NoRole(Refused):
    field = "roles"
    message = _("Choisissez au moins un rôle.")


class OwnRoles(Refused):
    field = "roles"
    message = _("Vous ne pouvez pas changer vos propres rôles. Demandez-le à un autre administrateur.")


class RoleNotAssignable(Refused):
    field = "roles"
    message = _("Vous n'avez pas le droit de donner ou de retirer ce rôle.")


class LastAdministrator(Refused):
    field = "roles"
    message = _("C'est le dernier administrateur actif du cabinet. Nommez d'abord un autre administrateur.")


class OwnDeactivation(Refused):
    message = _("Vous ne pouvez pas désactiver votre propre compte.")


# --- creation --------------------------------------------------------------------------------
def create_user(
    *,
    practice: Practice,
    login: str,
    email: str,
    first_name: str,
    last_name: str,
    language: str,
    roles: Iterable[str],
    by: User | None,
    now: datetime,
    invite: bool = True,
) -> User:
    """Create an account and invite its owner by mail. `by` None: the installation itself. `invite` False
    leaves the invitation to a job.

    Raises `Forbidden` without the right or in another practice, and `InvalidLogin`, `LoginTaken`,
    `InvalidEmail`, `EmailTaken`, `NoRole`, `RoleNotAssignable`.
    """
    roles = frozenset(roles)
    with transaction.atomic():
        lock_names()
        _check_creation(practice, roles, by)
        user = User(practice=practice, first_name=first_name, last_name=last_name, language=language)
        _name(user, login=login)
        _address(user, email=email)
        user.created_by = by
        user.set_unusable_password()
        user.save()
        EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=False)
        _record("account:user:created", by=by, subject=user, at=now, login=user.login, email=user.email)
        _grant(user, roles, by=by, now=now)
        if invite:
            invitations.send(user=user, by=by, now=now)
    return user


def _check_creation(practice: Practice, roles: frozenset[str], by: User | None) -> None:
    if not roles:
        raise NoRole
    if by is None:
        return
    require(by, Capability.CREATE_USER)
    if by.practice_id != practice.pk:
        raise Forbidden(Capability.CREATE_USER)
    if not roles <= assignable_roles(by):
        raise RoleNotAssignable


def lock_names() -> None:
    """Hold all logins and addresses until the end of the transaction.

    An import of hundreds of people holds them for many seconds: whoever creates one person meanwhile waits.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{NAMES_WAIT_SECONDS}s'")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [NAMES_LOCK])
        cursor.execute("SET LOCAL lock_timeout TO DEFAULT")


def _name(user: User, *, login: str) -> None:
    try:
        key = canonical_login(login)
    except Invalid as error:
        raise InvalidLogin from error
    others = User.objects.get_queryset().exclude(pk=user.pk)
    if others.filter(login_key=key).exists() or others.filter(email_key=_as_email_key(login)).exists():
        raise LoginTaken
    user.login, user.login_key = login.strip(), key


def _as_email_key(login: str) -> str | None:
    try:
        return contacts.email_key(contacts.email(login))
    except Invalid:
        return None


def _address(user: User, *, email: str) -> None:
    user.email, user.email_key = free_email(email, but=user)


def free_email(email: str, *, but: User) -> tuple[str, str]:
    """The address and its key, when no account but `but` has it as e-mail or login.

    Raises `InvalidEmail` or `EmailTaken`.
    """
    try:
        address = contacts.email(email).lower()
    except Invalid as error:
        raise InvalidEmail from error
    key = contacts.email_key(address)
    others = User.objects.get_queryset().exclude(pk=but.pk)
    if others.filter(email_key=key).exists() or others.filter(login_key=_as_login_key(address)).exists():
        raise EmailTaken
    return address, key


def _as_login_key(email: str) -> str | None:
    try:
        return canonical_login(email)
    except Invalid:
        return None


# --- login and roles -------------------------------------------------------------------------
def change_login(*, user: User, login: str, by: User, now: datetime) -> bool:
    """Give the account another login; its owner is told. True when it changed.

    Raises `InvalidLogin` or `LoginTaken`.
    """
    before = user.login
    if login.strip() == before:
        return False
    with transaction.atomic():
        lock_names()
        _name(user, login=login)
        user.save(update_fields=["login", "login_key"])
        audit.record("account:login:changed", actor=by, subject=user, at=now, login=[before, user.login])
        emails.queue("login_changed", user=user, context={"by": by, "when": now})
    return True


def set_roles(*, user: User, roles: Iterable[str], by: User, now: datetime) -> bool:
    """Make `roles` the roles of the account. True when they changed.

    Raises `OwnRoles`, `NoRole`, `RoleNotAssignable`, `LastAdministrator`.
    """
    roles = frozenset(roles)
    with transaction.atomic():
        lock_practice(user)
        before = user.roles()
        if roles == before:
            return False
        _check_roles(user, before=before, roles=roles, by=by)
        RoleGrant.objects.filter(user=user, role__in=before - roles).delete()
        for role in sorted(before - roles):
            audit.record("account:role:taken", actor=by, subject=user, at=now, role=role)
        _grant(user, roles - before, by=by, now=now)
        emails.queue("roles_changed", user=user, context={"by": by, "when": now})
    return True


def _check_roles(user: User, *, before: frozenset[str], roles: frozenset[str], by: User) -> None:
    if user.pk == by.pk:
        raise OwnRoles
    if by.practice_id != user.practice_id or not (before ^ roles) <= assignable_roles(by):
        raise RoleNotAssignable
    if not roles:
        raise NoRole
    if Role.ADMIN in before - roles:
        require_another_administrator(user)


def _grant(user: User, roles: frozenset[str], *, by: User | None, now: datetime) -> None:
    RoleGrant.objects.bulk_create(RoleGrant(user=user, role=role, granted_by=by) for role in sorted(roles))
    for role in sorted(roles):
        _record("account:role:granted", by=by, subject=user, at=now, role=role)


def set_staff(*, user: User, staff: bool, now: datetime) -> bool:
    """Make somebody one of the portal's own staff, or no longer. The installation's act; True if changed."""
    with transaction.atomic():
        lock_practice(user)
        user.refresh_from_db(fields=["is_staff"])
        if user.is_staff == staff:
            return False
        user.is_staff = staff
        user.save(update_fields=["is_staff"])
        _record("account:staff:granted" if staff else "account:staff:taken", by=None, subject=user, at=now)
    return True


def hold_practice(member: User) -> Practice:
    """The practice of `member`, locked until the transaction ends."""
    return Practice.objects.select_for_update().get(pk=member.practice_id)


def lock_practice(user: User) -> None:
    """Serialise what may take away a practice's last administrator, then hold the user's row."""
    hold_practice(user)
    User.objects.get_queryset().select_for_update().get(pk=user.pk)


def require_another_administrator(user: User) -> None:
    """Raise `LastAdministrator` when nobody else administers the practice. Call it under `lock_practice`."""
    others = User.objects.of_practice(user.practice_id).active().holding(Role.ADMIN).exclude(pk=user.pk)
    if not others.filter(activated_at__isnull=False).exists():
        raise LastAdministrator


# --- closing and opening ---------------------------------------------------------------------
def deactivate(*, user: User, by: User, now: datetime) -> None:
    """Close an account: sessions end, invitations are void, everything is kept.

    Raises `Forbidden`, `OwnDeactivation`, `LastAdministrator`. An account already closed stays so.
    """
    _require_over(by, user)
    if user.pk == by.pk:
        raise OwnDeactivation
    with transaction.atomic():
        lock_practice(user)
        user.refresh_from_db(fields=["is_active"])
        if not user.is_active:
            return
        if Role.ADMIN in user.roles():
            require_another_administrator(user)
        user.is_active, user.deactivated_at = False, now
        user.save(update_fields=["is_active", "deactivated_at"])
        invitations.revoke(user=user, by=by, now=now)
        end_sessions(user=user, by=by, now=now)
        audit.record("account:user:deactivated", actor=by, subject=user, at=now)
        emails.queue("account_deactivated", user=user, context={"by": by, "when": now})


def reactivate(*, user: User, by: User, now: datetime) -> None:
    """Open a closed account again, with its login, roles and data. Raises `Forbidden`."""
    _require_over(by, user)
    with transaction.atomic():
        lock_practice(user)
        user.refresh_from_db(fields=["is_active"])
        if user.is_active:
            return
        user.is_active, user.deactivated_at = True, None
        user.save(update_fields=["is_active", "deactivated_at"])
        audit.record("account:user:reactivated", actor=by, subject=user, at=now)
        emails.queue("account_reactivated", user=user, context={"by": by, "when": now})


def _require_over(by: User, user: User) -> None:
    require(by, Capability.DEACTIVATE_USER)
    if by.practice_id != user.practice_id:
        raise Forbidden(Capability.DEACTIVATE_USER)


def _record(kind: str, *, by: User | None, subject: User, at: datetime, **details: Any) -> None:
    audit.record(kind, actor=by, system="" if by else "installation", subject=subject, at=at, **details)
