"""Claiming due mailboxes: one statement, no box twice, no dearer in a large table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db import connection
from django.utils import timezone

from ehealth.actions import mailbox
from ehealth.models import Keystore, Mailbox
from medisetup.bench.measuring import Case, Group, same
from medisetup.bench.scratch import Furnished

T = TypeVar("T")
# Longer than any box waits after a claim, so that each claim finds all of them due again.
STEP = timedelta(hours=1)
CENTURY = timedelta(days=36_500)


def claim(people: Furnished) -> Group:
    """Everybody's mailbox due, each with a keystore that may be used."""
    now = timezone.now()
    Keystore.objects.update(stay_connected=True, key=b"bench", not_after=now + CENTURY)
    Mailbox.objects.update(auto=True, next_poll_at=now - STEP)
    _make_floor(people.size)
    clock = Clock(now)
    limit = settings.MAILBOX_BATCH
    usable = Mailbox.objects.all().due(now).filter(user__keystores__state=Keystore.State.ACTIVE).count()

    def each_once(first: list[int]) -> None:
        """Claim on at the same instant until nothing is due: all of them, none twice."""
        claimed, found = list(first), first
        while found and len(claimed) == len(set(claimed)):
            found = mailbox.claim(now=clock.now, limit=limit)
            claimed += found
        same(len(claimed), len(set(claimed)))
        same(len(claimed), usable)

    cases = [
        Case("claim", clock.ticking(lambda at: mailbox.claim(now=at, limit=limit)), each_once),
        Case("nothing due", lambda: mailbox.claim(now=now - CENTURY, limit=limit), lambda got: same(got, [])),
    ]
    floor = Case(
        "indexed UPDATE", clock.ticking(lambda at: _update(at, limit)),
        lambda count: same(count, min(limit, people.size)),
    )  # fmt: skip
    return Group("claim", floor, cases)


class Clock:
    """An instant that moves on at each run."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def ticking(self, run: Callable[[datetime], T]) -> Callable[[], T]:
        def ticked() -> T:
            self.now += STEP
            return run(self.now)

        return ticked


def _make_floor(size: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_due (id bigint PRIMARY KEY, due_at timestamptz NOT NULL)")
        cursor.execute(
            "INSERT INTO bench_due SELECT number, now() - interval '1 hour' "
            "FROM generate_series(1, %s) AS number",
            [size],
        )
        cursor.execute("CREATE INDEX bench_due_at ON bench_due (due_at)")
        cursor.execute("ANALYZE")


def _update(now: datetime, limit: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE bench_due SET due_at = %s + interval '15 minutes' * (0.8 + 0.4 * random()) WHERE id IN "
            "(SELECT id FROM bench_due WHERE due_at <= %s ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED)",
            [now, now, limit],
        )
        count: int = cursor.rowcount
        return count
