"""A reached limit, and pages of other practices that are asked for, leave one line, not a flood (SR-82)."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts import throttle
from accounts.models import AuditEvent, User
from medisetup import journal_words
from tests.accounts.factories import UserFactory
from tests.practitioners.factories import PractitionerFactory
from tests.test_consistency import APPS, sources

pytestmark = pytest.mark.django_db

Fixture = Callable[[User], Client]
WRONG = "Not-the-1-password"


def reached() -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(kind="account:limit:reached").order_by("pk"))


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def guess(login: str) -> None:
    Client().post(reverse("account_login"), {"login": login, "password": WRONG})


def test_a_throttled_sign_in_is_noted_once_in_the_journal_of_the_practice(signed_in: Fixture) -> None:
    user = UserFactory()
    for _guess in range(15):
        guess(user.login)
    [event] = reached()
    assert (event.actor, event.actor_name, event.subject) == (None, "signin", user.uuid)
    assert event.practice == user.practice.uuid and event.details == {"limit": "signin"}
    assert AuditEvent.objects.filter(kind="account:session:refused").count() == 10
    admin = UserFactory(practice=user.practice, roles=["admin"])
    page = signed_in(admin).get(reverse("journal")).content.decode()
    assert "Limite atteinte : trop d&#x27;essais" in page and "Limite Connexion" in text_of(page)
    cache.clear()
    for _guess in range(12):
        guess(user.login)
    assert len(reached()) == 2, "the next window"


def test_a_login_of_nobody_is_noted_in_no_practice() -> None:
    for _guess in range(12):
        guess("nobody@example.be")
    [event] = reached()
    assert (event.subject, event.practice, event.subject_name) == (None, None, "")


def test_a_limit_of_a_page_of_sign_in_is_noted_too() -> None:
    url = reverse("account_reset_password")
    for _try in range(6):
        Client().post(url, {"email": "nobody@example.be"})
    [event] = reached()
    assert event.details == {"limit": "account_reset_password"}
    assert event.actor is None and event.address == "127.0.0.0/24"


def test_a_limit_of_ours_names_who_reached_it(signed_in: Fixture) -> None:
    manager = UserFactory(roles=["user_manager"])
    subject = UserFactory(practice=manager.practice, invited=True, key=False)
    client = signed_in(manager)
    for _try in range(5):
        client.post(reverse("accounts:invite", args=[subject.uuid]))
    [event] = reached()
    assert (event.actor, event.details) == (manager.uuid, {"limit": "mail:invitation"})


def test_a_wait_that_is_no_limit_is_not_noted() -> None:
    assert [throttle.allow("reminder", "a", 1, 60) for _try in range(2)] == [True, False]
    assert reached() == []


def limits_in_the_code() -> set[str]:
    """The first argument of every call that notes a limit, where it is written out."""
    return {
        str(node.args[0].value)
        for path in sources(*APPS)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("throttle.allow", "throttle.note")
        and {"by", "subject"} & {word.arg for word in node.keywords}
        and isinstance(node.args[0], ast.Constant)
    }


def test_every_limit_has_its_words() -> None:
    assert len(limits_in_the_code()) > 7
    assert limits_in_the_code() - set(dict(journal_words.LIMITS)) == set()


def test_pages_of_another_practice_leave_one_line_a_page(signed_in: Fixture) -> None:
    stranger = UserFactory(roles=["admin"])
    client = signed_in(stranger)
    for _visit in range(5):
        theirs = PractitionerFactory().user
        assert client.get(reverse("person", args=[theirs.uuid])).status_code == 404
        assert client.get(reverse("practitioners:general", args=[theirs.uuid])).status_code == 404
    events = AuditEvent.objects.filter(kind="account:access:refused").order_by("pk")
    assert [event.details["page"] for event in events] == ["person", "practitioners:general"]
    other = signed_in(UserFactory(roles=["admin"]))
    other.get(reverse("person", args=[theirs.uuid]))
    assert events.all().count() == 3, "each person counts alone"
