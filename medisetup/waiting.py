"""Since when the next step of a person is awaited: the last change of what is awaited, as far as it is known.

A step hangs on acts of the audit trail, on a day that passed (certificate, test), or on nothing but the
opening of the account. What other steps see meanwhile changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Least

from accounts.models import AuditEvent, Invitation, SectionReview, User
from ehealth.models import Keystore
from medisetup.item import Item
from medisetup.readiness import CONNECTION_TEST_VALID

OPENED = ("account:user:activated", "account:user:reactivated")
GENERAL, ADDRESSES = ("section:practitioner/general:saved",), ("section:practitioner/addresses:saved",)
FINANCIAL = ("section:billing/financial:saved", "billing:training:ended")
ACCOUNT = ("section:account:saved",)
# By the item's key: after these acts about the person it is awaited anew.
ACTS: Mapping[str, tuple[str, ...]] = {
    "email": ("account:email:changed",),
    "keys": ("account:key:discarded", "account:key:lost_reported", "account:key:revoked"),
    "key_backup": ("account:key:registered", "account:key:rotated"),
    "identity": GENERAL,
    "workplace": ADDRESSES,
    "workplace_contact": ADDRESSES,
    "role": ("account:role:taken",),
    "billing_address": ACCOUNT,
    "hub": ACCOUNT,
    "ehealth": ("ehealth:keystore:stored", "ehealth:keystore:refused", "ehealth:keystore:disconnected"),
    "finance": FINANCIAL,
    "supervisor": FINANCIAL,
    "house_identity": GENERAL + FINANCIAL,
}
# By the item's key: what `with_moments` knows about it.
MOMENTS: Mapping[str, str] = {
    "review": "reopened_at",
    "ehealth": "lapsed_at",
    "finance": "supervisor_lost_at",
    "supervisor": "supervisor_lost_at",
}
KINDS = {*OPENED, *(kind for kinds in ACTS.values() for kind in kinds)}

Acts = Mapping[str, datetime]


def with_moments(people: QuerySet[User]) -> QuerySet[User]:
    """Annotate when the oldest unconfirmed section was filled in by somebody else, when certificate or test
    of the connection ends, and when the supervisor was found lost.
    """
    pending = SectionReview.objects.filter(
        user=OuterRef("pk"), prefilled_at__isnull=False, confirmed_at__isnull=True
    )
    connection = Keystore.objects.in_force().filter(user=OuterRef("pk"))
    ends = connection.annotate(ends=Least("not_after", F("tested_at") + CONNECTION_TEST_VALID))
    return people.annotate(
        reopened_at=Subquery(pending.order_by("prefilled_at").values("prefilled_at")[:1]),
        lapsed_at=Subquery(ends.values("ends")[:1]),
        supervisor_lost_at=F("practitioner__financial__supervisor_lost_at"),
    )


def last_acts(people: Iterable[User]) -> dict[UUID, dict[str, datetime]]:
    """For each of these people when each kind of act that counts here was done last; one query."""
    events = AuditEvent.objects.filter(subject__in=[user.uuid for user in people], kind__in=KINDS)
    found: dict[UUID, dict[str, datetime]] = {}
    for subject, kind, at in events.values_list("subject", "kind").annotate(Max("at")):
        found.setdefault(subject, {})[kind] = at
    return found


def since(user: Any, item: Item | None, acts: Acts, now: datetime) -> datetime:
    """Since when this step of somebody who has been in is awaited; who was once ready, not before that."""
    opened: datetime = user.activated_at
    known = [opened, user.ready_at, *(acts.get(kind) for kind in OPENED)]
    if item:
        known += [acts.get(kind) for kind in ACTS.get(item.key, ())]
        known.append(getattr(user, MOMENTS[item.key]) if item.key in MOMENTS else None)
    past = (moment for moment in known if moment and moment <= now)
    return max(past, default=opened)


def since_invitation(user: User, last: Invitation | None, now: datetime) -> datetime:
    """Since when somebody who was never in is awaited: last invitation sent, its end, or the new account."""
    if last is None:
        return user.created_at
    return last.revoked_at or (last.expires_at if last.expires_at <= now else last.created_at)
