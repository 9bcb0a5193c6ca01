"""Somebody sees where the account is open, ends a session elsewhere, signs in again in a known browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accounts.models import Mail
from tests.accounts.factories import PASSWORD
from tests.journeys import people
from tests.journeys.running import Portal
from tests.journeys.steps import sign_in
from tests.journeys.test_doctor_is_interrupted import session_behind
from tests.journeys.visitor import Visitor
from tests.proofs import grown_old

pytestmark = pytest.mark.browser
Visitors = Callable[..., Visitor]


def test_a_forgotten_session_is_ended_after_the_password_was_given_again(
    portal: Portal, visitor: Visitors
) -> None:
    user = people.doctor(portal)
    here, there = visitor(user), visitor()
    sign_in(there, user)
    with portal.inside():
        session = session_behind(here)
        session.update(grown_old() | {"browser": "Firefox, Windows", "network": "203.0.113.0/24"})
        session.save()
    here.open(f"/people/{user.uuid}/account/")
    here.follow("Mes sessions")
    here.heading("Mes sessions")
    here.sees("203.0.113.x")
    here.sees("Chrome, Linux")
    here.look("60-own-sessions")
    here.press("Fermer : Chrome, Linux")
    here.heading("Votre mot de passe, encore une fois")
    here.fill(password=PASSWORD)
    here.press("Continuer")
    here.heading("Mes sessions")
    here.press("Fermer : Chrome, Linux")
    here.sees("1 session fermée.")
    here.look("61-one-session-left")
    there.open("/")
    there.heading("Connexion")
    sign_in(there, user)
    with portal.inside():
        assert Mail.objects.filter(user=user, kind="new_device").count() == 0, "first sign-in, then known"
    stranger = visitor()
    sign_in(stranger, user)
    with portal.inside():
        assert Mail.objects.filter(user=user, kind="new_device").count() == 1


def test_an_administrator_ends_the_sessions_of_a_colleague(portal: Portal, visitor: Visitors) -> None:
    head = people.member(portal, "admin")
    user = people.member(portal, "physician", practice=head.practice)
    theirs, admin = visitor(user), visitor(head)
    admin.open(f"/people/{user.uuid}/")
    admin.look("62-access-of-a-person")
    admin.press("Fermer toutes ses sessions")
    admin.sees("1 session fermée.")
    theirs.open("/")
    theirs.heading("Connexion")
