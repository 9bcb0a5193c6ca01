"""Since when somebody is awaited: from the last change of what is awaited, not from the first day."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.actions import invitations
from accounts.models import Invitation, SectionReview, User
from billing.models import FinancialSettings
from ehealth.models import Keystore
from medisetup import waiting
from medisetup.practice_board import Row, board
from medisetup.readiness import items
from tests.accounts.factories import UserFactory
from tests.cast import ready_doctor
from tests.ehealth.factories import KeystoreFactory

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


@pytest.fixture
def doctor() -> User:
    """In since a year, ready but for what a test takes away."""
    user = ready_doctor(user__activated_at=ago(365), user__created_at=ago(400))
    KeystoreFactory(user=user, tested_at=ago(10))
    return user


def act(user: User, kind: str, days: float) -> None:
    with transaction.atomic():
        audit.record(kind, actor=user, subject=user, at=ago(days))


def row_of(user: User) -> Row:
    (row,) = board(User.objects.get_queryset().filter(pk=user.pk), NOW)
    return row


def test_every_act_exists_and_belongs_to_an_item() -> None:
    assert set(audit.KINDS) >= waiting.KINDS
    assert {item.key for item in items()} >= {*waiting.ACTS, *waiting.MOMENTS}


def test_an_invitation_counts_from_its_sending_then_from_its_end() -> None:
    user = UserFactory(invited=True, key=False)
    User.objects.get_queryset().filter(pk=user.pk).update(created_at=ago(30))
    assert row_of(user).days == 30
    invitations.send(user=user, by=None, now=NOW)
    Invitation.objects.update(created_at=ago(2), expires_at=ago(-1))
    assert (row_of(user).acts, row_of(user).days) == ("owner", 2)
    Invitation.objects.update(created_at=ago(12), expires_at=ago(9))
    assert (row_of(user).acts, row_of(user).days) == ("manager", 9)
    Invitation.objects.update(revoked_at=ago(11))
    assert (row_of(user).acts, row_of(user).days) == ("manager", 11)


def test_a_step_never_done_is_awaited_since_the_account_was_opened(doctor: User) -> None:
    Keystore.objects.all().delete()
    act(doctor, "section:practitioner/general:saved", 1)
    act(doctor, "account:session:began", 1)
    assert (row_of(doctor).next_title, row_of(doctor).days) == ("Se connecter à eHealth", 365)
    act(doctor, "account:user:reactivated", 40)
    assert row_of(doctor).days == 40


def test_who_was_ready_is_awaited_since_then_at_most(doctor: User) -> None:
    doctor.personal_keys.all().delete()
    User.objects.get_queryset().filter(pk=doctor.pk).update(ready_at=ago(100))
    assert row_of(doctor).days == 100
    act(doctor, "account:key:revoked", 3)
    assert row_of(doctor).days == 3


def test_a_section_reopened_by_somebody_else_counts_from_the_first_change(doctor: User) -> None:
    for section, days in (("account", 5), ("practitioner/addresses", 2)):
        SectionReview.objects.create(
            user=doctor, section=section, version=1, prefilled_by=doctor, prefilled_at=ago(days)
        )
    SectionReview.objects.create(
        user=doctor, section="x", prefilled_by=doctor, prefilled_at=ago(50), confirmed_at=ago(49)
    )
    assert (row_of(doctor).acts, row_of(doctor).days) == ("owner", 5)


def test_a_connection_counts_from_its_test_its_refusal_or_its_end(doctor: User) -> None:
    Keystore.objects.update(not_after=ago(4))
    assert (row_of(doctor).acts, row_of(doctor).days) == ("owner", 4)
    Keystore.objects.update(not_after=ago(-500), tested_at=ago(37))
    assert (row_of(doctor).acts, row_of(doctor).days) == ("owner", 7)
    act(doctor, "ehealth:keystore:stored", 2)
    Keystore.objects.update(state=Keystore.State.TESTING)
    row = row_of(doctor)
    assert (row.acts, row.next_title, row.days) == ("platform", "Se connecter à eHealth", 2)


def test_a_lost_supervisor_counts_from_when_it_was_noticed(doctor: User) -> None:
    senior = ready_doctor(user__practice=doctor.practice).practitioner
    senior.training_status = "trainee"
    senior.save()
    doctor.practitioner.training_status = "trainee"
    doctor.practitioner.save()
    lent = {"supervisor": senior, "iban": "", "bic": "", "bic_source": "", "bce": ""}
    FinancialSettings.objects.filter(practitioner=doctor.practitioner).update(
        **lent, supervisor_lost_at=ago(6)
    )
    act(doctor, "section:billing/financial:saved", 90)
    assert row_of(doctor).days == 6
