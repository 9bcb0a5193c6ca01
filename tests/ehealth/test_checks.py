"""« Tester ma configuration »: asked by the owner, tried once by a worker, told in words, kept on a page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.urls import reverse
from django.utils import timezone, translation

from accounts.access import Forbidden
from accounts.models import AuditEvent, User
from ehealth import words
from ehealth.actions import checks, connection, exchanges, sessions
from ehealth.actions.checks import HARMLESS, LEASE
from ehealth.models import Exchange, Keystore, PlatformCheck
from practitioners.models import Practitioner
from tests.accounts.factories import UserFactory
from tests.client import CheckingClient
from tests.ehealth.conftest import Doctor
from tests.platform import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)
Capability, State = PlatformCheck.Capability, PlatformCheck.State


def tried(doctor: Doctor, capability: str) -> tuple[str, str]:
    """Ask and run; state and code."""
    checks.ask(user=doctor.user, by=doctor.user, capabilities=[capability], now=timezone.now())
    row = PlatformCheck.objects.get(user=doctor.user, capability=capability)
    checks.run(pk=row.pk, now=timezone.now())
    row.refresh_from_db()
    return str(row.state), row.code


@pytest.mark.parametrize("capability", Capability.values)
@pytest.mark.parametrize("auto", [True, False])
def test_a_good_configuration_passes(doctor: Doctor, capability: str, auto: bool) -> None:
    doctor.connect(auto=auto)
    assert tried(doctor, capability) == (State.PASSED, "")


def test_without_a_keystore_or_a_session_the_next_step_is_said(doctor: Doctor) -> None:
    assert tried(doctor, Capability.TOKEN) == (State.FAILED, "no_keystore")
    assert tried(doctor, Capability.EDMG) == (State.FAILED, "needs_connection")
    keystore = doctor.connect()
    with transaction.atomic():
        sessions.end(keystore.session, reason="expired", now=timezone.now())
    assert tried(doctor, Capability.MAILBOX) == (State.FAILED, "session_over")


@pytest.mark.parametrize(
    ("capability", "service", "kind", "value", "code"),
    [
        (Capability.TOKEN, "sts", "soa", "SOA-01001", "SOA-01001"),
        (Capability.TOKEN, "sts", "wrong-signature", "", "not_authentic"),
        (Capability.TOKEN, "sts", "garbage", "", "malformed"),
        (Capability.ETK, "etk", "soa", "SOA-02001", "SOA-02001"),
        (Capability.MAILBOX, "mailbox", "outage", "", "unreachable"),
        (Capability.MAILBOX, "mailbox", "business", "810", "810"),
        (Capability.ROUND_TRIP, "publication", "soa", "SOA-01002", "SOA-01002"),
    ],
)
def test_each_fault_becomes_an_action_in_words(
    doctor: Doctor, capability: str, service: str, kind: str, value: str, code: str
) -> None:
    doctor.connect(auto=True)
    doctor.simulator.fault(kind, service=service, value=value, ssin=doctor.ssin, count=2)
    assert tried(doctor, capability) == (State.FAILED, code)


def test_what_differs_is_a_remark_or_a_failure(doctor: Doctor) -> None:
    doctor.connect(auto=True)
    doctor.simulator.keystore(doctor.ssin)  # a newer encryption key is published
    assert tried(doctor, Capability.ETK) == (State.WARNING, "etk_differs")
    doctor.simulator.add_person(doctor.ssin, current_size=9_500_000)
    assert tried(doctor, Capability.MAILBOX) == (State.WARNING, "mailbox_nearly_full")
    doctor.simulator.add_person(doctor.ssin, standby=2)
    assert tried(doctor, Capability.MAILBOX) == (State.WARNING, "mailbox_full")
    Practitioner.objects.filter(user=doctor.user).update(nihii="19999915004")
    assert tried(doctor, Capability.EDMG) == (State.FAILED, "nihii_differs")


def test_every_code_has_its_sentences_in_four_languages() -> None:
    for language in ("fr", "nl", "de", "en"):
        with translation.override(language):
            texts = {str(words.check("token", code)) for code in words.CHECKS}
            texts |= {str(words.check(name, "").reason) for name in Capability.values}
            assert all(texts)
            assert language == "fr" or "Votre eHealthBox est presque pleine." not in " ".join(texts)


def test_a_double_click_is_one_try_and_a_second_worker_finds_nothing(doctor: Doctor) -> None:
    doctor.connect(auto=True)
    now = timezone.now()
    asked = [
        checks.ask(user=doctor.user, by=doctor.user, capabilities=[Capability.ETK], now=now) for _ in range(2)
    ]
    assert asked == [1, 0]
    before = doctor.simulator.calls("etk")
    (row,) = PlatformCheck.objects.all()
    for _ in range(3):
        checks.run(pk=row.pk, now=now)
    assert doctor.simulator.calls("etk") == before + 1


def test_a_try_whose_worker_died_is_taken_up_and_the_late_one_writes_nothing(doctor: Doctor) -> None:
    doctor.connect(auto=True)
    now = timezone.now()
    checks.ask(user=doctor.user, by=doctor.user, capabilities=[Capability.ETK], now=now)
    (row,) = PlatformCheck.objects.all()
    PlatformCheck.objects.update(state=State.RUNNING, attempts=1, lease_until=now + LEASE)
    checks.run(pk=row.pk, now=now)
    row.refresh_from_db()
    assert row.state == State.RUNNING
    checks.run(pk=row.pk, now=now + LEASE + timedelta(seconds=1))
    row.refresh_from_db()
    assert (row.state, row.attempts) == (State.PASSED, 2)


def test_a_try_that_kills_its_worker_three_times_is_given_up_until_it_is_asked_again(
    doctor: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    doctor.connect(auto=True)
    now, calls = timezone.now(), doctor.simulator.calls("etk")
    checks.ask(user=doctor.user, by=doctor.user, capabilities=[Capability.ETK], now=now)
    (row,) = PlatformCheck.objects.all()
    PlatformCheck.objects.update(state=State.RUNNING, attempts=checks.LOST_CLAIMS, lease_until=now)
    checks.run(pk=row.pk, now=now + timedelta(seconds=1))
    row.refresh_from_db()
    assert (row.state, row.code) == (State.FAILED, "worker_lost")
    assert doctor.simulator.calls("etk") == calls
    page = signed_in(doctor.user).get(reverse("ehealth:checks", args=[doctor.user.uuid]))
    assert "Le test a été interrompu plusieurs fois de suite." in page.content.decode()
    assert tried(doctor, Capability.ETK) == (State.PASSED, "")


def test_only_the_owner_asks(doctor: Doctor, signed_in: Callable[..., CheckingClient]) -> None:
    manager = UserFactory(practice=doctor.user.practice, roles=["user_manager"])
    with pytest.raises(Forbidden):
        checks.ask(user=doctor.user, by=manager, capabilities=HARMLESS, now=timezone.now())
    client = signed_in(manager)
    url = reverse("ehealth:checks", args=[doctor.user.uuid])
    page = client.get(url).content.decode()
    assert "Pas encore testé" in page and "Tout tester" not in page
    assert client.post(reverse("ehealth:run_checks", args=[doctor.user.uuid])).status_code == 403
    assert signed_in(UserFactory(roles=["admin"])).get(url).status_code == 404
    assert not PlatformCheck.objects.exists()


def test_the_page_asks_shows_progress_then_keeps_the_result(
    doctor: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    doctor.connect(auto=True)
    client = signed_in(doctor.user)
    before = doctor.simulator.calls()
    page = client.post(reverse("ehealth:run_checks", args=[doctor.user.uuid]), follow=True)
    assert "data-refresh-url" in page.content.decode()
    assert doctor.simulator.calls() == before
    assert set(PlatformCheck.objects.values_list("capability", flat=True)) == set(HARMLESS)
    for row in PlatformCheck.objects.all():
        checks.run(pk=row.pk, now=timezone.now())
    page = client.get(reverse("ehealth:checks", args=[doctor.user.uuid])).content.decode()
    assert page.count("Dernier test :") == 4 and "data-refresh-url" not in page
    wrong = client.post(reverse("ehealth:run_checks", args=[doctor.user.uuid]), {"capability": "x"})
    assert wrong.status_code == 400


def test_the_command_tells_an_operator_the_same(doctor: Doctor) -> None:
    doctor.connect(auto=True)
    out = StringIO()
    call_command("platform_check", doctor.user.login, "--send", stdout=out)
    said = out.getvalue()
    assert said.count("\nok  ") + said.startswith("ok  ") == 5
    assert "registerToMycarenetService" not in said and "sendMessage" in said
    for secret in (doctor.ssin, doctor.nihii, PASSWORD):
        assert secret not in said
    doctor.simulator.fault("soa", service="etk", value="SOA-01002", ssin=doctor.ssin)
    with pytest.raises(SystemExit):
        call_command("platform_check", doctor.user.login, stdout=out)
    assert "[SOA-01002]" in out.getvalue()
    with pytest.raises(CommandError):
        call_command("platform_check", "nobody@example.be")


# --- exchanges --------------------------------------------------------------------------------
def log(client: CheckingClient, user: User, **query: str) -> Any:
    return client.get(reverse("ehealth:exchanges", args=[user.uuid]), query)


def test_the_owner_reads_the_own_exchanges_without_content(
    doctor: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    doctor.connect(auto=True)
    client = signed_in(doctor.user)
    page = log(client, doctor.user).content.decode()
    assert "Ouvrir ou renouveler la session" in page and "3 échanges" in page
    assert doctor.ssin not in page and doctor.nihii not in page
    assert "1 échange" in log(client, doctor.user, service="etk").content.decode()
    assert "Aucun échange" in log(client, doctor.user, outcome="failed").content.decode()
    assert "Aucun échange" in log(client, doctor.user, day="2020-01-01").content.decode()
    assert log(client, doctor.user, service="x", day="y", page="z").status_code == 200


def test_nobody_else_of_the_practice_reads_them_but_staff_does(
    doctor: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    doctor.connect(auto=True)
    manager = UserFactory(practice=doctor.user.practice, roles=["admin"])
    colleague = UserFactory(practice=doctor.user.practice, roles=["physician"])
    stranger = UserFactory(roles=["admin"])
    staff = UserFactory(roles=["reception"], is_staff=True)
    whole = reverse("ehealth:all_exchanges")
    for reader, one, everything in (
        (manager, 403, 403), (colleague, 404, 403), (stranger, 404, 403), (staff, 200, 200),
    ):  # fmt: skip
        client = signed_in(reader)
        assert log(client, doctor.user).status_code == one
        assert client.get(whole).status_code == everything
    page = signed_in(staff).get(whole).content.decode()
    assert "Ouvrir ou renouveler la session" in page and doctor.user.last_name not in page


def test_exchanges_of_long_ago_are_forgotten(doctor: Doctor) -> None:
    doctor.connect(auto=True)
    kept = Exchange.objects.count()
    old = Exchange.objects.first()
    assert old
    Exchange.objects.filter(pk=old.pk).update(started_at=timezone.now() - timedelta(days=401))
    assert exchanges.forget(now=timezone.now()) == 1
    assert Exchange.objects.count() == kept - 1


def test_disconnecting_keeps_the_results_but_the_next_try_fails(doctor: Doctor) -> None:
    doctor.connect(auto=True)
    assert tried(doctor, Capability.TOKEN) == (State.PASSED, "")
    connection.disconnect(user=doctor.user, by=doctor.user, now=timezone.now())
    assert not Keystore.objects.in_force().exists()
    assert tried(doctor, Capability.TOKEN) == (State.FAILED, "no_keystore")


def test_nobody_presses_without_end(doctor: Doctor, signed_in: Callable[..., CheckingClient]) -> None:
    client, url = signed_in(doctor.user), reverse("ehealth:run_checks", args=[doctor.user.uuid])
    answers = [client.post(url, {"capability": Capability.TOKEN}).status_code for _press in range(13)]
    assert answers == [302] * 12 + [429]
    event = AuditEvent.objects.get(kind="account:limit:reached")
    assert (event.actor, event.details) == (doctor.user.uuid, {"limit": "checks"})
