"""What the password is asked again for, once ten minutes have passed since it was given (security SR-14)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import PersonalKey, User
from billing.models import FinancialSettings
from tests import posts
from tests.access_table import routes, undone
from tests.accounts.factories import PASSWORD, BillingAddressFactory, UserFactory
from tests.billing.factories import FinancialFactory
from tests.client import CheckingClient
from tests.conftest import sign_in
from tests.field_table import posted_routes, rows, send
from tests.practitioners.factories import PractitionerFactory
from tests.proofs import asks, long_ago

pytestmark = pytest.mark.django_db

Fixture = Callable[[User], Client]
IBAN = "BE54001000002197"


# --- all of them ------------------------------------------------------------------------------
@dataclass(frozen=True)
class Guarded:
    """An act that asks: by whom, what is sent besides what `tests.posts` sends, the page that one comes back
    to when it is not the act's own, and what that page must show of what was typed.
    """

    by: str = "owner"
    more: dict[str, Any] = field(default_factory=dict)
    page: str = ""
    shows: str = ""


GUARDED = {
    "accounts:account": Guarded("admin", {"login": "tout.neuf@example.be"}, shows="tout.neuf@example.be"),
    "accounts:own_password": Guarded(),
    "accounts:deactivate": Guarded("admin"),
    "accounts:reactivate": Guarded("admin"),
    "accounts:sign_out": Guarded("admin", page="person"),
    "accounts:end_sessions": Guarded(page="accounts:sessions"),
    "accounts:factor": Guarded(),
    "accounts:factor_codes": Guarded(page="accounts:factor"),
    "accounts:factor_remove": Guarded(page="accounts:factor"),
    "accounts:key_code": Guarded(page="accounts:key"),
    "accounts:key_rotate": Guarded(page="accounts:key_rotate"),
    "accounts:key_revoke": Guarded(),
    "accounts:key_lost": Guarded(),
    "accounts:key_reset": Guarded("admin"),
    "accounts:key_reset_use": Guarded(),
    "billing:financial": Guarded(more={"iban": IBAN, "bic": ""}, shows=IBAN),
    "billing:end_of_training": Guarded(more={"recognised_on": "2026-01-05"}, shows="2026-01-05"),
    "practitioners:new": Guarded("admin", shows="anne.martin@example.be"),
    "practitioners:import_batch": Guarded("admin"),
    "ehealth:connection": Guarded(),
    "ehealth:disconnect": Guarded(page="ehealth:connection"),
    "ehealth:edmg": Guarded(shows=IBAN),
    "ehealth:retry_edmg": Guarded(page="ehealth:edmg"),
    "ehealth:account_change": Guarded(shows=IBAN),
    "ehealth:account_change_give_up": Guarded(page="ehealth:account_change"),
    "ehealth:takeover": Guarded(),
    "journal_export": Guarded("admin"),
    "own_data": Guarded(page="history"),
    "support:end_sessions": Guarded("staff", page="support:accounts_user_change"),
}
# Pages that ask before they show anything: by whom, about whom.
SHOWN_AFTER = {
    "people_export": "admin",
    "accounts:factor": "owner",
    "accounts:key_rotate": "owner",
    "accounts:key_reset": "admin",
    "ehealth:takeover": "owner",
}
PATHS = dict(routes())


@pytest.fixture
def _issuer(settings: Any, tmp_path: Path) -> None:
    posts.trust_issuer(settings, tmp_path)


def proof_page(response: HttpResponse) -> str:
    """Where the password is asked, '' when the act went on; scripts are told in JSON."""
    if response.headers.get("Content-Type") == "application/json":
        return str(response.json().get("url", ""))
    where = response.headers.get("Location", "")
    return where if where.startswith(reverse("account_reauthenticate")) else ""


def act(
    client: Client, route: str, place: posts.Place, actor: User, subject: User
) -> tuple[str, HttpResponse]:
    """The address of the act and its answer."""
    asked = posts.Asked(client, actor, subject, PATHS[route])
    url = place.url(asked)
    more = GUARDED[route].more if route in GUARDED else {}
    sent = {"csrfmiddlewaretoken": "x"} | place.sent(asked) | more
    return url, send(client, url, sent, script=place.script)


def facts() -> dict[tuple[str, str], Any]:
    """What is stored, but for nonces that wait and the journal."""
    return {place: row for place, row in rows().items() if place[0] not in ("KeyChallenge", "AuditEvent")}


@pytest.mark.usefixtures("_issuer")
@pytest.mark.parametrize("route", GUARDED)
def test_a_stale_proof_is_refused_and_asked_for_and_nothing_is_lost(route: str) -> None:
    guarded, place = GUARDED[route], next(posts.places(route))
    subject = place.about()
    actor = posts.colleagues(subject)[guarded.by]
    assert actor is not None
    client = long_ago(sign_in(CheckingClient(), actor))
    before = facts()
    url, refused = act(client, route, place, actor, subject)
    asked = proof_page(refused)
    assert asked, (refused.status_code, refused.content.decode()[:2000])
    if route not in MADE_ON_THE_WAY:
        assert facts() == before
    back = address_of(guarded.page, subject) or url
    assert asked == f"{reverse('account_reauthenticate')}?{urlencode({'next': back})}"
    assert client.get(asked).status_code == 200
    page = client.post(asked, {"password": PASSWORD}, follow=True)
    assert page.status_code == 200 and page.redirect_chain[0][0] == back
    if guarded.shows:
        assert f'value="{guarded.shows}"' in page.content.decode()
    _url, done = act(client, route, place, actor, subject)
    assert not proof_page(done) and done.status_code in (200, 302, 409), done.content.decode()[:2000]


@pytest.mark.parametrize("route", SHOWN_AFTER)
def test_a_page_is_shown_after_a_fresh_proof_alone(route: str) -> None:
    subject = posts.doctor()
    actor = posts.colleagues(subject)[SHOWN_AFTER[route]]
    assert actor is not None
    client = long_ago(sign_in(CheckingClient(), actor))
    url = posts.address(PATHS[route], subject).replace("0-0", "csv")
    asked = client.get(url)
    assert asks(asked, url)
    shown = client.post(asked.headers["Location"], {"password": PASSWORD}, follow=True)
    assert shown.status_code == 200 and shown.redirect_chain == [(url, 302)]


# What the sending itself stores before: the preview of an import, the key of an administrator.
MADE_ON_THE_WAY = {"practitioners:import_batch", "accounts:key_reset"}


def address_of(page: str, subject: User) -> str:
    """Of the page of that name, about the person where it is about one."""
    return posts.address(PATHS[page], subject) if page else ""


def observed() -> Iterator[str]:
    """Every route whose post asks somebody whose proof is stale."""
    for route, _path in posted_routes():
        for place in posts.places(route):
            with undone():
                subject = place.about()
                people = posts.colleagues(subject)
                for reader in ("owner", "admin", "staff"):
                    actor = people[reader]
                    assert actor is not None
                    with undone():
                        client = long_ago(sign_in(Client(), actor))
                        if proof_page(act(client, route, place, actor, subject)[1]):
                            yield route


@pytest.mark.usefixtures("_issuer")
def test_no_act_asks_that_is_not_in_the_table() -> None:
    assert set(observed()) == set(GUARDED)


# --- one by one -------------------------------------------------------------------------------
def test_an_account_to_be_paid_on(signed_in: Fixture) -> None:
    doctor = FinancialFactory().practitioner.user
    client = long_ago(signed_in(doctor))
    url = reverse("billing:financial", args=[doctor.uuid])
    typed = {"version": 0, "bce": "0100000169", "convention": "conventioned", "iban": IBAN}
    assert asks(client.post(url, typed), url)
    assert FinancialSettings.objects.get().iban == "BE67001000001187"
    assert f'value="{IBAN}"' in client.get(url).content.decode()
    unchanged = typed | {"iban": "BE67001000001187", "bic": "GEBABEBB", "convention": "non_conventioned"}
    assert client.post(url, unchanged).headers["Location"] == "/"


def test_the_account_of_the_assistants(signed_in: Fixture) -> None:
    doctor = FinancialFactory().practitioner.user
    url = reverse("billing:financial", args=[doctor.uuid])
    typed = {"version": 0, "bce": "0100000169", "convention": "conventioned", "iban": "BE67001000001187",
             "bic": "GEBABEBB", "assistants_shared_iban": IBAN}  # fmt: skip
    assert asks(long_ago(signed_in(doctor)).post(url, typed), url)


def test_a_new_person_with_roles(signed_in: Fixture) -> None:
    client = long_ago(signed_in(UserFactory(roles=["admin"])))
    url = reverse("practitioners:new")
    typed = {"last_name": "Fontaine", "first_name": "Élise", "email": "elise@example.be", "language": "nl",
             "login": "elise@example.be", "profession": "persphysician", "roles": ["admin"]}  # fmt: skip
    assert asks(client.post(url, typed), url)
    assert not User.objects.get_queryset().filter(login="elise@example.be").exists()
    page = client.get(url)
    assert page.status_code == 200
    assert (
        'value="Fontaine"' in page.content.decode() and "Votre saisie a été gardée" in page.content.decode()
    )


def test_roles_and_login_of_somebody_else(signed_in: Fixture) -> None:
    user = UserFactory()
    address = BillingAddressFactory(practice=user.practice)
    admin = UserFactory(practice=user.practice, roles=["admin"])
    url = reverse("accounts:account", args=[user.uuid])
    typed = {"version": 0, "email": user.email, "billing_address": str(address.uuid)}
    changed = typed | {"login": "autre.login", "roles": ["physician"]}
    assert asks(long_ago(signed_in(admin)).post(url, changed), url)
    changed = typed | {"login": user.login, "roles": ["physician", "admin"]}
    assert asks(long_ago(signed_in(admin)).post(url, changed), url)


def test_the_first_own_password(signed_in: Fixture) -> None:
    user = UserFactory(password_own_at=None)
    client = long_ago(signed_in(user))
    url = reverse("accounts:own_password")
    assert asks(client.post(url, {"password1": "Prairie€Bleue7", "password2": "Prairie€Bleue7"}), url)
    user.refresh_from_db()
    assert user.password_own_at is None


def test_keystore_registration_and_key(signed_in: Fixture) -> None:
    doctor = PractitionerFactory().user
    client = long_ago(signed_in(doctor))
    url = reverse("ehealth:connection", args=[doctor.uuid])
    file = SimpleUploadedFile("a.p12", b"0")
    assert asks(client.post(url, {"version": 0, "keystore": file, "keystore_password": "x"}), url)
    url = reverse("ehealth:edmg", args=[doctor.uuid])
    wanted = {
        "version": 0,
        "same_account": "on",
        "iban": IBAN,
        "conditions_accepted": "on",
        "no_paper_ack": "on",
    }
    assert asks(client.post(url, wanted), url) and asks(client.post(url, wanted | {"confirm": "1"}), url)
    assert asks(client.post(reverse("accounts:key_revoke"), {"reason": "other"}), "/key/revoke/")
    for name in ("accounts:key_code", "accounts:key_rotate"):
        answer = client.post(reverse(name), "a=1", content_type="application/x-www-form-urlencoded")
        assert answer.json()["code"] == "second_proof_required"
    assert PersonalKey.objects.get(user=doctor).state == "active"
