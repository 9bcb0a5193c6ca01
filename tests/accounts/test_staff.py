"""The portal's own staff: given by a command, sees every practice, and every reading is written down."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.http import Http404

from accounts import access
from accounts.access import STAFF, Forbidden
from accounts.models import AuditEvent, Role, User
from tests.accounts.factories import PracticeFactory, UserFactory

pytestmark = pytest.mark.django_db


def member() -> User:
    user = UserFactory(roles=["reception"])
    call_command("staff", user.login)
    return User.objects.get(pk=user.pk)


def test_the_command_gives_and_takes_once_and_is_in_the_journal() -> None:
    user = member()
    call_command("staff", user.login)
    assert access.capabilities(user) >= STAFF
    call_command("staff", user.login, take_away=True)
    assert not STAFF & access.capabilities(User.objects.get(pk=user.pk))
    kinds = AuditEvent.objects.filter(subject=user.uuid).order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["account:staff:granted", "account:staff:taken"]
    with pytest.raises(CommandError, match="nobody"):
        call_command("staff", "nobody@example.be")


def test_no_role_of_a_practice_reaches_another() -> None:
    for role in Role.values:
        actor = UserFactory(roles=[role])
        assert not STAFF & access.capabilities(actor)
        with pytest.raises(Forbidden):
            access.any_practice_or_404(actor, PracticeFactory().uuid)
        with pytest.raises(Forbidden):
            access.anybody_or_404(actor, UserFactory().uuid)


def test_staff_sees_any_practice_and_person_and_leaves_a_trace() -> None:
    staff, other = member(), UserFactory()
    assert access.any_practice_or_404(staff, other.practice.uuid) == other.practice
    assert access.anybody_or_404(staff, other.uuid) == other
    for kind, subject in (("platform:practice:read", None), ("platform:person:read", other.uuid)):
        event = AuditEvent.objects.get(kind=kind)
        assert (event.actor, event.practice, event.subject) == (staff.uuid, other.practice.uuid, subject)
    for look in (access.any_practice_or_404, access.anybody_or_404):
        with pytest.raises(Http404):
            look(staff, uuid4())
