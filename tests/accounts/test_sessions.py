"""Sessions: stored under a digest, seen and ended by their owner, by an administrator, by a new password."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.access import Forbidden
from accounts.actions.sessions import AT_ONCE, close_sessions, open_sessions
from accounts.models import AuditEvent, Session, User
from accounts.sessions import SessionStore, digest
from tests.accounts.factories import PASSWORD, UserFactory
from tests.accounts.test_people import at_once
from tests.client import CheckingClient

pytestmark = pytest.mark.django_db

Fixture = Callable[[User], Client]
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def enter(user: User, address: str = "203.0.113.7") -> Client:
    """A real sign-in, then past the key."""
    client = CheckingClient(headers={"User-Agent": AGENT}, REMOTE_ADDR=address)
    answer = client.post(reverse("account_login"), {"login": user.login, "password": PASSWORD})
    assert answer.status_code == 302, answer.content.decode()
    session = client.session
    session["key_proved_at"] = 1
    session.save()
    return client


def cookie(client: Client) -> str:
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def is_in(client: Client) -> bool:
    return client.get("/").status_code == 200


def ended() -> list[int]:
    events = AuditEvent.objects.filter(kind="account:session:ended").order_by("pk")
    return [event.details["sessions"] for event in events]


# --- the table --------------------------------------------------------------------------------
def test_the_table_holds_nothing_that_opens_a_session() -> None:
    user = UserFactory()
    key = cookie(enter(user))
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(s::text, '') FROM accounts_session s")
        stored = cursor.fetchone()[0]
    assert key not in stored
    row = Session.objects.get(user=user)
    assert row.session_key == digest(key) == hashlib.sha256(key.encode()).hexdigest()
    thief = CheckingClient(headers={"cookie": f"{settings.SESSION_COOKIE_NAME}={row.session_key}"})
    assert thief.get("/").status_code == 302
    with connection.cursor() as cursor:
        assert "django_session" not in connection.introspection.table_names(cursor)


def test_the_engine_keeps_djangos_promises() -> None:
    store = SessionStore()
    store["a"] = 1
    store.create()
    store.save()
    key = store.session_key
    assert store.exists(key) and not store.exists(digest(key))
    assert SessionStore(key)["a"] == 1
    store.cycle_key()
    assert not store.exists(key) and SessionStore(store.session_key).get("a") == 1
    store.flush()
    assert not Session.objects.exists()
    unknown = SessionStore("x" * 32)
    assert unknown.get("a") is None and unknown.session_key is None
    assert Session(session_data=store.encode({"b": 2})).get_decoded() == {"b": 2}


# --- the page ---------------------------------------------------------------------------------
def test_the_page_tells_where_one_is_signed_in_and_ends_one_of_them() -> None:
    user, other = UserFactory(), UserFactory()
    here, there, strange = enter(user), enter(user, "2001:db8:1:2::3"), enter(other)
    page = here.get(reverse("accounts:sessions")).content.decode()
    assert page.count("Firefox, Linux</th>") == 2 and page.count("Cette session") == 1
    assert "203.0.113.x" in page and "203.0.113.7" not in page
    assert "2001:0db8:0001:x" in page
    for client in (here, there, strange):
        assert cookie(client) not in page
    url = reverse("accounts:end_sessions")
    assert (
        "Aucune session" in here.post(url, {"session": digest(cookie(strange))}, follow=True).content.decode()
    )
    answer = here.post(url, {"session": digest(cookie(there))}, follow=True).content.decode()
    assert "1 session fermée." in answer and "Fermer toutes les autres" not in answer
    assert [is_in(client) for client in (here, there, strange)] == [True, False, True]
    assert ended() == [1]


def test_all_others_end_at_once_and_this_one_stays() -> None:
    user = UserFactory()
    here, there, phone = enter(user), enter(user), enter(user)
    url = reverse("accounts:end_sessions")
    assert "2 sessions fermées." in here.post(url, follow=True).content.decode()
    assert [is_in(client) for client in (here, there, phone)] == [True, False, False]
    assert "Aucune session" in here.post(url, follow=True).content.decode()
    assert ended() == [2]


def test_a_session_that_has_run_out_is_not_shown(signed_in: Fixture) -> None:
    user = UserFactory()
    signed_in(user)
    idle = signed_in(user).session
    idle["seen_at"] -= 31 * 60
    idle.save()
    assert len(open_sessions(user=user, now=timezone.now())) == 1


# --- at most ten ------------------------------------------------------------------------------
def test_the_eleventh_sign_in_ends_the_session_unused_for_longest() -> None:
    user = UserFactory()
    first, *_others = clients = [enter(user) for _number in range(AT_ONCE)]
    assert is_in(first) and Session.objects.filter(user=user).count() == AT_ONCE
    session = first.session
    session["seen_at"] -= 120
    session.save()
    assert is_in(first), "used again, and stored"
    enter(user)
    assert [is_in(client) for client in clients[:3]] == [True, False, True]
    assert ended() == [1] and Session.objects.filter(user=user).count() == AT_ONCE


@pytest.mark.django_db(transaction=True)
def test_sign_ins_at_once_leave_ten_too() -> None:
    user = UserFactory()
    for _number in range(AT_ONCE - 1):
        enter(user)
    at_once([lambda: enter(user) for _number in range(4)])
    assert Session.objects.filter(user=user).count() == AT_ONCE


# --- who else ends them -----------------------------------------------------------------------
def test_an_administrator_signs_a_colleague_out(signed_in: Fixture) -> None:
    admin = UserFactory(roles=["admin"])
    person = UserFactory(practice=admin.practice)
    desk, theirs, phone = signed_in(admin), enter(person), enter(person)
    url = reverse("accounts:sign_out", args=[person.uuid])
    assert url in desk.get(reverse("person", args=[person.uuid])).content.decode()
    assert "2 sessions fermées." in desk.post(url, follow=True).content.decode()
    assert [is_in(client) for client in (desk, theirs, phone)] == [True, False, False]
    event = AuditEvent.objects.get(kind="account:session:ended")
    assert (event.actor, event.subject) == (admin.uuid, person.uuid)
    own = reverse("accounts:sign_out", args=[admin.uuid])
    assert desk.post(own).headers["Location"] == reverse("accounts:sessions") and is_in(desk)


def test_nobody_else_signs_a_colleague_out(signed_in: Fixture) -> None:
    person = UserFactory()
    theirs = enter(person)
    url = reverse("accounts:sign_out", args=[person.uuid])
    for role, status in (("user_manager", 403), ("physician", 404), ("reception", 404)):
        actor = UserFactory(practice=person.practice, roles=[role])
        assert signed_in(actor).post(url).status_code == status, role
        with pytest.raises(Forbidden):
            close_sessions(user=person, by=actor, now=timezone.now())
    stranger = UserFactory(roles=["admin"])
    assert signed_in(stranger).post(url).status_code == 404
    with pytest.raises(Forbidden):
        close_sessions(user=person, by=stranger, now=timezone.now())
    assert is_in(theirs)
    assert (
        url
        not in signed_in(UserFactory(practice=person.practice, roles=["user_manager"]))
        .get(reverse("person", args=[person.uuid]))
        .content.decode()
    )


def test_a_new_password_leaves_one_session_in_the_table() -> None:
    user = UserFactory(password_own_at=None)
    here, there = enter(user), enter(user)
    answer = here.post(
        reverse("accounts:own_password"), {"password1": "Prairie€Bleue7", "password2": "Prairie€Bleue7"}
    )
    assert answer.headers["Location"] == "/"
    # Before the other browser comes back, whose session Django would end by itself.
    assert [row.session_key for row in Session.objects.filter(user=user)] == [digest(cookie(here))]
    assert is_in(here) and not is_in(there)
