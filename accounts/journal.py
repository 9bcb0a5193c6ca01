"""The audit trail as it may be read: whose events, in which groups; bounded by the indexes of the table."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from accounts.access import Capability, capabilities, require
from accounts.models import AuditEvent, User

# Name of a group → how its kinds begin. Every kind is in exactly one.
GROUPS: dict[str, tuple[str, ...]] = {
    "people": (
        "account:user:",
        "account:role:",
        "account:invitation:",
        "account:login:",
        "account:email:",
        "account:reminder:",
    ),
    "sections": ("section:", "practitioner:", "billing:", "account:practice:"),
    "licences": ("account:licence:", "account:address:"),
    "sessions": (
        "account:session:",
        "account:password:",
        "account:access:",
        "account:limit:",
        "account:factor:",
    ),
    "keys": ("account:key:",),
    "ehealth": ("ehealth:",),
    "platform": ("platform:", "account:staff:", "account:journal:", "account:people:", "account:data:"),
}
# What a manager does and answers for; sign-ins, keys and the platform are the administrators' (SR-86).
GROUPS_OF_MANAGERS = ("people", "sections", "licences")


def in_groups(names: tuple[str, ...] | list[str]) -> Q:
    """The condition that a kind belongs to one of these groups."""
    condition = Q()
    for name in names:
        for prefix in GROUPS[name]:
            condition |= Q(kind__startswith=prefix)
    return condition


def readable_groups(actor: User) -> tuple[str, ...]:
    """The groups of the practice's journal that the actor may read. Raises `Forbidden` without any."""
    require(actor, Capability.SEE_JOURNAL)
    whole = Capability.SEE_WHOLE_JOURNAL in capabilities(actor)
    return tuple(GROUPS) if whole else GROUPS_OF_MANAGERS


def of_practice(actor: User) -> QuerySet[AuditEvent]:
    """What happened in the actor's practice, newest first. Raises `Forbidden`."""
    groups = readable_groups(actor)
    events = AuditEvent.objects.filter(practice=actor.practice.uuid)
    if len(groups) < len(GROUPS):
        events = events.filter(in_groups(groups))
    return events.order_by("-at", "-id")


def of_person(user: User) -> QuerySet[AuditEvent]:
    """What was done to somebody's file, and what the person did about nobody else; newest first."""
    mine = Q(subject=user.uuid) | Q(subject=None, actor=user.uuid)
    return AuditEvent.objects.filter(mine).order_by("-at", "-id")
