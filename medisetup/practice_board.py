"""« Mon cabinet »: who is ready, who must act next, who has waited longest.

The states of a practice's people come from one query; the rest is looked at in Python, for a practice is
small. The filter comes from the address, so that what one sees can be kept and shared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.forms.declared import field_of, hide_optional
from accounts.identifiers import fold
from accounts.models import Invitation, Role, User
from medisetup.checklist import Checklist, checklist_of
from medisetup.item import COLLEAGUE, NOT_APPLICABLE, PLATFORM, PROBLEM, STATES, TODO, WAITING
from medisetup.readiness import items, states_of

OWNER, MANAGER, NOBODY = "owner", "manager", "nobody"
ACTORS = {
    OWNER: gettext_lazy("la personne"),
    MANAGER: gettext_lazy("le cabinet"),
    COLLEAGUE: gettext_lazy("un collègue"),
    PLATFORM: gettext_lazy("eHealth ou une mutualité"),
    NOBODY: gettext_lazy("personne"),
}
ANY = ("", gettext_lazy("Tous"))


def heading(label: Any) -> str:
    """Who acts, at the start of a line: the platform is written small even there."""
    text = str(label)
    return text if text.startswith("eHealth") else capfirst(text)


class BoardFilter(forms.Form):
    """Which people, in which order; an unreadable value narrows nothing."""

    READY = [ANY, ("missing", gettext_lazy("Il manque quelque chose")), ("ready", gettext_lazy("Prêts"))]
    ORDERS = [
        ("name", gettext_lazy("Nom")),
        ("waiting", gettext_lazy("Attend depuis le plus longtemps")),
    ]

    search = forms.CharField(label=gettext_lazy("Nom"), required=False, max_length=80)
    state = forms.ChoiceField(label=gettext_lazy("État"), choices=READY, required=False)
    acts = forms.ChoiceField(label=gettext_lazy("Qui doit agir"), required=False)
    item = forms.ChoiceField(label=gettext_lazy("Étape à faire"), required=False)
    role = forms.ChoiceField(label=gettext_lazy("Rôle"), required=False)
    order = forms.ChoiceField(label=gettext_lazy("Ordre"), choices=ORDERS, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field_of(self, "acts", forms.ChoiceField).choices = [
            ANY,
            *((name, heading(label)) for name, label in ACTORS.items()),
        ]
        field_of(self, "item", forms.ChoiceField).choices = [
            ANY,
            *((item.key, f"{item.id} {item.title}") for item in items()),
        ]
        field_of(self, "role", forms.ChoiceField).choices = [ANY, *Role.choices]
        hide_optional(self, *self.fields)

    def apply(self, rows: list[Row]) -> list[Row]:
        """The rows of `board` that match, in order."""
        self.is_valid()
        chosen = self.cleaned_data
        kept = [row for row in rows if _matches(row, chosen)]
        if chosen.get("order") == "waiting":
            return sorted(kept, key=lambda row: (row.acts == NOBODY, row.since))
        return kept

    def values(self) -> dict[str, str]:
        """What was chosen, for links that keep it."""
        self.is_valid()
        return {name: str(value) for name, value in self.cleaned_data.items() if value}


def _matches(row: Row, chosen: dict[str, Any]) -> bool:
    states = {item.key: cell.state for item, cell in zip(items(), row.cells, strict=True)}
    checks: dict[str, Callable[[str], bool]] = {
        "search": lambda text: fold(text) in fold(row.user.get_full_name()),
        "state": lambda state: row.checklist.ready == (state == "ready"),
        "acts": lambda actor: row.acts == actor,
        "item": lambda key: states[key] in (TODO, PROBLEM, WAITING),
        "role": lambda role: role in row.roles,
    }
    return all(check(chosen[name]) for name, check in checks.items() if chosen.get(name))


@dataclass(frozen=True)
class Cell:
    """One item of one person: its state and what is read of it."""

    state: str
    text: str


@dataclass(frozen=True)
class Row:
    """One person, ready for the page and for a file. `acts`: one of ACTORS; `since`: waiting from then on."""

    user: User
    checklist: Checklist
    cells: tuple[Cell, ...]
    roles: frozenset[str]
    acts: str
    since: datetime
    days: int

    @property
    def who(self) -> str:
        return heading(ACTORS[self.acts])

    @property
    def next_title(self) -> str:
        line = self.checklist.next_line
        return str(line.item.title) if line else ""

    @property
    def may_be_reminded(self) -> bool:
        """Signed in once, and something is theirs to do."""
        return self.acts == OWNER and self.user.activated_at is not None


def board(people: QuerySet[User], now: datetime) -> list[Row]:
    """Every active one of these people, by name: people, roles, invitations, states are a query each."""
    open_invitation = Exists(Invitation.objects.all().open(now).filter(user=OuterRef("pk")))
    found = people.filter(is_active=True).annotate(invited=open_invitation)
    ordered = found.prefetch_related("role_grants", "invitations").order_by("last_name", "first_name", "pk")
    states = states_of(user.pk for user in ordered)
    return [_row(user, states[user.pk], now) for user in ordered]


def _row(user: Any, states: dict[str, str], now: datetime) -> Row:
    checklist, since = checklist_of(states), user.activated_at or user.created_at
    waited: timedelta = now - since
    return Row(
        user=user,
        checklist=checklist,
        cells=tuple(_cell(states[item.key]) for item in items()),
        roles=frozenset(grant.role for grant in user.role_grants.all()),
        acts=_acts(user, checklist),
        since=since,
        days=0 if checklist.ready else waited.days,
    )


def _acts(user: Any, checklist: Checklist) -> str:
    """Who moves first: a manager invites and pre-fills, the owner does what only the owner may. When all the
    rest waits, the colleague who can be asked comes before the platform that goes on by itself.
    """
    undone = [line.item for line in checklist.blocking if line.state in (TODO, PROBLEM)]
    if checklist.ready:
        return NOBODY
    if user.activated_at is None:
        return OWNER if user.invited else MANAGER
    if any(item.owner_only for item in undone):
        return OWNER
    if undone:
        return MANAGER
    awaited = {line.item.waits_for for line in checklist.blocking if line.state == WAITING}
    return COLLEAGUE if COLLEAGUE in awaited else PLATFORM


def _cell(state: str) -> Cell:
    return Cell(state, str(STATES[state]))


def totals(rows: list[Row]) -> dict[str, int]:
    """Counts over everybody, whatever the filter: all, ready, and who must act."""
    counted = Counter(row.acts for row in rows)
    return {"all": len(rows)} | {name: counted[name] for name in ACTORS}


def header() -> list[str]:
    """Names of the columns of a file: the person, the state of the whole, then each item."""
    fixed = [_("Nom"), _("Prénom"), _("E-mail"), _("État"), _("Étapes"), _("Qui doit agir")]
    return [*fixed, _("Prochaine étape"), *(f"{item.id} {item.title}" for item in items())]


def line(row: Row) -> list[str]:
    """One person for a file, in the order of `header`."""
    user, checklist = row.user, row.checklist
    state = _("Prêt") if checklist.ready else _("À compléter")
    steps = _("%(done)s sur %(total)s") % {"done": checklist.done_count, "total": checklist.total}
    known = [user.last_name, user.first_name, user.email, state, steps, row.who, row.next_title]
    return [*known, *("" if cell.state == NOT_APPLICABLE else cell.text for cell in row.cells)]
