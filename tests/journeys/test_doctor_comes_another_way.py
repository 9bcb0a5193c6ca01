"""Without JavaScript, with the keyboard alone, in Dutch: the same pages do the same work."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.utils import translation
from playwright.sync_api import expect

from billing.models import FinancialSettings
from ehealth.models import Mutuality
from practitioners.models import Practitioner
from tests.journeys import people
from tests.journeys.running import Portal
from tests.journeys.steps import HOME
from tests.journeys.visitor import Visitor
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.browser
Visitors = Callable[..., Visitor]


def test_everything_but_the_key_works_without_script(portal: Portal, visitor: Visitors) -> None:
    user = people.doctor(portal, complete=False)
    doctor = visitor(user, script=False)
    doctor.open(f"/people/{user.uuid}/practitioner/general/")
    doctor.fill(title="Médecin généraliste")
    doctor.press("Modifier l'intervenant")
    doctor.heading(HOME)
    addresses(doctor, f"/people/{user.uuid}/practitioner/addresses/")
    finance(portal, doctor, f"/people/{user.uuid}/billing/financial/")
    doctor.open(f"/people/{user.uuid}/ehealth/connection/")
    doctor.give("keystore", "SSIN=1.p12", people.keystore(portal, user))
    doctor.fill(keystore_password=people.KEYSTORE_PASSWORD)
    doctor.tick("healthbox_auto")
    doctor.press("Se connecter à eHealth")
    refreshed(doctor, "Connecté à eHealth")
    register(portal, doctor, f"/people/{user.uuid}/ehealth/edmg/")


def addresses(doctor: Visitor, path: str) -> None:
    """A second address is added by the server, and what was typed stays."""
    doctor.open(path)
    doctor.fill(
        address__0__street="Avenue du Parc", address__0__number="7",
        address__0__postcode="5000", address__0__city="Namur",
        address__0__telecom__0__value="cabinet@parc.example", address__0__telecom__1__value="081 22 22 22",
    )  # fmt: skip
    doctor.press("Ajouter une adresse")
    assert doctor.value("address__0__street") == "Avenue du Parc"
    doctor.choose(address__1__type="home")
    doctor.fill(address__1__city="Ciney")
    doctor.press("Modifier l'intervenant")
    doctor.heading(HOME)


def finance(portal: Portal, doctor: Visitor, path: str) -> None:
    """The BIC comes from the server when the form is sent."""
    doctor.open(path)
    doctor.fill(bce="0100012344", iban="BE67001000001187")
    doctor.tick("convention", "conventioned")
    doctor.press("Modifier les données financières")
    doctor.heading(HOME)
    doctor.open(path)
    doctor.sees("GEBABEBB")
    with portal.inside():
        assert FinancialSettings.objects.filter(bic="GEBABEBB", practitioner__user__uuid=path[8:44]).exists()


def register(portal: Portal, doctor: Visitor, path: str) -> None:
    doctor.open(path)
    doctor.tick("same_account")
    doctor.fill(iban="BE67001000001187")
    doctor.tick("conditions_accepted")
    doctor.tick("no_paper_ack")
    doctor.press("Vérifier ma demande")
    doctor.press("Demande d'inscription")
    refreshed(doctor, "7 inscriptions faites sur 7")
    with portal.inside():
        number = Practitioner.objects.get(user__uuid=path[8:44]).nihii
    counts = {key: count for key, count in portal.simulator.accepted().items() if key[0] == number}
    assert counts == {(number, code): 1 for code in Mutuality.values}


def refreshed(doctor: Visitor, text: str) -> None:
    """The link « Actualiser » takes the place of the script."""
    for _try in range(90):
        if text in doctor.page.locator("main").inner_text():
            return
        doctor.page.wait_for_timeout(500)
        doctor.follow("Actualiser")
    doctor.sees(text)


def test_the_key_page_explains_that_it_needs_script(portal: Portal, visitor: Visitors) -> None:
    beginner = visitor(people.doctor(portal, key=False), script=False)
    beginner.open("/")
    beginner.heading("Votre clé personnelle")
    # Playwright leaves <noscript> out of what `sees` reads.
    reason = beginner.page.locator("noscript")
    expect(reason).to_be_visible()
    assert "Cette page a besoin de JavaScript" in reason.inner_text()
    assert "rechargez la page" in reason.inner_text()
    expect(beginner.page.get_by_role("button", name="GÉNÉRER")).to_be_hidden()


def test_the_general_form_can_be_done_with_the_keyboard_alone(portal: Portal, visitor: Visitors) -> None:
    user = people.member(portal, "physician")
    with portal.inside():
        PractitionerFactory(user=user, blank=True)
    doctor = visitor(user)
    doctor.open(f"/people/{user.uuid}/practitioner/general/")
    page = doctor.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Aller au contenu")).to_be_focused()
    page.keyboard.press("Enter")
    seen = tabbed(doctor, until="ssin")
    order = [
        name
        for name in seen
        if name in ("profession", "civility", "last_name", "first_name", "title", "ssin")
    ]
    assert order == ["profession", "civility", "last_name", "first_name", "title", "ssin"]
    page.keyboard.type("88050095853")
    page.keyboard.press("Tab")
    page.keyboard.type("19990314001")
    page.keyboard.press("Enter")
    expect(page.locator(".error-summary")).to_be_focused()
    expect(page).to_have_title(re.compile("^Erreur"))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert focused(doctor) in ("ssin", "civility")
    tabbed(doctor, until="civility", key="Shift+Tab")
    page.keyboard.press("ArrowDown")
    tabbed(doctor, until="ssin")
    page.keyboard.press("Control+A")
    page.keyboard.type("88050095852")
    page.keyboard.press("Enter")
    doctor.heading(HOME)
    with portal.inside():
        assert Practitioner.objects.get(user=user).ssin == "88050095852"


def focused(doctor: Visitor) -> str:
    return str(doctor.page.evaluate("document.activeElement?.name ?? ''"))


def tabbed(doctor: Visitor, *, until: str, key: str = "Tab") -> list[str]:
    """Names of the fields passed on the way to the wanted one."""
    passed = [focused(doctor)]
    while passed[-1] != until:
        assert len(passed) < 60, f"{until} is not reached: {passed}"
        doctor.page.keyboard.press(key)
        passed.append(focused(doctor))
    return passed


def test_three_pages_follow_the_language_that_is_chosen(portal: Portal, visitor: Visitors) -> None:
    user = people.doctor(portal)
    doctor = visitor(user)
    doctor.open("/")
    doctor.press(re.compile("Nederlands"))
    pages = {
        "/": "Ma configuration",
        f"/people/{user.uuid}/practitioner/general/": "Informations générales",
        f"/people/{user.uuid}/ehealth/edmg/": "Avant la demande, il manque encore",
    }
    for path, source in pages.items():
        doctor.open(path)
        assert doctor.page.locator("html").get_attribute("lang") == "nl"
        with translation.override("nl"):
            doctor.sees(translation.gettext(source))
        doctor.look(f"50-dutch-{len(path)}")
