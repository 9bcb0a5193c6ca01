"""No page falls over what nobody types: every form of every person's pages, filled with oddities."""

from __future__ import annotations

import json

import html5lib
import pytest
from django.test import Client
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import User
from tests.accounts.factories import PracticeFactory, UserFactory
from tests.billing.factories import FinancialFactory
from tests.conftest import sign_in
from tests.practitioners.factories import AddressFactory, PractitionerFactory

pytestmark = pytest.mark.django_db

ODD = {
    "nul byte": "a\x00b",
    "very long": "x" * 10_000,
    "long number": "9" * 5_000,
    "minus": "-1",
    "not a number": "NaN",
    "other digits": "١٢٣٤",
    "superscript": "²",
    "lone surrogate in a mark": "\ufffd\u202e\u200b",
    "markup": "<script>alert(1)</script>{{ 7|add:7 }}",
    "line breaks": "a\r\nBcc: b@example.be",
    "empty": "",
}
SECTIONS = (
    "accounts:account",
    "practitioners:general",
    "practitioners:addresses",
    "ehealth:connection",
    "ehealth:edmg",
    "billing:financial",
)
POSTED = [
    "login",
    "password",
    "email",
    "next",
    "language",
    "reason",
    "challenge",
    "proof",
    "public_key",
    "purpose",
    "protection",
    "file_code",
    "origin",
    "auto",
    "challenge_old",
    "proof_old",
]
PEOPLE = ("physician", "house", "administrator")


def person(kind: str) -> User:
    if kind == "administrator":
        return UserFactory(roles=["admin"])
    practice = PracticeFactory(type="flat_rate_house" if kind == "house" else "group")
    profession = "orgprimaryhealthcarecenter" if kind == "house" else "persphysician"
    row = PractitionerFactory(user__practice=practice, profession=profession, blank=kind == "house")
    AddressFactory(practitioner=row)
    if kind == "physician":
        FinancialFactory(practitioner=row)
    return row.user


def names(html: str) -> set[str]:
    tree = html5lib.parse(html, namespaceHTMLElements=False)
    fields = [field for tag in ("input", "select", "textarea", "button") for field in tree.iter(tag)]
    return {field.get("name") for field in fields if field.get("name")} - {"csrfmiddlewaretoken"}


def hostile(found: set[str], value: str) -> list[dict[str, object]]:
    """Everything odd at once; each thing twice, but for the version and the counts of rows."""
    counts = {name: "1" for name in found if name.endswith(("telecoms", "addresses"))}
    base = dict.fromkeys(found, value)
    return [
        base,
        {name: [value, value] for name in found} | {"version": "0"} | counts,
    ]


@pytest.mark.parametrize("kind", PEOPLE)
@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_answers_odd_input_with_a_page(section: str, kind: str) -> None:
    subject = person(kind)
    client = sign_in(Client(), subject)
    url = reverse(section, args=[subject.uuid])
    page = client.get(url)
    if page.status_code == 404:
        assert client.post(url, {}).status_code == 404
        return
    found = names(page.content.decode())
    for value in ODD.values():
        for data in hostile(found, value):
            assert client.post(url, data).status_code < 500


@pytest.mark.parametrize(
    "path", ["/people/", "/mailbox/", "/bic/", "/key/import/", "/key/session/", "/people/new/"]
)
def test_odd_addresses_answer(path: str) -> None:
    client = sign_in(Client(), UserFactory(roles=["admin"]))
    for value in ODD.values():
        query = {"page": value, "state": value, "iban": value, "next": value}
        assert client.get(path, query).status_code < 500


def test_a_new_person_answers_odd_input_with_a_page() -> None:
    client = sign_in(Client(), UserFactory(roles=["admin"]))
    url = reverse("practitioners:new")
    found = names(client.get(url).content.decode())
    for value in ODD.values():
        for data in hostile(found, value):
            assert client.post(url, data).status_code < 500


@pytest.mark.parametrize(
    "name",
    [
        "account_login",
        "account_reauthenticate",
        "set_language",
        "accounts:key_revoke",
        "accounts:key_lost",
        "accounts:key_register",
        "accounts:key_prove",
        "accounts:key_rotate",
        "accounts:key_backup",
        "accounts:key_challenge",
        "ehealth:switch_mailbox",
    ],
)
def test_what_scripts_and_small_forms_post_may_be_odd(client: Client, name: str) -> None:
    person = sign_in(Client(), UserFactory())
    for value in ODD.values():
        body = urlencode(dict.fromkeys(POSTED, value))
        for visitor in (client, person):
            answer = visitor.post(reverse(name), body, content_type="application/x-www-form-urlencoded")
            assert answer.status_code < 500
        body = json.dumps({"purpose": value, "binding": value})
        assert person.post(reverse(name), body, content_type="application/json").status_code < 500
