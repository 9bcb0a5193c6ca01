"""What two requests could break together, with threads over real connections; and, beside each, a control run
in which the guard is off and the very same interleaving breaks it.

A gate makes the interleaving: everybody has read before anybody writes. With a lock on, the others wait at it
before they can read, so the first one does not wait for them for long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.actions import people
from accounts.models import Practice, RoleGrant, User
from tests.accounts.factories import PracticeFactory, UserFactory
from tests.accounts.test_people import at_once, create

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 25
HELD, FREE = 0.15, 20.0
LOCK_TIMEOUT = 5


def meet(gate: Barrier, *, locked: bool) -> None:
    """Wait for the others: only a moment when a lock holds them, until they come when nothing does."""
    try:
        gate.wait(HELD if locked else FREE)
    except BrokenBarrierError:
        return


def two_administrators() -> tuple[User, User]:
    first = UserFactory(roles=["admin"])
    return first, UserFactory(practice=first.practice, roles=["admin"])


def left(practice: Practice) -> int:
    held = RoleGrant.objects.filter(user__practice=practice, user__is_active=True, role="admin")
    return held.count()


# --- the last administrator ------------------------------------------------------------------
def remove(user: User, gate: Barrier, *, guarded: bool) -> Callable[[], None]:
    """What `people.deactivate` does, with a gate between looking and writing; the lock can be left out."""

    def act() -> None:
        with transaction.atomic():
            if guarded:
                people.lock_practice(user)
            people.require_another_administrator(user)
            meet(gate, locked=guarded)
            User.objects.filter(pk=user.pk).update(is_active=False, deactivated_at=timezone.now())

    return act


@pytest.mark.parametrize(("guarded", "remaining"), [(True, 1), (False, 0)], ids=["guard", "control"])
def test_both_look_before_either_writes(guarded: bool, remaining: int) -> None:
    """The control run: without the practice's lock both find the other, and nobody is left."""
    for _round in range(3):
        first, second = two_administrators()
        gate = Barrier(2)
        results = at_once([remove(first, gate, guarded=guarded), remove(second, gate, guarded=guarded)])
        refused = [result for result in results if isinstance(result, people.LastAdministrator)]
        assert left(first.practice) == remaining
        assert len(refused) == remaining, results


@pytest.mark.parametrize("ways", [("close", "close"), ("close", "roles"), ("roles", "roles")])
def test_the_last_two_administrators_are_never_both_removed(ways: tuple[str, str]) -> None:
    def act(way: str, user: User, by: User) -> Callable[[], Any]:
        now = timezone.now()
        if way == "close":
            return lambda: people.deactivate(user=user, by=by, now=now)
        return lambda: people.set_roles(user=user, roles=["physician"], by=by, now=now)

    for _round in range(ROUNDS):
        first, second = two_administrators()
        results = at_once([act(ways[0], first, second), act(ways[1], second, first)])
        assert sum(isinstance(result, Exception) for result in results) == 1, results
        assert left(first.practice) == 1


# --- one login -------------------------------------------------------------------------------
@contextmanager
def without_the_constraint(*columns: str) -> Iterator[None]:
    """The table as it would be if only the code asked whether a name is free."""
    drop = "ALTER TABLE accounts_user DROP CONSTRAINT {0}"
    add = "ALTER TABLE accounts_user ADD CONSTRAINT {0} UNIQUE ({1})"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.conname, a.attname FROM pg_constraint c JOIN pg_attribute a"
            " ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]"
            " WHERE c.conrelid = 'accounts_user'::regclass AND c.contype = 'u' AND a.attname = ANY(%s)",
            [list(columns)],
        )
        found = cursor.fetchall()
        assert len(found) == len(columns)
        for name, _column in found:
            cursor.execute(drop.format(name))
    try:
        yield
    finally:
        User.objects.get_queryset().filter(login_key="anne@example.be").delete()
        with connection.cursor() as cursor:
            for name, column in found:
                cursor.execute(add.format(name, column))


def look_then_write(practice: Practice, number: int, gate: Barrier, *, locked: bool) -> Callable[[], bool]:
    """What creating does with a name: look whether it is free, then take it."""

    def act() -> bool:
        with transaction.atomic():
            if locked:
                people.lock_names()
            taken = User.objects.get_queryset().filter(login_key="anne@example.be").exists()
            meet(gate, locked=locked)
            if not taken:
                address = f"anne{number}@example.be"
                User.objects.create(
                    practice=practice, login="anne@example.be", login_key="anne@example.be",
                    email=address, email_key=address, last_name="Dupont",
                )  # fmt: skip
        return not taken

    return act


CONTROLS = [(True, True, 1), (True, False, 1), (False, True, 1), (False, False, 8)]


@pytest.mark.parametrize(("locked", "constrained", "accounts"), CONTROLS)
def test_eight_look_before_any_writes(locked: bool, constrained: bool, accounts: int) -> None:
    """Lock or constraint alone keep one account; the control run has neither and gets eight."""
    practice, gate = PracticeFactory(), Barrier(8)
    acts = [look_then_write(practice, number, gate, locked=locked) for number in range(8)]
    if constrained:
        results = at_once(acts)
        made = User.objects.get_queryset().filter(login_key="anne@example.be").count()
    else:
        with without_the_constraint("login_key"):
            results = at_once(acts)
            made = User.objects.get_queryset().filter(login_key="anne@example.be").count()
    assert made == accounts, results
    assert results.count(True) == accounts


def test_whoever_creates_one_person_waits_for_an_import_of_many() -> None:
    """Longer than any other lock is waited for (the connections' lock_timeout), and with it again after."""
    practice, held = PracticeFactory(), Barrier(2)

    def hold() -> None:
        with transaction.atomic():
            people.lock_names()
            held.wait(FREE)
            time.sleep(LOCK_TIMEOUT + 0.5)

    def create_one() -> str:
        held.wait(FREE)
        with transaction.atomic(), connection.cursor() as cursor:
            create(practice=practice)
            cursor.execute("SHOW lock_timeout")
            return str(cursor.fetchone()[0])

    assert at_once([hold, create_one]) == [None, f"{LOCK_TIMEOUT}s"]
