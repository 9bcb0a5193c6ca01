"""Which field who may write, at every post of the site, against `tests/data/fields.csv` (security SR-29).

A row is a field that a form reads when its route is posted to (`*` stands for the number of a row of a
formset), or a name that the view reads itself, without a form. For each reader: `write`; `masked`, written,
but shown by its end only; `read`, shown, and what is posted is ignored; `-`, absent: ignored, or the whole
post is refused. At pages that are about nobody but the reader: what the reader writes of the own account.

`python -m tests.field_table` prints the rows that the table has not, or not so, as observed now: read them,
one by one, before you paste them. `--all` prints the whole table.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from tests.access_table import routes, set_up, undone
from tests.access_table import stored as rights

if TYPE_CHECKING:
    from django.db.models import Model
    from django.forms import BaseForm, Field
    from django.http import HttpResponse
    from django.test import Client

    from accounts.models import User
    from tests.posts import Place

TABLE = Path(__file__).parent / "data/fields.csv"
READERS = ("owner", "admin", "user_manager", "staff", "stranger")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
RIGHTS = ("-", "read", "write", "masked")
OURS = ("accounts", "practitioners", "billing", "ehealth", "account", "mfa")
# Filters of what is shown; what reads the address of a link.
READING = ("BoardFilter", "JournalFilter", "ExchangeFilter", "Narrowing", "UserTokenForm")
REFUSED = (403, 404, 405, 410)
NOTED = ("new", "AuditEvent")

Row = dict[str, str]
Rows = dict[tuple[str, str], dict[str, Any]]
Change = tuple[str, str, dict[str, Any]]


# --- the table --------------------------------------------------------------------------------
def stored() -> list[Row]:
    with TABLE.open(newline="") as file:
        return list(csv.DictReader(file))


def posted_routes() -> list[tuple[str, str]]:
    """(name, path) of every route that takes a post from somebody."""
    table = rights()
    return [entry for entry in routes() if table[entry[0], "post"]["owner"] != "405"]


def name_of(form: BaseForm, name: str) -> str:
    """The field as the table has it."""
    return re.sub(r"-\d+(?=-|$)", "-*", form.add_prefix(name))


def is_version(name: str) -> bool:
    return name == "version" or name.endswith("_version")


def class_of(form: type) -> str:
    return f"{form.__module__}.{form.__name__}"


def takes_an_id(chosen: Field) -> bool:
    """Whether the value names a row: a choice of rows, or a UUID."""
    from django.forms import ChoiceField, ModelChoiceField, UUIDField

    if isinstance(chosen, ModelChoiceField | UUIDField):
        return True
    return isinstance(chosen, ChoiceField) and any(
        UUID.fullmatch(str(value)) for value, _label in chosen.choices
    )


def right(form: BaseForm, name: str) -> str:
    chosen = form.fields[name]
    if chosen.disabled:
        return "read"
    return "masked" if getattr(chosen, "hidden", "") else "write"


# --- what a post changes ----------------------------------------------------------------------
def models() -> list[type[Model]]:
    """Ours, but for sessions: each request may write its own, under a random key."""
    from django.apps import apps

    from accounts.models import Session

    return [model for model in apps.get_models() if model._meta.app_label in OURS and model is not Session]


def rows() -> Rows:
    """Every row of every table of ours, by table and key."""
    from django.db import connection

    parts = [
        f"SELECT '{model.__name__}', \"{model._meta.pk.column}\"::text, to_jsonb(t)::text "  # noqa: S608
        f'FROM "{model._meta.db_table}" t'
        for model in models()
    ]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts))
        return {(table, key): json.loads(row) for table, key, row in cursor.fetchall()}


def changes(before: Rows, after: Rows) -> list[Change]:
    """(what happened, table, the cells) of each row that is new, other or gone, by table and key."""
    found: list[Change] = []
    for place in sorted(before.keys() | after.keys(), key=lambda place: (place[0], len(place[1]), place[1])):
        old, new = before.get(place), after.get(place)
        if old is None:
            found.append(("new", place[0], new or {}))
        elif new is None:
            found.append(("gone", place[0], old))
        elif new != old:
            cells = {name: value for name, value in new.items() if value != old[name]}
            found.append(("changed", place[0], cells))
    return found


def unlike(plain: list[Change], again: list[Change], more: list[Change], odd: dict[str, str]) -> list[str]:
    """What a post with `odd` in it changed otherwise than two without, which differ by clock and chance."""
    shapes = [[(verb, table, sorted(cells)) for verb, table, cells in each] for each in (plain, again, more)]
    if shapes[0] != shapes[2]:
        return [f"{shape}" for shape in shapes[2] if shape not in shapes[0]] or ["less is changed"]
    if shapes[0] != shapes[1]:
        return ["two equal posts change different rows"]
    return [
        f"{table}.{name} = {value!r}"
        for (_verb, table, first), (*_same, second), (*_both, third) in zip(plain, again, more, strict=True)
        for name, value in third.items()
        if value != first[name] and (first[name] == second[name] or str(value) == odd.get(name))
    ]


# --- one post ---------------------------------------------------------------------------------
@dataclass
class Outcome:
    """What came of a post: the answer, the forms that read it, what it changed."""

    response: HttpResponse
    forms: list[BaseForm]
    changes: list[Change]

    @property
    def refused(self) -> bool:
        to_sign_in = self.response.status_code == 302 and self.response.headers["Location"].startswith(
            "/signin/?"
        )
        return self.response.status_code in REFUSED or to_sign_in

    @property
    def passed(self) -> bool:
        return self.response.status_code < 400 and not self.refused and not any(f.errors for f in self.forms)


@dataclass
class Scene:
    """A place with the people who post there; the same rows before each post."""

    route: str
    path: str
    place: Place
    subject: User
    people: dict[str, User | None]
    shown: dict[User | None, dict[str, Any]] = field(default_factory=dict)

    def post(self, reader: str, more: dict[str, Any] | None = None) -> Outcome:
        """The right post of that reader, with more in it, undone afterwards."""
        from django.core.cache import cache
        from django.test import Client

        from tests.conftest import sign_in
        from tests.posts import Asked

        with undone():
            cache.clear()
            client, actor = Client(), self.people[reader]
            # The post before was undone in the database only.
            for person in filter(None, (self.subject, actor)):
                person.refresh_from_db()
            if actor:
                sign_in(client, actor)
            asked = Asked(client, actor, self.subject, self.path, self.shown)
            url = self.place.url(asked)
            sent = {"csrfmiddlewaretoken": "x"} | self.place.sent(asked) | (more or {})
            before = rows()
            with bound_forms() as forms:
                response = send(client, url, sent, script=self.place.script)
            return Outcome(response, forms, changes(before, rows()))


def scenes(route: str, path: str) -> Iterator[Scene]:
    """One after the other: each is undone before the next."""
    from tests.posts import places

    for place in places(route):
        with undone():
            yield scene(route, path, place)


def scene(route: str, path: str, place: Place) -> Scene:
    from tests.posts import colleagues

    subject = place.about()
    return Scene(route, path, place, subject, colleagues(subject))


def send(client: Client, url: str, sent: dict[str, Any], *, script: bool) -> HttpResponse:
    """As a browser does, with parts only where there is a file; or as a script does, in JSON."""
    from django.utils.http import urlencode

    if script:
        return client.post(url, json.dumps(sent), content_type="application/json")
    if any(hasattr(value, "read") for value in sent.values()):
        return client.post(url, sent)
    return client.post(url, urlencode(sent, doseq=True), content_type="application/x-www-form-urlencoded")


@contextmanager
def bound_forms() -> Iterator[list[BaseForm]]:
    """The forms that are given something to read meanwhile, but for filters."""
    from django.forms import BaseForm

    found: list[BaseForm] = []
    original = BaseForm.__init__

    def noting(form: BaseForm, *args: Any, **kwargs: Any) -> None:
        original(form, *args, **kwargs)
        if form.is_bound and type(form).__name__ not in READING:
            found.append(form)

    with mock.patch.object(BaseForm, "__init__", noting):
        yield found


# --- what is observed -------------------------------------------------------------------------
@dataclass
class Observed:
    """Of one route: the rows of the table, and what was taken beyond them."""

    route: str
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    # Fields whose value is the id of a row.
    choices: set[str] = field(default_factory=set)

    def note(self, form: str, name: str, reader: str, given: str) -> None:
        empty = {"route": self.route, "form": form, "field": name} | dict.fromkeys(READERS, "-")
        row = self.rows.setdefault((form, name), empty)
        row[reader] = max(row[reader], given, key=RIGHTS.index)

    def fields(self, scene: Scene, reader: str, outcome: Outcome) -> None:
        for form in outcome.forms:
            for name in form.fields:
                if not is_version(name):
                    given = "-" if outcome.refused else right(form, name)
                    self.note(class_of(type(form)), name_of(form, name), reader, given)
                if takes_an_id(form.fields[name]):
                    self.choices.add(name_of(form, name))
        for name in scene.place.straight:
            self.note("", name, reader, "-" if outcome.refused else "write")


def observe(route: str, path: str, *, thoroughly: bool = True) -> Observed:
    """Post at a route as everybody; `thoroughly`: also with every column of every table in the post."""
    found = Observed(route)
    for scene in scenes(route, path):
        passed = False
        for reader in READERS:
            plain = scene.post(reader)
            passed |= plain.passed
            found.fields(scene, reader, plain)
            if thoroughly:
                found.wrong += [f"{reader}: {what}" for what in taken_beyond(scene, reader, plain)]
        if not passed and scene.place.is_form:
            found.wrong.append("what is sent is right for nobody")
    return found


def taken_beyond(scene: Scene, reader: str, plain: Outcome) -> list[str]:
    """What a post changes by names that are no fields of the reader's."""
    if plain.refused:
        # It may be an event of the journal.
        return [
            f"refused, and yet {verb} {table}" for verb, table, _ in plain.changes if (verb, table) != NOTED
        ]
    odd = odd_fields(scene, plain)
    more = scene.post(reader, odd)
    if more.response.status_code != plain.response.status_code:
        return [f"answers {more.response.status_code}, not {plain.response.status_code}"]
    again = scene.post(reader) if plain.changes or more.changes else plain
    return unlike(plain.changes, again.changes, more.changes, odd)


def odd_fields(scene: Scene, plain: Outcome) -> dict[str, str]:
    """A value for every column of every table, and every field that others have here, as each form would
    call it that may not write it."""
    columns = [column for model in models() for column in model._meta.concrete_fields]
    names = {name for column in columns for name in (column.name, column.attname)}
    names |= {row["field"].rpartition("-*-")[2] for row in stored() if row["route"] == scene.route}
    forms = plain.forms
    given = {form.add_prefix(name) for form in forms for name in form.fields if right(form, name) != "read"}
    given |= {re.sub(r"\*", number, name) for name in scene.place.straight for number in "012345678"}
    wanted = {form.add_prefix(name) for form in forms for name in names} | names
    return {name: odd_value(scene, name) for name in wanted - given if not is_version(name)}


def odd_value(scene: Scene, name: str) -> str:
    """Something that no row of the scene holds already; the practice and person of somebody else."""
    staff = scene.people["staff"]
    assert staff is not None
    column = name.rpartition("-")[2].removesuffix("_id")
    known = {"practice": staff.practice_id, "user": staff.pk, "state": "active", "roles": "admin"}
    return str(known.get(column, "1"))


def main() -> None:
    set_up()
    from django.conf import settings

    from tests.posts import trust_issuer

    trust_issuer(settings, Path(tempfile.mkdtemp()))
    known = [] if "--all" in sys.argv else stored()
    if not known:
        print(",".join(("route", "form", "field", *READERS)))  # noqa: T201
    for route, path in posted_routes():
        for row in observe(route, path, thoroughly=False).rows.values():
            if row not in known:
                print(",".join(row.values()))  # noqa: T201


if __name__ == "__main__":
    main()
