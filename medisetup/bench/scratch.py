"""A database of the benchmark's own, furnished, and the people who look at its pages."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO

from django.db import connection
from django.db.models import Count, QuerySet
from django.db.models.functions import Abs
from django.utils import timezone

from accounts.models import PersonalKey, Practice, Role, RoleGrant, User
from medisetup import furnishing
from practitioners.reference import PHYSICIAN

PEOPLE_PER_PRACTICE = 50
SMALLEST = 20


@dataclass(frozen=True)
class Furnished:
    """So many people, and three of them: a doctor far on the way, an administrator, one of the staff."""

    size: int
    practice: Practice
    doctor: User
    admin: User
    staff: User


@contextmanager
def scratch() -> Iterator[None]:
    """A new, empty database instead of the configured one, which is never touched; gone afterwards."""
    configured, name = connection.settings_dict["NAME"], f"bench_{uuid.uuid4().hex}"
    given = connection.settings_dict["TEST"]["NAME"]
    connection.settings_dict["TEST"]["NAME"] = name
    try:
        with redirect_stdout(StringIO()):  # it says that the table of the cache is there already
            connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        yield
    finally:
        if connection.settings_dict["NAME"] == name:
            connection.creation.destroy_test_db(configured, verbosity=0)
        connection.settings_dict["TEST"]["NAME"] = given


def furnish(size: int) -> Furnished:
    """Fill the scratch database with that many people, the same each time."""
    practices = max(1, size // PEOPLE_PER_PRACTICE)
    furnishing.furnish(practices=practices, people=size, seed=1, now=timezone.now())
    # With their own key, whoever looks passes the gate before the pages.
    keyed = (
        User.objects.active().filter(personal_keys__state=PersonalKey.State.ACTIVE).select_related("practice")
    )
    ready = keyed.filter(practitioner__profession=PHYSICIAN, ready_at__isnull=False)
    sized = Practice.objects.filter(users__in=ready).annotate(off=Abs(Count("users") - PEOPLE_PER_PRACTICE))
    doctor = _first(ready.filter(practice=sized.order_by("off", "pk")[0]))
    admin = _first(keyed.filter(practice=doctor.practice).exclude(pk=doctor.pk))
    staff = _first(keyed.exclude(pk__in=[doctor.pk, admin.pk]))
    RoleGrant.objects.get_or_create(user=admin, role=Role.ADMIN)
    User.objects.get_queryset().filter(pk=staff.pk).update(is_staff=True)
    staff.refresh_from_db()
    return Furnished(size, doctor.practice, doctor, admin, staff)


def _first(people: QuerySet[User]) -> User:
    return people.order_by("pk")[:1].get()
