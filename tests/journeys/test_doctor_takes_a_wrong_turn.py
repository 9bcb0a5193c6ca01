"""Wrong files, wrong passwords, wrong accounts, a platform that is away: a sentence each, and a way on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from accounts.models import PersonalKey, User
from billing.models import FinancialSettings
from ehealth.models import Keystore
from tests.journeys import people
from tests.journeys.running import Portal
from tests.journeys.steps import HOME, give_key_file, make_key, sign_in
from tests.journeys.visitor import Visitor

pytestmark = pytest.mark.browser
Visitors = Callable[..., Visitor]
FILE = "SSIN=75031400183 20260101-101010.p12"


def test_on_another_computer_a_wrong_key_file_is_named_and_the_right_one_opens(
    portal: Portal, visitor: Visitors, tmp_path: Path
) -> None:
    doctor, colleague = people.doctor(portal, key=False), people.doctor(portal, key=False)
    own = file_of(visitor, doctor, tmp_path)
    other = file_of(visitor, colleague, tmp_path)
    with portal.inside():
        prints = [PersonalKey.objects.get(user=user).fingerprint for user in (doctor, colleague)]
    computer = visitor()
    sign_in(computer, doctor)
    computer.heading("Importer ma clé")
    give_key_file(computer, other)
    error = computer.page.locator("[data-key-error]")
    for fingerprint in prints:
        expect(error).to_contain_text(fingerprint[:4].upper())
    computer.look("30-wrong-key-file")
    give_key_file(computer, own)
    computer.press("Importer ma clé")
    computer.heading(HOME)


def file_of(visitor: Visitors, user: User, folder: Path) -> Path:
    """The file of the key that this person makes at home."""
    at_home = visitor()
    sign_in(at_home, user)
    return make_key(at_home, folder)


def test_a_refused_keystore_says_why_and_stores_nothing(portal: Portal, visitor: Visitors) -> None:
    user, other = people.doctor(portal), people.doctor(portal)
    good, foreign = people.keystore(portal, user), people.keystore(portal, other)
    expired = people.keystore(portal, user, "expired")
    doctor = visitor(user)
    doctor.open(f"/people/{user.uuid}/ehealth/connection/")
    upload(doctor, foreign)
    assert "autre personne" in doctor.error("keystore")
    assert "Choisissez votre propre trousseau" in doctor.error("keystore")
    doctor.look("31-foreign-keystore")
    upload(doctor, expired)
    assert "expiré" in doctor.error("keystore")
    assert "Demandez un nouveau certificat" in doctor.error("keystore")
    upload(doctor, good, password="Trousseau-2")
    assert "n'ouvre pas ce trousseau" in doctor.error("keystore_password")
    assert doctor.value("keystore_password") == ""
    assert doctor.field("healthbox_auto").is_checked()
    doctor.look("32-keystore-password")
    with portal.inside():
        assert not Keystore.objects.filter(user=user).exists()
    upload(doctor, good)
    doctor.sees("Connecté à eHealth")


def upload(doctor: Visitor, data: bytes, password: str = people.KEYSTORE_PASSWORD) -> None:
    doctor.give("keystore", FILE, data)
    doctor.fill(keystore_password=password)
    doctor.tick("healthbox_auto")
    doctor.press("Se connecter à eHealth")


def test_a_platform_that_is_away_is_tried_again(portal: Portal, visitor: Visitors) -> None:
    user = people.doctor(portal)
    data = people.keystore(portal, user)
    doctor = visitor(user)
    doctor.open(f"/people/{user.uuid}/ehealth/connection/")
    portal.simulator.kill()
    try:
        upload(doctor, data)
        doctor.sees("La plate-forme eHealth est injoignable.")
        doctor.sees("Prochain essai")
        doctor.look("33-platform-down")
    finally:
        portal.simulator.restart()
    doctor.page.reload()
    doctor.press("Réessayer maintenant")
    doctor.sees("Connecté à eHealth")
    with portal.inside():
        assert [row.state for row in Keystore.objects.filter(user=user)] == ["active"]


def wrong_inside() -> str:
    """An IBAN whose own check holds while the national one does not: …87 became …88."""
    number = "001000001188"
    return f"BE{98 - int(number + '111400') % 97:02}{number}"


def test_an_account_whose_national_check_fails_is_refused_with_everything_typed_kept(
    portal: Portal, visitor: Visitors
) -> None:
    user = people.doctor(portal)
    doctor = visitor(user)
    doctor.open(f"/people/{user.uuid}/billing/financial/")
    doctor.fill(company_name="Fontaine SRL", bce="0100012344", iban=wrong_inside())
    expect(doctor.field("convention_hours")).to_be_hidden()
    doctor.tick("convention", "partially")
    expect(doctor.field("convention_hours")).to_be_visible()
    doctor.tick("convention", "conventioned")
    doctor.press("Modifier les données financières")
    assert len(doctor.error("iban")) > 20
    assert doctor.value("iban").replace(" ", "") == wrong_inside()
    assert doctor.value("company_name") == "Fontaine SRL"
    assert doctor.value("bce").replace(".", "") == "0100012344"
    expect(doctor.field("convention", "conventioned")).to_be_checked()
    doctor.look("34-iban-refused")
    with portal.inside():
        assert not FinancialSettings.objects.filter(practitioner__user=user).exists()
    doctor.fill(iban="BE67001000001187")
    doctor.press("Modifier les données financières")
    doctor.heading(HOME)
    with portal.inside():
        assert FinancialSettings.objects.get(practitioner__user=user).bic == "GEBABEBB"
