"""A registered key in use: session proof, import, file code, rotation, revocation, a prepared account."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import AuditEvent, BlockedKey, Mail, PersonalKey, User
from tests.accounts.factories import PASSWORD, UserFactory
from tests.accounts.keypairs import CODE, Pair, answer, post, registration, rotation, stored
from tests.conftest import sign_in

PAIR, OTHER, NEW = Pair(), Pair(), Pair()

pytestmark = pytest.mark.django_db


@pytest.fixture
def doctor() -> User:
    user = UserFactory(key=False)
    stored(user, PAIR)
    Mail.objects.all().delete()
    return user


@pytest.fixture
def computer(doctor: User) -> Client:
    """Past the password, with a key not yet shown."""
    return without(sign_in(Client(), doctor), "key_proved_at")


def without(client: Client, *names: str) -> Client:
    session = client.session
    for name in names:
        session.pop(name, None)
    session.save()
    return client


def prove(client: Client, pair: Pair, purpose: str = "session", **fields: str) -> HttpResponse:
    return post(client, "/key/prove/", answer(client, pair, purpose) | {"purpose": purpose} | fields)


def code(client: Client) -> HttpResponse:
    return client.post("/key/code/?next=/key/import/", "{}", content_type="application/json")


def mails() -> list[str]:
    return sorted(Mail.objects.values_list("kind", flat=True))


# --- the session's proof ---------------------------------------------------------------------
def test_a_sign_in_opens_the_portal_only_with_the_key(computer: Client, doctor: User) -> None:
    assert computer.get("/mailbox/").headers["Location"] == "/key/session/?next=%2Fmailbox%2F"
    before = computer.session.session_key
    assert prove(computer, PAIR).json() == {"next": "/"}
    assert computer.session.session_key != before and computer.get("/").status_code == 200
    assert PersonalKey.objects.get(user=doctor).last_proof_at and mails() == []


def test_a_replayed_session_proof_opens_nothing(computer: Client) -> None:
    fields = answer(computer, PAIR, "session") | {"purpose": "session"}
    post(computer, "/key/prove/", fields)
    without(computer, "key_proved_at")
    assert post(computer, "/key/prove/", fields).json()["code"] == "challenge_invalid"
    assert computer.get("/").status_code == 302


def test_the_proof_goes_on_to_the_wanted_page_of_this_portal_only(computer: Client) -> None:
    fields = answer(computer, PAIR, "session") | {"purpose": "session"}
    assert post(computer, "/key/prove/?next=/mailbox/", fields).json() == {"next": "/mailbox/"}
    fields = answer(computer, PAIR, "session") | {"purpose": "session"}
    assert post(computer, "/key/prove/?next=https://evil.example/", fields).json() == {"next": "/"}


def test_a_foreign_key_proves_nothing_and_is_named(computer: Client, doctor: User) -> None:
    response = prove(computer, OTHER, "import")
    assert (response.status_code, response.json()["code"]) == (422, "bad_proof")
    response = prove(computer, OTHER, "import", public_key=OTHER.text)
    assert (response.status_code, response.json()["code"]) == (409, "key_mismatch")
    found = OTHER.fingerprint[:4].upper()
    assert response.json()["params"]["found"].startswith(found)
    assert response.json()["params"]["expected"].startswith(PAIR.fingerprint[:4].upper())
    assert computer.get("/").status_code == 302


def test_an_import_opens_this_computer_and_is_told(computer: Client, doctor: User) -> None:
    assert prove(computer, PAIR, "import").json() == {"next": "/"}
    assert mails() == ["key_imported"]
    event = AuditEvent.objects.get(kind="account:key:imported")
    assert event.subject == doctor.uuid and "browser" in event.details


# --- the file code ---------------------------------------------------------------------------
def test_the_code_is_given_after_the_password_and_told(computer: Client) -> None:
    response = code(computer)
    assert response.json() == {"code": CODE} and "no-store" in response.headers["Cache-Control"]
    assert mails() == ["key_code_released"]
    assert AuditEvent.objects.filter(kind="account:key:code_released").count() == 1


def test_without_a_recent_password_the_code_stays(computer: Client) -> None:
    without(computer, "account_authentication_methods")
    response = code(computer)
    assert (response.status_code, response.json()["code"]) == (403, "second_proof_required")
    url = response.json()["url"]
    assert url.endswith("?next=%2Fkey%2Fimport%2F")
    back = computer.post(url, {"password": PASSWORD})
    assert back.headers["Location"] == "/key/import/"
    assert code(computer).status_code == 200


def test_the_sixth_code_in_an_hour_is_refused(computer: Client) -> None:
    assert [code(computer).status_code for _number in range(6)] == [200] * 5 + [429]


# --- rotation --------------------------------------------------------------------------------
def test_a_rotation_replaces_the_key_and_ends_the_other_sessions(computer: Client, doctor: User) -> None:
    elsewhere = sign_in(Client(), doctor)
    prove(computer, PAIR)
    response = post(computer, "/key/rotate/", rotation(computer, PAIR, NEW))
    assert response.json() == {"next": "/key/backup/"}
    old = PersonalKey.objects.get(fingerprint=PAIR.fingerprint)
    new = PersonalKey.objects.get(fingerprint=NEW.fingerprint)
    assert (old.state, old.file_code, old.end_reason) == ("superseded", None, "rotated")
    assert (old.replaced_by, new.state) == (new, "pending")
    assert computer.get("/key/backup/").status_code == 200
    assert elsewhere.get("/").headers["Location"].startswith("/signin/")
    assert "key_rotated" in mails()


def test_the_old_file_says_when_it_was_replaced(computer: Client) -> None:
    post(computer, "/key/rotate/", rotation(computer, PAIR, NEW))
    for fields in ({}, {"public_key": PAIR.text}):
        response = prove(computer, PAIR, "import", **fields)
        assert (response.status_code, response.json()["code"]) == (409, "key_superseded")
        assert response.json()["params"]["date"]
    assert PAIR.fingerprint in computer.get("/key/import/").content.decode()


def test_both_keys_must_sign_for_each_other(computer: Client) -> None:
    honest = rotation(computer, PAIR, NEW)
    stolen = answer(computer, NEW, "rotate-new", OTHER.fingerprint)
    fields = honest | {"challenge_new": stolen["challenge"], "proof_new": stolen["proof"]}
    assert post(computer, "/key/rotate/", fields).json()["code"] == "bad_proof"
    assert post(computer, "/key/rotate/", honest).json()["code"] == "challenge_invalid", "a replay"
    assert post(computer, "/key/rotate/", rotation(computer, OTHER, NEW)).json()["code"] == "bad_proof"
    assert PersonalKey.objects.get().state == "active"


def test_a_rotation_asks_for_the_password_before_anything_is_made(computer: Client) -> None:
    without(computer, "account_authentication_methods")
    assert computer.get("/key/rotate/").headers["Location"] == "/signin/again/?next=%2Fkey%2Frotate%2F"
    response = post(computer, "/key/rotate/", rotation(computer, PAIR, NEW))
    assert (response.status_code, response.json()["code"]) == (403, "second_proof_required")


# --- giving up -------------------------------------------------------------------------------
def test_a_compromised_key_is_blocked_for_everybody(computer: Client, doctor: User) -> None:
    prove(computer, PAIR)
    assert computer.post("/key/revoke/", {"reason": ""}).status_code == 422
    assert computer.post("/key/revoke/", {"reason": "compromised"}).headers["Location"] == "/key/"
    assert PersonalKey.objects.get().state == "revoked" and mails() == ["key_revoked"]
    assert BlockedKey.objects.get().fingerprint == PAIR.fingerprint
    assert "GÉNÉRER" in computer.get("/key/").content.decode()
    BlockedKey.objects.create(fingerprint=OTHER.fingerprint, reason="compromised")
    fields = registration(computer, OTHER)
    assert post(computer, "/key/register/", fields).json()["code"] == "key_in_use"


def test_a_stolen_password_cannot_revoke_or_discard_an_active_key(computer: Client) -> None:
    computer.post("/key/revoke/", {"reason": "other"})
    computer.post("/key/discard/")
    assert PersonalKey.objects.get().state == "active"
    response = post(computer, "/key/register/", registration(computer, OTHER))
    assert (response.status_code, response.json()["code"]) == (409, "key_exists")


# --- an account opened by its creator --------------------------------------------------------
def test_the_owner_of_a_prepared_account_sets_a_password_and_decides_on_the_key() -> None:
    doctor = UserFactory(key=False)
    creator = sign_in(Client(), doctor)
    post(creator, "/key/register/", registration(creator, PAIR, prepared="on"))
    post(creator, "/key/backup/", answer(creator, PAIR, "backup"))
    assert creator.get("/").status_code == 200 and mails() == ["key_prepared"]
    owner = without(sign_in(Client(), doctor), "key_proved_at")
    assert prove(owner, PAIR, "import").json() == {"next": "/key/prepared/"}
    assert owner.get("/key/prepared/").headers["Location"].startswith("/signin/own-password/")
    choice = {"password1": "Autre#Cabinet2026", "password2": "Autre#Cabinet2026"}
    owner.post("/signin/own-password/", choice)
    page = owner.get("/key/prepared/").content.decode()
    assert page.index("Renouveler ma clé") < page.index("Garder cette clé")
    owner.post("/key/prepared/")
    key = PersonalKey.objects.get()
    assert not key.prepared and key.kept_at
    assert AuditEvent.objects.filter(kind="account:key:kept").exists()
