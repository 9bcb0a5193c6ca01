"""What somebody else fills in may stay half; the owner's own save asks for the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import BillingAddress, SectionReview, User
from billing.models import FinancialSettings
from medisetup.checklist import checklist
from medisetup.item import DONE, TODO
from medisetup.readiness import states_of
from practitioners.models import Address, Practitioner
from tests.accounts.factories import BillingAddressFactory, PersonalKeyFactory, UserFactory
from tests.billing.factories import FinancialFactory
from tests.cast import ready_doctor
from tests.client import CheckingClient
from tests.ehealth.factories import KeystoreFactory
from tests.medisetup.test_second_proof import asks, long_ago
from tests.practitioners.factories import AddressFactory, PractitionerFactory
from tests.practitioners.sheets import HEADING, as_csv, person
from tests.practitioners.test_imports import done

pytestmark = pytest.mark.django_db
SignedIn = Callable[[User], CheckingClient]
QUIET = "Ce que vous laissez vide sera demandé à"
GENERAL = {"profession": "persphysician", "last_name": "Lambert", "language": "fr"}
WORKPLACE = {
    "addresses": 1, "address-0-type": "work", "address-0-country": "BE", "address-0-telecoms": 1,
    "address-0-telecom-0-type": "phone", "address-0-telecom-0-value": "081 22 22 22",
}  # fmt: skip
SECTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "practitioner/general": ("practitioners:general", GENERAL),
    "practitioner/addresses": ("practitioners:addresses", WORKPLACE),
    "account": ("accounts:account", {"roles": ["physician"], "address_country": "BE"}),
    "billing/financial": ("billing:financial", {"company_name": "Les Prés"}),
}


def manager_of(user: User) -> User:
    manager: User = UserFactory(practice=user.practice, roles=["user_manager"])
    return manager


def url(name: str, user: User) -> str:
    return reverse(name, args=[user.uuid])


def typed(user: User, section: str) -> dict[str, Any]:
    """What the page of a blank section sends when nothing more than its first answers are typed."""
    review = SectionReview.objects.filter(user=user, section=section).first()
    names = {"login": user.login, "email": user.email} if section == "account" else {}
    return {"version": review.version if review else 0} | names | SECTIONS[section][1]


@pytest.mark.parametrize("section", SECTIONS)
def test_somebody_else_leaves_mandatory_fields_empty_and_the_owner_does_not(
    section: str, signed_in: SignedIn
) -> None:
    doctor = PractitionerFactory(blank=True, user__first_name="").user
    page = url(SECTIONS[section][0], doctor)
    own, theirs = signed_in(doctor), signed_in(manager_of(doctor))
    assert own.post(page, typed(doctor, section)).status_code == 422
    assert QUIET in theirs.get(page).content.decode() and QUIET not in own.get(page).content.decode()
    assert theirs.post(page, typed(doctor, section)).status_code == 302
    assert SectionReview.objects.get(user=doctor, section=section).to_review()
    states = states_of([doctor.pk])[doctor.pk]
    assert states["review"] == TODO and not checklist(doctor).ready
    for key in ("identity", "workplace", "workplace_contact", "billing_address", "hub", "finance"):
        assert states[key] == TODO
    assert own.post(page, typed(doctor, section)).status_code == 422
    assert SectionReview.objects.get(user=doctor, section=section).to_review()
    assert not BillingAddress.objects.exists()


@pytest.mark.parametrize(
    ("section", "wrong", "field"),
    [
        ("practitioner/general", {"ssin": "75.03.14-985.95"}, "ssin"),
        ("practitioner/general", {"nihii": "1-99901-16"}, "nihii"),
        ("practitioner/general", {"profession": ""}, "profession"),
        ("practitioner/general", {"last_name": ""}, "last_name"),
        ("account", {"billing_address": "new", "address_name": "Cabinet"}, "address_street"),
        ("account", {"billing_address": "new", "address_email": "x"}, "address_email"),
        ("account", {"roles": []}, "roles"),
        ("billing/financial", {"iban": "BE69001000001187"}, "iban"),
        ("billing/financial", {"iban": "BE90539000009932"}, "bic"),
        ("billing/financial", {"bce": "0999999922"}, "bce"),
    ],
)
def test_what_is_typed_is_checked_alike(
    section: str, wrong: dict[str, Any], field: str, signed_in: SignedIn
) -> None:
    doctor = PractitionerFactory(blank=True).user
    answer = signed_in(manager_of(doctor)).post(
        url(SECTIONS[section][0], doctor), typed(doctor, section) | wrong
    )
    assert answer.status_code == 422 and field in answer.context["form"].errors


def test_a_postcode_of_a_half_workplace_is_checked(signed_in: SignedIn) -> None:
    doctor = PractitionerFactory().user
    wrong = typed(doctor, "practitioner/addresses") | {"address-0-postcode": "0123"}
    assert (
        signed_in(manager_of(doctor)).post(url("practitioners:addresses", doctor), wrong).status_code == 422
    )
    assert not Address.objects.exists()


def test_nobody_empties_what_is_mandatory_and_filled(signed_in: SignedIn) -> None:
    doctor = FinancialFactory(practitioner__user__hub_region="rsw").practitioner.user
    doctor.billing_address = BillingAddressFactory(practice=doctor.practice)
    doctor.save()
    AddressFactory(practitioner=doctor.practitioner)
    theirs = signed_in(manager_of(doctor))
    emptied = {
        "practitioner/general": {"ssin", "nihii", "civility"},
        "billing/financial": {"iban", "bce", "convention"},
        "account": {"billing_address", "hub_region"},
    }
    for section, fields in emptied.items():
        answer = theirs.post(url(SECTIONS[section][0], doctor), typed(doctor, section))
        assert fields <= set(answer.context["form"].errors), section
    assert theirs.post(
        url("practitioners:addresses", doctor), typed(doctor, "practitioner/addresses")
    ).status_code == 422  # fmt: skip
    assert FinancialSettings.objects.get().iban and Practitioner.objects.get(user=doctor).ssin
    assert not SectionReview.objects.filter(version__gt=0).exists()


def test_days_outside_the_convention_may_follow_and_are_missing_until_then(signed_in: SignedIn) -> None:
    doctor = ready_doctor()
    KeystoreFactory(user=doctor)
    assert checklist(doctor).ready
    page = url("billing:financial", doctor)
    answers = {"version": 0, "bce": "0100000169", "iban": "•••••••••••••187", "convention": "partially"}
    assert signed_in(manager_of(doctor)).post(page, answers).status_code == 302
    states = states_of([doctor.pk])[doctor.pk]
    assert states["finance"] == TODO and states["review"] == TODO
    own = answers | {"version": 1, "iban": "BE67001000001187"}
    assert signed_in(doctor).post(page, own).status_code == 422
    assert signed_in(doctor).post(page, own | {"convention_hours": "mardi"}).status_code == 302
    assert states_of([doctor.pk])[doctor.pk]["finance"] == DONE and checklist(doctor).ready


# --- accounts made by others ------------------------------------------------------------------
def test_a_new_person_checks_the_names_that_somebody_else_typed(signed_in: SignedIn) -> None:
    admin = UserFactory(roles=["admin"])
    new = {"last_name": "Fontaine", "first_name": "Élise", "email": "elise@example.be",
           "login": "elise@example.be", "profession": "persadministrative",
           "roles": ["reception"], "language": "fr"}  # fmt: skip
    assert signed_in(admin).post(reverse("practitioners:new"), new).status_code == 302
    user = User.objects.get(login="elise@example.be")
    review = SectionReview.objects.get(user=user)
    assert (review.section, review.version, review.prefilled_by) == ("practitioner/general", 0, admin)
    user.activated_at = user.password_own_at = user.created_at
    user.save()
    PersonalKeyFactory(user=user)
    own, page = signed_in(user), url("practitioners:general", user)
    assert page in own.get("/").content.decode() and "À vérifier" in own.get(page).content.decode()
    answers = {"version": 0, "profession": "persadministrative", "last_name": "Fontaine", "language": "fr"}
    assert own.post(page, answers).status_code == 422
    assert own.post(page, answers | {"first_name": "Élise", "civility": "mrs"}).status_code == 302
    assert not SectionReview.objects.get(user=user).to_review()


def test_an_imported_person_without_numbers_checks_the_names() -> None:
    boss = UserFactory(roles=["user_manager"])
    lines = [person(number, ssin="", nihii="", mobile="") for number in range(2)]
    row = done(boss, as_csv([list(HEADING), *lines]))
    assert row.people.count() == 2
    for user in row.people.all():
        review = SectionReview.objects.get(user=user)
        assert review.section == "practitioner/general" and review.to_review()


# --- the way of the money ---------------------------------------------------------------------
def test_confirming_an_account_that_somebody_else_typed_asks_for_the_password(signed_in: SignedIn) -> None:
    doctor = PractitionerFactory().user
    page = url("billing:financial", doctor)
    answers = {"bce": "0100000169", "convention": "conventioned", "iban": "BE67001000001187",
               "bic": "GEBABEBB"}  # fmt: skip
    assert signed_in(manager_of(doctor)).post(page, answers | {"version": 0}).status_code == 302
    client = long_ago(signed_in(doctor))
    assert asks(client.post(page, answers | {"version": 1}), page)
    assert SectionReview.objects.get(user=doctor).to_review()
    assert signed_in(doctor).post(page, answers | {"version": 1}).status_code == 302
    assert not SectionReview.objects.get(user=doctor).to_review()
    assert client.post(page, answers | {"version": 2, "company_name": "X"}).headers["Location"] == "/"
