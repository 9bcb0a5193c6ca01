"""Who may see whom, who may do what: the matrix of roles (rules 4.1) and the scoped querysets.

Views ask for a capability, never for a role. Rights are read from the database at each request.
"""

from __future__ import annotations

from copy import copy
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.http import Http404

from accounts import audit
from accounts.models import BillingAddress, Practice, Role, User

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from accounts.models.people import UserQuerySet
    from accounts.signed_request import SignedRequest


class Capability(StrEnum):
    CREATE_USER = "create_user"
    EDIT_OTHER_USER = "edit_other_user"
    ASSIGN_ORDINARY_ROLE = "assign_ordinary_role"
    ASSIGN_USER_MANAGER = "assign_user_manager"
    ASSIGN_ADMIN = "assign_admin"
    DEACTIVATE_USER = "deactivate_user"
    SEE_PRACTICE_READINESS = "see_practice_readiness"
    MANAGE_BILLING_ADDRESSES = "manage_billing_addresses"
    EDIT_PRACTICE = "edit_practice"
    REQUEST_LICENCE = "request_licence"
    RESET_KEY = "reset_key"
    SEE_JOURNAL = "see_journal"
    SEE_WHOLE_JOURNAL = "see_whole_journal"
    SEE_PLATFORM = "see_platform"
    ACTIVATE_LICENCE = "activate_licence"
    END_SESSIONS = "end_sessions"
    SIGN_OUT_COLLEAGUE = "sign_out_colleague"


# Of the portal's own staff, over all practices; no role of a practice has them.
STAFF = frozenset({Capability.SEE_PLATFORM, Capability.ACTIVATE_LICENCE, Capability.END_SESSIONS})
OF_A_PRACTICE = frozenset(Capability) - STAFF
ADMINISTRATORS_ONLY = {Capability.ASSIGN_USER_MANAGER, Capability.ASSIGN_ADMIN, Capability.RESET_KEY}
ADMINISTRATORS_ONLY |= {Capability.SEE_WHOLE_JOURNAL, Capability.EDIT_PRACTICE}
ADMINISTRATORS_ONLY |= {Capability.SIGN_OUT_COLLEAGUE}
MANAGER = OF_A_PRACTICE - ADMINISTRATORS_ONLY
MATRIX: dict[str, frozenset[Capability]] = {
    Role.ADMIN: OF_A_PRACTICE,
    Role.USER_MANAGER: MANAGER,
}


class Forbidden(Exception):
    """The actor sees the subject but lacks the capability; the edge answers 403."""


class Unseen(Http404):
    """Of the people whom the actor sees nobody is meant: one of another practice, or nobody at all, which
    must not be told apart.
    """


def capabilities(actor: User) -> frozenset[Capability]:
    """All that the actor's roles allow inside the actor's own practice, and staff's over all of them."""
    own = frozenset[Capability]().union(*(MATRIX.get(role, frozenset()) for role in actor.roles()))
    return own | STAFF if actor.is_staff else own


def rights(request: SignedRequest) -> frozenset[Capability]:
    """`capabilities` of whoever asks, read once for all that a page shows; an act reads them itself."""
    if not hasattr(request, "rights"):
        request.rights = capabilities(request.user)
    return request.rights


def require(actor: User, capability: Capability) -> None:
    if capability not in capabilities(actor):
        raise Forbidden(capability)


def visible_users(actor: User) -> UserQuerySet:
    """Oneself; with the right to see readiness, everybody of one's own practice."""
    return _seen_with(capabilities(actor), actor)


def _seen_with(can: frozenset[Capability], actor: User) -> UserQuerySet:
    users = User.objects.of_practice(actor.practice_id)
    return users if Capability.SEE_PRACTICE_READINESS in can else users.filter(pk=actor.pk)


def any_practice_or_404(actor: User, uuid: UUID) -> Practice:
    """A practice that staff looks at; the reading is in the practice's journal. `Forbidden` for others."""
    require(actor, Capability.SEE_PLATFORM)
    practice = Practice.objects.filter(uuid=uuid).first()
    if practice is None:
        raise Http404
    with transaction.atomic():
        audit.record("platform:practice:read", actor=actor, practice=practice)
    return practice


def anybody_or_404(actor: User, uuid: UUID) -> User:
    """A person that staff looks at, of whatever practice; the reading is in the person's history.

    `Forbidden` for others.
    """
    require(actor, Capability.SEE_PLATFORM)
    subject = User.objects.get_queryset().select_related("practice").filter(uuid=uuid).first()
    if subject is None:
        raise Http404
    with transaction.atomic():
        audit.record("platform:person:read", actor=actor, subject=subject)
    return subject


def subject_or_404(actor: User, uuid: UUID) -> User:
    """The person a page is about, apart from the actor even when it is the same person; another practice's
    is exactly like a missing one (`Unseen`).

    Raises `Forbidden` when the actor sees colleagues but may not edit them.
    """
    if uuid == actor.uuid:
        return copy(actor)
    can = capabilities(actor)
    visible = _seen_with(can, actor).select_related("practice", "billing_address")
    subject = visible.filter(uuid=uuid).first()
    if subject is None:
        raise Unseen
    if Capability.EDIT_OTHER_USER not in can:
        raise Forbidden(Capability.EDIT_OTHER_USER)
    return subject


def may_change_access(actor: User, subject: User) -> bool:
    """Whether the actor may give somebody's account another login or e-mail: not that of a person with rights
    the actor lacks, for whoever reads the mails of an account can become its owner (rules 4.1).
    """
    return actor.pk == subject.pk or capabilities(subject) <= capabilities(actor)


def assignable_roles(actor: User) -> frozenset[str]:
    """Roles the actor may give or take: ordinary ones, and those above only with the right to."""
    can = capabilities(actor)
    roles: set[str] = set()
    if Capability.ASSIGN_ORDINARY_ROLE in can:
        roles |= {Role.PHYSICIAN, Role.PHYSICIAN_TRAINEE, Role.PARAMEDICAL, Role.RECEPTION}
    if Capability.ASSIGN_USER_MANAGER in can:
        roles.add(Role.USER_MANAGER)
    if Capability.ASSIGN_ADMIN in can:
        roles.add(Role.ADMIN)
    return frozenset(roles)


def billing_addresses(actor: User) -> QuerySet[BillingAddress]:
    """Addresses that the actor may choose for somebody of the own practice."""
    return BillingAddress.objects.filter(practice=actor.practice).order_by("name", "pk")


def billing_address_or_404(actor: User, uuid: UUID) -> BillingAddress:
    """An address that the actor may correct or remove; another practice's is like a missing one.

    Raises `Forbidden`.
    """
    require(actor, Capability.MANAGE_BILLING_ADDRESSES)
    address = billing_addresses(actor).filter(uuid=uuid).first()
    if address is None:
        raise Http404
    return address
