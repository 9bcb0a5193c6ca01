"""Who is ready: one person, one practice, everybody; the ways of counting must agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Count
from django.utils import timezone

from accounts.models import User
from medisetup import platform_board, practice_board
from medisetup.bench.measuring import Case, Group, same
from medisetup.bench.scratch import Furnished
from medisetup.platform_board import Overview
from medisetup.practice_board import Row
from medisetup.readiness import with_items


def readiness(people: Furnished) -> Group:
    """`totals` is what the platform's board counts, `practice` what a manager's page reads."""
    truth = Truth(people)
    cases = [
        Case("one person", truth.one_person, truth.is_the_doctor),
        Case("practice", truth.of_practice, truth.agrees_with_practice),
        Case("ready", truth.ready, truth.agrees_with_ready),
        Case("totals", platform_board.overview, truth.agrees_with_everybody),
    ]
    return Group("readiness", Case("GROUP BY of one column", by_language, truth.is_everybody), cases)


def by_language() -> Sequence[Mapping[str, object]]:
    everybody = User.objects.get_queryset().order_by()
    return list(everybody.values("language").annotate(count=Count("pk")))


class Truth:
    """The readiness of everybody, looked at one practice after another in Python."""

    def __init__(self, people: Furnished) -> None:
        self.people = people
        rows = practice_board.board(platform_board.active(), timezone.now())
        self.ready_keys = {row.user.pk for row in rows if row.checklist.ready}
        self.practice_keys = {row.user.pk for row in rows if row.user.practice_id == people.practice.pk}
        self.count = len(rows)

    def one_person(self) -> Any:
        return with_items(User.objects.filter(pk=self.people.doctor.pk)).get()

    def of_practice(self) -> list[Row]:
        return practice_board.board(
            platform_board.active().filter(practice=self.people.practice), timezone.now()
        )

    def ready(self) -> int:
        return with_items(platform_board.active()).filter(ready=True).count()

    def is_the_doctor(self, found: Any) -> None:
        same(found.ready, self.people.doctor.pk in self.ready_keys)

    def agrees_with_practice(self, found: list[Row]) -> None:
        same({row.user.pk for row in found}, self.practice_keys)
        ready = {row.user.pk for row in found if row.checklist.ready}
        same(ready, self.practice_keys & self.ready_keys)

    def agrees_with_ready(self, found: int) -> None:
        same(found, len(self.ready_keys))

    def agrees_with_everybody(self, found: Overview) -> None:
        same((found.people, found.ready), (self.count, len(self.ready_keys)))

    def is_everybody(self, found: list[dict[str, Any]]) -> None:
        same(sum(row["count"] for row in found), self.people.size)
