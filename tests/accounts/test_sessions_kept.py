"""A session that ends in the middle of a form loses nothing but the secrets."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Session, User
from tests.accounts.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
TYPED = {
    "version": "0",
    "login": "nouveau.login@example.be",
    "email": "nouvelle@example.be",
    "password": "Prairie€Bleue7",
    "password_confirm": "Prairie€Bleue7",
    "current_password": PASSWORD,
    "billing_address": "new",
    "address_name": "Cabinet des Prés",
    "address_city": "Namur",
    "hub_region": "vitalink",
}


def expired(client: Client, user: User, url: str) -> str:
    """Post after the session's time is up; where one is sent."""
    client.get(url)
    session = client.session
    session["seen_at"] = int(time.time()) - 1801
    session.save()
    return client.post(url, TYPED).headers["Location"]


def sign_in_again(client: Client, where: str, login: str) -> object:
    client.post(where, {"login": login, "password": PASSWORD})
    session = client.session
    session["key_proved_at"] = int(time.time())
    session.save()
    return client


def test_what_was_typed_is_shown_again_to_the_same_person(signed_in: Callable[[User], Client]) -> None:
    user = UserFactory()
    url = reverse("accounts:account", args=[user.uuid])
    client = signed_in(user)
    where = expired(client, user, url)
    assert where.startswith(reverse("account_login"))
    assert "Votre session a pris fin" in client.get(where).content.decode()
    sign_in_again(client, where, user.login)
    page = client.get(url)
    text = page.content.decode()
    assert "Votre saisie a été gardée" in text
    assert page.context["form"]["login"].value() == "nouveau.login@example.be"
    assert page.context["form"]["address_city"].value() == "Namur"
    assert page.context["form"]["hub_region"].value() == "vitalink"
    assert TYPED["password"] not in text
    user.refresh_from_db()
    assert user.login != "nouveau.login@example.be", "nothing was saved"
    assert "Votre saisie a été gardée" not in client.get(url).content.decode(), "given back once"


def test_neither_secrets_nor_typed_values_lie_in_the_session_in_clear(
    signed_in: Callable[[User], Client],
) -> None:
    user = UserFactory()
    client = signed_in(user)
    expired(client, user, reverse("accounts:account", args=[user.uuid]))
    sessions = [row.get_decoded() for row in Session.objects.all()]
    sealed = [session["kept_form"]["sealed"] for session in sessions if "kept_form" in session]
    assert len(sealed) == 1
    stored = str(sessions) + base64.b64decode(sealed[0]).decode("latin-1")
    for value in ("Prairie", "nouveau.login", "Cabinet des Prés", PASSWORD):
        assert value not in stored


def test_somebody_else_at_the_same_browser_gets_nothing(signed_in: Callable[[User], Client]) -> None:
    user = UserFactory()
    colleague = UserFactory(practice=user.practice, roles=["user_manager"])
    client = signed_in(user)
    url = reverse("accounts:account", args=[user.uuid])
    sign_in_again(client, expired(client, user, url), colleague.login)
    page = client.get(url).content.decode()
    assert "Votre saisie a été gardée" not in page
    assert "nouveau.login" not in page
