"""The licence on a page: what the person reads, what the button sends, what staff writes down."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import emails
from accounts.actions import licences
from accounts.models import AuditEvent, Licence, LicenceRequest, Mail, ProvisionalClaim, User
from medisetup.checklist import checklist
from medisetup.readiness import states_of
from tests.accounts.factories import UserFactory
from tests.cast import licence_at, ready_doctor
from tests.practitioners.factories import PractitionerFactory
from tests.practitioners.test_general import answers

pytestmark = pytest.mark.django_db


def url(user: User, name: str = "licence") -> str:
    return reverse(f"billing:{name}", args=[user.uuid])


def doctor(age: int = 0) -> User:
    user = ready_doctor()
    start = timezone.localdate() - timedelta(days=age)
    Licence.objects.filter(user=user).update(starts_on=start, ends_on=start + timedelta(days=45))
    return user


@pytest.mark.parametrize(
    ("age", "words", "banner", "item"),
    [
        (0, "encore 45 jours", "banner--info", "todo"),
        (29, "encore 16 jours", "banner--info", "todo"),
        (30, "encore 15 jours", "banner--warning", "problem"),
        (44, "encore 1 jour,", "banner--warning", "problem"),
        (45, "dernier jour", "banner--warning", "problem"),
        (46, "Licence expirée", "banner--error", "problem"),
    ],
)
def test_page_home_and_checklist_say_the_same_day_by_day(
    signed_in, age: int, words: str, banner: str, item: str
) -> None:
    user = doctor(age)
    client = signed_in(user)
    page = client.get(url(user)).content.decode()
    assert words in page and banner in page
    assert words in client.get("/").content.decode()
    lines = {line.item.id: line.state for line in checklist(user).lines}
    assert lines["R21"] == item


def test_one_click_sends_what_the_portal_knows(signed_in) -> None:
    user = doctor()
    client = signed_in(user)
    page = client.get(url(user)).content.decode()
    assert str(user.billing_address) in page and user.practice.name in page
    assert 'class="field' not in page, "nothing to type"
    page = client.post(url(user), follow=True).content.decode()
    row = LicenceRequest.objects.get()
    assert (row.requested_by, row.billing_address) == (user, str(user.billing_address))
    assert "est demandée" in page and "Demander la licence" not in page
    assert "déjà en cours" in client.post(url(user), follow=True).content.decode()
    assert LicenceRequest.objects.count() == 1


def test_a_manager_asks_for_a_colleague(signed_in) -> None:
    user = doctor()
    manager = UserFactory(practice=user.practice, roles=["user_manager"])
    assert signed_in(manager).post(url(user)).status_code == 302
    assert LicenceRequest.objects.get().requested_by == manager


def test_what_is_missing_is_named_with_its_page(signed_in) -> None:
    user = PractitionerFactory(blank=True).user
    licences.grant_provisional(user=user, by=user, now=timezone.now())
    client = signed_in(user)
    page = client.get(url(user)).content.decode()
    assert reverse("practitioners:general", args=[user.uuid]) in page
    assert reverse("accounts:account", args=[user.uuid]) in page
    assert "numéro INAMI" in client.post(url(user), follow=True).content.decode()
    assert not LicenceRequest.objects.exists()


def test_who_needs_no_licence_reads_so(signed_in) -> None:
    user = UserFactory(roles=["reception"])
    assert "Pas de licence nécessaire" in signed_in(user).get(url(user)).content.decode()


# --- the person created again -----------------------------------------------------------------
def test_the_same_person_in_a_second_practice_gets_no_second_45_days(signed_in) -> None:
    first = PractitionerFactory(blank=True).user
    licences.grant_provisional(user=first, by=first, now=timezone.now() - timedelta(days=50))
    signed_in(first).post(reverse("practitioners:general", args=[first.uuid]), answers())
    User.objects.filter(pk=first.pk).update(is_active=False, deactivated_at=timezone.now())
    second = PractitionerFactory(blank=True).user
    licences.grant_provisional(user=second, by=second, now=timezone.now())
    client = signed_in(second)
    client.post(reverse("practitioners:general", args=[second.uuid]), answers(nihii="1-99902-15-004"))
    assert Licence.objects.get(user=second).standing(timezone.localdate()) == "to_request"
    page = client.get(url(second)).content.decode()
    assert "avec un autre de vos comptes" in page and first.practice.name not in page
    assert set(ProvisionalClaim.objects.values_list("number", flat=True)) == {
        "75031498594", "19990116", "19990215",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ago", "title", "state"),
    [
        (50, "Demandez la licence", "todo"),
        (20, "Licence provisoire : encore 25 jours", "todo"),
        (35, "Licence provisoire : encore 10 jours", "problem"),
    ],
)
def test_whoever_manages_the_second_account_reads_nothing_of_the_first(
    signed_in, ago: int, title: str, state: str
) -> None:
    """Page, journal, mails and board say what the licence is, not why."""
    first = PractitionerFactory(blank=True).user
    licences.grant_provisional(user=first, by=first, now=timezone.now() - timedelta(days=ago))
    signed_in(first).post(reverse("practitioners:general", args=[first.uuid]), answers())
    second = PractitionerFactory(blank=True).user
    licences.grant_provisional(user=second, by=second, now=timezone.now())
    admin = UserFactory(practice=second.practice, roles=["admin"])
    client = signed_in(admin)
    said = client.post(reverse("practitioners:general", args=[second.uuid]), answers(), follow=True)
    pages = [said, client.get(url(second)), client.get(reverse("journal"))]
    pages += [client.get(reverse("people")), client.get(reverse("person", args=[second.uuid]))]
    texts = [page.content.decode() for page in pages]
    assert title in texts[1] and title in texts[4]
    mails = [emails.open_content(mail) for mail in Mail.objects.filter(user=admin)]
    texts += [part for mail in mails for part in (mail.subject, mail.text, mail.html)]
    for text in texts:
        assert not re.search("autre compte|autre de vos|déjà|already|raccourci|45 jours avec", text)
        assert first.practice.name not in text
    assert states_of([second.pk])[second.pk]["licence"] == state
    assert "avec un autre de vos comptes" in signed_in(second).get(url(second)).content.decode()


def test_a_licence_to_request_is_asked_for_like_any_other(signed_in) -> None:
    user = doctor()
    manager = UserFactory(practice=user.practice, roles=["admin"])
    Licence.objects.filter(user=user).update(state="to_request", ends_on=None)
    client = signed_in(manager)
    assert "Demander la licence d" in client.get(url(user)).content.decode()
    client.post(url(user))
    page = client.get(url(user)).content.decode()
    assert "La licence est demandée" in page and "année est demandée" in page
    assert states_of([user.pk])[user.pk]["licence"] == "waiting"
    staff = signed_in(UserFactory(is_staff=True)).get("/platform/licences/").content.decode()
    assert user.get_full_name() in staff and "jusqu" not in staff


def test_whoever_becomes_a_physician_gets_a_licence_then(signed_in) -> None:
    user = PractitionerFactory(blank=True, profession="persnurse").user
    signed_in(user).post(reverse("practitioners:general", args=[user.uuid]), answers())
    assert Licence.objects.get(user=user).days_left(timezone.localdate()) == 45


# --- staff ------------------------------------------------------------------------------------
def test_staff_invoices_notes_the_payment_and_activates(signed_in) -> None:
    user, staff = doctor(), UserFactory(is_staff=True)
    client = signed_in(staff)
    licences.request_year(user=user, by=user, nihii=user.practitioner.nihii, now=timezone.now())
    today = timezone.localdate().isoformat()
    assert user.get_full_name() in client.get(reverse("billing:licence_queue")).content.decode()
    page = client.get(url(user, "licence_request")).content.decode()
    assert "Noter la facture" in page and "Activer" not in page
    client.post(url(user, "licence_invoice"), {"number": "2026-17", "day": today})
    client.post(url(user, "licence_payment"), {"day": today})
    assert "Activer pour un an" in client.get(url(user, "licence_request")).content.decode()
    page = client.post(url(user, "licence_activate"), follow=True).content.decode()
    assert "est active jusqu" in page and "Aucune demande en cours" in page
    assert Licence.objects.get(user=user).state == "active"
    assert client.post(url(user, "licence_activate")).status_code == 404
    assert AuditEvent.objects.filter(
        kind="platform:person:read", actor=staff.uuid, subject=user.uuid
    ).exists()


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("licence_invoice", {"number": "", "day": ""}, "Indiquez le numéro de la facture."),
        ("licence_invoice", {"number": "F1", "day": "2999-01-01"}, "dans le futur"),
        ("licence_invoice", {"number": "F1", "day": "demain"}, "date complète"),
        ("licence_payment", {"day": ""}, "Indiquez la date du paiement."),
    ],
)
def test_a_wrong_value_is_named_and_kept(signed_in, name: str, values: dict[str, str], words: str) -> None:
    user, staff = doctor(), UserFactory(is_staff=True)
    licence_at(user, staff, "invoiced")
    response = signed_in(staff).post(url(user, name), values)
    assert response.status_code == 422 and words in response.content.decode()
    assert "error-summary" in response.content.decode()
    assert LicenceRequest.objects.get().paid_on is None


def test_steps_out_of_order_are_refused_in_words(signed_in) -> None:
    user, staff = doctor(), UserFactory(is_staff=True)
    licence_at(user, staff, "requested")
    client, today = signed_in(staff), timezone.localdate().isoformat()
    page = client.post(url(user, "licence_payment"), {"day": today}, follow=True).content.decode()
    assert "Notez d&#x27;abord le numéro" in page
    page = client.post(url(user, "licence_activate"), follow=True).content.decode()
    assert "Notez d&#x27;abord la date du paiement" in page


@pytest.mark.parametrize("roles", [["admin"], ["user_manager"], ["physician"]])
def test_no_role_of_a_practice_sees_the_queue(signed_in, roles: list[str]) -> None:
    user = doctor()
    licence_at(user, UserFactory(is_staff=True), "requested")
    client = signed_in(UserFactory(practice=user.practice, roles=roles))
    assert client.get(reverse("billing:licence_queue")).status_code == 403
    for name in ("licence_request", "licence_invoice", "licence_payment", "licence_activate"):
        method = client.get if name == "licence_request" else client.post
        assert method(url(user, name)).status_code == 403
    assert "Demandes de licence" not in client.get("/").content.decode()
