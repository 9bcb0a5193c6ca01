"""Which field who may write, and what a form never takes (security SR-28, SR-29).

`tests/field_table.py` says what the table states and how it is observed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.forms import BaseForm
from pytest_django.fixtures import Settings

from accounts.models import RoleGrant
from medisetup.journal import JournalFilter
from practitioners.models import Address
from tests import posts
from tests.access_table import printed
from tests.accounts.factories import BillingAddressFactory, PracticeFactory, UserFactory
from tests.billing.factories import FinancialFactory
from tests.field_table import (
    READERS,
    READING,
    RIGHTS,
    Scene,
    class_of,
    observe,
    posted_routes,
    scene,
    stored,
)
from tests.practitioners.factories import AddressFactory
from tests.test_consistency import code

pytestmark = pytest.mark.django_db

ROUTES = dict(posted_routes())
FOREIGN = "Ixtaccihuatl"
# What a save leaves even so: its version, its event, and the 45 days bound to the numbers as stored.
TRACES = {"SectionReview", "AuditEvent", "ProvisionalClaim"}
# What other forms are made of.
BASES = {
    "accounts.sections.PrefillableForm",
    "accounts.sections.VersionedForm",
    "accounts.sections.SectionForm",
    "accounts.forms.keys.PairForm",
}


@pytest.fixture(autouse=True)
def _generous(settings: Settings, tmp_path: Path) -> None:
    """Keystores of these tests open; a post may be longer than any form."""
    posts.trust_issuer(settings, tmp_path)
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = None


# --- the table --------------------------------------------------------------------------------
@pytest.mark.parametrize("route", ROUTES)
def test_a_post_takes_what_the_table_says_and_nothing_else(route: str) -> None:
    found = observe(route, ROUTES[route])
    rows = [row for row in stored() if row["route"] == route]
    observed = list(found.rows.values())
    assert observed == rows, f"not so in the table:\n{printed([row for row in observed if row not in rows])}"
    assert found.wrong == []
    assert found.choices == {name for of, name in (*CHOICES, ADDRESSES) if of == route}


UNTOUCHED = [
    (route, number)
    for route, found in posts.PLACES.items()
    for number, place in enumerate(found)
    if place.sent is posts.untouched
]


@pytest.mark.parametrize(("route", "place"), UNTOUCHED)
def test_a_form_sent_back_as_it_was_shown_changes_nothing(route: str, place: int) -> None:
    asked = scene_of(route, place)
    for reader in ("owner", "admin", "user_manager"):
        outcome = asked.post(reader)
        assert outcome.passed and {table for _verb, table, _cells in outcome.changes} <= TRACES


def subclasses(form: type) -> Iterator[type]:
    for one in form.__subclasses__():
        yield one
        yield from subclasses(one)


def test_every_form_and_every_route_is_in_the_table_and_no_other() -> None:
    apps = ("accounts.", "practitioners.", "billing.", "ehealth.", "medisetup.")
    ours = {class_of(form) for form in subclasses(BaseForm) if form.__module__.startswith(apps)}
    reading = {name for name in ours if name.rpartition(".")[2] in READING}
    assert ours - reading - BASES == {row["form"] for row in stored()} - {""}
    assert {row["route"] for row in stored()} <= set(ROUTES)
    assert {row[reader] for row in stored() for reader in READERS} == set(RIGHTS)


def test_what_a_view_reads_without_a_form_is_in_the_table() -> None:
    read = re.findall(r'(?:\.POST|self\.data)(?:\.get\w*\(|\[)f?"([^"]+)"|"([\w-]+)" in [\w.]*\.POST', code())
    names = {(first or second).replace("{self.prefix}", "address-*") for first, second in read}
    assert {"auto", "capability", "confirm", "format", "address-*-telecoms"} <= names
    assert names - {row["field"] for row in stored()} == set()


def test_the_great_rules_of_the_table() -> None:
    """Read over the table itself, so that a careless paste is noticed."""
    numbers = {"ssin", "house_contact_ssin", "iban", "assistants_shared_iban"}
    for row in stored():
        route, name, path = row["route"], row["field"], ROUTES[row["route"]]
        others = (row["admin"], row["user_manager"])
        if "<uuid:uuid>" in path:
            assert row["staff"] == ("write" if path.startswith("platform/") else "-"), row
            assert row["stranger"] == "-", row
            if route.startswith("ehealth:") or "password" in name:
                assert others == ("-", "-"), row
            elif name in numbers:
                assert (row["owner"], *others) == ("write", "masked", "masked"), row
        if row["stranger"] != "-":
            assert row["form"].startswith(("accounts.signin.", "accounts.forms.")) or route == "set_language"
        if "roles" in name:
            assert row["owner"] in ("read", "-"), row


# --- choices ----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Choice:
    """A field that takes the id of a row; `theirs`: rows of another practice, called `FOREIGN`."""

    place: int
    theirs: Callable[[], list[Any]]


def their_doctor() -> list[Any]:
    row = FinancialFactory(practitioner__user__last_name=FOREIGN).practitioner
    return [row, row.user]


CHOICES: dict[tuple[str, str], Choice] = {
    ("billing:financial", "supervisor"): Choice(1, their_doctor),
    ("practitioners:general", "house_contact"): Choice(1, their_doctor),
    ("accounts:account", "billing_address"): Choice(
        0, lambda: [BillingAddressFactory(practice=PracticeFactory(), name=FOREIGN)]
    ),
}
ADDRESSES = ("practitioners:addresses", "address-*-uuid")


def scene_of(route: str, place: int = 0) -> Scene:
    return scene(route, ROUTES[route], list(posts.places(route))[place])


@pytest.mark.parametrize("reader", ["owner", "admin", "user_manager"])
@pytest.mark.parametrize(("route", "name"), CHOICES)
def test_a_row_of_another_practice_is_refused(route: str, name: str, reader: str) -> None:
    choice = CHOICES[route, name]
    asked, rows = scene_of(route, choice.place), choice.theirs()
    assert asked.post(reader).passed
    for chosen in [str(key) for row in rows for key in (row.uuid, row.pk)]:
        outcome = asked.post(reader, {name: chosen})
        assert outcome.response.status_code == 422 and list(outcome.forms[0].errors) == [name]
        assert outcome.changes == [] and FOREIGN not in outcome.response.content.decode()


def test_an_address_of_another_practice_is_to_nobody_an_address() -> None:
    """Like one that is gone: what was typed becomes an address of one's own."""
    asked = scene_of("practitioners:addresses")
    theirs = AddressFactory(street=FOREIGN)
    before = Address.objects.values().get(pk=theirs.pk)
    for reader in ("owner", "admin", "user_manager"):
        outcomes = [asked.post(reader, {"address-0-uuid": str(chosen)}) for chosen in (theirs.uuid, uuid4())]
        same = [[(verb, table) for verb, table, _cells in outcome.changes] for outcome in outcomes]
        assert same[0] == same[1] and ("new", "Address") in same[0]
        new = [cells for verb, table, cells in outcomes[0].changes if (verb, table) == ("new", "Address")]
        assert [cells["practitioner_id"] for cells in new] == [asked.subject.practitioner.pk]
        assert str(theirs.uuid) not in str(outcomes[0].changes)
        assert Address.objects.values().get(pk=theirs.pk) == before


def test_a_person_of_another_practice_is_no_filter_of_the_journal() -> None:
    admin, theirs = UserFactory(roles=["admin"]), UserFactory(last_name=FOREIGN)
    for name in ("person", "actor"):
        chosen = JournalFilter({name: str(theirs.uuid)}, reader=admin)
        assert list(chosen.errors) == [name] and FOREIGN not in str(chosen.errors)


ABOVE = [
    ("accounts:account", "user_manager", role) for role in ("admin", "user_manager", "support", "staff")
] + [("practitioners:new", reader, "staff") for reader in ("admin", "user_manager")]  # fmt: skip
ABOVE += [("practitioners:new", "user_manager", role) for role in ("admin", "user_manager", "support")]


@pytest.mark.parametrize(("route", "reader", "role"), ABOVE)
def test_nobody_gives_a_role_above_the_own(route: str, reader: str, role: str) -> None:
    asked = scene_of(route)
    held = set(RoleGrant.objects.values_list("user", "role"))
    outcome = asked.post(reader, {"roles": ["physician", role]})
    assert outcome.response.status_code == 422 and "roles" in outcome.forms[0].errors
    assert outcome.changes == [] and set(RoleGrant.objects.values_list("user", "role")) == held
