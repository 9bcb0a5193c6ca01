"""What a doctor agreed to with an eDMG request is kept word for word, and can be read again (SR-145)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from ehealth import conditions
from ehealth.models import EdmgRequest, Mutuality
from tests.accounts.factories import UserFactory
from tests.client import CheckingClient
from tests.ehealth.conftest import Doctor

pytestmark = pytest.mark.django_db(transaction=True)
IBAN = "BE67001000001187"
AGREED = {
    "same_account": "on",
    "iban": IBAN,
    "conditions_accepted": "on",
    "no_paper_ack": "on",
    "confirm": "1",
}
SignedIn = Callable[..., CheckingClient]


@pytest.fixture
def consent(doctor: Doctor, signed_in: SignedIn) -> EdmgRequest:
    """As the page of the doctor makes it, in Dutch."""
    doctor.connect(auto=True)
    client = signed_in(doctor.user)
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "nl"
    url = reverse("ehealth:edmg", args=[doctor.user.uuid])
    shown = client.get(url).content.decode()
    assert client.post(url, AGREED | {"version": 0}).status_code == 302
    kept = EdmgRequest.objects.get()
    for paragraph in kept.conditions_text.split("\n\n")[:-1]:
        assert paragraph in shown.replace("&#x27;", "'")
    return kept


def test_text_language_version_time_accounts_and_proof_are_kept(consent: EdmgRequest) -> None:
    assert (consent.conditions_version, consent.conditions_language) == (conditions.VERSION, "nl")
    assert consent.conditions_text == conditions.text("nl") != conditions.text("fr")
    assert consent.conditions_text.count("☑") == 2
    assert consent.accounts == dict.fromkeys(Mutuality.values, IBAN)
    assert consent.proved_at and consent.accepted_at - consent.proved_at < timedelta(minutes=10)
    assert timezone.now() - consent.accepted_at < timedelta(minutes=1)


def test_its_owner_reads_it_again_whatever_the_conditions_say_by_then(
    consent: EdmgRequest, signed_in: SignedIn
) -> None:
    EdmgRequest.objects.update(conditions_text="Wat toen werd aanvaard", conditions_version="2020-01")
    page = signed_in(consent.user).get(reverse("ehealth:edmg", args=[consent.user.uuid])).content.decode()
    assert "Votre accord du" in page and "Wat toen werd aanvaard" in page and "Version 2020-01" in page
    assert "(Nederlands)" in page and "Mot de passe donné le" in page
    assert page.count("BE67 0010 0000 1187") == 7


def test_nobody_else_reads_it(consent: EdmgRequest, signed_in: SignedIn) -> None:
    manager = UserFactory(practice=consent.user.practice, roles=["admin"])
    page = signed_in(manager).get(reverse("ehealth:edmg", args=[consent.user.uuid]))
    assert page.status_code == 200 and "Votre accord" not in page.content.decode()


def test_a_request_again_leaves_the_first_one_as_it_was(consent: EdmgRequest, signed_in: SignedIn) -> None:
    consent.registrations.update(state="rejected")
    url = reverse("ehealth:edmg", args=[consent.user.uuid])
    again: dict[str, Any] = AGREED | {"version": 1, "iban": "BE54001000002197"}
    assert signed_in(consent.user).post(url, again).status_code == 302
    first, second = EdmgRequest.objects.order_by("accepted_at")
    assert set(first.accounts.values()) == {IBAN}
    assert set(second.accounts.values()) == {"BE54001000002197"}
