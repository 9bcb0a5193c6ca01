"""« Rappeler »: a mail that names what is missing, at most one per person in three days."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.urls import reverse

from accounts import audit, emails, throttle
from accounts.access import Capability, Forbidden, require, visible_users
from accounts.models import Mail, User
from medisetup.practice_board import BoardFilter, Row, board

EVERY = timedelta(days=3)
KIND = "reminder"


def remind(*, user: User, by: User, now: datetime) -> bool:
    """Write to one person of the own practice; False when somebody wrote in the last three days.

    Raises `Forbidden`. Nothing is sent to who is ready, never signed in, has nothing to do, or asks.
    """
    _require(by)
    rows = board(visible_users(by).filter(pk=user.pk), now)
    return any(_send(row, by, now) for row in rows)


def remind_all(*, by: User, shown: BoardFilter, now: datetime) -> int:
    """Write to everybody else of the own practice whom the filter shows and who must act; how many mails."""
    _require(by)
    return sum(_send(row, by, now) for row in shown.apply(board(visible_users(by), now)))


def next_possible(user: User) -> datetime | None:
    """When the person may be written to again; None: now."""
    last = Mail.objects.filter(user=user, kind=KIND).order_by("-created_at").first()
    return last.created_at + EVERY if last else None


def _require(by: User) -> None:
    require(by, Capability.SEE_PRACTICE_READINESS)
    if not by.is_active:
        raise Forbidden(Capability.SEE_PRACTICE_READINESS)


def _send(row: Row, by: User, now: datetime) -> bool:
    user = row.user
    if not row.may_be_reminded or user.pk == by.pk:
        return False
    # Outside the transaction, which could give the place back; two clicks at once share one place.
    if not throttle.allow(KIND, user.pk, 1, int(EVERY.total_seconds())):
        return False
    missing = [line.item.title for line in row.checklist.blocking if line.to_do]
    with transaction.atomic():
        context = {"by": by, "missing": missing, "link": emails.link(reverse("home"))}
        emails.queue(KIND, user=user, context=context)
        audit.record("account:reminder:sent", actor=by, subject=user, at=now, steps=len(missing))
    return True
