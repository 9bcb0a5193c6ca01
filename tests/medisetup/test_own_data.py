"""The file in which somebody takes away what the portal holds about them (security SR-143)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db.models import BinaryField, Model
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent, BillingAddress, Practice, User
from medisetup.own_data import LEFT_OUT, PARTS, Part
from medisetup.sealed import COLUMNS
from tests.accounts.factories import UserFactory
from tests.medisetup.secretive import IBAN, INAMI, NISS, doctor_with_secrets

pytestmark = pytest.mark.django_db

Fixture = Callable[[User], Client]
# About a person without a key that leads to one: named by uuid, or of the practice and chosen.
WITHOUT_KEY = {AuditEvent, Practice, BillingAddress}
SEALED = ("sealed-blob", "sealed-key", "sealed-chain", "sealed-assertion", "sealed-content", "sealed-code")


def leading_to_a_person() -> set[type[Model]]:
    """Every model with a key to a person, or to what leads to one."""
    found: set[type[Model]] = {User}
    while more := {
        model
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if field.is_relation and (field.concrete or field.many_to_many) and field.related_model in found
        if model not in found and not getattr(field, "auto_created", False)
    }:
        found |= more
    return found


def test_every_model_about_a_person_is_told_or_left_out_with_a_reason() -> None:
    told = [part.model for part in PARTS]
    assert len(told) == len(set(told)) and not set(told) & set(LEFT_OUT)
    assert set(told) | set(LEFT_OUT) == leading_to_a_person() | WITHOUT_KEY
    assert all(LEFT_OUT.values())


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_column_is_told_or_not_on_purpose(part: Part) -> None:
    named = [*part.told.split(), *part.withheld.split(), *part.inner.split()]
    columns = {field.name for field in part.model._meta.concrete_fields}
    assert len(named) == len(set(named)) and set(named) == columns
    told = set(part.told.split())
    assert not [field for field in part.model._meta.concrete_fields if type(field) is BinaryField
                and field.name in told]  # fmt: skip
    assert not told & {sealed.column for sealed in COLUMNS if sealed.model is part.model}
    assert not told & {"password", "data", "sha256", "request_sha256", "response_sha256"}


def taken(client: Client, user: User) -> tuple[str, dict[str, Any]]:
    response = client.post(reverse("own_data", args=[user.uuid]))
    assert response.status_code == 200, response.content[:500]
    assert response.headers["Cache-Control"] == "no-store, private"
    assert response.headers["Content-Disposition"] == 'attachment; filename="medisetup.json"'
    text = response.content.decode()
    return text, json.loads(text)


def test_the_owner_takes_away_everything_in_full_and_nothing_that_opens_something(signed_in: Fixture) -> None:
    user = doctor_with_secrets()
    UserFactory(practice=user.practice, last_name="Voisin-Curieux")
    text, told = taken(signed_in(user), user)
    empty = {name for name, rows in told.items() if rows == []}
    assert empty == {"licence_days_used", "second_factors", "invitations", "sections", "key_resets"}
    (practitioner,), (financial,) = told["practitioner"], told["financial"]
    assert (practitioner["ssin"], practitioner["nihii"]) == (NISS, INAMI)
    assert financial["iban"] and financial["bce"]
    assert told["edmg_registrations"][0]["iban"] == IBAN
    assert any(message["title"] == "A message nobody else reads" for message in told["mailbox_messages"])
    assert {row["value"] for row in told["telecoms"]} >= {"+32471223344", "cabinet.secret@example.be"}
    assert told["keystores"][0]["serial"] and told["licence_requests"][0]["nihii"] == INAMI
    assert told["journal"][-1]["kind"] == "account:data:exported"
    for secret in SEALED:
        for written in (secret, base64.b64encode(secret.encode()).decode(), secret.encode().hex()):
            assert written not in text
    for digest in (user.password, "a" * 64, "b" * 64, "c" * 64):
        assert digest not in text
    assert "Voisin-Curieux" not in text


def test_taking_it_away_is_in_the_journal(signed_in: Fixture) -> None:
    user = UserFactory()
    taken(signed_in(user), user)
    event = AuditEvent.objects.get(kind="account:data:exported")
    assert (event.actor, event.subject) == (user.uuid, user.uuid)
    history = signed_in(user).get(reverse("history", args=[user.uuid])).content.decode()
    assert "Données personnelles téléchargées" in history and reverse("own_data", args=[user.uuid]) in history


def test_nobody_takes_away_the_data_of_somebody_else(signed_in: Fixture) -> None:
    user = UserFactory()
    admin = UserFactory(practice=user.practice, roles=["admin"])
    url = reverse("own_data", args=[user.uuid])
    assert signed_in(admin).post(url).status_code == 403
    for stranger in (UserFactory(practice=user.practice), UserFactory(), UserFactory(is_staff=True)):
        assert signed_in(stranger).post(url).status_code in (302, 404)
    assert not AuditEvent.objects.filter(kind="account:data:exported").exists()
    assert signed_in(user).get(url).status_code == 405
