"""Items R01–R21: each goes to done by its facts, and falls back when a fact disappears."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.utils import timezone

from accounts.models import Licence, PersonalKey, SectionReview, User
from billing.models import FinancialSettings
from ehealth.models import EdmgRegistration, Keystore, Mailbox
from medisetup.checklist import checklist
from medisetup.item import DONE, NOT_APPLICABLE, PROBLEM, TODO, WAITING
from medisetup.readiness import items, with_items
from practitioners.models import Practitioner
from tests.accounts.factories import BillingAddressFactory, PracticeFactory, UserFactory
from tests.billing.factories import FinancialFactory
from tests.ehealth.factories import EdmgRegistrationFactory, EdmgRequestFactory, KeystoreFactory
from tests.practitioners.factories import AddressFactory, PractitionerFactory

pytestmark = pytest.mark.django_db


def ready_doctor(**changes: Any) -> User:
    """A recognised general practitioner with every fact in place."""
    practitioner = PractitionerFactory(**changes)
    user = practitioner.user
    User.objects.filter(pk=user.pk).update(
        billing_address=BillingAddressFactory(practice=user.practice), hub_region="rsw", sumehr_auto_send=True
    )
    PersonalKey.objects.filter(user=user).update(second_backup_at=timezone.now())
    AddressFactory(practitioner=practitioner)
    FinancialFactory(practitioner=practitioner)
    KeystoreFactory(user=user)
    Mailbox.objects.create(user=user, auto=True)
    EdmgRegistrationFactory.create_batch(7, request=EdmgRequestFactory(user=user))
    Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={})
    today = timezone.localdate()
    Licence.objects.create(user=user, state="active", starts_on=today, ends_on=today + timedelta(days=365))
    return User.objects.get(pk=user.pk)


def states(user: User) -> dict[str, str]:
    annotated = with_items(User.objects.get_queryset().filter(pk=user.pk)).get()
    return {item.id: getattr(annotated, item.annotation) for item in items()}


def test_there_are_twenty_one_items_with_distinct_keys() -> None:
    found = items()
    assert sorted(item.id for item in found) == [f"R{number:02}" for number in range(1, 22)]
    assert len({item.annotation for item in found}) == 21


def test_everything_in_place_is_ready() -> None:
    user = ready_doctor()
    assert set(states(user).values()) == {DONE, NOT_APPLICABLE}
    assert {item for item, state in states(user).items() if state == NOT_APPLICABLE} == {
        "R13",
        "R14",
        "R15",
    }
    found = checklist(user)
    assert found.ready and found.percent == 100


def test_a_second_factor_is_asked_of_everybody_and_blocks_nobody() -> None:
    user = ready_doctor()
    Authenticator.objects.all().delete()
    assert states(user)["R19"] == TODO
    assert checklist(user).ready


def change(model: Any, **values: Any) -> Callable[[User], object]:
    path = {
        "Practitioner": "user",
        "FinancialSettings": "practitioner__user",
        "Address": "practitioner__user",
    }
    return lambda user: model._default_manager.filter(**{path.get(model.__name__, "user"): user}).update(
        **values
    )


def change_user(**values: Any) -> Callable[[User], object]:
    return lambda user: User.objects.filter(pk=user.pk).update(**values)


def remove(model: Any, **conditions: Any) -> Callable[[User], object]:
    return lambda user: model._default_manager.filter(**conditions).delete()


def falls_back() -> list[Any]:
    from allauth.account.models import EmailAddress

    from accounts.models import RoleGrant
    from practitioners.models import Address, Telecom

    past = timezone.now() - timedelta(days=31)
    return [
        ("R01", change_user(password_own_at=None), TODO),
        ("R02", change(EmailAddress, verified=False), WAITING),
        ("R02", change_user(email="autre@example.be"), TODO),
        ("R03", remove(PersonalKey), TODO),
        ("R04", change(PersonalKey, state="pending"), TODO),
        ("R05", remove(RoleGrant), TODO),
        ("R06", change_user(billing_address=None), TODO),
        ("R07", change(Practitioner, ssin=""), TODO),
        ("R07", change(Practitioner, speciality=""), TODO),
        ("R07", change(Practitioner, nihii=""), TODO),
        ("R08", change(Address, postcode=""), TODO),
        ("R08", change(Address, type="home"), TODO),
        ("R09", remove(Telecom, type="email"), TODO),
        ("R09", remove(Telecom, type="phone"), TODO),
        ("R10", change_user(hub_region=""), TODO),
        ("R11", change(Keystore, not_after=timezone.now() - timedelta(seconds=1)), PROBLEM),
        ("R11", change(Keystore, tested_at=past), TODO),
        ("R11", change(Keystore, state="refused"), PROBLEM),
        ("R11", change(Keystore, state="testing"), WAITING),
        ("R11", change(Keystore, ssin="82110297684"), TODO),
        ("R12", change(FinancialSettings, iban="", bic="", bic_source=""), TODO),
        ("R12", change(FinancialSettings, convention=""), TODO),
        ("R16", change(EdmgRegistration, state="rejected"), PROBLEM),
        ("R16", change(EdmgRegistration, state="retrying"), WAITING),
        ("R17", change(Mailbox, auto=None), TODO),
        ("R18", change_user(sumehr_auto_send=None), TODO),
        ("R18", change_user(hub_region="none"), TODO),
        ("R20", change(PersonalKey, second_backup_at=None), TODO),
        ("R21", change(Licence, state="requested"), WAITING),
    ]


@pytest.mark.parametrize("number", range(29))
def test_an_item_falls_back_when_its_fact_disappears(number: int) -> None:
    item, act, expected = falls_back()[number]
    user = ready_doctor()
    act(user)
    assert states(user)[item] == expected
    blocking = {entry.id for entry in items() if entry.level == "blocking"}
    assert checklist(user).ready is (item not in blocking)


def test_contacts_spread_over_two_workplaces_do_not_satisfy_the_hubs() -> None:
    practitioner = PractitionerFactory()
    AddressFactory(practitioner=practitioner, telecoms=[("email", "a@example.be")])
    AddressFactory(practitioner=practitioner, telecoms=[("phone", "+3281222222")])
    assert states(practitioner.user)["R08"] == DONE
    assert states(practitioner.user)["R09"] == TODO


def test_a_trainee_leans_on_the_supervisor() -> None:
    supervisor = FinancialFactory().practitioner
    trainee = PractitionerFactory(trainee=True, user__practice=supervisor.practice)
    settings = FinancialFactory(practitioner=trainee, iban="", bic="", bic_source="", bce="")
    assert (states(trainee.user)["R12"], states(trainee.user)["R13"]) == (TODO, TODO)
    settings.supervisor = supervisor
    settings.save()
    assert (states(trainee.user)["R12"], states(trainee.user)["R13"]) == (DONE, DONE)
    FinancialSettings.objects.filter(practitioner=supervisor).update(convention="")
    assert (states(trainee.user)["R12"], states(trainee.user)["R13"]) == (WAITING, WAITING)
    supervisor.financial.delete()
    assert (states(trainee.user)["R12"], states(trainee.user)["R13"]) == (WAITING, WAITING)
    FinancialSettings.objects.filter(practitioner=trainee).update(convention="")
    assert (states(trainee.user)["R12"], states(trainee.user)["R13"]) == (TODO, WAITING)
    User.objects.filter(pk=supervisor.user.pk).update(is_active=False)
    assert states(trainee.user)["R13"] == PROBLEM


def test_a_receptionist_has_no_practice_of_her_own() -> None:
    user = UserFactory(roles=["reception"])
    found = {item for item, state in states(user).items() if state == NOT_APPLICABLE}
    assert {"R07", "R08", "R09", "R10", "R11", "R12", "R16", "R18"} <= found


def test_the_contact_of_a_house_must_still_be_there() -> None:
    contact = UserFactory(practice=PracticeFactory(type="flat_rate_house"))
    house = PractitionerFactory(
        blank=True, user__practice=contact.practice, profession="orgprimaryhealthcarecenter",
        house_nihii="89990165111", house_contact_ssin="82110297684", house_contact=contact,
    )  # fmt: skip
    FinancialFactory(practitioner=house)
    assert states(house.user)["R14"] == DONE
    User.objects.filter(pk=contact.pk).update(is_active=False)
    assert states(house.user)["R14"] == TODO


def test_who_can_have_no_keystore_is_not_asked_about_the_healthbox() -> None:
    nurse = PractitionerFactory(profession="persnurse").user
    assert (states(nurse)["R11"], states(nurse)["R17"]) == (NOT_APPLICABLE, NOT_APPLICABLE)
    assert states(nurse)["R07"] != NOT_APPLICABLE
    assert states(PractitionerFactory().user)["R17"] == TODO


def test_what_others_prefilled_blocks_until_confirmed() -> None:
    user = ready_doctor()
    now = timezone.now()
    review = SectionReview.objects.create(user=user, section="account", prefilled_by=user, prefilled_at=now)
    assert states(user)["R15"] == TODO
    review.confirmed_at = now
    review.save()
    assert states(user)["R15"] == DONE


@pytest.mark.parametrize(
    ("age", "expected"), [(0, TODO), (29, TODO), (30, PROBLEM), (45, PROBLEM), (46, PROBLEM)]
)
def test_a_provisional_licence_warns_from_day_thirty(age: int, expected: str) -> None:
    user = ready_doctor()
    starts = timezone.localdate() - timedelta(days=age)
    Licence.objects.filter(user=user).update(
        state="provisional", starts_on=starts, ends_on=starts + timedelta(days=45)
    )
    assert states(user)["R21"] == expected


def test_one_person_is_one_query(django_assert_num_queries) -> None:
    user = ready_doctor()
    with django_assert_num_queries(1):
        checklist(user)


def test_fifty_people_are_one_query(django_assert_num_queries) -> None:
    for _number in range(3):
        ready_doctor()
    with django_assert_num_queries(1):
        assert all(user.ready for user in with_items(User.objects.get_queryset()))
