"""The table of rights holds, cell by cell, for every route of the resolver (security SR-25, SR-26, SR-33)."""

from __future__ import annotations

import re
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import User
from tests.access_table import ACTORS, METHODS, ask, observe, printed, routes, scene, stored
from tests.medisetup.test_doors import OF_A_PERSON, address
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.django_db

OUTCOMES = {"ok", "redirect", "login", "400", "403", "404", "405", "410", "422", "503"}
# The table in parts, so that parallel runs share the work.
PARTS = 8


def test_every_route_has_its_rows_and_every_cell_an_outcome() -> None:
    table = stored()
    wanted = {(name, method) for name, _path in routes() for method in METHODS}
    assert wanted - set(table) == set(), "no rows: run `python -m tests.access_table`"
    assert set(table) - wanted == set(), "rows of routes that are gone"
    cells = [row[actor] for row in table.values() for actor in ACTORS]
    assert set(cells) <= OUTCOMES
    assert len(cells) == len(routes()) * len(METHODS) * len(ACTORS)
    print(f"\n{len(cells)} cells, 0 skipped")  # noqa: T201


@pytest.mark.parametrize("part", range(PARTS))
def test_every_cell_is_as_written_and_no_name_leaves_its_practice(part: int) -> None:
    table, cast, leaks, cells = stored(), scene(), [], 0
    wrong = []
    for name, path in routes()[part::PARTS]:
        for row in observe(cast, name, path, leaks):
            cells += len(row) - 2
            if row != table.get((name, row["method"])):
                wrong.append(row)
    assert not wrong, f"observed, not as in the table:\n{printed(wrong)}"
    assert leaks == []
    assert cells == len(routes()[part::PARTS]) * len(METHODS) * len(ACTORS)


def test_the_table_keeps_the_great_rules() -> None:
    """Read over the table itself, so that a careless paste is noticed."""
    table = stored()
    people = {name for name, path in OF_A_PERSON if not path.startswith(("platform/", "support/"))}
    for (name, method), row in table.items():
        if name in people:
            strangers = {row[actor] for actor in ACTORS if actor.startswith("other_")}
            assert strangers <= {"403", "404", "405"}, (name, method)
            assert row["physician"] == row["supervisor"], "supervising gives no right over others"
            assert row["anonymous"] == row["deactivated"] == "login"
        assert row["owner"] == row["expired_owner"] or name.startswith("ehealth:account_change"), name
        if row["no_key"] == "ok" and row["anonymous"] == "login":
            assert name in BEFORE_THE_KEY, name
        if row["staff_no_code"] == "ok" and row["anonymous"] == "login":
            assert name in ("accounts:factor", "account_reauthenticate"), name
    of_staff = [row for (name, _method), row in table.items() if name in STAFF_ONLY]
    assert len(of_staff) == 2 * len(STAFF_ONLY)
    of_support = [row for (name, _method), row in table.items() if name.startswith("support:")]
    assert len(of_support) > 60
    of_staff += of_support
    for row in of_staff:
        everybody_else = {row[actor] for actor in ACTORS if actor != "staff"}  # also without the code
        assert everybody_else <= {"login", "redirect", "403", "405"}


BEFORE_THE_KEY = {"accounts:key", "accounts:key_import", "accounts:factor", "account_reauthenticate"}
STAFF_ONLY = {
    "ehealth:all_exchanges", "billing:licence_queue", "billing:licence_request", "billing:licence_invoice",
    "billing:licence_payment", "billing:licence_activate",
}  # fmt: skip


def body(response: HttpResponse, asked: User | SimpleNamespace) -> str:
    """What was answered, without what differs between any two answers: the id asked for, the form's token."""
    text = response.content.decode(errors="replace").replace(str(asked.uuid), "")
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", text)


@pytest.mark.parametrize("roles", [["admin"], ["user_manager"], ["physician"]])
def test_another_practices_person_answers_with_the_very_same_words(signed_in, roles: list[str]) -> None:
    theirs, missing = PractitionerFactory().user, SimpleNamespace(uuid=uuid4())
    client: Client = signed_in(PractitionerFactory(user__roles=roles).user)
    for _name, path in OF_A_PERSON:
        # 403 tells nothing when it comes before anybody is looked up, so for a missing one too.
        of_staff = path.startswith(("platform/", "support/"))
        refused = {403, 404, 405} if of_staff or roles == ["physician"] else {404, 405}
        for method in METHODS:
            answers = [
                (answer.status_code, body(answer, asked))
                for asked in (theirs, missing)
                for answer in [getattr(client, method)(address(path, asked))]
            ]
            assert answers[0] == answers[1] and answers[0][0] in refused, (method, path, answers[0][0])


def test_the_unmistakable_names_are_read_at_home() -> None:
    """The search for names that leave their practice can find something."""
    path = dict(routes())["person"]
    page = ask(scene(), "admin", "get", path).content.decode()
    assert "Quetzalcoatl" in page
