"""Reminders before an eHealth certificate ends: each step once per keystore, the most urgent one only."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import localtime

from accounts import audit, emails
from ehealth.actions import sessions
from ehealth.models import Keystore

# Days before the end; 0: it has ended.
STEPS = (90, 60, 30, 14, 7, 1, 0)
PER_SWEEP = 500


def step(not_after: datetime, now: datetime) -> int | None:
    """The step a certificate has reached: the last of STEPS whose day has come; None before the first."""
    reached = [days for days in STEPS if not_after - now <= timedelta(days=days)]
    return min(reached, default=None)


def remind(*, now: datetime) -> int:
    """Write to the owners whose certificate reached a new step; how many. May run twice or in parallel."""
    ending = Keystore.objects.in_force().filter(
        not_after__lte=now + timedelta(days=STEPS[0]), user__is_active=True
    )
    fresh = ending.filter(Q(reminded_days=None) | Q(reminded_days__gt=0)).select_related("user")
    return sum(_remind(keystore, now) for keystore in fresh.order_by("not_after")[:PER_SWEEP])


def _remind(keystore: Keystore, now: datetime) -> bool:
    days = step(keystore.not_after, now)
    if days is None:
        return False
    untold = Q(reminded_days=None) | Q(reminded_days__gt=days)
    with transaction.atomic():
        told = Keystore.objects.in_force().filter(untold, pk=keystore.pk).update(reminded_days=days)
        if not told:
            return False
        context = {"day": localtime(keystore.not_after).date(), "ended": days == 0}
        emails.queue("certificate_ends", user=keystore.user, context=context, ring_now=False)
        audit.record(
            "ehealth:certificate:reminded", actor=None, system=sessions.SYSTEM, subject=keystore.user,
            at=now, days=days,
        )  # fmt: skip
    return True
