"""People of the journeys: rows in the running portal's database, entries in the platform's register."""

from __future__ import annotations

import itertools
from typing import Any

from django.conf import settings
from django.test import Client

from accounts.models import BillingAddress, User
from tests.accounts.factories import BillingAddressFactory, PracticeFactory, UserFactory
from tests.conftest import sign_in
from tests.journeys.running import Portal
from tests.practitioners.factories import AddressFactory, PractitionerFactory, nihii, ssin

NUMBERS = itertools.count(7000)
KEYSTORE_PASSWORD = "Trousseau-1"


def session_of(portal: Portal, user: User) -> str:
    """The cookie of a session past password and key."""
    with portal.inside():
        client = sign_in(Client(), user)
        return str(client.cookies[settings.SESSION_COOKIE_NAME].value)


def member(portal: Portal, role: str, **facts: Any) -> User:
    """An activated person with a placeholder key."""
    with portal.inside():
        return UserFactory(roles=[role], **fresh() | facts)


def fresh() -> dict[str, str]:
    number = next(NUMBERS)
    return {"login": f"personne{number}@journey.example", "last_name": f"Dupont{'abcdefghij'[number % 10]}"}


def manager(portal: Portal) -> User:
    """The user manager of a new practice that has no billing address."""
    with portal.inside():
        practice = PracticeFactory(name=f"Cabinet du Parc {next(NUMBERS)}")
    return member(portal, "user_manager", practice=practice, first_name="Marc")


def doctor(portal: Portal, *, known: bool = True, complete: bool = True, **facts: Any) -> User:
    """A general practitioner; `complete`: with workplace, billing address, hub; `known`: on the platform."""
    number = next(NUMBERS)
    with portal.inside():
        user = UserFactory(roles=["physician"], **fresh() | facts)
        row = PractitionerFactory(user=user, ssin=ssin(number), nihii=nihii(number))
        if complete:
            AddressFactory(practitioner=row)
            address: BillingAddress = BillingAddressFactory(practice=user.practice)
            User.objects.filter(pk=user.pk).update(billing_address=address, hub_region="rsw")
    if known:
        portal.simulator.add_person(
            row.ssin, first_name=user.first_name, last_name=user.last_name, nihii11=row.nihii
        )
    return user


def keystore(portal: Portal, user: User, kind: str = "rsa") -> bytes:
    """A keystore in the name of this doctor."""
    with portal.inside():
        number = user.practitioner.ssin
    return portal.simulator.keystore(number, kind, KEYSTORE_PASSWORD)
