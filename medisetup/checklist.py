"""One person's checklist, ready for a page: lines in words, counts, the next step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise

from accounts.models import User
from medisetup.item import (
    BLOCKING,
    DONE,
    NOT_APPLICABLE,
    OWNER,
    PROBLEM,
    RECOMMENDED,
    STATES,
    TODO,
    WAITING,
    Item,
)
from medisetup.readiness import items, states_of


@dataclass(frozen=True)
class Line:
    """One item of one person, ready for a page."""

    item: Item
    state: str

    @property
    def to_do(self) -> bool:
        """Whether somebody of the practice must act; waiting for a mail to be opened is the owner's."""
        return self.state in (TODO, PROBLEM) or (self.state == WAITING and self.item.waits_for == OWNER)

    @property
    def word(self) -> str | Promise:
        return STATES[self.state]


@dataclass(frozen=True)
class Checklist:
    """What one person's page shows; not applicable items are left out."""

    lines: tuple[Line, ...]
    ready: bool

    def of(self, level: str) -> list[Line]:
        return [line for line in self.lines if line.item.level == level]

    @property
    def blocking(self) -> list[Line]:
        return self.of(BLOCKING)

    @property
    def recommended(self) -> list[Line]:
        return self.of(RECOMMENDED)

    @property
    def done_count(self) -> int:
        return sum(line.state == DONE for line in self.blocking)

    @property
    def total(self) -> int:
        return len(self.blocking)

    @property
    def percent(self) -> int:
        return 100 * self.done_count // self.total if self.total else 100

    @property
    def next_line(self) -> Line | None:
        """The first blocking item that somebody must act on."""
        return next((line for line in self.blocking if line.to_do), None)


def checklist_of(states: Mapping[str, str]) -> Checklist:
    """From the states of `readiness.states_of`, by the item's key."""
    pairs = [(item, states[item.key]) for item in items()]
    return Checklist(
        tuple(Line(item, state) for item, state in pairs if state != NOT_APPLICABLE),
        ready=all(state in (DONE, NOT_APPLICABLE) for item, state in pairs if item.level == BLOCKING),
    )


def checklist(user: User) -> Checklist:
    """One query for one person."""
    return checklist_of(states_of([user.pk])[user.pk])
