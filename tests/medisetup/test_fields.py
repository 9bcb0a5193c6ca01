"""Which field who may write, and what a form never takes (security SR-28, SR-29).

`tests/data/fields.csv` is the table: role × field of each section; `write`, `read`, `masked`, `-` for absent.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db.models import Model
from django.test import Client
from django.urls import get_resolver, reverse

from accounts.fields import JudgedField
from accounts.models import RoleGrant, User
from accounts.sections import SectionForm, SectionView
from billing.models import FinancialSettings
from medisetup.templatetags.medisetup import TABS
from practitioners.models import Practitioner
from tests.accounts.factories import BillingAddressFactory, PracticeFactory, UserFactory
from tests.billing.factories import FinancialFactory
from tests.cast import ready_doctor
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.django_db

Fixture = Callable[[User], Client]
TABLE = Path(__file__).parents[1] / "data/fields.csv"
READERS = ("owner", "admin", "user_manager")
OURS = ("accounts", "practitioners", "billing", "ehealth", "mfa")
# What a save writes besides: its version, event, notice, and the 45 days bound to the numbers as stored.
TRACES = ("SectionReview", "AuditEvent", "Mail", "ProvisionalClaim")
FOREIGN = "Ixtaccihuatl"


# --- the table --------------------------------------------------------------------------------
def views() -> dict[str, type[SectionView]]:
    found = {}
    for key, name, _label in TABS:
        match = get_resolver().resolve(reverse(name, args=[uuid4()]))
        found[key] = match.func.view_class
    return found


def right(view: type[SectionView], form: SectionForm, name: str, reader: str) -> str:
    if view.owner_only and reader != "owner":
        return "-"
    field = form.fields.get(name)
    if field is None:
        return "-"
    if field.disabled:
        return "read"
    return "masked" if reader != "owner" and isinstance(field, JudgedField) and field.personal else "write"


def observed() -> list[dict[str, str]]:
    doctor = ready_doctor()
    people = {"owner": doctor} | {
        role: UserFactory(practice=doctor.practice, roles=[role]) for role in READERS[1:]
    }
    rows = []
    for key, view in views().items():
        forms = {who: view.form_class(subject=doctor, actor=actor) for who, actor in people.items()}
        names = dict.fromkeys(name for form in forms.values() for name in form.fields if name != "version")
        rows += [
            {"section": key, "field": name} | {who: right(view, forms[who], name, who) for who in READERS}
            for name in names
        ]
    return rows


def test_every_field_is_for_whom_the_table_says() -> None:
    with TABLE.open(newline="") as file:
        table = list(csv.DictReader(file))
    found = observed()
    assert found == table, "\n".join(",".join(row.values()) for row in found if row not in table)
    assert len(table) > 40


def test_the_fields_of_rules_4_6_are_the_owners() -> None:
    with TABLE.open(newline="") as file:
        table = {(row["section"], row["field"]): row for row in csv.DictReader(file)}
    for (section, name), row in table.items():
        if section.startswith("ehealth/") or "password" in name:
            assert (row["admin"], row["user_manager"]) == ("-", "-"), name
        elif name in ("ssin", "iban", "assistants_shared_iban"):
            assert (row["admin"], row["user_manager"]) == ("masked", "masked"), name


# --- what a form never takes ------------------------------------------------------------------
def models() -> list[type[Model]]:
    return [model for model in apps.get_models() if model._meta.app_label in OURS]


def everything() -> dict[str, list[dict[str, Any]]]:
    """Every row of every model of ours but the traces of a save."""
    shown = [model for model in models() if model.__name__ not in TRACES]
    return {
        model.__name__: [
            {name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()}
            for row in model._default_manager.order_by("pk").values()
        ]
        for model in shown
    }


def as_it_is(form: Any) -> dict[str, Any]:
    """What a browser sends when nothing was touched."""
    sent = {bound.html_name: bound.value() for bound in form}
    return {name: value for name, value in sent.items() if value or (value == 0 and value is not False)}


def every_column(own: set[str], foreign: User) -> dict[str, Any]:
    """A value for every column of every model that the form has no field for."""
    names = {field.name for model in models() for field in model._meta.concrete_fields}
    names |= {f"{name}_id" for name in names}
    odd = {"practice": foreign.practice_id, "user": foreign.pk, "state": "active", "profession": "persnurse"}
    return {name: str(odd.get(name.removesuffix("_id"), "1")) for name in names - own}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["practitioners:general", "accounts:account", "billing:financial"])
def test_posting_every_column_changes_nothing_that_has_no_field(
    signed_in: Fixture, name: str, reader: str
) -> None:
    doctor, foreign = ready_doctor(user__last_name="Lambert"), UserFactory(is_staff=True)
    actor = doctor if reader == "owner" else UserFactory(practice=doctor.practice, roles=[reader])
    client, url = signed_in(actor), reverse(name, args=[doctor.uuid])
    form = client.get(url).context["form"]
    before = everything()
    sent = every_column(set(form.fields), foreign) | as_it_is(form)
    assert len(sent) > 120
    response = client.post(url, sent)
    assert response.status_code == 302, response.context["form"].errors
    assert everything() == before


# --- choices ----------------------------------------------------------------------------------
def test_a_supervisor_of_another_practice_is_refused(signed_in: Fixture) -> None:
    trainee = PractitionerFactory(trainee=True)
    senior = FinancialFactory(practitioner__user__last_name=FOREIGN).practitioner
    url = reverse("billing:financial", args=[trainee.user.uuid])
    for chosen in (senior.uuid, senior.pk, senior.user.uuid):
        typed = {"version": 0, "convention": "conventioned", "supervisor": chosen}
        response = signed_in(trainee.user).post(url, typed)
        assert response.status_code == 422 and FOREIGN not in response.content.decode()
    assert not FinancialSettings.objects.filter(practitioner=trainee).exists()


def test_a_billing_address_of_another_practice_is_refused(signed_in: Fixture) -> None:
    doctor = ready_doctor()
    address = BillingAddressFactory(practice=PracticeFactory(), name=FOREIGN)
    client, url = signed_in(doctor), reverse("accounts:account", args=[doctor.uuid])
    sent = as_it_is(client.get(url).context["form"])
    for chosen in (address.uuid, address.pk):
        response = client.post(url, sent | {"billing_address": str(chosen)})
        assert response.status_code == 422 and FOREIGN not in response.content.decode()
    assert User.objects.get(pk=doctor.pk).billing_address == doctor.billing_address


def test_a_contact_of_another_practice_is_refused(signed_in: Fixture) -> None:
    practice = PracticeFactory(type="flat_rate_house")
    house = PractitionerFactory(
        user__practice=practice, user__roles=["admin"], profession="orgprimaryhealthcarecenter"
    )
    foreign = UserFactory(last_name=FOREIGN)
    client, url = signed_in(house.user), reverse("practitioners:general", args=[house.user.uuid])
    sent = as_it_is(client.get(url).context["form"])
    for chosen in (foreign.uuid, foreign.pk):
        response = client.post(url, sent | {"house_contact": str(chosen)})
        assert response.status_code == 422 and FOREIGN not in response.content.decode()
        assert "house_contact" in response.context["form"].errors
    assert Practitioner.objects.get(pk=house.pk).house_contact is None


@pytest.mark.parametrize("role", ["admin", "user_manager", "support", "staff"])
def test_a_manager_gives_no_role_above_the_own(signed_in: Fixture, role: str) -> None:
    doctor = ready_doctor()
    manager = UserFactory(practice=doctor.practice, roles=["user_manager"])
    client, url = signed_in(manager), reverse("accounts:account", args=[doctor.uuid])
    sent = as_it_is(client.get(url).context["form"])
    response = client.post(url, sent | {"roles": ["physician", role]})
    assert response.status_code == 422 and "roles" in response.context["form"].errors
    assert set(RoleGrant.objects.filter(user=doctor).values_list("role", flat=True)) == {"physician"}
