"""Registering a key over HTTP: challenges, policy, races, backup, the session's proof."""

from __future__ import annotations

import base64
import threading
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.actions.keys import is_file_code
from accounts.models import AuditEvent, KeyChallenge, Mail, PersonalKey, User
from accounts.sealing import CannotOpen, sealer
from tests.accounts.factories import UserFactory
from tests.accounts.keypairs import CODE, Pair, answer, ask, post, registration, sign, stored
from tests.accounts.test_keys import VECTORS
from tests.conftest import sign_in

PAIR, OTHER = Pair(), Pair()
SMALL = Pair(2048)
WEAK = [
    ("roca", "roca2048"),
    ("close_primes", "close2048"),
    ("small_factor", "small2048"),
    ("exponent", "e3_2048"),
]

pytestmark = pytest.mark.django_db


@pytest.fixture
def doctor() -> User:
    return UserFactory(key=False)


@pytest.fixture
def computer(doctor: User) -> Client:
    client = sign_in(Client(), doctor)
    session = client.session
    del session["key_proved_at"]
    session.save()
    return client


def register(client: Client, pair: Pair = PAIR, **fields: str) -> int:
    return post(client, "/key/register/", registration(client, pair, **fields)).status_code


def code_of(response: object) -> str:
    return response.json()["code"]  # type: ignore[attr-defined]


def kinds(user: User) -> list[str]:
    return list(AuditEvent.objects.filter(subject=user.uuid).order_by("pk").values_list("kind", flat=True))


def test_the_gate_offers_to_generate_and_a_registered_key_waits_for_its_backup(
    computer: Client, doctor: User
) -> None:
    assert computer.get("/").headers["Location"].startswith("/key/")
    assert "GÉNÉRER MA PAIRE DE CLÉS" in computer.get("/key/").content.decode()
    response = post(computer, "/key/register/", registration(computer, PAIR))
    assert response.json() == {"next": "/key/backup/"}
    row = PersonalKey.objects.get(user=doctor)
    assert (row.state, row.fingerprint, bytes(row.spki), row.bits) == (
        "pending",
        PAIR.fingerprint,
        PAIR.spki,
        3072,
    )
    assert kinds(doctor) == ["account:key:registered"]
    assert Mail.objects.get(user=doctor).kind == "key_registered"
    assert computer.get("/").headers["Location"].startswith("/key/backup/")


def test_the_backup_makes_the_key_active_and_opens_the_portal(computer: Client, doctor: User) -> None:
    register(computer)
    response = post(computer, "/key/backup/", answer(computer, PAIR, "backup"))
    assert response.json() == {"next": "/"}
    row = PersonalKey.objects.get(user=doctor)
    assert row.state == "active" and row.backup_at and row.backup_reread_at and not row.second_backup_at
    assert computer.get("/").status_code == 200
    assert post(computer, "/key/backup/second/", answer(computer, PAIR, "backup")).status_code == 200
    row.refresh_from_db()
    assert row.second_backup_at


def test_a_second_copy_does_not_count_before_the_first(computer: Client) -> None:
    register(computer)
    response = post(computer, "/key/backup/second/", answer(computer, PAIR, "backup"))
    assert (response.status_code, code_of(response)) == (403, "key_required")


def test_the_backup_waits_until_later_once_and_an_unsaved_pair_is_discarded(
    computer: Client, doctor: User
) -> None:
    register(computer)
    assert computer.post("/key/backup/later/").headers["Location"] == "/"
    assert computer.get("/").status_code == 200
    computer.post("/key/discard/")
    row = PersonalKey.objects.get(user=doctor)
    assert (row.state, row.end_reason, row.file_code) == ("revoked", "discarded", None)
    assert computer.get("/").headers["Location"].startswith("/key/")
    assert register(computer) == 409, "a fingerprint is never accepted twice"
    assert register(computer, OTHER) == 200


def test_the_code_is_sealed_to_its_row_and_owner(computer: Client, doctor: User) -> None:
    register(computer)
    row = PersonalKey.objects.get(user=doctor)
    assert CODE.encode() not in bytes(row.file_code)
    place = {"table": "accounts_personalkey", "column": "file_code", "row": row.uuid, "version": 1}
    assert sealer().open(row.file_code, owner=doctor.uuid, **place).decode() == CODE
    with pytest.raises(CannotOpen):
        sealer().open(row.file_code, owner=UserFactory(key=False).uuid, **place)


def test_an_own_phrase_leaves_nothing_with_the_portal(computer: Client, doctor: User) -> None:
    assert register(computer, protection="personal", file_code=CODE) == 422
    assert register(computer, protection="personal", file_code="") == 200
    assert PersonalKey.objects.get(user=doctor).file_code is None
    response = computer.post("/key/code/", "{}", content_type="application/json")
    assert (response.status_code, code_of(response)) == (409, "code_missing")


@pytest.mark.parametrize(
    "text", ["", "K7Q2M", CODE.lower(), CODE[:-1] + "Q", CODE.replace("-", ""), CODE + "-"]
)
def test_a_code_that_no_page_made_is_refused(text: str) -> None:
    assert is_file_code(CODE) and not is_file_code(text)


# --- challenges ------------------------------------------------------------------------------
def test_a_challenge_serves_once(computer: Client) -> None:
    fields = registration(computer, PAIR)
    assert post(computer, "/key/register/", fields).status_code == 200
    again = post(computer, "/key/register/", fields)
    assert (again.status_code, code_of(again)) == (409, "challenge_invalid")


def test_a_failed_proof_burns_its_challenge(computer: Client, doctor: User) -> None:
    good = registration(computer, PAIR)
    bad = good | {"proof": OTHER.sign(b"something else")}
    response = post(computer, "/key/register/", bad)
    assert (response.status_code, code_of(response)) == (422, "bad_proof")
    assert code_of(post(computer, "/key/register/", good)) == "challenge_invalid"
    assert kinds(doctor) == ["account:key:proof_failed"] and not PersonalKey.objects.exists()


@pytest.mark.parametrize(
    "line", ["purpose", "origin", "user", "challenge", "nonce", "fingerprint", "binding"]
)
def test_every_line_of_the_message_is_checked(computer: Client, line: str) -> None:
    forged = {"purpose": "backup", "fingerprint": OTHER.fingerprint}.get(line, "forged")
    fields = registration(computer, PAIR) | sign(
        PAIR, ask(computer, "register"), "register", **{line: forged}
    )
    assert code_of(post(computer, "/key/register/", fields)) == "bad_proof"


def test_a_challenge_of_somebody_else_is_refused(computer: Client) -> None:
    stranger = sign_in(Client(), UserFactory(key=False))
    fields = registration(computer, PAIR) | answer(stranger, PAIR, "register")
    assert code_of(post(computer, "/key/register/", fields)) == "challenge_invalid"


def test_a_challenge_of_another_session_is_refused(computer: Client, doctor: User) -> None:
    elsewhere = sign_in(Client(), doctor)
    fields = registration(computer, PAIR) | answer(elsewhere, PAIR, "register")
    assert code_of(post(computer, "/key/register/", fields)) == "challenge_invalid"


def test_a_challenge_for_another_purpose_is_refused(computer: Client) -> None:
    fields = registration(computer, PAIR) | answer(computer, PAIR, "backup")
    assert code_of(post(computer, "/key/register/", fields)) == "challenge_invalid"


def test_a_challenge_lives_five_minutes(computer: Client) -> None:
    fields = registration(computer, PAIR)
    KeyChallenge.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert code_of(post(computer, "/key/register/", fields)) == "challenge_invalid"


@pytest.mark.parametrize(
    "body", ['{"purpose": "steal"}', '{"purpose": "action"}', '{"purpose": "register", "binding": "x"}']
)
def test_a_challenge_is_given_for_known_purposes_alone(computer: Client, body: str) -> None:
    response = computer.post("/key/challenge/", body, content_type="application/json")
    assert code_of(response) == "challenge_invalid"


@pytest.mark.parametrize("body", ["", "[]", "{", '{"purpose": 1}', "[" * 8_000])
def test_a_broken_request_is_refused(computer: Client, body: str) -> None:
    response = computer.post("/key/challenge/", body, content_type="application/json")
    assert (response.status_code, code_of(response)) == (400, "unexpected")


def test_thirty_challenges_in_ten_minutes_are_enough(computer: Client) -> None:
    for _number in range(30):
        ask(computer, "register")
    body = '{"purpose": "register"}'
    response = computer.post("/key/challenge/", body, content_type="application/json")
    assert (response.status_code, response.json()["params"]) == (429, {"minutes": "10"})


# --- policy ----------------------------------------------------------------------------------
def test_a_new_pair_has_3072_bits_and_an_imported_one_2048(computer: Client, doctor: User) -> None:
    response = post(computer, "/key/register/", registration(computer, SMALL))
    assert (response.status_code, code_of(response)) == (422, "key_weak")
    assert response.json()["params"]["weakness"] == "size"
    assert register(computer, SMALL, origin="icure") == 200
    assert PersonalKey.objects.get(user=doctor).prepared, "a key that lay about in the clear is to be renewed"


@pytest.mark.parametrize(("weakness", "name"), WEAK)
def test_a_weak_key_is_refused_with_its_reason(computer: Client, weakness: str, name: str) -> None:
    fields = registration(computer, PAIR, public_key=VECTORS[name], origin="imported")
    response = post(computer, "/key/register/", fields)
    assert (response.status_code, code_of(response)) == (422, "key_weak")
    assert response.json()["params"]["weakness"] == weakness
    assert not PersonalKey.objects.exists()


def test_a_private_key_is_refused_and_kept_nowhere(computer: Client, doctor: User) -> None:
    der = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM, *der[1:]
    sent = [
        OTHER.private.private_bytes(*pem).decode(),
        base64.b64encode(OTHER.private.private_bytes(*der)).decode(),
    ]
    for text in sent:
        response = post(computer, "/key/register/", registration(computer, PAIR, public_key=text))
        assert (response.status_code, code_of(response)) == (422, "private_key_sent")
    assert not PersonalKey.objects.exists()
    events = list(AuditEvent.objects.filter(subject=doctor.uuid))
    assert [event.details["reason"] for event in events] == ["private_key_sent"] * 2
    assert not any(sent[1][60:100] in str(event.details) for event in events)
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(s::text, '') FROM accounts_session s")
        assert sent[1][60:100] not in cursor.fetchone()[0]


def test_a_large_or_multipart_body_is_refused(computer: Client) -> None:
    assert post(computer, "/key/register/", {"public_key": "A" * 9000}).status_code == 413
    assert computer.post("/key/register/", {"public_key": "A"}).status_code == 400, "multipart"


def test_somebody_elses_key_is_refused_without_saying_whose(computer: Client) -> None:
    stored(UserFactory(key=False), PAIR)
    response = post(computer, "/key/register/", registration(computer, PAIR))
    assert (response.status_code, response.json()) == (409, {"code": "key_in_use", "params": {}})


def test_without_token_nothing_is_taken(doctor: User) -> None:
    strict = sign_in(Client(enforce_csrf_checks=True), doctor)
    for url in ("challenge", "register", "backup", "prove", "rotate", "code", "discard", "backup/second"):
        assert strict.post(f"/key/{url}/").status_code == 403, url


def test_a_deactivated_person_registers_nothing(computer: Client, doctor: User) -> None:
    fields = registration(computer, PAIR)
    User.objects.get_queryset().filter(pk=doctor.pk).update(is_active=False, deactivated_at=timezone.now())
    assert post(computer, "/key/register/", fields).status_code == 302
    assert not PersonalKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_twenty_parallel_registrations_one_wins() -> None:
    doctor = UserFactory(key=False)
    pairs = [Pair(2048) for _number in range(20)]
    clients = [sign_in(Client(), doctor) for _pair in pairs]
    posts = [
        registration(client, pair, origin="imported") for client, pair in zip(clients, pairs, strict=True)
    ]
    answers: list[tuple[int, str]] = []
    begin = threading.Barrier(len(pairs))

    def run(client: Client, fields: dict[str, str]) -> None:
        begin.wait()
        response = post(client, "/key/register/", fields)
        answers.append((response.status_code, response.json().get("code", "")))
        connection.close()

    threads = [threading.Thread(target=run, args=work) for work in zip(clients, posts, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [(200, ""), *[(409, "key_exists")] * 19]
    assert PersonalKey.objects.filter(user=doctor).count() == 1
