"""The furnished platform: right numbers, every state, the same for the same seed, never where it is real."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import identifiers
from accounts.models import Licence, Practice, User
from billing.bank import account
from ehealth.models import EdmgRegistration, Keystore
from medisetup import furnishing
from medisetup.readiness import with_items
from practitioners.models import Practitioner
from tests.accounts.factories import UserFactory

pytestmark = pytest.mark.django_db


def test_six_hundred_people_are_plausible_and_in_every_state() -> None:
    now = timezone.now()
    made = furnishing.furnish(practices=30, people=600, seed=1, now=now)
    assert (made["practice"], made["user"]) == (30, 600)
    homes: dict[int, list[bool]] = {}
    for home, ready in with_items(User.objects.active()).values_list("practice", "ready"):
        homes.setdefault(home, []).append(ready)
    shares, sizes = [sum(of) / len(of) for of in homes.values()], [len(of) for of in homes.values()]
    assert min(shares) < 0.2 and max(shares) > 0.8 and max(sizes) > 3 * min(sizes), (shares, sizes)
    assert not User.objects.get_queryset().filter(ready_at__gt=now).exists()
    assert set(User.objects.get_queryset().values_list("language", flat=True)) == {"fr", "nl", "de", "en"}
    assert User.objects.get_queryset().filter(is_active=False).exists()
    assert len(set(EdmgRegistration.objects.values_list("state", flat=True))) == 8
    assert len(set(Licence.objects.values_list("state", flat=True))) >= 3
    assert set(Keystore.objects.values_list("state", flat=True)) == {"active", "refused"}
    for row in Practitioner.objects.exclude(ssin=""):
        assert identifiers.ssin(row.ssin, today=now.date()) == row.ssin
        assert not row.nihii or identifiers.nihii(row.nihii) == row.nihii
    for iban in EdmgRegistration.objects.values_list("iban", flat=True).distinct()[:50]:
        assert account(iban).iban == iban


def test_the_same_seed_gives_the_same_people_and_nothing_is_doubled() -> None:
    furnishing.furnish(practices=3, people=30, seed=7, now=timezone.now())
    first = list(User.objects.get_queryset().order_by("login").values_list("last_name", flat=True))
    with pytest.raises(furnishing.AlreadyFurnished):
        furnishing.furnish(practices=3, people=30, seed=7, now=timezone.now())
    User.objects.get_queryset().update(last_name="x")
    assert len(first) == 30 and Practice.objects.count() == 3


def test_it_refuses_a_platform_that_is_not_simulated(settings: Settings) -> None:
    settings.EHEALTH_ENVIRONMENT = "acceptance"
    with pytest.raises(CommandError, match="simulator"):
        call_command("furnish")
    settings.EHEALTH_ENVIRONMENT = "simulation"
    with pytest.raises(CommandError, match="at least one person"):
        call_command("furnish", practices=5, people=2)
    assert not Practice.objects.exists()


def test_the_boards_open_on_it(client: object, signed_in: object) -> None:
    furnishing.furnish(practices=4, people=80, seed=2, now=timezone.now())
    staff = UserFactory(roles=["reception"], is_staff=True)
    assert signed_in(staff).get(reverse("platform")).status_code == 200  # type: ignore[operator]
