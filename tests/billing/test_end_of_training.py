"""From 005 to 003 in one transaction: number, status, speciality, supervisor, finances, licence, mails."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent, Licence, Mail, SectionReview, User
from billing.actions import paying_account
from billing.models import FinancialSettings
from billing.training_forms import proposed_number
from medisetup.checklist import checklist
from practitioners.models import Practitioner
from tests.accounts.factories import UserFactory
from tests.billing.factories import FinancialFactory
from tests.practitioners.factories import PractitionerFactory, nihii

pytestmark = pytest.mark.django_db


def trainee(code: str = "005") -> User:
    senior = FinancialFactory().practitioner
    row = PractitionerFactory(
        trainee=True,
        user__practice=senior.practice,
        nihii=nihii(23_456, code),
        speciality="general_practice",
    )
    FinancialFactory(practitioner=row, bce="", iban="", bic="", bic_source="", supervisor=senior)
    today = timezone.localdate()
    Licence.objects.create(user=row.user, starts_on=today, ends_on=today + timedelta(days=45))
    user: User = row.user
    return user


def url(user: User) -> str:
    return reverse("billing:end_of_training", args=[user.uuid])


def answers(user: User, **changes: object) -> dict[str, object]:
    versions = dict(SectionReview.objects.filter(user=user).values_list("section", "version"))
    return {
        "general_version": versions.get("practitioner/general", 0),
        "financial_version": versions.get("billing/financial", 0),
        "nihii": nihii(23_456, "003"),
        "speciality": "",
        "recognised_on": timezone.localdate().isoformat(),
    } | changes


@pytest.mark.parametrize(
    ("old", "new"),
    [("005", "003"), ("006", "004"), ("014", "140"), ("069", "690"), ("099", ""), ("003", "")],
)
def test_the_code_that_follows_is_proposed(old: str, new: str) -> None:
    expected = nihii(1, new) if new else ""
    assert proposed_number(nihii(1, old)) == expected


def test_the_page_tells_what_changes_and_proposes_the_number(signed_in) -> None:
    user = trainee()
    page = signed_in(user).get(url(user)).content.decode()
    senior = user.practitioner.financial.supervisor.user.get_full_name()
    for words in (senior, "La licence ne change pas", "Les inscriptions à l'eDMG restent", "-003"):
        assert words in page
    finances = reverse("billing:financial", args=[user.uuid])
    assert url(user) in signed_in(user).get(finances).content.decode()


def test_the_owner_ends_the_training_at_once(signed_in) -> None:
    user = trainee()
    manager = UserFactory(practice=user.practice, roles=["user_manager"])
    licence = Licence.objects.values().get(user=user)
    response = signed_in(user).post(url(user), answers(user))
    assert response.headers["Location"] == reverse("billing:financial", args=[user.uuid])
    row = Practitioner.objects.get(user=user)
    assert (row.nihii[8:], row.training_status, row.speciality) == ("003", "recognised", "general_practice")
    money = FinancialSettings.objects.get(practitioner=row)
    assert (money.supervisor, money.iban, money.bce, money.convention) == (None, "", "", "")
    assert paying_account(row) == ("", "")
    assert Licence.objects.values().get(user=user) == licence
    states = {line.item.id: line.state for line in checklist(user).lines}
    assert states["R12"] == "todo" and "R13" not in states and "R15" not in states
    told = Mail.objects.filter(kind="training_ended").order_by("pk").values_list("user", flat=True)
    assert list(told) == [user.pk, manager.pk]
    event = AuditEvent.objects.get(kind="billing:training:ended")
    assert event.details["nihii"] == ["•••005", "•••003"] and event.details["edmg_again"] is False


def test_what_a_manager_does_waits_for_the_owner(signed_in) -> None:
    user = trainee()
    manager = UserFactory(practice=user.practice, roles=["user_manager"])
    assert signed_in(manager).post(url(user), answers(user)).status_code == 302
    waiting = SectionReview.objects.filter(user=user, prefilled_by=manager, confirmed_at=None)
    assert set(waiting.values_list("section", flat=True)) == {"practitioner/general", "billing/financial"}
    assert {line.item.id: line.state for line in checklist(user).lines}["R15"] == "todo"
    assert Mail.objects.filter(kind="training_ended", user=user).exists()
    assert not Mail.objects.filter(kind="training_ended", user=manager).exists()


def test_a_specialist_asks_for_the_edmg_anew_only_where_it_applies(signed_in) -> None:
    user = trainee("014")
    client = signed_in(user)
    assert "est à demander" in client.get(url(user)).content.decode()
    client.post(url(user), answers(user, nihii=nihii(23_456, "140")))
    assert Practitioner.objects.get(user=user).speciality == "surgery"
    assert AuditEvent.objects.get(kind="billing:training:ended").details["edmg_again"] is True


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nihii": ""}, "numéro INAMI"),
        ({"nihii": nihii(23_457, "003")}, "ne changent jamais"),
        ({"nihii": nihii(23_456, "006")}, "encore ceux d&#x27;un médecin en formation"),
        ({"nihii": nihii(23_456, "009")}, "diplôme seul"),
        ({"nihii": nihii(23_456, "999")}, "Choisissez la spécialité"),
        ({"recognised_on": ""}, "date de l&#x27;agrément"),
        ({"recognised_on": "2999-01-01"}, "dans le futur"),
        ({"general_version": 7}, "Quelqu&#x27;un d&#x27;autre"),
        ({"financial_version": 7}, "Quelqu&#x27;un d&#x27;autre"),
    ],
)
def test_nothing_is_half_done(signed_in, changes: dict[str, object], words: str) -> None:
    user = trainee()
    response = signed_in(user).post(url(user), answers(user, **changes))
    assert response.status_code == 422 and words in response.content.decode()
    row = Practitioner.objects.get(user=user)
    assert (row.training_status, row.nihii[8:]) == ("trainee", "005")
    assert FinancialSettings.objects.get(practitioner=row).supervisor is not None
    assert not Mail.objects.exists() and not SectionReview.objects.filter(version__gt=0).exists()


def test_a_second_click_changes_nothing(signed_in) -> None:
    user = trainee()
    client = signed_in(user)
    first = answers(user)
    client.post(url(user), first)
    FinancialSettings.objects.update(iban="BE67001000001187", bic="GEBABEBB", bic_source="derived")
    page = client.post(url(user), answers(user), follow=True).content.decode()
    assert "déjà terminée" in page
    assert FinancialSettings.objects.get(practitioner__user=user).iban == "BE67001000001187"
    assert "Pas en formation" in client.get(url(user)).content.decode()
