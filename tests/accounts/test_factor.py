"""The second factor: one step once, ten codes once, nothing in the clear, and who must have one."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.models import Authenticator
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.actions import factor
from accounts.models import AuditEvent, Mail, User
from tests.accounts.factories import PASSWORD, UserFactory
from tests.accounts.test_people import at_once
from tests.client import CheckingClient
from tests.proofs import asks, long_ago

pytestmark = pytest.mark.django_db

Fixture = Callable[[User], CheckingClient]
STEP = timedelta(seconds=30)


def code_of(seed: bytes, at: Any) -> str:
    return TOTP(seed, 6, factor.HASH, 30).generate(int(at.timestamp())).decode()


def with_factor(user: User) -> tuple[bytes, list[str]]:
    """A factor made two steps ago, so that the code of now is unused."""
    seed, before = factor.new_seed(), timezone.now() - 2 * STEP
    return seed, factor.activate(user=user, seed=seed, code=code_of(seed, before), now=before)


def kinds() -> list[str]:
    found = AuditEvent.objects.filter(kind__startswith="account:factor:").order_by("pk")
    return [kind.split(":")[-1] for kind in found.values_list("kind", flat=True)]


def stranger(user: User) -> tuple[CheckingClient, Any]:
    """A browser past the password, and what it was answered."""
    client = CheckingClient()
    return client, client.post("/signin/", {"login": user.login, "password": PASSWORD})


# --- the code ---------------------------------------------------------------------------------
def test_a_code_is_right_one_step_around_and_accepted_once() -> None:
    user, now = UserFactory(), timezone.now()
    seed, _codes = with_factor(user)
    assert not factor.verify(user=user, code=code_of(seed, now - 3 * STEP), now=now)
    assert not factor.verify(user=user, code=code_of(seed, now + 2 * STEP), now=now)
    assert factor.verify(user=user, code=code_of(seed, now), now=now)
    assert not factor.verify(user=user, code=code_of(seed, now), now=now)
    # Once a later step was accepted, an earlier one is over.
    assert factor.verify(
        user=user, code=f" {code_of(seed, now + STEP)[:3]} {code_of(seed, now + STEP)[3:]}", now=now
    )
    assert not factor.verify(user=user, code=code_of(seed, now), now=now)
    assert not factor.verify(user=UserFactory(), code=code_of(seed, now), now=now)


@pytest.mark.django_db(transaction=True)
def test_twenty_parallel_posts_pass_once() -> None:
    user, now = UserFactory(), timezone.now()
    seed, codes = with_factor(user)
    for code in (code_of(seed, now), codes[0]):
        outcomes = at_once([lambda code=code: factor.verify(user=user, code=code, now=now)] * 20)
        assert sorted(outcomes) == [False] * 19 + [True]


def test_ten_recovery_codes_serve_once_each_and_are_not_stored() -> None:
    user, now = UserFactory(), timezone.now()
    seed, codes = with_factor(user)
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"([A-Z2-7]{4}-){3}[A-Z2-7]{4}", code) for code in codes)
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    secrets = [seed.hex(), base64.b32encode(seed).decode(), base64.b64encode(seed).decode(), *codes]
    assert not [secret for secret in secrets if secret in stored or secret.replace("-", "") in stored]
    assert factor.verify(user=user, code=codes[3].lower().replace("-", " "), now=now)
    assert not factor.verify(user=user, code=codes[3], now=now)
    assert factor.codes_left(user) == 9
    fresh = factor.renew_codes(user=user, now=now)
    assert not factor.verify(user=user, code=codes[4], now=now)
    assert factor.verify(user=user, code=fresh[0], now=now)
    assert kinds() == ["activated", "code_used", "refused", "codes_renewed", "refused", "code_used"]


def test_a_wrong_first_code_activates_nothing() -> None:
    user, seed = UserFactory(), factor.new_seed()
    with pytest.raises(factor.WrongCode):
        factor.activate(user=user, seed=seed, code="000 00", now=timezone.now())
    assert not Authenticator.objects.exists()
    with_factor(user)
    with pytest.raises(factor.AlreadyActive):
        with_factor(user)


# --- at sign-in -------------------------------------------------------------------------------
def test_the_password_alone_opens_nothing() -> None:
    user = UserFactory()
    seed, _codes = with_factor(user)
    client, answer = stranger(user)
    assert answer.headers["Location"] == "/signin/factor/"
    assert client.get("/").headers["Location"].startswith("/signin/")
    assert not AuditEvent.objects.filter(kind="account:session:began").exists()
    assert client.post("/signin/factor/", {"code": "123456"}).status_code == 422
    answer = client.post("/signin/factor/", {"code": code_of(seed, timezone.now())})
    assert answer.headers["Location"] == "/" and client.get("/help/").context["user"] == user
    assert AuditEvent.objects.filter(kind="account:session:began").count() == 1


def test_five_tries_in_five_minutes() -> None:
    user = UserFactory()
    seed, codes = with_factor(user)
    client, _answer = stranger(user)
    for _time in range(5):
        client.post("/signin/factor/", {"code": "000000"})
    page = client.post("/signin/factor/", {"code": code_of(seed, timezone.now())})
    assert page.status_code == 422 and "Attendez 5 minutes" in page.content.decode()
    assert factor.codes_left(user) == 10
    cache.clear()
    assert client.post("/signin/factor/", {"code": codes[0]}).status_code == 302


def test_the_step_is_shut_to_whoever_gave_no_password() -> None:
    for method in ("get", "post"):
        answer = getattr(Client(), method)("/signin/factor/", {"code": "1"})
        assert answer.status_code == 302 and answer.headers["Location"].startswith("/signin/")


# --- the pages --------------------------------------------------------------------------------
def pending(page: str) -> bytes:
    text = re.search(r'class="fingerprint">([A-Z2-7 ]+)<', page)
    assert text
    return base64.b32decode(text[1].replace(" ", ""))


def test_a_person_activates_prints_and_stops(signed_in: Fixture) -> None:
    user = UserFactory()
    client, other = signed_in(user), signed_in(user)
    page = client.get(reverse("accounts:factor")).content.decode()
    seed = pending(page)
    assert "data:image/svg+xml;base64," in page and pending(client.get("/factor/").content.decode()) == seed
    assert str(base64.b32encode(seed)) not in str(client.session.items())
    wrong = client.post("/factor/", {"code": "000000"})
    assert wrong.status_code == 422 and pending(wrong.content.decode()) == seed
    done = client.post("/factor/", {"code": code_of(seed, timezone.now())})
    assert len(re.findall(r"<code>[A-Z2-7-]{19}</code>", done.content.decode())) == 10
    assert client.get("/").status_code == 200 and other.get("/").headers["Location"].startswith("/signin/")
    page = client.get("/factor/").content.decode()
    assert "10 codes de secours" in page and "<code>" not in page
    again = client.post(reverse("accounts:factor_codes")).content.decode()
    assert len(re.findall(r"<code>", again)) == 10
    assert client.post(reverse("accounts:factor_remove"), follow=True).status_code == 200
    assert not factor.is_active(user) and client.get("/").status_code == 200
    assert kinds() == ["activated", "codes_renewed", "removed"]
    assert set(Mail.objects.values_list("kind", flat=True)) == {"factor_activated", "factor_removed"}


def test_each_change_asks_for_a_second_proof(signed_in: Fixture) -> None:
    user = UserFactory()
    assert asks(long_ago(signed_in(user)).get("/factor/"), "/factor/")
    with_factor(user)
    for name in ("accounts:factor_codes", "accounts:factor_remove"):
        assert asks(long_ago(signed_in(user)).post(reverse(name)), "/factor/"), "where the button is"
    assert factor.is_active(user)


def test_a_session_that_gave_no_code_manages_nothing() -> None:
    user = UserFactory()
    seed, _codes = with_factor(user)
    client = CheckingClient()
    client.force_login(user)
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": timezone.now().timestamp()}]
    session.save()
    for name in ("accounts:factor_codes", "accounts:factor_remove"):
        assert client.post(reverse(name)).headers["Location"] == "/factor/"
    assert "factor_remove" not in client.get("/factor/").content.decode() and factor.codes_left(user) == 10
    answer = client.post("/factor/prove/?next=/help/", {"code": code_of(seed, timezone.now())})
    assert answer.headers["Location"] == "/help/"
    assert client.post(reverse("accounts:factor_codes")).status_code == 200


def test_the_picture_holds_the_seed_and_the_login() -> None:
    from accounts.views.factor import ISSUER

    seed = factor.new_seed()
    uri = TOTP(seed, 6, factor.HASH, 30).get_provisioning_uri("anne@example.be", ISSUER)
    asked = parse_qs(urlsplit(uri).query)
    assert asked["secret"] == [base64.b32encode(seed).decode()] and asked["issuer"] == ["medisetup"]


# --- who must have one ------------------------------------------------------------------------
def without_marker(user: User, signed_in: Fixture) -> CheckingClient:
    client = signed_in(user)
    session = client.session
    del session["factor_at"]
    session.save()
    return client


def test_staff_at_once_and_in_this_session(signed_in: Fixture) -> None:
    staff = UserFactory(is_staff=True)
    client = without_marker(staff, signed_in)
    for name in ("home", "ehealth:all_exchanges", "billing:licence_queue", "accounts:key"):
        assert client.get(reverse(name)).headers["Location"].startswith("/factor/")
    assert client.get("/factor/").status_code == 200
    seed, _codes = with_factor(staff)
    client = without_marker(staff, signed_in)
    url = reverse("billing:licence_queue")
    assert client.get(url).headers["Location"] == "/factor/prove/?next=%2Fplatform%2Flicences%2F"
    assert client.post(f"/factor/prove/?next={url}", {"code": code_of(seed, timezone.now())}).url == url
    assert client.get(url).status_code == 200


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_the_way_on_stays_on_the_portal(signed_in: Fixture, target: str) -> None:
    staff = UserFactory(is_staff=True)
    seed, _codes = with_factor(staff)
    client = without_marker(staff, signed_in)
    answer = client.post(f"/factor/prove/?next={target}", {"code": code_of(seed, timezone.now())})
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize("role", ["admin", "user_manager", "physician", "reception"])
def test_managers_after_seven_days(signed_in: Fixture, settings: Settings, role: str) -> None:
    now = timezone.now()
    manages = role in ("admin", "user_manager")
    for days, due in ((6, False), (8, manages)):
        user = UserFactory(roles=[role], activated_at=now - timedelta(days=days))
        settings.DEMO = False
        assert factor.is_required(user, now) == due
        answer = without_marker(user, signed_in).get("/")
        assert (answer.headers.get("Location") == "/factor/") == due
        settings.DEMO = True
        assert not factor.is_required(user, now)


def test_whoever_runs_the_portal_removes_a_lost_one() -> None:
    user = UserFactory()
    with_factor(user)
    call_command("remove_factor", user.login)
    call_command("remove_factor", user.login)
    assert not Authenticator.objects.exists() and kinds() == ["activated", "removed"]
    event = AuditEvent.objects.get(kind="account:factor:removed")
    assert (event.actor, event.actor_name) == (None, "installation")
    with pytest.raises(CommandError, match="nobody"):
        call_command("remove_factor", "nobody@example.be")
