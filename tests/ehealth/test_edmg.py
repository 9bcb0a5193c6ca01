"""Seven registrations against the running simulator: states, crashes, races, pages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery, current_app
from django.conf import settings
from django.db import connection as database
from django.db import connections, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.access import Forbidden
from accounts.actions.sections import StaleSection, section_version
from accounts.models import AuditEvent
from billing.bank import account
from ehealth import conditions
from ehealth.actions import connection, edmg
from ehealth.models import EdmgRegistration, EdmgRequest, Exchange, Mutuality, PlatformSession
from practitioners.models import Practitioner
from tests.client import CheckingClient
from tests.conftest import sign_in
from tests.ehealth.conftest import Doctor
from tests.platform import PASSWORD
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.django_db(transaction=True)
State = EdmgRegistration.State
IBAN, OTHER = "BE67001000001187", "BE54001000002197"


def ask(doctor: Doctor, **changes: Any) -> list[EdmgRegistration]:
    same = account(IBAN)
    wish: dict[str, Any] = {
        "user": doctor.user,
        "by": doctor.user,
        "accounts": dict.fromkeys(Mutuality.values, same),
        "same_account": True,
        "conditions_version": conditions.VERSION,
        "language": "fr",
        "proved_at": timezone.now(),
        "version": section_version(doctor.user, edmg.SECTION),
        "now": timezone.now(),
    }
    return edmg.request(**wish | changes)


def send_all(doctor: Doctor, *, now: Any = None) -> dict[str, str]:
    """Every due row once, as the workers would; code of the mutuality → state."""
    at = now or timezone.now()
    for pk in EdmgRegistration.objects.filter(user=doctor.user).order_by("pk").values_list("pk", flat=True):
        edmg.send(pk=pk, now=at)
    return states(doctor)


def states(doctor: Doctor) -> dict[str, str]:
    return dict(EdmgRegistration.objects.filter(user=doctor.user).values_list("mutuality", "state"))


def row(doctor: Doctor, mutuality: str = "100") -> EdmgRegistration:
    return EdmgRegistration.objects.get(user=doctor.user, mutuality=mutuality)


def accepted(doctor: Doctor) -> dict[str, int]:
    return {
        code: count for (nihii, code), count in doctor.simulator.accepted().items() if nihii == doctor.nihii
    }


@pytest.fixture
def connected(doctor: Doctor) -> Doctor:
    doctor.connect()
    return doctor


def test_a_request_makes_seven_rows_with_their_own_reference_and_the_consent(connected: Doctor) -> None:
    rows = ask(connected)
    assert [found.mutuality for found in rows] == Mutuality.values
    assert len({found.reference for found in rows}) == 7
    consent = EdmgRequest.objects.get(user=connected.user)
    assert (consent.conditions_version, consent.conditions_language) == (conditions.VERSION, "fr")
    event = AuditEvent.objects.get(kind="ehealth:edmg:requested", subject=connected.user.uuid)
    assert event.details["conditions"] == conditions.VERSION
    assert IBAN not in str(list(AuditEvent.objects.values_list("details", flat=True)))


def test_all_seven_are_registered_each_once(connected: Doctor) -> None:
    ask(connected)
    assert set(send_all(connected).values()) == {State.REGISTERED}
    assert accepted(connected) == dict.fromkeys(Mutuality.values, 1)
    assert row(connected).start_date == timezone.localdate()
    assert Exchange.objects.filter(user=connected.user, service="registration", code="OK").count() == 7


def test_running_every_task_twice_sends_nothing_twice(connected: Doctor) -> None:
    ask(connected)
    send_all(connected)
    before = connected.simulator.calls("registration")
    send_all(connected, now=timezone.now() + timedelta(days=1))
    assert connected.simulator.calls("registration") == before


def test_one_mutuality_that_refuses_stops_no_other(connected: Doctor) -> None:
    connected.simulator.add_person(
        connected.ssin, registered=["200"], recognised=[code for code in Mutuality.values if code != "300"]
    )
    connected.simulator.fault(
        "business", service="registration", value="111", ssin=connected.ssin, mutuality="400"
    )
    connected.simulator.fault(
        "business", service="registration", value="140", ssin=connected.ssin, mutuality="500"
    )
    ask(connected)
    assert send_all(connected) == {
        "100": State.REGISTERED,
        "200": State.ALREADY_REGISTERED,
        "300": State.RETRYING,
        "400": State.REJECTED,
        "500": State.REJECTED,
        "600": State.REGISTERED,
        "900": State.REGISTERED,
    }
    assert (row(connected, "300").result_code, row(connected, "200").result_code) == ("141", "168")
    assert row(connected, "300").next_attempt_at > timezone.now() + timedelta(hours=23)


@pytest.mark.parametrize(
    "kind", ["close-after-accept", "hang-after-accept", "truncated", "drip", "replayed-answer", "status"]
)
def test_an_unknown_outcome_is_repeated_with_the_same_reference_and_accepted_once(
    connected: Doctor, kind: str
) -> None:
    connected.simulator.fault(kind, service="registration", ssin=connected.ssin, mutuality="100")
    ask(connected)
    assert send_all(connected)["100"] == State.RETRYING
    first = row(connected)
    assert first.outcome_unknown
    send_all(connected, now=first.next_attempt_at + timedelta(seconds=1))
    second = row(connected)
    assert second.state == State.REGISTERED and not second.outcome_unknown
    assert second.reference == first.reference
    assert accepted(connected)["100"] == 1


@pytest.mark.parametrize("kind", ["garbage", "gzip-bomb", "redirect", "outage"])
def test_garbage_never_registers(connected: Doctor, kind: str) -> None:
    value = "http://127.0.0.1:9/" if kind == "redirect" else ""
    connected.simulator.fault(kind, service="registration", value=value, ssin=connected.ssin, mutuality="100")
    ask(connected)
    assert send_all(connected)["100"] == State.RETRYING


@pytest.mark.parametrize("kind", ["no-xades", "deflate"])
def test_unusual_but_valid_answers_count(connected: Doctor, kind: str) -> None:
    connected.simulator.fault(kind, service="registration", ssin=connected.ssin, mutuality="100")
    ask(connected)
    assert send_all(connected)["100"] == State.REGISTERED


def test_a_token_that_is_not_taken_is_replaced_once(connected: Doctor) -> None:
    connected.simulator.fault(
        "soa", service="registration", value="SOA-01001", ssin=connected.ssin, mutuality="100"
    )
    ask(connected)
    before = connected.simulator.calls("sts")
    edmg.send(pk=row(connected).pk, now=timezone.now())
    assert row(connected).state == State.RETRYING
    edmg.send(pk=row(connected).pk, now=timezone.now() + timedelta(seconds=10))
    assert row(connected).state == State.REGISTERED
    assert connected.simulator.calls("sts") == before + 1


@pytest.mark.parametrize("point", ["before_claim", "after_claim", "after_accept", "after_commit"])
def test_a_crash_at_any_point_ends_in_one_registration(connected: Doctor, point: str) -> None:
    """The steps of `send` are made one by one and left where a worker would die."""
    ask(connected)
    now = timezone.now()
    pk = row(connected).pk
    claim = None
    if point != "before_claim":
        claim = edmg._claim(pk, now)
        assert claim
    if point in ("after_accept", "after_commit"):
        verdict = edmg._verdict(claim)
        if point == "after_commit":
            edmg._settle(claim, verdict)
    later = now + edmg.LEASE + timedelta(seconds=1)
    edmg.send(pk=pk, now=later)
    assert row(connected).state == State.REGISTERED
    assert accepted(connected) == {"100": 1}


def test_seven_misfortunes_at_once_end_in_the_seven_right_states(connected: Doctor) -> None:
    """Outage, time-out after sending, 168, 140, 141, a crash and nothing at all, one at each mutuality."""
    simulator = connected.simulator
    recognised = [code for code in Mutuality.values if code != "500"]
    simulator.add_person(connected.ssin, registered=["300"], recognised=recognised)
    for code, kind, value in (
        ("100", "outage", ""),
        ("200", "hang-after-accept", ""),
        ("400", "business", "140"),
    ):
        simulator.fault(kind, service="registration", value=value, ssin=connected.ssin, mutuality=code)
    ask(connected)
    now = timezone.now()
    crashed = edmg._claim(row(connected, "600").pk, now)
    assert crashed and edmg._verdict(crashed).state == State.REGISTERED, (
        "and the worker dies before it says so"
    )
    assert send_all(connected, now=now) == {
        "100": State.RETRYING,
        "200": State.RETRYING,
        "300": State.ALREADY_REGISTERED,
        "400": State.REJECTED,
        "500": State.RETRYING,
        "600": State.SENDING,
        "900": State.REGISTERED,
    }
    assert {code: row(connected, code).outcome_unknown for code in ("100", "200")} == {
        "100": True,
        "200": True,
    }
    assert accepted(connected) == {"200": 1, "600": 1, "900": 1}
    assert send_all(connected, now=now + edmg.LEASE + timedelta(minutes=1)) == {
        "100": State.REGISTERED,
        "200": State.REGISTERED,
        "300": State.ALREADY_REGISTERED,
        "400": State.REJECTED,
        "500": State.RETRYING,
        "600": State.REGISTERED,
        "900": State.REGISTERED,
    }
    assert [row(connected, code).result_code for code in ("300", "400", "500")] == ["168", "140", "141"]
    assert accepted(connected) == dict.fromkeys(["100", "200", "600", "900"], 1)


def test_a_paused_worker_does_not_overwrite_the_newer_attempt(connected: Doctor) -> None:
    ask(connected)
    now = timezone.now()
    paused = edmg._claim(row(connected).pk, now)
    assert paused
    edmg.send(pk=row(connected).pk, now=now + edmg.LEASE + timedelta(seconds=1))
    late = edmg.Verdict(State.REJECTED, "111")
    assert edmg._settle(paused, late) is False
    assert row(connected).state == State.REGISTERED


def test_a_row_that_kills_its_worker_three_times_is_put_aside(connected: Doctor) -> None:
    ask(connected)
    now = timezone.now()
    for turn in range(edmg.LOST_CLAIMS):
        assert edmg._claim(row(connected).pk, now + turn * (edmg.LEASE + timedelta(seconds=1)))
    edmg.send(pk=row(connected).pk, now=now + timedelta(hours=1))
    found = row(connected)
    assert (found.state, found.result_code, found.outcome_unknown) == (
        State.NEEDS_ACTION,
        "worker_lost",
        True,
    )


def test_of_two_workers_that_saw_the_same_row_free_one_claims_it(connected: Doctor) -> None:
    """Both read the row, then both wait for its lock: the second must find it taken."""
    ask(connected)
    pk, now, claims = row(connected).pk, timezone.now(), []

    def work() -> None:
        try:
            claims.append(edmg._claim(pk, now))
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(2)]
    with transaction.atomic():
        EdmgRegistration.objects.select_for_update().get(pk=pk)
        for worker in workers:
            worker.start()
        time.sleep(1)
    for worker in workers:
        worker.join(60)
    assert len([claim for claim in claims if claim]) == 1 and len(claims) == 2


def test_two_workers_on_the_same_seven_rows_send_each_once(connected: Doctor) -> None:
    ask(connected)
    before = connected.simulator.calls("registration")
    failures: list[BaseException] = []

    def work() -> None:
        try:
            send_all(connected)
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert not failures
    assert set(states(connected).values()) == {State.REGISTERED}
    assert connected.simulator.calls("registration") == before + 7


def test_without_a_session_the_rows_wait_and_leave_when_the_doctor_reconnects(connected: Doctor) -> None:
    ask(connected)
    PlatformSession.objects.update(not_on_or_after=timezone.now() - timedelta(minutes=1))
    assert set(send_all(connected).values()) == {State.WAITING}
    edmg.sweep(now=timezone.now())
    assert set(states(connected).values()) == {State.WAITING}
    again = connection.reconnect(
        user=connected.user, by=connected.user, password=PASSWORD, now=timezone.now()
    )
    connection.test(keystore_pk=again.pk, now=timezone.now())
    assert set(states(connected).values()) == {State.QUEUED}
    assert set(send_all(connected).values()) == {State.REGISTERED}


def test_the_sweep_finds_what_the_broker_lost(connected: Doctor) -> None:
    ask(connected)
    assert edmg.sweep(now=timezone.now()) == 7
    send_all(connected)
    assert edmg.sweep(now=timezone.now()) == 0


def test_a_request_again_touches_only_what_failed_with_a_new_reference(connected: Doctor) -> None:
    connected.simulator.fault(
        "business", service="registration", value="130", ssin=connected.ssin, mutuality="400"
    )
    ask(connected)
    send_all(connected)
    before = {
        found.mutuality: found.reference for found in EdmgRegistration.objects.filter(user=connected.user)
    }
    again = ask(connected, accounts={"400": account(OTHER)}, same_account=False)
    assert [found.mutuality for found in again] == ["400"]
    assert row(connected, "400").reference != before["400"]
    assert row(connected, "100").reference == before["100"]
    assert send_all(connected)["400"] == State.REGISTERED
    assert row(connected, "400").iban == OTHER


def test_a_request_again_keeps_the_reference_while_nobody_knows_the_outcome(connected: Doctor) -> None:
    ask(connected)
    EdmgRegistration.objects.filter(mutuality="100").update(state=State.NEEDS_ACTION, outcome_unknown=True)
    before = row(connected).reference
    ask(connected, accounts={"100": account(OTHER)}, same_account=False)
    assert row(connected).reference == before
    assert row(connected).iban == account(IBAN).iban, "the account that it may have taken"
    assert edmg.accounts_held(user=connected.user) == {"100": account(IBAN).iban}


def test_asking_twice_at_once_gives_one_effect(connected: Doctor) -> None:
    version = section_version(connected.user, edmg.SECTION)
    ask(connected, version=version)
    with pytest.raises(StaleSection):
        ask(connected, version=version)
    assert EdmgRegistration.objects.filter(user=connected.user).count() == 7


def test_only_the_owner_asks(connected: Doctor) -> None:
    admin = PractitionerFactory(user__practice=connected.user.practice, user__roles=["admin"]).user
    with pytest.raises(Forbidden):
        ask(connected, by=admin)
    with pytest.raises(Forbidden):
        edmg.retry_now(user=connected.user, by=admin, now=timezone.now())


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        ({"profession": "persnurse"}, ["profession"]),
        ({"ssin": ""}, ["ssin"]),
        ({"nihii": ""}, ["nihii"]),
        ({"nihii": "19999915140"}, ["nihii_gp"]),
    ],
)
def test_what_is_missing_is_named(connected: Doctor, change: dict[str, str], keys: list[str]) -> None:
    Practitioner.objects.filter(user=connected.user).update(**change)
    assert edmg.missing(user=connected.user, now=timezone.now()) == keys
    with pytest.raises(edmg.PrerequisitesMissing):
        ask(connected)
    assert not EdmgRegistration.objects.exists()


def test_a_changed_inami_number_stops_before_the_call(connected: Doctor) -> None:
    ask(connected)
    Practitioner.objects.filter(user=connected.user).update(nihii="19999915004")
    before = connected.simulator.calls("registration")
    assert send_all(connected)["100"] == State.NEEDS_ACTION
    assert row(connected).result_code == "nihii_differs"
    assert connected.simulator.calls("registration") == before


def test_the_owner_may_not_wait(connected: Doctor) -> None:
    connected.simulator.fault(
        "soa", service="registration", value="SOA-02002", ssin=connected.ssin, mutuality="100"
    )
    ask(connected)
    assert send_all(connected)["100"] == State.RETRYING
    assert edmg.retry_now(user=connected.user, by=connected.user, now=timezone.now()) == 1
    assert send_all(connected)["100"] == State.REGISTERED


def test_a_mutuality_is_left_alone_for_as_long_as_the_platform_asks(connected: Doctor) -> None:
    ask(connected)
    connected.simulator.fault("busy", service="registration", mutuality="100", value="3600")
    now = timezone.now()
    assert send_all(connected, now=now)["100"] == State.RETRYING
    assert row(connected).next_attempt_at == now + timedelta(hours=1)
    before = connected.simulator.calls("registration")
    send_all(connected, now=now + timedelta(minutes=59))
    assert connected.simulator.calls("registration") == before
    assert send_all(connected, now=now + timedelta(minutes=61))["100"] == State.REGISTERED


@pytest.fixture
def no_broker() -> Iterator[None]:
    """The broker's address of this thread leads nowhere."""
    usual = current_app._get_current_object()
    lost = Celery("lost", broker="redis://127.0.0.1:1/0", set_as_current=False)
    lost.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    lost.set_current()
    yield
    usual.set_current()


def test_with_the_broker_down_the_request_is_stored_and_the_answer_is_quick(
    connected: Doctor, no_broker: None, caplog: pytest.LogCaptureFixture
) -> None:
    began = time.monotonic()
    ask(connected)
    assert time.monotonic() - began < 2
    assert "waits for the sweep" in caplog.text
    assert set(states(connected).values()) == {State.QUEUED}
    assert set(send_all(connected).values()) == {State.REGISTERED}


# The pages.


def form(doctor: Doctor, **changes: Any) -> dict[str, Any]:
    values = {
        "version": section_version(doctor.user, edmg.SECTION),
        "same_account": "on",
        "iban": "BE67 0010 0000 1187",
        "conditions_accepted": "on",
        "no_paper_ack": "on",
    } | changes
    return {name: value for name, value in values.items() if value is not None}


def test_the_page_asks_then_shows_then_queues(
    connected: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    client, url = signed_in(connected.user), reverse("ehealth:edmg", args=[connected.user.uuid])
    page = client.get(url).content.decode()
    assert "J&#x27;utilise le même compte bancaire pour les 7 mutuelles" in page
    assert page.count('type="checkbox"') == 3 and page.count("checked") == 1
    check = client.post(url, form(connected))
    html = check.content.decode()
    assert check.status_code == 200 and "BE67 0010 0000 1187 · GEBABEBB" in html
    assert not EdmgRegistration.objects.exists()
    assert client.post(url, form(connected, confirm="1")).status_code == 302
    assert set(EdmgRegistration.objects.values_list("iban", "bic")) == {(IBAN, "GEBABEBB")}
    after = client.get(url).content.decode()
    assert "0 inscription" in after and after.count('class="task"') == 7
    send_all(connected)
    done = sign_in(Client(), connected.user).get(reverse("ehealth:edmg_state", args=[connected.user.uuid]))
    assert "7 inscriptions faites sur 7" in done.content.decode()
    assert "data-refresh-url" not in done.content.decode()


def test_the_check_page_gives_back_what_the_form_needs(
    connected: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    client, url = signed_in(connected.user), reverse("ehealth:edmg", args=[connected.user.uuid])
    check = client.post(url, form(connected))
    hidden = {
        field.html_name: field.value() for field in check.context["form"] if field.value() not in (None, "")
    }
    assert client.post(url, {**hidden, "confirm": "1"}).status_code == 302
    assert EdmgRegistration.objects.count() == 7


def test_going_back_from_the_check_page_keeps_what_was_typed(
    connected: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    client, url = signed_in(connected.user), reverse("ehealth:edmg", args=[connected.user.uuid])
    back = client.post(url, form(connected, change="1"))
    assert back.status_code == 200 and "BE67 0010 0000 1187" in back.content.decode()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"iban": ""}, "Indiquez le compte bancaire"),
        ({"iban": "BE67 0010 0000 1188"}, "chiffres de contrôle"),
        ({"iban": "BE90 5390 0000 9932"}, "BIC introuvable"),
        ({"conditions_accepted": None}, "Lisez les conditions"),
        ({"no_paper_ack": None}, "Cochez la case"),
        ({"same_account": None}, "Indiquez le compte bancaire"),
    ],
)
def test_a_wrong_form_says_what_and_queues_nothing(
    connected: Doctor, signed_in: Callable[..., CheckingClient], changes: dict[str, Any], sentence: str
) -> None:
    client, url = signed_in(connected.user), reverse("ehealth:edmg", args=[connected.user.uuid])
    for confirm in ({}, {"confirm": "1"}):
        answer = client.post(url, form(connected, **changes) | confirm)
        assert answer.status_code == 422 and sentence in answer.content.decode()
    assert not EdmgRegistration.objects.exists()


def test_seven_accounts_are_stored_one_by_one_and_the_hidden_one_is_cleared(
    connected: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    client, url = signed_in(connected.user), reverse("ehealth:edmg", args=[connected.user.uuid])
    seven = {f"iban_{code}": OTHER if code == "900" else IBAN for code in Mutuality.values}
    posted = form(connected, same_account=None, iban="n'importe quoi", **seven)
    assert client.post(url, posted | {"confirm": "1"}).status_code == 302
    assert row(connected, "900").iban == OTHER and row(connected, "100").iban == IBAN
    assert EdmgRequest.objects.get().same_account is False


def test_with_one_account_the_seven_hidden_ones_are_cleared(
    connected: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    client, url = signed_in(connected.user), reverse("ehealth:edmg", args=[connected.user.uuid])
    posted = form(connected, iban_100="faux", iban_200=OTHER, confirm="1")
    assert client.post(url, posted).status_code == 302
    assert set(EdmgRegistration.objects.values_list("iban", flat=True)) == {IBAN}


def test_a_double_click_makes_one_request(
    connected: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    client, url = signed_in(connected.user), reverse("ehealth:edmg", args=[connected.user.uuid])
    posted = form(connected, confirm="1")
    assert client.post(url, posted).status_code == 302
    assert client.post(url, posted).status_code == 302
    assert EdmgRequest.objects.count() == 1


def test_without_a_connection_the_page_links_to_what_is_missing(
    doctor: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    html = signed_in(doctor.user).get(reverse("ehealth:edmg", args=[doctor.user.uuid])).content.decode()
    assert reverse("ehealth:connection", args=[doctor.user.uuid]) in html
    assert "Une connexion eHealth valable" in html and "iban" not in html.lower()


def test_the_lines_tell_reason_next_step_and_next_try(
    connected: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    connected.simulator.fault(
        "business", service="registration", value="141", ssin=connected.ssin, mutuality="100"
    )
    connected.simulator.fault(
        "business", service="registration", value="111", ssin=connected.ssin, mutuality="200"
    )
    ask(connected)
    send_all(connected)
    client = signed_in(connected.user)
    html = client.get(reverse("ehealth:edmg", args=[connected.user.uuid])).content.decode()
    assert "La mutualité ne vous connaît pas encore." in html and "Prochain essai" in html
    assert "mal form" in html and "5 inscriptions faites sur 7" in html
    assert "Renvoyer maintenant" in html
    assert client.post(reverse("ehealth:retry_edmg", args=[connected.user.uuid])).status_code == 302
    assert row(connected).next_attempt_at <= timezone.now()


def test_no_call_is_made_in_a_web_request(
    connected: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    before = connected.simulator.calls()
    client, url = signed_in(connected.user), reverse("ehealth:edmg", args=[connected.user.uuid])
    client.get(url)
    client.post(url, form(connected, confirm="1"))
    client.get(url)
    client.get(reverse("ehealth:mailbox"))
    assert connected.simulator.calls() == before
    assert not database.in_atomic_block
