"""What support reads: masked, nothing to change, every reading in the journal; off by default."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection, transaction
from django.db.models import BinaryField, Field, Model
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import access, audit
from accounts.access import Capability, Forbidden
from accounts.actions.sessions import close_sessions
from accounts.models import AuditEvent, Mail, Session, User
from ehealth.models import EdmgRegistration, Endpoint, Exchange, Keystore
from medisetup.checks import refuse_unsafe
from medisetup.support.facts import Fact, SecretFact
from medisetup.support.rows import COUNTED_AT_MOST, ReadOnly
from medisetup.support.site import GROUPS, site
from tests import cast
from tests.accounts.factories import PracticeFactory, UserFactory
from tests.client import CheckingClient
from tests.conftest import sign_in
from tests.ehealth.factories import KeystoreFactory
from tests.medisetup.secretive import NUMBERS, SEALED, doctor_with_secrets
from tests.medisetup.test_doors import ALL
from tests.medisetup.test_odd_input import ODD
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.django_db
Open = Callable[[User], CheckingClient]

# Fields that no page may name, whatever their mask; written here apart from the code's own list.
NEVER = {
    "password", "spki", "file_code", "blob", "key", "chain", "assertion", "content", "fingerprint", "sha256",
    "digest", "request_sha256", "response_sha256", "nonce", "session_hash", "data", "file_name", "title",
}  # fmt: skip
PERSONAL = re.compile(r"ssin|nihii|iban|bce|phone|mobile")
# A civil title, not that of a message.
HARMLESS = {("practitioners_practitioner", "title")}


@pytest.fixture
def staff() -> User:
    user: User = UserFactory(
        is_staff=True, last_name="Dupont-Support", practice=PracticeFactory(name="Portail")
    )
    return user


@pytest.fixture
def doctor() -> User:
    return doctor_with_secrets()


def pages() -> list[ReadOnly]:
    return list(site._registry.values())


def list_of(page: ReadOnly) -> str:
    return reverse(f"support:{page.name}_changelist")


def text(response: Any) -> str:
    return unescape(response.content.decode())


def readings() -> Any:
    return AuditEvent.objects.filter(kind__in=["platform:list:read", "platform:row:read"]).order_by("pk")


# --- what may be read -------------------------------------------------------------------------
def facts_of(page: ReadOnly) -> Iterator[tuple[type[Model] | None, Fact]]:
    """Every fact with the model it is read of, None where a function makes the text."""
    for fact in (*page.list_display, *page.facts):
        yield page.model, fact
    for related in page.related:
        manager = related.rows(page.model(pk=0))
        for fact in related.facts:
            yield manager.model, fact


def field_of(model: type[Model], path: str) -> Field[Any, Any]:
    *way, last = path.split("__")
    for name in way:
        model = model._meta.get_field(name).related_model
    return model._meta.get_field(last)


def test_no_secret_field_is_named_and_each_number_has_its_mask() -> None:
    looked_at = 0
    for page in pages():
        for model, fact in facts_of(page):
            looked_at += 1
            if fact.say is None:
                field = field_of(model, fact.path)
                assert not isinstance(field, BinaryField), (page.name, fact.path)
                assert field.name not in NEVER or (page.name, field.name) in HARMLESS, (page.name, fact.path)
                if PERSONAL.search(field.name) or field.name in ("login", "to"):
                    row = type("Row", (), {field.name: "12345678901"})()
                    assert Fact(field.name, "")(row).count("•") >= 3, (page.name, fact.path)
                    assert fact.admin_order_field is None, "the order tells what the mask hides"
    assert looked_at > 250


def test_a_secret_field_cannot_be_named() -> None:
    for name in ("password", "user__password", "blob", "keystore__assertion", "request_sha256", "content"):
        with pytest.raises(SecretFact):
            Fact(name, "")


def test_no_list_and_no_page_shows_a_full_number_or_anything_sealed(
    signed_in: Open, staff: User, doctor: User
) -> None:
    client, seen = signed_in(staff), ""
    for page in pages():
        assert page.model._default_manager.exists(), f"no row to look at: {page.name}"
        addresses = [list_of(page)]
        if page.model is AuditEvent:
            addresses.append(
                list_of(page) + "?group=people"
            )  # the newest events are the readings of this test
        if page.facts:
            addresses += [page.url_of(row) for row in page.model._default_manager.all()]
        for address in addresses:
            response = client.get(address)
            assert response.status_code == 200, address
            shown = text(response)
            assert {secret for secret in NUMBERS | SEALED | {doctor.password} if secret in shown} == set(), (
                address
            )
            assert not re.search(r'href="/support/[^"]*/\d+/', shown), "an integer key leaves the database"
            seen += shown
    # Each mask was at work, and the number that came by accident too.
    for end in (
        "••••••••594",
        "••••••••003",
        "•••••••169",
        "•••187",
        "•••197",
        "•••769",
        "c•••@example.be",
        "•••344",
    ):
        assert end in seen, end
    assert "SSIN=•••, CAMILLE" in seen and "NISS •••" in seen and "old → •••" in seen


def test_the_words_are_those_of_the_portal(signed_in: Open, staff: User, doctor: User) -> None:
    client = signed_in(staff)
    page = text(client.get(reverse("support:accounts_user_change", args=[doctor.uuid])))
    for words in (
        "Réseau Santé Wallon (RSW)",
        "Médecin",
        "Clés personnelles",
        "Login changé",
        "Compte ouvert",
    ):
        assert words in page, words
    for link in (reverse("platform_person", args=[doctor.uuid]), f"?person={doctor.uuid}"):
        assert f'{link}"' in page
    practice = reverse("support:accounts_practice_change", args=[doctor.practice.uuid])
    assert practice in page
    assert reverse("platform_practice", args=[doctor.practice.uuid]) in text(client.get(practice))
    registration = doctor.edmg_registrations.first()
    page = text(client.get(reverse("support:ehealth_edmgregistration_change", args=[registration.uuid])))
    assert "Inscrit" in page and registration.get_mutuality_display() in page and "registered" not in page
    request = doctor.licence.requests.get()
    page = text(client.get(reverse("support:accounts_licencerequest_change", args=[request.uuid])))
    assert reverse("billing:licence_request", args=[doctor.uuid]) in page
    mail = Mail.objects.filter(user=doctor, to="cabinet.secret@example.be")
    for state, facts in (
        ("Abandonné", {"next_attempt_at": None}),
        ("En attente", {"next_attempt_at": timezone.now()}),
        ("Parti", {"sent_at": timezone.now(), "next_attempt_at": None}),
    ):
        mail.update(**facts)
        page = text(client.get(reverse("support:accounts_mail_change", args=[mail.get().uuid])))
        assert f"<dd>{state}</dd>" in page


# --- the door ---------------------------------------------------------------------------------
OF_SUPPORT = [(name, path) for name, path in ALL if name.startswith("support:")]


def filled(path: str, uuid: UUID) -> str:
    return "/" + path.replace("<uuid:uuid>", str(uuid))


def test_the_second_factor_comes_before_every_page(staff: User) -> None:
    assert len(OF_SUPPORT) > 35
    client = Client()
    client.force_login(staff)
    for _name, path in OF_SUPPORT:
        for method in ("get", "post"):
            response = getattr(client, method)(filled(path, staff.uuid))
            assert response.status_code == 302 and response.headers["Location"].startswith("/factor/"), path
    assert not readings().exists()


@pytest.mark.parametrize("roles", [["admin"], ["user_manager"], ["physician"], ["support"]])
def test_nobody_of_a_practice_enters_and_the_try_is_noted(signed_in: Open, roles: list[str]) -> None:
    user = UserFactory(roles=roles)
    client = signed_in(user)
    for path in (reverse("support:index"), reverse("support:accounts_user_change", args=[user.uuid])):
        assert client.get(path).status_code == 403
    events = AuditEvent.objects.filter(kind="account:access:refused", actor=user.uuid)
    assert [event.details["wanted"] for event in events] == [Capability.SEE_PLATFORM] * 2
    assert reverse("support:index") not in text(client.get("/"))


def test_a_stranger_goes_to_the_portals_sign_in_and_nowhere_else() -> None:
    for name in ("index", "login", "logout", "password_change"):
        answer = Client().get(reverse(f"support:{name}"))
        assert answer.headers["Location"].startswith("/signin/?next=/support/")


def test_the_addresses_of_an_admin_send_on_to_the_portals_pages(signed_in: Open, staff: User) -> None:
    client = signed_in(staff)
    for name, target in (
        ("login", "support:index"),
        ("logout", "account_logout"),
        ("password_change", "account_change_password"),
    ):
        assert client.get(reverse(f"support:{name}")).headers["Location"] == reverse(target)


def test_the_index_leads_to_every_list_and_the_rail_to_the_index(signed_in: Open, staff: User) -> None:
    client = signed_in(staff)
    assert f'href="{reverse("support:index")}"' in text(client.get("/"))
    index = text(client.get(reverse("support:index")))
    assert {list_of(page) for page in pages()} <= set(re.findall(r'href="([^"]+)"', index))
    assert sum(len(group) for _title, group in GROUPS) == len(pages())
    assert not readings().exists(), "the index names nobody"


# --- nothing is changed -----------------------------------------------------------------------
def test_nothing_can_be_written_and_djangos_own_log_stays_empty(staff: User, doctor: User) -> None:
    client, request = sign_in(Client(), staff), RequestFactory().get("/")
    request.user = staff
    before = {page.name: list(page.model.objects.values().order_by("pk")) for page in pages()}
    for page in pages():
        assert page.get_model_perms(request) == {"add": False, "change": False, "delete": False, "view": True}
        row = page.model.objects.first()
        for address in [list_of(page)] + ([page.url_of(row)] if page.facts else []):
            for method in ("post", "put", "patch", "delete"):
                data = {"action": "delete_selected", "_selected_action": row.pk}
                assert getattr(client, method)(address, data).status_code == 405, (method, address)
            for act in ("add/", "delete/", "history/", "change/"):
                assert client.get(address + act).status_code == 404, address + act
    after = {page.name: list(page.model.objects.values().order_by("pk")) for page in pages()}
    assert before == after
    assert not LogEntry.objects.exists()


def test_djangos_own_site_is_empty_and_nowhere_mounted() -> None:
    assert not admin.site._registry
    assert not [name for name, _path in ALL if name.startswith("admin:")]
    assert site.check(None) == []


# --- every reading is noted -------------------------------------------------------------------
def test_a_list_is_noted_by_its_kind_and_count_alone(signed_in: Open, staff: User, doctor: User) -> None:
    signed_in(staff).get(reverse("support:accounts_user_changelist") + "?q=" + doctor.last_name)
    event = readings().get()
    assert (event.kind, event.actor, event.subject) == ("platform:list:read", staff.uuid, None)
    assert event.details == {"model": "accounts.user", "count": 1}
    assert event.practice == staff.practice.uuid


def test_reading_somebodys_rows_is_in_the_own_history(signed_in: Open, staff: User, doctor: User) -> None:
    client = signed_in(staff)
    client.get(reverse("support:accounts_user_change", args=[doctor.uuid]))
    client.get(reverse("support:ehealth_keystore_change", args=[Keystore.objects.get(user=doctor).uuid]))
    client.get(reverse("support:ehealth_exchange_changelist") + f"?person={doctor.uuid}")
    client.get(reverse("support:accounts_auditevent_changelist") + f"?person={doctor.uuid}")
    assert [(event.subject, event.practice, event.details["model"]) for event in readings()] == [
        (doctor.uuid, doctor.practice.uuid, model)
        for model in ("accounts.user", "ehealth.keystore", "ehealth.exchange", "accounts.auditevent")
    ]
    first = readings().first()
    assert first.details["row"] == str(doctor.uuid)
    history = text(signed_in(doctor).get(reverse("history", args=[doctor.uuid])))
    assert "Données consultées par l'équipe du portail" in history and "Dupont-Support" in history
    assert "Trousseaux eHealth" in history and "Échanges avec eHealth" in history
    admin_ = UserFactory(roles=["admin"], practice=doctor.practice)
    assert "Trousseaux eHealth" in text(signed_in(admin_).get(reverse("journal")))


def test_every_row_is_noted_in_somebodys_or_in_a_practices_history(
    signed_in: Open, staff: User, doctor: User
) -> None:
    client = signed_in(staff)
    for page in pages():
        row = page.model.objects.order_by("pk").last() if page.facts else None
        if row is not None:
            readings_before = readings().count()
            client.get(page.url_of(row))
            event = readings().last()
            assert readings().count() == readings_before + 1
            assert event.details == {
                "model": page.opts.label_lower,
                "row": str(page.url_of(row).split("/")[-2]),
            }
            assert event.subject or event.practice != staff.practice.uuid, page.name


def test_what_is_not_there_is_not_noted(signed_in: Open, staff: User) -> None:
    client = signed_in(staff)
    for page in pages():
        if page.facts:
            assert client.get(filled(f"{list_of(page)[1:]}<uuid:uuid>/", uuid4())).status_code == 404
    assert not readings().exists()


# --- lists ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "query",
    [
        "ssin__startswith=75", "ssin=75031498594", "user__password__startswith=a", "nihii__gte=1",
        "user__login=x", "_popup=1", "_to_field=ssin", "all=", "e=1", "_facets=True", "q=a%00b",
        "q=" + "x" * 81, "p=99", "person=x", "person=3e7c3200-7800-440b-a34a-73b0317eb0ea",
        "training_status=nonsense",
        "profession=a%00", "user__created_at__year=2026",
    ],
)  # fmt: skip
def test_an_address_asks_for_what_is_offered_or_gets_400(signed_in: Open, staff: User, query: str) -> None:
    PractitionerFactory.create_batch(2)
    url = reverse("support:practitioners_practitioner_changelist")
    if query == "p=99":
        PractitionerFactory.create_batch(60)
    assert signed_in(staff).get(f"{url}?{query}").status_code == 400
    assert not readings().exists()


def test_odd_addresses_answer(staff: User) -> None:
    client, url = sign_in(Client(), staff), reverse("support:accounts_user_changelist")
    for value in ODD.values():
        for name in ("q", "p", "o", "person", "role", "created_at__year", "created_at__day", "x"):
            assert client.get(url, {name: value}).status_code in (200, 400), (name, value)


@pytest.mark.parametrize(
    "query", ["year=1999", "year=9999&month=12", "year=2026&month=13", "year=2026&week=1"]
)
def test_a_date_that_is_none_gets_400(signed_in: Open, staff: User, query: str) -> None:
    parts = "&".join(f"created_at__{part}" for part in query.split("&"))
    url = reverse("support:accounts_user_changelist")
    assert signed_in(staff).get(f"{url}?{parts}").status_code == 400


def rows_of(client: Client, name: str, query: str = "") -> list[str]:
    """The first cells of a list."""
    page = text(client.get(reverse(f"support:{name}_changelist") + query))
    return re.findall(r'<th scope="row">(?:<a [^>]*>)?(.*?)(?:</a>)?</th>', page)


def test_people_are_found_narrowed_and_ordered(signed_in: Open, staff: User) -> None:
    client = signed_in(staff)
    group = PracticeFactory(name="Cabinet de l'Étang")
    for last, facts in (
        ("Aarts", {"practice": group}), ("Bodart", {"is_active": False}), ("Claes", {"roles": ["admin"]}),
    ):  # fmt: skip
        UserFactory(first_name="Zoé", last_name=last, **facts)
    for query, found in (
        ("?q=Zoé", ["Zoé Aarts", "Zoé Bodart", "Zoé Claes"]),
        ("?q=Zoé&o=-0", ["Zoé Claes", "Zoé Bodart", "Zoé Aarts"]),
        ("?q=zoé+claes", ["Zoé Claes"]),
        ("?q=Étang", ["Zoé Aarts"]),
        ("?q=Zoé&is_active=False", ["Zoé Bodart"]),
        ("?q=Zoé&role=admin", ["Zoé Claes"]),
        ("?q=Zoé&is_active=&role=", ["Zoé Aarts", "Zoé Bodart", "Zoé Claes"]),
        (f"?q=Zoé&created_at__year={timezone.localdate().year}", ["Zoé Aarts", "Zoé Bodart", "Zoé Claes"]),
        ("?q=Zoé&created_at__year=2001", []),
    ):
        assert rows_of(client, "accounts_user", query) == found, query
    # A column that may be masked orders nothing: the usual order stays.
    User.objects.get_queryset().filter(last_name="Claes").update(login="aaa")
    assert rows_of(client, "accounts_user", "?q=Zoé&o=1") == ["Zoé Aarts", "Zoé Bodart", "Zoé Claes"]
    page = text(client.get(reverse("support:accounts_user_changelist") + "?q=Zoé&role=admin"))
    assert 'value="Zoé"' in page and '<option value="admin" selected>' in page


def test_days_and_moments_are_narrowed_alike(signed_in: Open, staff: User) -> None:
    client, day = signed_in(staff), timezone.localdate()
    cast.ready_doctor()
    ends = day + timedelta(days=45)
    parts = f"ends_on__year={ends.year}&ends_on__month={ends.month}"
    for query, count in (("", 1), (f"?{parts}", 1), (f"?{parts}&ends_on__day={ends.day}", 1)):
        assert len(rows_of(client, "accounts_licence", query)) == count, query
    assert rows_of(client, "accounts_licence", "?ends_on__year=2001") == []
    assert rows_of(client, "accounts_licence", f"?{parts}&ends_on__day={1 if ends.day > 1 else 2}") == []


def test_the_rows_of_one_person_are_those_alone(signed_in: Open, staff: User, doctor: User) -> None:
    cast.registrations(cast.ready_doctor(), ("rejected", "140", ""))
    client = signed_in(staff)
    assert EdmgRegistration.objects.count() == 14
    assert len(rows_of(client, "ehealth_edmgregistration", f"?person={doctor.uuid}")) == 7
    assert len(rows_of(client, "ehealth_edmgregistration", f"?person={doctor.uuid}&state=rejected")) == 0
    assert len(rows_of(client, "ehealth_edmgregistration", "?state=rejected&mutuality=100")) == 1


def test_the_journal_begins_with_the_last_days_and_can_go_on(signed_in: Open, staff: User) -> None:
    client, now = signed_in(staff), timezone.now()
    for days in (1, 20, 200, 2000):
        with transaction.atomic():
            audit.record("account:licence:paid", actor=staff, subject=staff, at=now - timedelta(days=days))
    name = "accounts_auditevent"
    for query, count in (("", 1), ("&days=30", 2), ("&days=365", 3), ("&days=all", 4)):
        assert len(rows_of(client, name, f"?group=licences{query}")) == count, query
    assert client.get(reverse(f"support:{name}_changelist") + "?days=9").status_code == 400
    page = text(client.get(reverse(f"support:{name}_changelist") + "?group=licences"))
    assert "Paiement de la licence reçu" in page and "Dupont-Support" in page


def test_mails_are_narrowed_by_how_they_ended(signed_in: Open, staff: User) -> None:
    now, person = timezone.now(), UserFactory()
    for facts in ({"sent_at": now}, {"next_attempt_at": now}, {}, {}):
        Mail.objects.create(user=person, kind="invitation", to=person.email, **facts)
    client = signed_in(staff)
    for state, count in (("sent", 1), ("waiting", 1), ("given_up", 2), ("", 4)):
        assert len(rows_of(client, "accounts_mail", f"?state={state}")) == count, state


def test_a_list_costs_the_same_for_three_and_for_sixty(signed_in: Open, staff: User, doctor: User) -> None:
    client = signed_in(staff)

    def costs() -> dict[str, int]:
        found = {}
        for page in pages():
            with CaptureQueriesContext(connection) as queries:
                client.get(list_of(page))
            found[page.name] = len(queries)
        return found

    client.get("/")  # the first page of a session writes when it began
    few = costs()
    for _time in range(50):
        user = UserFactory(practice=doctor.practice)
        PractitionerFactory(user=user)
        Exchange.objects.create(
            user=user, service="sts", operation="x", host="h", started_at=timezone.now(), milliseconds=1
        )
        Mail.objects.create(user=user, kind="invitation", to=user.email)
        KeystoreFactory(user=user)
    many = costs()
    assert many == few and max(many.values()) <= 24, many


def test_a_long_list_is_paged_and_counted_only_so_far(signed_in: Open, staff: User) -> None:
    Endpoint.objects.bulk_create(
        Endpoint(service="sts", host=f"host-{number:05}.example") for number in range(COUNTED_AT_MOST + 60)
    )
    client = signed_in(staff)
    url = reverse("support:ehealth_endpoint_changelist")
    page = text(client.get(url))
    assert f"{COUNTED_AT_MOST} lignes ou plus" in page and "Page 1 sur 200" in page
    assert page.count('<th scope="row">') == 50 and 'href="?p=2"' in page
    second = text(client.get(f"{url}?o=-0&p=2"))
    assert "o=-0&p=3" in second and f"host-{COUNTED_AT_MOST + 60 - 51:05}.example" in second
    assert readings().first().details["count"] == COUNTED_AT_MOST


# --- ending somebody's sessions ---------------------------------------------------------------
def test_support_signs_somebody_out_everywhere(signed_in: Open, staff: User) -> None:
    person, other = UserFactory(), UserFactory()
    theirs, home, colleague = signed_in(person), signed_in(person), signed_in(other)
    client = signed_in(staff)
    url = reverse("support:end_sessions", args=[person.uuid])
    assert url in text(client.get(reverse("support:accounts_user_change", args=[person.uuid])))
    page = text(client.post(url, follow=True))
    assert "2 sessions fermées." in page
    assert [one.get("/").status_code for one in (theirs, home, colleague, client)] == [302, 302, 200, 200]
    event = AuditEvent.objects.get(kind="account:session:ended")
    assert (event.actor, event.subject, event.details) == (staff.uuid, person.uuid, {"sessions": 2})
    assert "Aucune session n'était ouverte." in text(client.post(url, follow=True))
    assert AuditEvent.objects.filter(kind="account:session:ended").count() == 1
    assert client.post(reverse("support:end_sessions", args=[uuid4()])).status_code == 404
    assert Session.objects.count() == 2


@pytest.mark.parametrize("roles", [["admin"], ["user_manager"], ["support"]])
def test_no_role_of_a_practice_ends_sessions_by_this_way(signed_in: Open, roles: list[str]) -> None:
    actor, person = UserFactory(roles=roles), UserFactory()
    signed_in(person)
    assert signed_in(actor).post(reverse("support:end_sessions", args=[person.uuid])).status_code == 403
    with pytest.raises(Forbidden):
        close_sessions(user=person, by=actor, now=timezone.now())
    assert Session.objects.count() == 2
    assert Capability.END_SESSIONS not in access.capabilities(actor)


# --- off unless enabled -----------------------------------------------------------------------
PROBE = """
import django; django.setup()
from django.urls import NoReverseMatch, reverse
try:
    print(reverse("support:index"), reverse("support:accounts_user_changelist"))
except NoReverseMatch:
    print("nowhere")
"""


@pytest.mark.parametrize(
    ("given", "found"),
    [(None, "nowhere"), ("", "nowhere"), ("aide-2/", "/aide-2/ /aide-2/accounts/user/")],
)
def test_without_a_path_there_is_no_such_page(given: str | None, found: str) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "medisetup.settings"}
    environment.pop("ADMIN_PATH")
    if given is not None:
        environment["ADMIN_PATH"] = given
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == found, done.stderr


def test_the_rail_has_no_link_when_it_is_off(signed_in: Open, staff: User, settings: Settings) -> None:
    settings.ADMIN_PATH = ""
    assert "/support/" not in text(signed_in(staff).get("/"))


@pytest.mark.parametrize(
    "path",
    [
        "support",
        "/support/",
        "sup port/",
        "a/b/",
        "support//",
        "Support/",
        "süpport/",
        "<int:x>/",
        "../",
        "/",
        "s_x/",
    ],
)
def test_a_badly_formed_path_stops_the_start(settings: Settings, path: str) -> None:
    settings.ADMIN_PATH = path
    assert [error.id for error in refuse_unsafe()] == ["medisetup.E010"]


@pytest.mark.parametrize(
    "path",
    [
        "people/",
        "static/",
        "outbox/",
        "signin/",
        "key/",
        "factor/",
        "platform/",
        "health/",
        "invitations/",
        "me/",
    ],
)
def test_a_path_that_the_portal_uses_stops_the_start(settings: Settings, path: str) -> None:
    settings.ADMIN_PATH = path
    assert [error.id for error in refuse_unsafe()] == ["medisetup.E011"]


@pytest.mark.parametrize("path", ["", "support/", "s-7/", "signin-2/"])
def test_a_path_of_its_own_or_none_may_start(settings: Settings, path: str) -> None:
    settings.ADMIN_PATH = path
    assert refuse_unsafe() == []
