"""Sign-in, its neutrality, sessions, recovery, second proof, over real HTTP semantics and the real hasher."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import emails
from accounts.hashing import Argon2
from accounts.models import AuditEvent, Mail, User
from accounts.signin import reset_link
from tests.accounts.factories import PASSWORD, UserFactory
from tests.client import CheckingClient

pytestmark = pytest.mark.django_db
NEW_PASSWORD = "Prairie€Bleue7"


def enter(client: Client, login: str, password: str = PASSWORD, **more: str) -> object:
    return client.post(reverse("account_login"), {"login": login, "password": password} | more)


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def body(response: object) -> str:
    """The page without what is random in every answer and without what the visitor typed."""
    text = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", response.content.decode())
    return re.sub(r'name="login" value="[^"]*"', "", text)


def links(client: Client) -> list[str]:
    """Paths of the links in the mails that wait, newest first."""
    texts = [emails.open_content(mail).text for mail in Mail.objects.order_by("-pk")]
    found = [re.findall(re.escape(settings.PORTAL_ORIGIN) + r"(/\S+)", text) for text in texts]
    return [path for paths in found for path in paths]


@pytest.mark.parametrize(
    ("login", "typed"),
    [
        ("anne.dupont@example.be", "Anne.Dupont@Example.be"),
        ("anne.dupont@example.be", "  ａｎｎｅ.dupont@example.be "),
        ("19990116003", "1-99901-16-003"),
        ("Écureuil", "éCUREUIL"),
    ],
)
def test_any_spelling_of_a_login_signs_in(login: str, typed: str) -> None:
    UserFactory(login=login, email="someone@example.be")
    client = CheckingClient()
    assert enter(client, typed).status_code == 302
    assert is_in(client)


def test_wrong_unknown_and_closed_give_the_same_answer() -> None:
    UserFactory(login="marie@example.be")
    UserFactory(login="closed@example.be", is_active=False, deactivated_at=timezone.now())
    answers = [
        enter(CheckingClient(), "marie@example.be", "Not-the-1-password"),
        enter(CheckingClient(), "nobody@example.be", PASSWORD),
        enter(CheckingClient(), "closed@example.be", PASSWORD),
        enter(CheckingClient(), "admin", PASSWORD),
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert len({body(answer) for answer in answers}) == 1
    assert len({frozenset(answer.headers) for answer in answers}) == 1
    assert AuditEvent.objects.filter(kind="account:session:refused").count() == 4


class Counting(Argon2):
    """The real hasher, counting."""

    hashes = 0

    def encode(self, password: str, salt: str) -> str:
        Counting.hashes += 1
        return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        Counting.hashes += 1
        return super().verify(password, encoded)


def test_every_refusal_costs_one_hash(settings: Any) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.Counting"]
    UserFactory(login="marie@example.be")
    UserFactory(login="closed@example.be", is_active=False, deactivated_at=timezone.now())
    invited = UserFactory(login="invited@example.be", invited=True)
    invited.set_unusable_password()
    invited.save()
    for login in (
        "marie@example.be",
        "nobody@example.be",
        "admin",
        "closed@example.be",
        "invited@example.be",
    ):
        Counting.hashes = 0
        enter(Client(), login, "Not-the-1-password")
        assert Counting.hashes == 1, login


def test_a_password_typed_on_another_keyboard_is_the_same(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["accounts.hashing.Argon2"]
    composed, decomposed = "\u00c9cureuil_75x", "E\u0301cureuil_75x"
    UserFactory(login="marie@example.be", password=composed)
    client = CheckingClient()
    enter(client, "marie@example.be", decomposed)
    assert is_in(client)
    stored = User.objects.get(login="marie@example.be").password
    assert stored.startswith("argon2$argon2id$v=19$m=65536,t=3,p=")


def test_an_older_hash_is_renewed_at_sign_in(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    user = UserFactory(login="marie@example.be")
    assert user.password.startswith("pbkdf2")
    settings.PASSWORD_HASHERS = [
        "accounts.hashing.Argon2",
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    ]
    client = CheckingClient()
    enter(client, "marie@example.be")
    assert is_in(client)
    user.refresh_from_db()
    assert user.password.startswith("argon2")


def test_guesses_are_limited_in_every_spelling_of_the_login_alike_for_unknown_ones() -> None:
    UserFactory(login="19990116003", email="someone@example.be")
    for known, spellings in (
        (True, ["19990116003", "1-99901-16-003"]),
        (False, ["19990116999", "1-99901-16-999"]),
    ):
        for attempt in range(10):
            enter(Client(), spellings[attempt % 2], "Not-the-1-password")
        refused = enter(CheckingClient(), spellings[0])
        assert "15 minutes" in refused.content.decode(), known
        assert not is_in(refused.client)


def test_a_planted_session_id_is_dropped() -> None:
    UserFactory(login="marie@example.be")
    client = CheckingClient()
    session = client.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    client.cookies[settings.SESSION_COOKIE_NAME] = planted
    enter(client, "marie@example.be")
    assert is_in(client)
    assert client.session.session_key != planted
    assert not Client(headers={"cookie": f"{settings.SESSION_COOKIE_NAME}={planted}"}).session.get(
        "_auth_user_id"
    )


def test_signing_in_and_out_is_audited_and_a_copied_cookie_is_dead(
    signed_in: Callable[[User], Client],
) -> None:
    user = UserFactory(login="marie@example.be")
    client = CheckingClient()
    enter(client, "marie@example.be")
    copied = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert client.get(reverse("account_logout")).status_code == 200
    assert is_in(client), "leaving takes a POST"
    client.post(reverse("account_logout"))
    thief = CheckingClient(headers={"cookie": f"{settings.SESSION_COOKIE_NAME}={copied}"})
    assert thief.get("/").status_code == 302
    kinds = AuditEvent.objects.filter(subject=user.uuid).order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["account:session:began", "account:session:ended"]


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "\\\\evil",
        "///evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        "https:///evil.example",
        "https:evil.example",
        "http:\\\\evil.example",
        "data:text/html,x",
        "https://localhost@evil.example",
        "https://localhost:x@evil.example/",
        "//evil.example\x00",
    ],
)
def test_sign_in_leads_to_no_other_site(target: str) -> None:
    UserFactory(login="marie@example.be")
    assert enter(CheckingClient(), "marie@example.be", next=target).headers["Location"] == "/"


@pytest.mark.parametrize("name", ["signup", "email", "set_password", "inactive", "confirm_login_code"])
def test_pages_of_allauth_that_are_not_used_have_no_address(name: str) -> None:
    from django.urls import NoReverseMatch

    with pytest.raises(NoReverseMatch):
        reverse(f"account_{name}")
    assert CheckingClient().get(f"/signin/{name}/").status_code in (302, 404)


def test_a_password_manager_knows_the_fields() -> None:
    page = CheckingClient().get(reverse("account_login")).content.decode()
    assert 'autocomplete="username"' in page and 'autocomplete="current-password"' in page
    assert "data-reveal=" in page and "paste" not in page
    path = reset_link(UserFactory()).removeprefix(settings.PORTAL_ORIGIN)
    assert 'autocomplete="new-password"' in CheckingClient().get(path, follow=True).content.decode()


# --- sessions --------------------------------------------------------------------------------
def test_a_session_ends_after_half_an_hour_without_pages_and_after_twelve_hours(
    signed_in: Callable[[User], Client],
) -> None:
    user = UserFactory()
    for name, age in (("seen_at", timedelta(minutes=31)), ("began_at", timedelta(hours=12, seconds=1))):
        client = signed_in(user)
        client.get("/")
        session = client.session
        session[name] = int(time.time() - age.total_seconds())
        session.save()
        assert client.get("/").headers["Location"].startswith("/signin/")
        assert not is_in(client)


def test_a_page_that_looks_for_news_keeps_nobody_signed_in(signed_in: Callable[[User], Client]) -> None:
    client = signed_in(UserFactory())
    client.get("/")
    session = client.session
    session["seen_at"] = before = int(time.time()) - 20 * 60
    session.save()
    client.get("/", headers={"X-Requested-With": "fetch"})
    assert client.session["seen_at"] == before
    client.get("/")
    assert client.session["seen_at"] > before


def test_a_new_password_ends_the_other_sessions_at_once(signed_in: Callable[[User], Client]) -> None:
    user = UserFactory()
    here, there = signed_in(user), signed_in(user)
    url = reverse("accounts:account", args=[user.uuid])
    form = here.get(url).context["form"]
    typed = {name: "" if form[name].value() is None else form[name].value() for name in form.fields}
    typed |= {"password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD, "current_password": PASSWORD}
    typed |= {
        "hub_region": "rsw",
        "address_country": "BE",
        "address_name": "Anne",
        "address_street": "Rue",
        "address_number": "1",
    }
    typed |= {
        "address_postcode": "5000",
        "address_city": "Namur",
        "address_email": "a@b.be",
        "billing_address": "new",
    }
    typed.pop("same_roof_search")
    answer = here.post(url, typed)
    assert answer.status_code == 302, answer.context["form"].errors
    assert here.get("/").status_code == 200
    assert there.get("/").headers["Location"].startswith("/signin/")
    assert Mail.objects.filter(user=user, kind="password_changed").count() == 1


# --- recovery --------------------------------------------------------------------------------
def test_asking_for_a_new_password_answers_alike_for_known_and_unknown_addresses() -> None:
    UserFactory(email="marie@example.be", login="marie")
    known = CheckingClient().post(
        reverse("account_reset_password"), {"email": "Marie@Example.be"}, follow=True
    )
    unknown = CheckingClient().post(
        reverse("account_reset_password"), {"email": "nobody@example.be"}, follow=True
    )
    assert known.redirect_chain == unknown.redirect_chain
    assert body(known) == body(unknown)
    assert list(Mail.objects.values_list("kind", "to")) == [("password_reset", "marie@example.be")]


def test_an_address_that_only_looks_the_same_gets_no_link() -> None:
    UserFactory(email="mike@example.org", login="mike")
    CheckingClient().post(reverse("account_reset_password"), {"email": "mıke@example.org"})
    assert not Mail.objects.exists()


def test_the_link_of_a_reset_comes_from_the_settings_not_from_the_request() -> None:
    UserFactory(email="marie@example.be", login="marie")
    Client(headers={"host": "127.0.0.1"}).post(
        reverse("account_reset_password"), {"email": "marie@example.be"}
    )
    text = emails.open_content(Mail.objects.get()).text
    assert settings.PORTAL_ORIGIN in text
    assert "127.0.0.1" not in text


def test_a_reset_link_sets_one_password_once_signs_nobody_in_and_ends_all_sessions(
    signed_in: Callable[[User], Client],
) -> None:
    user = UserFactory(password_own_at=None, verified=False)
    there = signed_in(user)
    path = reset_link(user).removeprefix(settings.PORTAL_ORIGIN)
    client = CheckingClient()
    form = client.get(path, follow=True)
    url = form.redirect_chain[-1][0]
    refused = client.post(url, {"password1": "Court#1a", "password2": "other"})
    assert "au moins 10 caractères" in refused.content.decode()
    done = client.post(url, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}, follow=True)
    assert done.redirect_chain[-1][0] == reverse("account_reset_password_from_key_done")
    assert not is_in(client)
    assert there.get("/").headers["Location"].startswith("/signin/")
    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)
    assert user.password_own_at
    assert user.emailaddress_set.get().verified
    assert "ne fonctionne plus" in CheckingClient().get(path, follow=True).content.decode()
    kinds = set(AuditEvent.objects.filter(subject=user.uuid).values_list("kind", flat=True))
    assert "account:password:reset" in kinds


def test_a_reset_link_dies_after_half_an_hour_and_with_a_new_address(settings: Any) -> None:
    user = UserFactory()
    path = reset_link(user).removeprefix(settings.PORTAL_ORIGIN)
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert "ne fonctionne plus" in CheckingClient().get(path, follow=True).content.decode()
    settings.PASSWORD_RESET_TIMEOUT = 1800
    user.emailaddress_set.update(email="other@example.be")
    User.objects.filter(pk=user.pk).update(email="other@example.be", email_key="other@example.be")
    assert "ne fonctionne plus" in CheckingClient().get(path, follow=True).content.decode()


def test_resets_are_limited_per_address_with_a_readable_page() -> None:
    for _attempt in range(3):
        Client().post(reverse("account_reset_password"), {"email": "nobody@example.be"})
    answer = CheckingClient().post(reverse("account_reset_password"), {"email": "nobody@example.be"})
    assert answer.status_code == 429
    assert "Trop d’essais" in answer.content.decode()


# --- second proof ----------------------------------------------------------------------------
def test_a_sensitive_save_asks_for_the_password_and_keeps_what_was_typed(
    signed_in: Callable[[User], Client],
) -> None:
    manager = UserFactory(roles=["user_manager"])
    subject = UserFactory(practice=manager.practice, roles=["physician"])
    client = signed_in(manager)
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - 601}]
    session.save()
    url = reverse("accounts:account", args=[subject.uuid])
    typed = {"version": 0, "login": "tout.neuf@example.be", "email": subject.email, "roles": ["physician"]}
    asked = client.post(url, typed | {"billing_address": "new"} | ADDRESS)
    assert asked.headers["Location"].startswith(reverse("account_reauthenticate"))
    page = client.post(asked.headers["Location"], {"password": PASSWORD}, follow=True)
    assert page.request["PATH_INFO"] == url
    assert "Votre saisie a été gardée" in page.content.decode()
    assert page.context["form"]["login"].value() == "tout.neuf@example.be"
    again = client.post(url, typed | {"billing_address": "new"} | ADDRESS)
    assert again.headers["Location"] == reverse("person", args=[subject.uuid])
    subject.refresh_from_db()
    assert subject.login == "tout.neuf@example.be"


ADDRESS = {
    "address_name": "Cabinet des Prés",
    "address_street": "Rue Haute",
    "address_number": "7",
    "address_postcode": "5000",
    "address_city": "Namur",
    "address_country": "BE",
    "address_email": "compta@example.be",
}


def test_an_account_with_somebody_elses_password_must_choose_its_own_first() -> None:
    user = UserFactory(login="marie@example.be", password_own_at=None)
    client = CheckingClient()
    enter(client, "marie@example.be")
    assert client.get("/").headers["Location"] == reverse("accounts:own_password")
    assert client.get("/key/").headers["Location"].startswith(reverse("accounts:own_password"))
    url = reverse("accounts:own_password")
    same = client.post(url, {"password1": PASSWORD, "password2": PASSWORD})
    assert "différent de l'actuel" in same.content.decode().replace("&#x27;", "'")
    assert client.post(url, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}).headers["Location"] == "/"
    assert is_in(client)
    user.refresh_from_db()
    assert user.password_own_at
