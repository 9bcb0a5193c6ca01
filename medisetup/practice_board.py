"""« Mon cabinet »: who is ready, who must act next, who has waited longest; one query for a page of people.

Everything is read from the item annotations of `readiness`; the filter comes from the address, so that what
one sees can be kept and shared.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import Case, CharField, Count, Exists, F, Func, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Concat, Lower, Now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Invitation, Role, User
from medisetup.checklist import Checklist, checklist_of
from medisetup.item import BLOCKING, NOT_APPLICABLE, PROBLEM, STATES, TODO, WAITING, Item
from medisetup.readiness import items, with_items

OWNER, MANAGER, PLATFORM, NOBODY = "owner", "manager", "platform", "nobody"
ACTORS = {
    OWNER: gettext_lazy("La personne"),
    MANAGER: gettext_lazy("Vous"),
    PLATFORM: gettext_lazy("eHealth ou une mutualité"),
    NOBODY: gettext_lazy("Personne"),
}
ANY = ("", gettext_lazy("Tous"))
_ACCENTED, _PLAIN = "àáâãäåçèéêëìíîïñòóôõöùúûüýÿ", "aaaaaaceeeeiiiinooooouuuuyy"


def fold(text: str) -> str:
    """Small letters without accents, as the search compares them."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))


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
        self.fields["acts"].choices = [ANY, *ACTORS.items()]
        self.fields["item"].choices = [ANY, *((item.key, f"{item.id} {item.title}") for item in items())]
        self.fields["role"].choices = [ANY, *Role.choices]
        for field in self.fields.values():
            field.hide_optional = True

    def apply(self, people: QuerySet[User]) -> QuerySet[User]:
        """`people` as `board` gives them, narrowed and in order."""
        self.is_valid()
        chosen = self.cleaned_data
        if chosen.get("search"):
            people = people.annotate(folded=_folded()).filter(folded__contains=fold(chosen["search"]))
        if chosen.get("state"):
            people = people.filter(ready=chosen["state"] == "ready")
        if chosen.get("acts"):
            people = people.filter(acts=chosen["acts"])
        if chosen.get("item"):
            people = people.filter(**{f"item_{chosen['item']}__in": [TODO, PROBLEM, WAITING]})
        if chosen.get("role"):
            people = people.filter(role_grants__role=chosen["role"])
        if chosen.get("order") == "waiting":
            return people.order_by("ready", "since", "pk")
        return people.order_by("last_name", "first_name", "pk")

    def values(self) -> dict[str, str]:
        """What was chosen, for links that keep it."""
        self.is_valid()
        return {name: str(value) for name, value in self.cleaned_data.items() if value}


def _folded() -> Func:
    whole = Lower(Concat("first_name", Value(" "), "last_name"))
    return Func(whole, Value(_ACCENTED), Value(_PLAIN), function="TRANSLATE", output_field=CharField())


def board(people: QuerySet[User]) -> QuerySet[User]:
    """Active people with the state of each item, `ready`, `acts` (one of ACTORS) and `since`."""
    return with_items(people.filter(is_active=True)).annotate(
        acts=_acts(), since=Coalesce("activated_at", "created_at")
    )


def _acts() -> Case:
    """Who moves first: a manager invites and pre-fills, the owner does what only the owner may."""
    open_invitation = Exists(
        Invitation.objects.filter(user=OuterRef("pk"), used_at=None, revoked_at=None, expires_at__gt=Now())
    )
    blocking = [item for item in items() if item.level == BLOCKING]
    return Case(
        When(ready=True, then=Value(NOBODY)),
        When(Q(activated_at=None) & ~open_invitation, then=Value(MANAGER)),
        When(_undone([item for item in blocking if item.owner_only]), then=Value(OWNER)),
        When(Q(activated_at=None) & _undone(blocking), then=Value(OWNER)),
        When(_undone(blocking), then=Value(MANAGER)),
        default=Value(PLATFORM),
        output_field=CharField(),
    )


def _undone(which: list[Item]) -> Q:
    undone = Q()
    for item in which:
        undone |= Q(**{f"{item.annotation}__in": [TODO, PROBLEM]})
    return undone


@dataclass(frozen=True)
class Cell:
    """One item of one person: its state and what is read of it."""

    state: str
    text: str


@dataclass(frozen=True)
class Row:
    """One person, ready for the page and for a file."""

    user: User
    checklist: Checklist
    cells: tuple[Cell, ...]
    acts: str
    next_title: str
    days: int


def rows(people: Any, now: datetime) -> list[Row]:
    """From users that carry the annotations of `board`."""
    return [_row(user, now) for user in people]


def _row(user: Any, now: datetime) -> Row:
    checklist = checklist_of(user)
    cells = tuple(_cell(getattr(user, item.annotation)) for item in items())
    line = checklist.next_line
    since: timedelta = now - user.since
    return Row(
        user=user,
        checklist=checklist,
        cells=cells,
        acts=str(ACTORS[user.acts]),
        next_title=str(line.item.title) if line else "",
        days=0 if user.ready else since.days,
    )


def _cell(state: str) -> Cell:
    return Cell(state, str(STATES[state]))


def totals(people: QuerySet[User]) -> dict[str, int]:
    """Counts over everybody, whatever the filter: all, ready, and who must act."""
    counted = people.order_by().values("acts").annotate(count=Count("pk"))
    by_actor = {row["acts"]: row["count"] for row in counted}
    return {"all": sum(by_actor.values())} | {name: by_actor.get(name, 0) for name in ACTORS}


def header() -> list[str]:
    """Names of the columns of a file: the person, the state of the whole, then each item."""
    fixed = [_("Nom"), _("Prénom"), _("E-mail"), _("État"), _("Étapes"), _("Qui doit agir")]
    return [*fixed, _("Prochaine étape"), *(f"{item.id} {item.title}" for item in items())]


def line(row: Row) -> list[str]:
    """One person for a file, in the order of `header`."""
    user, checklist = row.user, row.checklist
    state = _("Prêt") if checklist.ready else _("À compléter")
    steps = _("%(done)s sur %(total)s") % {"done": checklist.done_count, "total": checklist.total}
    known = [user.last_name, user.first_name, user.email, state, steps, row.acts, row.next_title]
    return [*known, *("" if cell.state == NOT_APPLICABLE else cell.text for cell in row.cells)]


def unready(people: QuerySet[User]) -> QuerySet[User]:
    """Those whom a reminder makes sense for: signed in once, and something is theirs to do."""
    return people.filter(acts=OWNER, activated_at__isnull=False).order_by(F("since").asc(), "pk")
