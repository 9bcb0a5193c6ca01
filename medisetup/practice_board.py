"""« Mon cabinet »: who is ready, who must act next, who is awaited longest.

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
from medisetup import waiting
from medisetup.checklist import Checklist, Line, checklist_of
from medisetup.item import COLLEAGUE, NOT_APPLICABLE, OWNER, PLATFORM, PROBLEM, STATES, TODO, WAITING
from medisetup.readiness import items, states_of

MANAGER, NOBODY = "manager", "nobody"
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
            *((item.key, f"{item.id} {item.neutral}") for item in items()),
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
    """One person, ready for the page and for a file. `acts`: one of ACTORS; `invitation`: the last one;
    `awaited`: the step that comes next; `since`: awaited from then on (`waiting`).
    """

    user: User
    checklist: Checklist
    cells: tuple[Cell, ...]
    roles: frozenset[str]
    acts: str
    invitation: Invitation | None
    awaited: Line | None
    since: datetime
    days: int

    @property
    def who(self) -> str:
        return heading(ACTORS[self.acts])

    @property
    def next_title(self) -> str:
        if self.user.activated_at is None and self.acts == OWNER:
            return _("Répondre à l'invitation")
        if self.may_be_invited:
            expired = self.invitation and self.invitation.revoked_at is None
            return _("Invitation expirée : la renvoyer") if expired else _("Envoyer une invitation")
        return str(self.awaited.item.neutral) if self.awaited else ""

    @property
    def may_be_reminded(self) -> bool:
        """Signed in once, and something is theirs to do."""
        return self.acts == OWNER and self.user.activated_at is not None

    @property
    def may_be_invited(self) -> bool:
        """Never in, and no invitation that still opens."""
        return self.acts == MANAGER and self.user.activated_at is None


def board(people: QuerySet[User], now: datetime) -> list[Row]:
    """Every active one of these people, by name. One query each: people, roles, invitations, states, acts."""
    open_invitation = Exists(Invitation.objects.all().open(now).filter(user=OuterRef("pk")))
    found = waiting.with_moments(people.filter(is_active=True).annotate(invited=open_invitation))
    ordered = found.prefetch_related("role_grants", "invitations").order_by("last_name", "first_name", "pk")
    states = states_of(user.pk for user in ordered)
    lists = {user.pk: checklist_of(states[user.pk]) for user in ordered}
    acts = waiting.last_acts(user for user in ordered if user.activated_at and not lists[user.pk].ready)
    return [_row(user, lists[user.pk], states[user.pk], acts.get(user.uuid, {}), now) for user in ordered]


def _row(user: Any, checklist: Checklist, states: dict[str, str], done: waiting.Acts, now: datetime) -> Row:
    acts = _acts(user, checklist)
    awaited = _awaited(checklist, acts)
    last = max(user.invitations.all(), key=lambda invitation: invitation.pk, default=None)
    if user.activated_at:
        since = waiting.since(user, awaited.item if awaited else None, done, now)
    else:
        since = waiting.since_invitation(user, last, now)
    waited: timedelta = now - since
    return Row(
        user=user,
        checklist=checklist,
        cells=tuple(_cell(states[item.key]) for item in items()),
        roles=frozenset(grant.role for grant in user.role_grants.all()),
        acts=acts,
        invitation=last,
        awaited=awaited,
        since=since,
        days=0 if checklist.ready else waited.days,
    )


def _acts(user: Any, checklist: Checklist) -> str:
    """Who moves first: a manager invites and pre-fills, the owner does what only the owner may. When all the
    rest waits, the colleague who can be asked comes before the platform that goes on by itself.
    """
    undone = [line for line in checklist.blocking if line.to_do]
    if checklist.ready:
        return NOBODY
    if user.activated_at is None:
        return OWNER if user.invited else MANAGER
    if any(line.item.owner_only or line.state == WAITING for line in undone):
        return OWNER
    if undone:
        return MANAGER
    awaited = {line.item.waits_for for line in checklist.blocking if line.state == WAITING}
    return COLLEAGUE if COLLEAGUE in awaited else PLATFORM


def _awaited(checklist: Checklist, acts: str) -> Line | None:
    """The step that somebody must do next; when all the rest waits, the first that waits for `acts`."""
    waits = (line for line in checklist.blocking if line.state == WAITING and line.item.waits_for == acts)
    return checklist.next_line or next(waits, None)


def _cell(state: str) -> Cell:
    return Cell(state, str(STATES[state]))


def totals(rows: list[Row]) -> dict[str, int]:
    """Counts over everybody, whatever the filter: all, ready, and who must act."""
    counted = Counter(row.acts for row in rows)
    return {"all": len(rows)} | {name: counted[name] for name in ACTORS}


def header() -> list[str]:
    """Names of the columns of a file: the person, the state of the whole, then each item."""
    fixed = [_("Nom"), _("Prénom"), _("E-mail"), _("État"), _("Étapes"), _("Qui doit agir")]
    return [*fixed, _("Prochaine étape"), *(f"{item.id} {item.neutral}" for item in items())]


def line(row: Row) -> list[str]:
    """One person for a file, in the order of `header`."""
    user, checklist = row.user, row.checklist
    state = _("Prêt") if checklist.ready else _("À compléter")
    steps = _("%(done)s sur %(total)s") % {"done": checklist.done_count, "total": checklist.total}
    known = [user.last_name, user.first_name, user.email, state, steps, row.who, row.next_title]
    return [*known, *("" if cell.state == NOT_APPLICABLE else cell.text for cell in row.cells)]
