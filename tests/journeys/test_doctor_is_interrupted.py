"""A session that ends in mid-form, and an account that somebody else prepared."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import expect

from accounts.models import SectionReview, User
from practitioners.models import Practitioner
from tests.journeys import people
from tests.journeys.running import Portal
from tests.journeys.steps import HOME, make_key, sign_in
from tests.journeys.visitor import Visitor
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.browser
Visitors = Callable[..., Visitor]


def test_what_was_typed_when_the_session_ended_comes_back_after_signing_in(
    portal: Portal, visitor: Visitors, tmp_path: Path
) -> None:
    user = people.doctor(portal, key=False)
    doctor = visitor()
    sign_in(doctor, user)
    make_key(doctor, tmp_path)
    doctor.open(f"/people/{user.uuid}/practitioner/general/")
    doctor.fill(title="Médecin généraliste agréée", company_name="Fontaine SRL")
    doctor.tick("other_languages", "nl")
    with portal.inside():
        session = session_behind(doctor)
        session["seen_at"] -= int(settings.SESSION_IDLE.total_seconds()) + 60
        session.save()
    doctor.press("Modifier l'intervenant")
    doctor.heading("Connexion")
    doctor.sees("Votre session a pris fin")
    doctor.look("40-session-ended")
    sign_in(doctor, user)
    doctor.heading("Informations générales")
    doctor.sees("Votre saisie a été gardée")
    assert doctor.value("title") == "Médecin généraliste agréée"
    assert doctor.value("company_name") == "Fontaine SRL"
    expect(doctor.field("other_languages", "nl")).to_be_checked()
    doctor.look("41-typed-values-back")
    with portal.inside():
        assert Practitioner.objects.get(user=user).title == ""
    doctor.press("Modifier l'intervenant")
    doctor.heading(HOME)
    with portal.inside():
        assert Practitioner.objects.get(user=user).title == "Médecin généraliste agréée"


def session_behind(visitor: Visitor) -> Any:
    """The stored session of this browser."""
    [key] = [cookie["value"] for cookie in visitor.context.cookies() if cookie["name"] == "sessionid"]
    return import_module(settings.SESSION_ENGINE).SessionStore(session_key=key)


def test_the_owner_reviews_what_a_manager_prefilled(portal: Portal, visitor: Visitors) -> None:
    head = people.manager(portal)
    user = people.member(portal, "physician", practice=head.practice, first_name="Julie")
    with portal.inside():
        PractitionerFactory(user=user, blank=True)
    manager = visitor(head)
    manager.open(f"/people/{user.uuid}/")
    manager.follow("Informations générales")
    manager.choose(civility="dr")
    manager.fill(ssin="88050095852", nihii="19990314001")
    manager.press("Modifier l'intervenant")
    manager.heading(f"Julie {user.last_name}")
    manager.look("42-prefilled")

    owner = visitor(user)
    owner.open("/")
    owner.sees("À vérifier, car rempli par quelqu'un d'autre")
    assert state_of(owner, "R15") == "À faire"
    owner.look("43-to-review")
    owner.follow("Informations générales", owner.page.locator(".banner--warning"))
    owner.sees("À vérifier")
    owner.sees(head.get_full_name())
    owner.look("44-review")
    owner.fill(title="Médecin généraliste")
    owner.press("Modifier l'intervenant")
    owner.heading(HOME)
    assert state_of(owner, "R15") == "Fait"
    assert owner.page.locator(".banner--warning").count() == 0
    with portal.inside():
        assert reviewed(user).confirmed_at is not None


def state_of(visitor: Visitor, item: str) -> str:
    return str(visitor.page.locator(f"#{item}-status").inner_text())


def reviewed(user: User) -> SectionReview:
    return SectionReview.objects.get(user=user, section="practitioner/general")
