"""A lost key: asked for by an administrator with a key of their own, used or stopped by the owner."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.actions.key_challenges import action_binding
from accounts.models import AuditEvent, KeyReset, Mail, PersonalKey, User
from tests.accounts.factories import UserFactory
from tests.accounts.keypairs import Pair, answer, post, stored
from tests.conftest import sign_in

ADMINS, DOCTORS = Pair(), Pair()
REASON = "Ordinateur volé le 12 mars"

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    user = UserFactory(key=False, roles=["admin"])
    stored(user, ADMINS)
    return user


@pytest.fixture
def doctor(admin: User) -> User:
    user = UserFactory(key=False, practice=admin.practice)
    stored(user, DOCTORS)
    Mail.objects.all().delete()
    return user


def ask(by: User, subject: User, pair: Pair = ADMINS, reason: str = REASON, signed: str = "") -> HttpResponse:
    client = sign_in(Client(), by)
    fields = [("reason", signed or reason)]
    binding = action_binding(kind="key-reset", subject=subject.uuid, fields=fields)
    proof = answer(client, pair, "action", binding)
    return post(client, f"/people/{subject.uuid}/key/reset/", proof | {"reason": reason})


def move(hours: float) -> None:
    """The open reset as it will look in so many hours."""
    reset, ago = KeyReset.objects.get(), timedelta(hours=hours)
    KeyReset.objects.update(opens_at=reset.opens_at - ago, ends_at=reset.ends_at - ago)


def owner(doctor: User) -> Client:
    client = sign_in(Client(), doctor)
    session = client.session
    del session["key_proved_at"]
    session.save()
    return client


def test_a_reset_opens_after_a_day_and_gives_the_gate_back(admin: User, doctor: User) -> None:
    assert ask(admin, doctor).json() == {"next": f"/people/{doctor.uuid}/key/reset/"}
    assert list(Mail.objects.values_list("kind", "to")) == [("key_reset_asked", doctor.email)]
    client = owner(doctor)
    client.post("/key/reset/")
    assert PersonalKey.objects.get(user=doctor).state == "active", "before 24 hours"
    move(23.9)
    client.post("/key/reset/")
    assert PersonalKey.objects.get(user=doctor).state == "active", "before 24 hours"
    move(0.2)
    assert "La réinitialisation est ouverte" in client.get("/key/lost/").content.decode()
    assert client.post("/key/reset/").headers["Location"] == "/key/"
    key = PersonalKey.objects.get(user=doctor)
    assert (key.state, key.end_reason, key.file_code, key.ended_by) == ("revoked", "lost", None, admin)
    assert "GÉNÉRER" in client.get("/key/").content.decode()
    assert KeyReset.objects.get().used_at
    assert Mail.objects.filter(user=doctor, kind="key_reset_done").exists()


def test_a_reset_ends_after_three_days_and_another_may_be_asked(admin: User, doctor: User) -> None:
    ask(admin, doctor)
    move(24 + 72.1)
    owner(doctor).post("/key/reset/")
    assert PersonalKey.objects.get(user=doctor).state == "active"
    assert ask(admin, doctor).status_code == 200
    assert KeyReset.objects.filter(cancelled_at=None).count() == 1


def test_the_owner_stops_a_reset_and_the_thief_loses_the_session(admin: User, doctor: User) -> None:
    ask(admin, doctor)
    thief = owner(doctor)
    client = sign_in(Client(), doctor)
    response = client.post(f"/people/{doctor.uuid}/key/reset/cancel/")
    assert response.headers["Location"] == f"/people/{doctor.uuid}/account/"
    assert client.get("/key/").status_code == 200
    assert thief.get("/key/").headers["Location"].startswith("/signin/")
    move(30)
    owner(doctor).post("/key/reset/")
    assert PersonalKey.objects.get(user=doctor).state == "active"
    assert Mail.objects.filter(kind="key_reset_cancelled", user=doctor).exists()


def test_a_key_whose_backup_was_never_proven_is_reset_at_once(admin: User) -> None:
    newcomer = UserFactory(key=False, practice=admin.practice)
    stored(newcomer, Pair(2048), pending=True)
    ask(admin, newcomer)
    owner(newcomer).post("/key/reset/")
    assert PersonalKey.objects.get(user=newcomer).state == "revoked"


def test_nobody_resets_the_own_key_nor_another_practices(admin: User, doctor: User) -> None:
    assert ask(admin, admin).status_code == 403
    foreign = UserFactory(roles=["admin"])
    stranger = Pair(2048)
    PersonalKey.objects.filter(user=foreign).delete()
    stored(foreign, stranger, origin="imported")
    assert ask(foreign, doctor, stranger).status_code == 404
    assert not KeyReset.objects.exists()


def test_a_user_manager_resets_nothing(admin: User, doctor: User) -> None:
    manager = UserFactory(key=False, practice=admin.practice, roles=["user_manager"])
    pair = Pair(2048)
    stored(manager, pair, origin="imported")
    assert ask(manager, doctor, pair).status_code == 403
    assert sign_in(Client(), manager).post(f"/people/{doctor.uuid}/key/reset/cancel/").status_code == 403


@pytest.mark.parametrize(
    ("reason", "signed", "code"),
    [
        ("court", "", "reason_short"),
        ("          ", "", "reason_short"),
        (REASON, "Autre raison", "bad_proof"),
    ],
)
def test_the_reason_is_long_enough_and_signed(
    admin: User, doctor: User, reason: str, signed: str, code: str
) -> None:
    assert ask(admin, doctor, reason=reason, signed=signed).json()["code"] == code
    assert not KeyReset.objects.exists()


def test_a_second_request_waits_for_the_first(admin: User, doctor: User) -> None:
    ask(admin, doctor)
    response = ask(admin, doctor)
    assert (response.status_code, response.json()["code"]) == (409, "reset_open")


def test_the_administrator_gives_the_password_again(admin: User, doctor: User) -> None:
    client = sign_in(Client(), admin)
    session = client.session
    del session["account_authentication_methods"]
    session.save()
    url = f"/people/{doctor.uuid}/key/reset/"
    assert client.get(url).headers["Location"].startswith("/signin/again/?next=")
    assert post(client, url, {"reason": REASON}).json()["code"] == "second_proof_required"


def test_an_address_replaced_lately_gets_the_notice_too(admin: User, doctor: User) -> None:
    AuditEvent.objects.create(
        at=timezone.now() - timedelta(days=3),
        kind="account:email:changed",
        actor_name="x",
        subject=doctor.uuid,
        details={"email": ["ancienne@example.be", doctor.email]},
    )
    ask(admin, doctor)
    assert set(Mail.objects.values_list("to", flat=True)) == {"ancienne@example.be", doctor.email}


def test_a_lost_key_is_reported_to_the_administrators(admin: User, doctor: User) -> None:
    client = owner(doctor)
    assert admin.email in client.get("/key/lost/").content.decode()
    client.post("/key/lost/")
    assert list(Mail.objects.values_list("kind", "to")) == [("key_lost", admin.email)]
    assert [client.post("/key/lost/").status_code for _number in range(3)] == [302, 302, 429]


def test_the_owner_sees_an_open_reset_after_the_proof(admin: User, doctor: User) -> None:
    ask(admin, doctor)
    client = owner(doctor)
    fields = answer(client, DOCTORS, "session") | {"purpose": "session"}
    assert post(client, "/key/prove/", fields).json() == {"next": "/key/"}
    assert "Ce n'est pas moi" in client.get("/key/").content.decode().replace("&#x27;", "'")
