"""The main job: from the invitation to « Vous êtes maintenant prêt », against the running processes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from accounts.models import User
from ehealth.models import EdmgRegistration, Mutuality
from tests.journeys import people
from tests.journeys.running import Portal
from tests.journeys.steps import make_key
from tests.journeys.visitor import Visitor

pytestmark = pytest.mark.browser
Visitors = Callable[..., Visitor]

SSIN, NIHII = "82110297684", "19904301004"
PASSWORD = "Prairie€Bleue7"
EMAIL = "elise.fontaine@parc.example"


def test_from_the_invitation_to_ready(
    portal: Portal, visitor: Visitors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    invite(visitor(people.manager(portal)))
    portal.simulator.add_person(SSIN, first_name="Élise", last_name="Fontaine", nihii11=NIHII)
    trousseau = portal.simulator.keystore(SSIN, "two-keys-enc-first", people.KEYSTORE_PASSWORD)
    portal.simulator.add_messages(SSIN, 7)

    doctor = visitor()
    choose_password(doctor)
    make_key(doctor, tmp_path, doctor.look)
    general(doctor)
    addresses(doctor)
    account(doctor)
    connect(doctor, trousseau)
    register(doctor)
    assert_registered_once(portal)
    finance(doctor)
    mailbox(doctor)
    doctor.open("/")
    doctor.heading("Vous êtes maintenant prêt à utiliser Medispring")
    doctor.look("20-ready")
    with capsys.disabled():
        print(f"\nfrom the invitation to ready: {doctor.report()}")  # noqa: T201


def invite(manager: Visitor) -> None:
    """The manager of the practice creates the account; the invitation leaves."""
    manager.open("/people/")
    manager.look("00-people")
    manager.follow("Nouvel utilisateur")
    manager.look("01-new-person")
    manager.fill(last_name="Fontaine", first_name="Élise", email=EMAIL, login=EMAIL)
    manager.choose(profession="persphysician", language="fr")
    manager.tick("roles", "physician")
    manager.press("Créer le compte et inviter")
    manager.heading("Élise Fontaine")
    manager.look("02-person-created")


def choose_password(doctor: Visitor) -> None:
    """The mail, its link, a password that the policy refuses, then a good one."""
    doctor.open("/outbox/")
    mail = doctor.page.locator("tr", has_text=EMAIL).get_by_role("link")
    for _try in range(40):
        if mail.count():
            break
        doctor.page.wait_for_timeout(250)
        doctor.page.reload()
    moments = [timezone.localtime() - timedelta(minutes=back) for back in range(3)]
    assert (
        mail.first.locator("xpath=ancestor::tr")
        .inner_text()
        .endswith(tuple(moment.strftime("%H:%M") for moment in moments))
    )
    doctor.look("03-outbox")
    doctor.clicks += 1
    mail.first.click()
    doctor.look("04-mail")
    doctor.follow(re.compile("invitations"))
    doctor.look("05-invitation")
    doctor.fill(password1="court", password2="court")
    doctor.press("Ouvrir mon compte")
    assert len(doctor.error("password1")) > 20
    doctor.look("06-password-refused")
    doctor.fill(password1=PASSWORD, password2=PASSWORD)
    doctor.press("Ouvrir mon compte")


def general(doctor: Visitor) -> None:
    doctor.follow(re.compile("^Continuer"))
    if "billing" in doctor.page.url or "account" in doctor.page.url:
        doctor.follow("Informations générales")
    doctor.heading("Informations générales")
    doctor.choose(civility="dr")
    doctor.fill(ssin="82.11.02-976.85", nihii="1-99043-01-004")
    doctor.press("Modifier l'intervenant")
    assert doctor.error("ssin")
    assert doctor.value("ssin") == "82.11.02-976.85"
    doctor.look("11-general-refused")
    doctor.fill(ssin="82.11.02-976.84")
    doctor.press("Modifier l'intervenant")
    doctor.heading("Ma configuration")


def addresses(doctor: Visitor) -> None:
    doctor.follow("Indiquer votre lieu de travail")
    doctor.fill(
        address__0__street="Avenue du Parc", address__0__number="7",
        address__0__postcode="5000", address__0__city="Namur",
    )  # fmt: skip
    doctor.fill(
        **{
            "address__0__telecom__0__value": "cabinet@parc.example",
            "address__0__telecom__1__value": "081 22 22 22",
        }
    )
    doctor.look("12-addresses")
    doctor.press("Modifier l'intervenant")
    doctor.heading("Ma configuration")


def account(doctor: Visitor) -> None:
    """The practice has no billing address: it is created with the form, and nothing typed is lost."""
    doctor.follow("Choisir l'adresse de facturation")
    doctor.sees("n’a pas encore d’adresse de facturation")
    doctor.fill(
        address_name="Cabinet du Parc SRL", address_bce="0100000168", address_street="Avenue du Parc",
        address_number="7", address_postcode="5000", address_city="Namur",
        address_email="factures@parc.example",
    )  # fmt: skip
    doctor.choose(hub_region="rsw")
    doctor.tick("sumehr_auto_send", "yes")
    doctor.press("Modifier l'utilisateur")
    assert doctor.error("address_bce")
    assert doctor.value("address_name") == "Cabinet du Parc SRL"
    assert doctor.value("address_email") == "factures@parc.example"
    assert doctor.value("hub_region") == "rsw"
    doctor.look("13-account-refused")
    doctor.fill(address_bce="0100000169")
    doctor.press("Modifier l'utilisateur")
    doctor.heading("Ma configuration")


def connect(doctor: Visitor, trousseau: bytes) -> None:
    """The worker tests the keystore; the page tells by itself."""
    doctor.follow("Vous connecter à eHealth")
    doctor.look("14-connection")
    doctor.give("keystore", "SSIN=82110297684 20260101-101010.p12", trousseau)
    doctor.fill(keystore_password=people.KEYSTORE_PASSWORD)
    doctor.tick("healthbox_auto")
    doctor.press("Se connecter à eHealth")
    doctor.sees("Connecté à eHealth")
    doctor.look("15-connected")


def register(doctor: Visitor) -> None:
    """Seven mutualities, one account, the conditions read, the request looked at once more."""
    doctor.follow("eDMG")
    if not doctor.field("same_account").is_checked():
        doctor.tick("same_account")
    doctor.fill(iban="BE67 0010 0000 1187")
    doctor.page.locator(".account-shared [data-bic]", has_text="GEBABEBB").wait_for()
    doctor.tick("conditions_accepted")
    doctor.tick("no_paper_ack")
    doctor.look("16-edmg")
    doctor.press("Vérifier ma demande")
    doctor.look("17-edmg-check")
    doctor.press("Demande d'inscription")
    doctor.sees("7 inscriptions faites sur 7")
    doctor.look("18-edmg-done")


def assert_registered_once(portal: Portal) -> None:
    asked = {key: count for key, count in portal.simulator.accepted().items() if key[0] == NIHII}
    assert asked == {(NIHII, code): 1 for code in Mutuality.values}
    with portal.inside():
        user = User.objects.get(login=EMAIL)
        states = EdmgRegistration.objects.filter(user=user).values_list("state", flat=True)
        assert sorted(states) == ["registered"] * 7


def finance(doctor: Visitor) -> None:
    doctor.open("/")
    doctor.follow("Compléter les données financières")
    doctor.fill(bce="0100012344", iban="BE67001000001187")
    doctor.page.locator("[data-bic]", has_text="GEBABEBB").first.wait_for()
    doctor.tick("convention", "conventioned")
    doctor.look("19-finance")
    doctor.press("Modifier les données financières")
    doctor.heading("Vous êtes maintenant prêt à utiliser Medispring")


def mailbox(doctor: Visitor) -> None:
    doctor.open("/mailbox/")
    for _try in range(60):
        if doctor.page.locator("main tbody tr").count() == 7:
            break
        doctor.page.wait_for_timeout(500)
        doctor.page.reload()
    assert doctor.page.locator("main tbody tr").count() == 7
    doctor.look("19-mailbox")
