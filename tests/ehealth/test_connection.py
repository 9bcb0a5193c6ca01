"""The keystore from upload to force, against the running simulator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.access import Forbidden
from accounts.models import AuditEvent
from accounts.sealing import CannotOpen
from ehealth import custody, words
from ehealth.actions import connection, sessions
from ehealth.actions.exchanges import CallInsideTransaction
from ehealth.configuration import platform
from ehealth.keystore import KeystoreRefused
from ehealth.models import Exchange, Keystore, Mailbox, PlatformSession
from tests.client import CheckingClient
from tests.conftest import sign_in
from tests.ehealth.conftest import Doctor
from tests.platform import PASSWORD, Simulator
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.django_db(transaction=True)
State = Keystore.State


def test_an_upload_is_in_test_and_nothing_was_called(doctor: Doctor) -> None:
    before = doctor.simulator.calls()
    stored = doctor.upload()
    assert stored.state == State.TESTING
    assert stored.file_name == "SSIN=1 20260101.p12"
    assert doctor.simulator.calls() == before


def test_a_passed_test_puts_the_keystore_in_force_with_a_session(doctor: Doctor) -> None:
    stored = doctor.connect()
    assert stored.tested_at and not stored.result_code
    session = stored.session
    assert session.nihii == doctor.nihii
    assert session.not_on_or_after - timezone.now() > timedelta(hours=23)
    services = list(Exchange.objects.filter(user=doctor.user).order_by("pk").values_list("service", "code"))
    assert services == [("sts", "OK"), ("mailbox", "OK"), ("etk", "OK")]
    kinds = set(AuditEvent.objects.filter(subject=doctor.user.uuid).values_list("kind", flat=True))
    assert {"ehealth:keystore:stored", "ehealth:session:obtained", "ehealth:keystore:connected"} <= kinds


def test_without_the_tick_the_key_is_in_the_session_only(doctor: Doctor) -> None:
    stored = doctor.connect()
    assert stored.key is None and stored.session.key is not None
    assert Mailbox.objects.get(user=doctor.user).auto is False


def test_with_the_tick_the_key_is_kept_and_the_mailbox_is_due(doctor: Doctor) -> None:
    stored = doctor.connect(auto=True)
    assert stored.key is not None and stored.session.key is None
    assert Mailbox.objects.get(user=doctor.user).next_poll_at is not None


def test_no_stored_byte_shows_the_key_or_the_password(doctor: Doctor) -> None:
    stored = doctor.connect(auto=True)
    key = custody.unseal(stored, "key")
    sealed = [bytes(stored.blob), bytes(stored.key), bytes(stored.chain), bytes(stored.session.assertion)]
    assert all(key[:40] not in value and PASSWORD.encode() not in value for value in sealed)
    other = Keystore(user=stored.user, key=stored.key)
    with pytest.raises(CannotOpen):
        custody.unseal(other, "key")


def test_running_the_test_twice_calls_once(doctor: Doctor) -> None:
    stored = doctor.connect()
    before = doctor.simulator.calls("sts")
    connection.test(keystore_pk=stored.pk, now=timezone.now())
    assert doctor.simulator.calls("sts") == before


def test_a_new_keystore_replaces_the_old_one_only_after_its_test(doctor: Doctor) -> None:
    first = doctor.connect()
    second = doctor.upload()
    first.refresh_from_db()
    assert (first.state, second.state) == (State.ACTIVE, State.TESTING)
    doctor.simulator.fault("soa", service="sts", value="SOA-01002", ssin=doctor.ssin)
    connection.test(keystore_pk=second.pk, now=timezone.now())
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == (State.ACTIVE, State.REFUSED)
    assert second.blob is None and second.session.key is None
    third = doctor.connect()
    first.refresh_from_db()
    assert (first.state, third.state) == (State.REPLACED, State.ACTIVE)
    assert first.blob is None and PlatformSession.objects.get(keystore=first).end_reason == "replaced"


def test_an_upload_during_a_test_takes_its_place(doctor: Doctor) -> None:
    first = doctor.upload()
    second = doctor.upload()
    connection.test(keystore_pk=first.pk, now=timezone.now())
    first.refresh_from_db()
    assert first.state == State.REPLACED and first.blob is None
    connection.test(keystore_pk=second.pk, now=timezone.now())
    second.refresh_from_db()
    assert second.state == State.ACTIVE


def test_an_unreachable_platform_leaves_the_test_waiting_then_it_passes(doctor: Doctor) -> None:
    stored = doctor.upload()
    doctor.simulator.fault("outage", service="sts", ssin=doctor.ssin)
    connection.test(keystore_pk=stored.pk, now=timezone.now())
    stored.refresh_from_db()
    assert (stored.state, stored.result_code) == (State.TESTING, "unreachable")
    later = stored.next_attempt_at + timedelta(seconds=1)
    connection.test(keystore_pk=stored.pk, now=later)
    stored.refresh_from_db()
    assert stored.state == State.ACTIVE


def test_a_test_waits_for_as_long_as_the_platform_asks(doctor: Doctor) -> None:
    stored, now = doctor.upload(), timezone.now()
    doctor.simulator.fault("busy", service="sts", ssin=doctor.ssin, value="1200")
    connection.test(keystore_pk=stored.pk, now=now)
    stored.refresh_from_db()
    assert stored.state == State.TESTING and stored.next_attempt_at == now + timedelta(minutes=20)


def test_after_a_day_of_silence_the_test_is_given_up_and_the_key_erased(doctor: Doctor) -> None:
    stored = doctor.upload()
    doctor.simulator.fault("soa", service="sts", value="SOA-02002", ssin=doctor.ssin)
    connection.test(keystore_pk=stored.pk, now=timezone.now() + timedelta(hours=25))
    stored.refresh_from_db()
    assert (stored.state, stored.result_code) == (State.REFUSED, "gave_up")
    assert stored.session.key is None


def test_a_test_that_kills_its_worker_three_times_is_given_up_and_the_key_erased(
    doctor: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    stored = doctor.upload()
    now, calls = timezone.now(), doctor.simulator.calls("sts")
    for turn in range(connection.LOST_CLAIMS):
        assert connection._claim(stored.pk, now + turn * (connection.TEST_LEASE + timedelta(seconds=1)))
    connection.test(keystore_pk=stored.pk, now=now + timedelta(hours=1))
    stored.refresh_from_db()
    assert (stored.state, stored.result_code, stored.blob) == (State.REFUSED, "test_lost", None)
    assert stored.session.key is None and doctor.simulator.calls("sts") == calls
    page = signed_in(doctor.user).get(reverse("ehealth:connection", args=[doctor.user.uuid]))
    assert "Le test a été interrompu plusieurs fois de suite." in unescape(page.content.decode())


def test_tries_that_came_to_an_end_count_as_no_lost_claim(doctor: Doctor) -> None:
    stored = doctor.upload()
    doctor.simulator.fault("outage", service="sts", ssin=doctor.ssin, count=20)
    for hour in range(connection.LOST_CLAIMS + 2):
        connection.test(keystore_pk=stored.pk, now=timezone.now() + timedelta(hours=2 * hour))
    stored.refresh_from_db()
    assert (stored.state, stored.lost_claims) == (State.TESTING, 0)


@pytest.mark.parametrize(
    "kind", ["garbage", "wrong-signature", "wrapped-signature", "foreign-token", "expired-token", "truncated"]
)
def test_garbage_never_connects(doctor: Doctor, kind: str) -> None:
    stored = doctor.upload()
    doctor.simulator.fault(kind, service="sts", ssin=doctor.ssin)
    connection.test(keystore_pk=stored.pk, now=timezone.now())
    stored.refresh_from_db()
    assert stored.state == State.TESTING and stored.next_attempt_at > timezone.now()


def test_a_person_whom_the_platform_does_not_know_as_physician_is_refused(doctor: Doctor) -> None:
    doctor.simulator.add_person(doctor.ssin, nihii11=None)
    stored = doctor.upload()
    connection.test(keystore_pk=stored.pk, now=timezone.now())
    stored.refresh_from_db()
    assert (stored.state, stored.result_code) == (State.REFUSED, "not_a_physician")


def test_another_inami_number_than_the_certified_one_is_refused(doctor: Doctor) -> None:
    type(doctor.user.practitioner).objects.filter(user=doctor.user).update(nihii="19999915004")
    stored = doctor.upload()
    connection.test(keystore_pk=stored.pk, now=timezone.now())
    stored.refresh_from_db()
    assert (stored.state, stored.result_code) == (State.REFUSED, "nihii_differs")


def test_a_silent_mailbox_is_a_warning_only(doctor: Doctor) -> None:
    doctor.simulator.fault("soa", service="mailbox", value="SOA-02001", ssin=doctor.ssin)
    assert doctor.connect().result_code == "mailbox_unreachable"


def test_an_older_encryption_key_is_a_warning_only(doctor: Doctor) -> None:
    older = doctor.simulator.keystore(doctor.ssin)
    doctor.simulator.keystore(doctor.ssin)
    stored = doctor.upload(older)
    connection.test(keystore_pk=stored.pk, now=timezone.now())
    stored.refresh_from_db()
    assert (stored.state, stored.result_code) == (State.ACTIVE, "etk_differs")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("expired", "expired"),
        ("not-yet-valid", "not_yet_valid"),
        ("foreign-ca", "untrusted_issuer"),
        ("production-issuer", "wrong_environment"),
        ("organisation", "organisation"),
    ],
)
def test_a_keystore_that_cannot_be_used_is_refused_with_its_reason(
    doctor: Doctor, kind: str, code: str
) -> None:
    with pytest.raises(KeystoreRefused) as refused:
        doctor.upload(doctor.simulator.keystore(doctor.ssin, kind))
    assert refused.value.code == code
    assert not Keystore.objects.filter(user=doctor.user).exists()
    assert AuditEvent.objects.filter(kind="ehealth:keystore:refused", subject=doctor.user.uuid).exists()


@pytest.mark.parametrize(
    "kind", ["two-keys-enc-first", "two-keys-auth-first", "p384", "legacy", "near-expiry"]
)
def test_every_usual_kind_of_keystore_connects(doctor: Doctor, kind: str) -> None:
    stored = doctor.upload(doctor.simulator.keystore(doctor.ssin, kind))
    connection.test(keystore_pk=stored.pk, now=timezone.now())
    stored.refresh_from_db()
    assert stored.state == State.ACTIVE, stored.result_code


def test_five_wrong_passwords_block_the_sixth_try_even_with_the_right_one(doctor: Doctor) -> None:
    data = doctor.simulator.keystore(doctor.ssin)
    for _ in range(5):
        with pytest.raises(KeystoreRefused):
            doctor.upload(data, password="faux")
    with pytest.raises(connection.TooManyTries):
        doctor.upload(data)


def test_nobody_else_uploads_disconnects_or_decides(doctor: Doctor) -> None:
    other = PractitionerFactory(user__practice=doctor.user.practice, user__roles=["admin"]).user
    stored = doctor.connect(auto=True)
    now = timezone.now()
    acts: list[Callable[[], object]] = [
        lambda: connection.disconnect(user=doctor.user, by=other, now=now),
        lambda: connection.set_auto(user=doctor.user, by=other, auto=False, now=now),
        lambda: connection.reconnect(user=doctor.user, by=other, password=PASSWORD, now=now),
        lambda: connection.retry_test(user=doctor.user, by=other, now=now),
    ]
    for act in acts:
        with pytest.raises(Forbidden):
            act()
    stored.refresh_from_db()
    assert stored.state == State.ACTIVE and stored.key is not None


def test_the_session_ends_with_the_assertion_and_the_password_alone_opens_it_again(doctor: Doctor) -> None:
    stored = doctor.connect()
    tomorrow = timezone.now() + timedelta(hours=25)
    assert sessions.ensure_session(user=doctor.user, now=tomorrow) is None
    assert sessions.end_expired(now=tomorrow) == 1
    session = PlatformSession.objects.get(keystore=stored)
    assert (session.key, session.assertion, session.end_reason) == (None, None, "expired")
    again = connection.reconnect(user=doctor.user, by=doctor.user, password=PASSWORD, now=timezone.now())
    assert again.sha256 == stored.sha256
    connection.test(keystore_pk=again.pk, now=timezone.now())
    stored.refresh_from_db()
    again.refresh_from_db()
    assert (stored.state, again.state) == (State.REPLACED, State.ACTIVE)
    assert sessions.ensure_session(user=doctor.user, now=timezone.now())


def test_a_connected_doctor_gets_a_new_token_when_half_of_it_is_used(doctor: Doctor) -> None:
    stored = doctor.connect(auto=True)
    before = doctor.simulator.calls("sts")
    sessions.ensure_session(user=doctor.user, now=timezone.now())
    assert doctor.simulator.calls("sts") == before
    sessions.ensure_session(user=doctor.user, now=timezone.now() + timedelta(hours=13))
    assert doctor.simulator.calls("sts") == before + 1
    stored.refresh_from_db()
    assert stored.next_attempt_at is None


def test_a_failed_renewal_goes_on_with_the_token_in_use_only_if_it_can(doctor: Doctor) -> None:
    doctor.connect(auto=True)
    doctor.simulator.fault("outage", service="sts", ssin=doctor.ssin)
    with pytest.raises(Exception, match="unreachable"):
        sessions.ensure_session(user=doctor.user, now=timezone.now() + timedelta(hours=25))
    doctor.simulator.fault("outage", service="sts", ssin=doctor.ssin)
    assert sessions.ensure_session(user=doctor.user, now=timezone.now() + timedelta(hours=13))


def sent_to_sts(folder: Path) -> list[bytes]:
    """Issue or Renew, of every request to the token service."""
    files = sorted(folder.glob("*-sts-*-request.xml"))
    return [b"Renew" if b"/Renew<" in file.read_bytes() else b"Issue" for file in files]


@pytest.fixture
def captured(simulator: Simulator, settings: Settings, tmp_path: Path) -> Path:
    settings.EHEALTH_CAPTURE_DIR = str(tmp_path / "captured")
    platform.cache_clear()
    return tmp_path / "captured"


def test_a_live_token_is_renewed_by_showing_it(doctor: Doctor, captured: Path) -> None:
    stored = doctor.connect(auto=True)
    held = sessions.stored(stored, timezone.now())
    later = sessions.ensure_session(user=doctor.user, now=timezone.now() + timedelta(hours=13))
    assert held and later and later.assertion.assertion_id != held.assertion.assertion_id
    assert sent_to_sts(captured) == [b"Issue", b"Renew"]


@pytest.mark.parametrize("code", ["SOA-01001", "SOA-03007"])
def test_a_renewal_that_is_refused_asks_for_a_new_token_once(
    doctor: Doctor, captured: Path, code: str
) -> None:
    stored = doctor.connect(auto=True)
    held = sessions.stored(stored, timezone.now())
    doctor.simulator.fault("soa", service="sts", value=code, ssin=doctor.ssin)
    later = sessions.ensure_session(user=doctor.user, now=timezone.now() + timedelta(hours=13))
    assert held and later and later.assertion.assertion_id != held.assertion.assertion_id
    assert sent_to_sts(captured) == [b"Issue", b"Renew", b"Issue"]
    doctor.simulator.fault("soa", service="sts", value=code, ssin=doctor.ssin, count=2)
    assert sessions.ensure_session(user=doctor.user, now=timezone.now() + timedelta(hours=13))
    assert sent_to_sts(captured)[3:] == [b"Renew", b"Issue"]
    stored.refresh_from_db()
    assert stored.next_attempt_at is None


def test_a_renewal_without_answer_asks_nothing_more(doctor: Doctor, captured: Path) -> None:
    doctor.connect(auto=True)
    doctor.simulator.fault("outage", service="sts", ssin=doctor.ssin)
    assert sessions.ensure_session(user=doctor.user, now=timezone.now() + timedelta(hours=13))
    assert sent_to_sts(captured) == [b"Issue", b"Renew"]


def test_a_token_that_has_ended_is_not_shown(doctor: Doctor, captured: Path) -> None:
    doctor.connect(auto=True)
    sessions.drop_assertion(keystore_id=Keystore.objects.get(user=doctor.user).pk)
    assert sessions.ensure_session(user=doctor.user, now=timezone.now())
    assert sent_to_sts(captured) == [b"Issue", b"Issue"]


def test_unticking_destroys_the_key_at_once(doctor: Doctor) -> None:
    stored = doctor.connect(auto=True)
    connection.set_auto(user=doctor.user, by=doctor.user, auto=False, now=timezone.now())
    stored.refresh_from_db()
    assert (stored.key, stored.chain, stored.stay_connected) == (None, None, False)
    assert stored.blob is not None
    assert sessions.ensure_session(user=doctor.user, now=timezone.now()) is None


def test_ticking_during_a_session_keeps_its_key(doctor: Doctor) -> None:
    stored = doctor.connect()
    connection.set_auto(user=doctor.user, by=doctor.user, auto=True, now=timezone.now())
    assert sessions.adopt_keys(now=timezone.now()) == 1
    stored.refresh_from_db()
    assert stored.key is not None
    assert sessions.ensure_session(user=doctor.user, now=timezone.now() + timedelta(hours=13))


def test_disconnecting_erases_everything_secret(doctor: Doctor) -> None:
    stored = doctor.connect(auto=True)
    connection.disconnect(user=doctor.user, by=doctor.user, now=timezone.now())
    stored.refresh_from_db()
    assert (stored.state, stored.blob, stored.key, stored.chain) == (State.DISCONNECTED, None, None, None)
    assert stored.session.assertion is None
    with pytest.raises(connection.NothingToReopen):
        connection.reconnect(user=doctor.user, by=doctor.user, password=PASSWORD, now=timezone.now())


@pytest.mark.parametrize("end", ["certificate", "deactivated"])
def test_an_ended_certificate_or_account_loses_its_key(doctor: Doctor, end: str) -> None:
    stored = doctor.connect(auto=True)
    now = timezone.now()
    if end == "certificate":
        now = stored.not_after + timedelta(minutes=1)
    else:
        type(doctor.user).objects.get_queryset().filter(pk=doctor.user.pk).update(
            is_active=False, deactivated_at=now
        )
    sessions.end_expired(now=now)
    stored.refresh_from_db()
    assert stored.key is None and stored.session.end_reason == end


def test_a_call_inside_a_transaction_is_refused(doctor: Doctor) -> None:
    stored = doctor.upload()
    with transaction.atomic(), pytest.raises(CallInsideTransaction):
        connection.test(keystore_pk=stored.pk, now=timezone.now())


@pytest.mark.parametrize(
    ("days", "state"),
    [(None, "none"), (91, "valid"), (90, "renewable"), (15, "renewable"), (14, "urgent"), (0, "expired")],
)
def test_the_certificate_says_how_long_it_lasts(days: int | None, state: str) -> None:
    now = timezone.now()
    end = None if days is None else now + timedelta(days=days)
    assert connection.certificate_state(end, now) == state


def post_keystore(
    client: CheckingClient, doctor: Doctor, data: bytes, password: str = PASSWORD, version: int = 0
):  # type: ignore[no-untyped-def]
    file = SimpleUploadedFile("trousseau.p12", data, "application/x-pkcs12")
    url = reverse("ehealth:connection", args=[doctor.user.uuid])
    form = {"version": version, "keystore": file, "keystore_password": password, "healthbox_auto": "on"}
    return client.post(url, form)


def test_the_form_stores_the_keystore_and_the_page_follows_the_test(
    doctor: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    client, plain = signed_in(doctor.user), sign_in(Client(), doctor.user)
    page = reverse("ehealth:connection", args=[doctor.user.uuid])
    assert "Pas encore connecté" in client.get(page).content.decode()
    answer = post_keystore(client, doctor, doctor.simulator.keystore(doctor.ssin))
    assert answer.status_code == 302 and answer.url == page
    fragment = reverse("ehealth:connection_state", args=[doctor.user.uuid])
    html = plain.get(fragment).content.decode()
    assert "Test en cours" in html and f'data-refresh-url="{fragment}"' in html
    assert "Test en cours" in client.get(page).content.decode()
    connection.test(keystore_pk=Keystore.objects.get(user=doctor.user).pk, now=timezone.now())
    html = plain.get(fragment).content.decode()
    assert "Connecté à eHealth" in html and "data-refresh-url" not in html
    assert "Certificat valable" in client.get(page).content.decode()


def test_a_second_click_is_no_conflict(doctor: Doctor, signed_in: Callable[..., CheckingClient]) -> None:
    client, data = signed_in(doctor.user), doctor.simulator.keystore(doctor.ssin)
    assert post_keystore(client, doctor, data).status_code == 302
    assert post_keystore(client, doctor, data).status_code == 302
    assert Keystore.objects.filter(user=doctor.user).count() == 1


@pytest.mark.parametrize(
    ("kind", "password", "sentence"),
    [
        ("rsa", "faux", "Le mot de passe n&#x27;ouvre pas ce trousseau."),
        ("expired", PASSWORD, "Le certificat de ce trousseau est expiré depuis le"),
        ("foreign", PASSWORD, "Ce trousseau est celui d&#x27;une autre personne"),
        ("", PASSWORD, "Ce fichier n&#x27;est pas un trousseau eHealth"),
        ("empty", PASSWORD, "Le fichier est vide."),
    ],
)
def test_a_wrong_keystore_gets_a_sentence_and_keeps_the_tick(
    doctor: Doctor, signed_in: Callable[..., CheckingClient], kind: str, password: str, sentence: str
) -> None:
    made = {
        "": lambda: b"bonjour",
        "empty": lambda: b"",
        "foreign": lambda: doctor.simulator.keystore("84011012387"),
    }.get(kind, lambda: doctor.simulator.keystore(doctor.ssin, kind))
    answer = post_keystore(signed_in(doctor.user), doctor, made(), password)
    html = answer.content.decode()
    assert answer.status_code == 422 and sentence in html
    assert "checked" in html and password not in html
    assert not Keystore.objects.filter(user=doctor.user).exists()


def test_without_a_national_number_the_form_says_what_to_fill_in_first(
    doctor: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    type(doctor.user.practitioner).objects.filter(user=doctor.user).update(ssin="")
    answer = post_keystore(signed_in(doctor.user), doctor, doctor.simulator.keystore(doctor.ssin))
    assert answer.status_code == 422 and "Informations générales" in answer.content.decode()


def test_the_owner_reconnects_with_the_password_alone(
    doctor: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    stored = doctor.connect()
    PlatformSession.objects.update(not_on_or_after=timezone.now() - timedelta(minutes=1))
    client = signed_in(doctor.user)
    page = reverse("ehealth:connection", args=[doctor.user.uuid])
    assert "Reconnectez-vous avec votre mot de passe" in client.get(page).content.decode()
    url = reverse("ehealth:reconnect", args=[doctor.user.uuid])
    wrong = client.post(url, {"keystore_password": "faux"})
    assert wrong.status_code == 422 and "pas ce trousseau" in wrong.content.decode()
    assert client.post(url, {"keystore_password": PASSWORD}).status_code == 302
    assert Keystore.objects.filter(user=doctor.user, state=State.TESTING, sha256=stored.sha256).exists()


def test_a_manager_sees_the_state_masked_and_no_form(
    doctor: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    doctor.connect()
    manager = PractitionerFactory(user__practice=doctor.user.practice, user__roles=["user_manager"]).user
    client = signed_in(manager)
    html = client.get(reverse("ehealth:connection", args=[doctor.user.uuid])).content.decode()
    assert "Connecté à eHealth" in html and 'type="file"' not in html
    assert doctor.ssin not in html and doctor.ssin[-5:] not in html
    assert post_keystore(client, doctor, b"x").status_code == 403
    assert client.post(reverse("ehealth:disconnect", args=[doctor.user.uuid])).status_code == 403


def test_another_practice_does_not_exist(doctor: Doctor, signed_in: Callable[..., CheckingClient]) -> None:
    client = signed_in(PractitionerFactory(user__roles=["admin"]).user)
    for name in ("connection", "connection_state", "edmg", "edmg_state"):
        assert client.get(reverse(f"ehealth:{name}", args=[doctor.user.uuid])).status_code == 404


def test_every_code_has_a_sentence_with_a_next_step() -> None:
    codes = KeystoreRefused.__doc__ or ""
    listed = codes.split("``code`` is one of")[1].split("``facts``")[0]
    named = {word.strip(" .\n") for word in listed.replace("\n", " ").split(",")}
    assert named and named <= set(words.KEYSTORE)
    for table in (words.KEYSTORE, words.PLATFORM, words.WARNINGS, words.REGISTRATION):
        assert all(
            str(found.reason).endswith(".") and str(found.step).endswith(".") for found in table.values()
        )


def test_the_platform_is_made_once(doctor: Doctor) -> None:
    assert platform() is platform()
