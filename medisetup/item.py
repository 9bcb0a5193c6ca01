"""What a line of the checklist is: its words, its link, and the conditions its state follows from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Case, CharField, Exists, Q, Value, When
from django.db.models.expressions import NegatedExpression
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

DONE, TODO, WAITING, PROBLEM, NOT_APPLICABLE = "done", "todo", "waiting", "problem", "not_applicable"
STATES = {
    DONE: _("Fait"),
    TODO: _("À faire"),
    WAITING: _("En attente"),
    PROBLEM: _("Problème"),
    NOT_APPLICABLE: _("Sans objet"),
}
BLOCKING, RECOMMENDED = "blocking", "recommended"
# Whom a waiting item waits for.
OWNER, PLATFORM, COLLEAGUE = "owner", "platform", "colleague"


@dataclass(frozen=True)
class Item:
    """One line of the checklist. `applies`, `done`, `problem`, `waiting` are conditions on `User`; without
    them it applies to everybody, has no problem and waits for nobody.

    `link` names the section's URL (`app:name`, taking the person's uuid), `#field` when one field is meant;
    empty when no page of the portal does it. `waits_for`: OWNER (of something outside the portal), PLATFORM
    or COLLEAGUE. `title` speaks to the owner, `neutral` to whoever else reads; `unlocks` to both.
    """

    id: str
    key: str
    title: str | Promise
    unlocks: str | Promise
    link: str
    done: Q | Exists | NegatedExpression[Any]
    applies: Q | Exists | None = None
    problem: Q | Exists | None = None
    waiting: Q | Exists | None = None
    waits_for: str = PLATFORM
    level: str = BLOCKING
    owner_only: bool = False
    neutral: str | Promise = ""
    annotation: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "annotation", f"item_{self.key}")
        object.__setattr__(self, "neutral", self.neutral or self.title)

    def state(self) -> Case:
        """The state as one expression; the first that holds wins."""
        conditions = [(self.problem, PROBLEM), (self.done, DONE), (self.waiting, WAITING)]
        cases = [When(~Q(self.applies), then=Value(NOT_APPLICABLE))] if self.applies else []
        cases += [When(Q(condition), then=Value(state)) for condition, state in conditions if condition]
        return Case(*cases, default=Value(TODO), output_field=CharField())
