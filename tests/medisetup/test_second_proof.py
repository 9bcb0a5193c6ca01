"""What the password is asked again for, once ten minutes have passed since it was given (security SR-14)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import PersonalKey, User
from billing.models import FinancialSettings
from tests.accounts.factories import BillingAddressFactory, UserFactory
from tests.billing.factories import FinancialFactory
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.django_db

Fixture = Callable[[User], Client]
IBAN = "BE54001000002197"


def long_ago(client: Client) -> Client:
    """The password was given an hour before."""
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - 3600}]
    session.save()
    return client


def asks(response: Any, url: str) -> bool:
    """Whether the answer sends to the page of the password, and from there back."""
    wanted = f"{reverse('account_reauthenticate')}?{urlencode({'next': url})}"
    return response.status_code == 302 and response.headers["Location"] == wanted


def test_an_account_to_be_paid_on(signed_in: Fixture) -> None:
    doctor = FinancialFactory().practitioner.user
    client = long_ago(signed_in(doctor))
    url = reverse("billing:financial", args=[doctor.uuid])
    typed = {"version": 0, "bce": "0100000169", "convention": "conventioned", "iban": IBAN}
    assert asks(client.post(url, typed), url)
    assert FinancialSettings.objects.get().iban == "BE67001000001187"
    assert f'value="{IBAN}"' in client.get(url).content.decode()
    unchanged = typed | {"iban": "BE67001000001187", "bic": "GEBABEBB", "convention": "non_conventioned"}
    assert client.post(url, unchanged).headers["Location"] == "/"


def test_the_account_of_the_assistants(signed_in: Fixture) -> None:
    doctor = FinancialFactory().practitioner.user
    url = reverse("billing:financial", args=[doctor.uuid])
    typed = {"version": 0, "bce": "0100000169", "convention": "conventioned", "iban": "BE67001000001187",
             "bic": "GEBABEBB", "assistants_shared_iban": IBAN}  # fmt: skip
    assert asks(long_ago(signed_in(doctor)).post(url, typed), url)


def test_a_new_person_with_roles(signed_in: Fixture) -> None:
    client = long_ago(signed_in(UserFactory(roles=["admin"])))
    url = reverse("practitioners:new")
    typed = {"last_name": "Fontaine", "first_name": "Élise", "email": "elise@example.be", "language": "nl",
             "login": "elise@example.be", "profession": "persphysician", "roles": ["admin"]}  # fmt: skip
    assert asks(client.post(url, typed), url)
    assert not User.objects.get_queryset().filter(login="elise@example.be").exists()
    page = client.get(url)
    assert page.status_code == 200
    assert (
        'value="Fontaine"' in page.content.decode() and "Votre saisie a été gardée" in page.content.decode()
    )


def test_roles_and_login_of_somebody_else(signed_in: Fixture) -> None:
    user = UserFactory()
    address = BillingAddressFactory(practice=user.practice)
    admin = UserFactory(practice=user.practice, roles=["admin"])
    url = reverse("accounts:account", args=[user.uuid])
    typed = {"version": 0, "email": user.email, "billing_address": str(address.uuid)}
    changed = typed | {"login": "autre.login", "roles": ["physician"]}
    assert asks(long_ago(signed_in(admin)).post(url, changed), url)
    changed = typed | {"login": user.login, "roles": ["physician", "admin"]}
    assert asks(long_ago(signed_in(admin)).post(url, changed), url)


def test_the_first_own_password(signed_in: Fixture) -> None:
    user = UserFactory(password_own_at=None)
    client = long_ago(signed_in(user))
    url = reverse("accounts:own_password")
    assert asks(client.post(url, {"password1": "Prairie€Bleue7", "password2": "Prairie€Bleue7"}), url)
    user.refresh_from_db()
    assert user.password_own_at is None


def test_keystore_registration_and_key(signed_in: Fixture) -> None:
    doctor = PractitionerFactory().user
    client = long_ago(signed_in(doctor))
    url = reverse("ehealth:connection", args=[doctor.uuid])
    file = SimpleUploadedFile("a.p12", b"0")
    assert asks(client.post(url, {"version": 0, "keystore": file, "keystore_password": "x"}), url)
    url = reverse("ehealth:edmg", args=[doctor.uuid])
    wanted = {
        "version": 0,
        "same_account": "on",
        "iban": IBAN,
        "conditions_accepted": "on",
        "no_paper_ack": "on",
    }
    assert asks(client.post(url, wanted), url) and asks(client.post(url, wanted | {"confirm": "1"}), url)
    assert asks(client.post(reverse("accounts:key_revoke"), {"reason": "other"}), "/key/revoke/")
    for name in ("accounts:key_code", "accounts:key_rotate"):
        answer = client.post(reverse(name), "a=1", content_type="application/x-www-form-urlencoded")
        assert answer.json()["code"] == "second_proof_required"
    assert PersonalKey.objects.get(user=doctor).state == "active"
