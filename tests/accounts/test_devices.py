"""A browser that is known: strangers cannot lock its person out; any other is told by mail (SR-6, SR-17)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.core import signing
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts import devices, emails
from accounts.actions import invitations
from accounts.models import AuditEvent, Mail, User
from accounts.signin import reset_link
from tests.accounts.factories import PASSWORD, UserFactory
from tests.client import CheckingClient

pytestmark = pytest.mark.django_db

NEW_PASSWORD = "Prairie€Bleue7"
WRONG = "Not-the-1-password"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


def enter(client: Client, user: User, password: str = PASSWORD) -> bool:
    """Whether the sign-in succeeds."""
    answer = client.post(reverse("account_login"), {"login": user.login, "password": password})
    return answer.status_code == 302


def leave(client: Client) -> Client:
    client.post(reverse("account_logout"))
    return client


def known_browser(user: User) -> Client:
    client = CheckingClient(headers={"User-Agent": FIREFOX})
    assert enter(client, user)
    return leave(client)


def device_cookie(client: Client, user: User) -> str:
    return client.cookies[f"device-{user.uuid.hex}"].value


def notices(user: User) -> list[str]:
    mails = Mail.objects.filter(user=user, kind="new_device").order_by("pk")
    return [emails.open_content(mail).text for mail in mails]


# --- lock-out ---------------------------------------------------------------------------------
def test_strangers_who_guess_never_lock_the_owner_out_of_a_known_browser() -> None:
    user = UserFactory()
    home = known_browser(user)
    attacker = Client()
    for _guess in range(30):
        assert not enter(attacker, user, WRONG)
    assert not enter(Client(), user), "another browser waits"
    assert enter(home, user)
    # Asking for the password again counts in the same place.
    again = home.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    assert again.status_code == 302


def test_a_known_browser_has_ten_tries_of_its_own() -> None:
    user = UserFactory()
    home, work = known_browser(user), known_browser(user)
    for _guess in range(10):
        assert not enter(home, user, WRONG)
    answer = home.post(reverse("account_login"), {"login": user.login, "password": PASSWORD})
    assert "15 minutes" in answer.content.decode()
    assert enter(work, user) and enter(Client(), user), "nobody else waits"


def test_the_cookie_serves_one_login_only_and_only_as_it_was_made() -> None:
    user, other = UserFactory(), UserFactory()
    home = known_browser(user)
    request = RequestFactory().get("/")
    request.COOKIES = {name: morsel.value for name, morsel in home.cookies.items()}
    assert devices.known(request, user)
    assert not devices.known(request, other) and not devices.known(request, None)
    value = device_cookie(home, user)
    request.COOKIES = {f"device-{other.uuid.hex}": value}
    assert not devices.known(request, other), "renamed"
    request.COOKIES = {f"device-{user.uuid.hex}": value[:-1] + ("A" if value[-1] != "A" else "B")}
    assert not devices.known(request, user), "altered"


def test_the_cookie_is_kept_from_scripts_and_ends_after_180_days(monkeypatch: pytest.MonkeyPatch) -> None:
    user = UserFactory()
    home = known_browser(user)
    morsel = home.cookies[f"device-{user.uuid.hex}"]
    assert morsel["httponly"] and morsel["samesite"] == "Lax" and morsel["path"] == "/"
    assert morsel["max-age"] == 180 * 24 * 3600
    assert bool(morsel["secure"]) is settings.SECURE
    request = RequestFactory().get("/")
    request.COOKIES = {f"device-{user.uuid.hex}": morsel.value}
    later = timezone.now() + timedelta(days=180, seconds=1)
    monkeypatch.setattr(signing.time, "time", later.timestamp)
    assert not devices.known(request, user)


def test_the_cookie_is_secure_where_the_portal_is(settings: pytest.FixtureRequest) -> None:
    settings.SECURE = True
    user = UserFactory()
    client = Client()
    enter(client, user)
    assert client.cookies[f"__Host-device-{user.uuid.hex}"]["secure"]


# --- a new password ---------------------------------------------------------------------------
def test_a_new_password_forgets_all_browsers_but_the_one_where_it_was_chosen() -> None:
    user = UserFactory(password_own_at=None)
    here, there = CheckingClient(), known_browser(user)
    assert enter(here, user)
    typed = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert here.post(reverse("accounts:own_password"), typed).headers["Location"] == "/"
    leave(here)
    for _guess in range(10):
        enter(Client(), user, WRONG)
    assert not enter(there, user, NEW_PASSWORD)
    assert enter(here, user, NEW_PASSWORD)


def test_who_chose_a_password_behind_a_mailed_link_signs_in_there_despite_guesses() -> None:
    user = UserFactory()
    old = known_browser(user)
    for _guess in range(10):
        enter(Client(), user, WRONG)
    user.refresh_from_db()
    client = CheckingClient()
    page = client.get(reset_link(user).removeprefix(settings.PORTAL_ORIGIN), follow=True)
    typed = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    client.post(page.redirect_chain[-1][0], typed)
    assert enter(client, user, NEW_PASSWORD)
    assert not enter(old, user, NEW_PASSWORD)


# --- the notice -------------------------------------------------------------------------------
def test_a_sign_in_from_a_new_browser_is_told_with_device_and_masked_address() -> None:
    user = UserFactory(last_login=timezone.now())
    client = CheckingClient(headers={"User-Agent": FIREFOX}, REMOTE_ADDR="203.0.113.7")
    assert enter(client, user)
    [text] = notices(user)
    assert "Firefox, Windows" in text and "203.0.113.x" in text and "Quand" in text
    assert "203.0.113.7" not in text and "Si cela ne vient pas de vous" in text
    assert enter(leave(client), user)
    assert len(notices(user)) == 1, "the browser is known now"
    assert enter(CheckingClient(headers={"User-Agent": ""}), user)
    assert "Navigateur inconnu" in notices(user)[1]


def test_the_first_sign_in_of_all_is_told_to_nobody() -> None:
    user, admin = UserFactory(invited=True, key=False), UserFactory()
    path = invitations.link(invitations.send(user=user, by=admin, now=timezone.now()))
    client = CheckingClient()
    typed = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    client.post(path.removeprefix(settings.PORTAL_ORIGIN), typed)
    assert "_auth_user_id" in client.session
    assert enter(leave(client), user, NEW_PASSWORD)
    assert notices(user) == []
    assert AuditEvent.objects.filter(kind="account:session:began", subject=user.uuid).count() == 2


@pytest.mark.parametrize(
    ("name", "agent"),
    [
        ("Firefox, Windows", FIREFOX),
        ("Edge, Windows", "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/140.0 Safari/537 Edg/140.0"),
        ("Safari, Mac", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605 Safari/605"),
        ("Chrome, iPhone", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) CriOS/140 Safari/604.1"),
        ("Chrome, Android", "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537 Chrome/140 Mobile Safari/537"),
        ("", "curl/8.0 <script>"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_browser_is_named_in_two_words(name: str, agent: str) -> None:
    assert devices.browser_of(RequestFactory(headers={"User-Agent": agent}).get("/")) == name


@pytest.mark.parametrize(
    ("network", "shown"),
    [("203.0.113.0/24", "203.0.113.x"), ("2001:db8:1::/48", "2001:0db8:0001:x"), ("", "inconnue")],
)
def test_a_place_is_told_without_its_last_part(network: str, shown: str) -> None:
    assert devices.place(network) == shown
