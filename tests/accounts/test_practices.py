"""The first practice of an installation and its administrator come from a command."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Invitation, Mail, Practice, User
from tests.accounts.factories import UserFactory

pytestmark = pytest.mark.django_db


def make(*words: str, **options: str) -> str:
    said = StringIO()
    call_command("practice", *words, stdout=said, **options)
    return said.getvalue()


def test_a_practice_is_made_and_its_administrator_invited() -> None:
    said = make("Cabinet du Parc", "an.maes@parc.example", "An", "Maes", type="solo", language="nl")
    user = User.objects.get(login="an.maes@parc.example")
    assert said == "Cabinet du Parc: an.maes@parc.example is invited\n"
    assert (user.practice.name, user.practice.type, user.language) == ("Cabinet du Parc", "solo", "nl")
    assert list(user.role_grants.values_list("role", flat=True)) == ["admin"]
    assert Invitation.objects.filter(user=user).count() == Mail.objects.filter(user=user).count() == 1
    assert not user.has_usable_password()


@pytest.mark.parametrize(
    ("name", "email", "words"),
    [
        ("Cabinet", "taken@parc.example", "déjà"),
        ("Cabinet", "no address", "login"),
        (" ", "an@parc.example", "1 to 120 characters"),
        ("x" * 121, "an@parc.example", "1 to 120 characters"),
    ],
)
def test_what_cannot_be_made_is_named_and_leaves_nothing(name: str, email: str, words: str) -> None:
    UserFactory(login="taken@parc.example", email="taken@parc.example")
    before = Practice.objects.count()
    with pytest.raises(CommandError, match=words):
        make(name, email, "An", "Maes")
    assert Practice.objects.count() == before and not Mail.objects.exists()
