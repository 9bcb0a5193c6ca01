"""The tab « Données financières » and the account that pays."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.access import Forbidden
from accounts.models import Mail, SectionReview, User
from billing import bank
from billing.actions import paying_account, save_financial, tell_of_lost_supervisors
from billing.models import AssistantsAccount, FinancialSettings
from tests.accounts.factories import UserFactory
from tests.billing.factories import FinancialFactory
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.django_db


def url(user: User) -> str:
    return reverse("billing:financial", args=[user.uuid])


def answers(**changes: object) -> dict[str, object]:
    return {
        "version": 0,
        "bce": "BE 0100.012.344",
        "convention": "conventioned",
        "iban": "BE67 0010 0000 1187",
    } | changes


@pytest.fixture
def doctor() -> User:
    return PractitionerFactory().user


def stored(user: User) -> FinancialSettings:
    return FinancialSettings.objects.get(practitioner__user=user)


def test_the_server_derives_the_bic_whatever_was_posted(signed_in, doctor) -> None:
    assert signed_in(doctor).post(url(doctor), answers(bic="KREDBEBB")).status_code == 302
    row = stored(doctor)
    assert (row.iban, row.bic, row.bic_source) == ("BE67001000001187", "GEBABEBB", "derived")
    assert row.bce == "0100012344"


def test_an_unknown_bank_asks_for_the_bic_and_keeps_the_rest(signed_in, doctor) -> None:
    client = signed_in(doctor)
    response = client.post(url(doctor), answers(iban="BE90539000009932"))
    page = response.content.decode()
    assert response.status_code == 422
    assert "BIC introuvable" in page and "#id_bic" in page and 'value="BE90539000009932"' in page
    assert client.post(url(doctor), answers(iban="BE90539000009932", bic="NICABEBB")).status_code == 302
    assert (stored(doctor).bic, stored(doctor).bic_source) == ("NICABEBB", "manual")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("iban", "BE40001000001188", "nationaux"),
        ("iban", "BE69001000001187", "chiffres de contrôle"),
        ("iban", "", "Indiquez le compte"),
        ("iban", "TR33 0006 1005 1978 6457 8413 26", "SEPA"),
        ("bce", "0999999922", "BCE"),
        ("bce", "2100000114", "établissement"),
        ("convention", "", "convention"),
        ("convention", "partially", "jours et heures"),
    ],
)
def test_a_wrong_value_is_named_and_kept(signed_in, doctor, field, value, words) -> None:
    response = signed_in(doctor).post(url(doctor), answers(**{field: value}))
    page = response.content.decode()
    assert response.status_code == 422
    assert words in page and "Il y a un problème" in page
    assert not FinancialSettings.objects.exists()


def test_a_trainee_chooses_a_supervisor_and_keeps_no_account(signed_in) -> None:
    supervisor = FinancialFactory().practitioner
    trainee = PractitionerFactory(trainee=True, user__practice=supervisor.practice)
    client = signed_in(trainee.user)
    data = answers(supervisor=supervisor.uuid)
    assert client.post(url(trainee.user), data).status_code == 302
    row = stored(trainee.user)
    assert (row.supervisor, row.iban, row.bce) == (supervisor, "", "")
    assert paying_account(trainee) == ("BE67001000001187", "GEBABEBB")
    AssistantsAccount.objects.create(
        practice=supervisor.practice, iban="BE06310000003322", bic="BBRUBEBB", bic_source="derived"
    )
    assert paying_account(trainee) == ("BE06310000003322", "BBRUBEBB")


def test_account_and_bce_of_a_trainee_follow_the_supervisor(signed_in) -> None:
    senior = FinancialFactory()
    trainee = PractitionerFactory(trainee=True, user__practice=senior.practitioner.practice)
    row = FinancialFactory(practitioner=trainee, iban="", bic="", bic_source="", bce="")
    client = signed_in(trainee.user)
    assert "0100.000.169" not in client.get(url(trainee.user)).content.decode()
    row.supervisor = senior.practitioner
    row.save()
    page = client.get(url(trainee.user)).content.decode()
    for words in (senior.practitioner.user.get_full_name(), "0100.000.169", "187", "GEBABEBB"):
        assert words in page
    assert "BE67 0010 0000 1187" not in page
    FinancialSettings.objects.filter(pk=senior.pk).update(bce="0100456762")
    assert "0100.456.762" in client.get(url(trainee.user)).content.decode()
    User.objects.filter(pk=senior.practitioner.user_id).update(is_active=False, deactivated_at=timezone.now())
    assert "0100.456.762" not in client.get(url(trainee.user)).content.decode()


def test_the_page_names_the_supervisor_whose_own_data_is_incomplete(signed_in) -> None:
    senior = FinancialFactory().practitioner
    trainee = PractitionerFactory(trainee=True, user__practice=senior.practice)
    FinancialFactory(practitioner=trainee, iban="", bic="", bic_source="", bce="", supervisor=senior)
    client, said = signed_in(trainee.user), f"{senior.user.get_full_name()}, votre maître de stage"
    assert said not in client.get(url(trainee.user)).content.decode()
    FinancialSettings.objects.filter(practitioner=senior).update(convention="")
    assert said in client.get(url(trainee.user)).content.decode()
    FinancialSettings.objects.filter(practitioner=senior).delete()
    assert said in client.get(url(trainee.user)).content.decode()


def test_a_supervisor_is_an_active_recognised_doctor_of_the_practice(signed_in) -> None:
    trainee = PractitionerFactory(trainee=True)
    practice = trainee.practice
    wrong = [
        PractitionerFactory(),
        PractitionerFactory(trainee=True, user__practice=practice),
        PractitionerFactory(user__practice=practice, user__is_active=False),
        PractitionerFactory(user__practice=practice, profession="persnurse", nihii=""),
        trainee,
    ]
    client = signed_in(trainee.user)
    for candidate in wrong:
        assert client.post(url(trainee.user), answers(supervisor=candidate.uuid)).status_code == 422


def test_the_shared_account_asks_for_a_confirmation_with_names(signed_in, doctor) -> None:
    trainee = PractitionerFactory(trainee=True, user__practice=doctor.practice)
    client = signed_in(doctor)
    data = answers(assistants_shared_iban="BE06310000003322")
    response = client.post(url(doctor), data)
    assert response.status_code == 422
    assert trainee.user.get_full_name() in response.content.decode()
    assert not AssistantsAccount.objects.exists()
    assert client.post(url(doctor), data | {"confirm_shared": "on"}).status_code == 302
    assert AssistantsAccount.objects.get().bic == "BBRUBEBB"


def test_the_bic_is_told_while_typing(signed_in, doctor) -> None:
    client = signed_in(doctor)
    found = client.get(reverse("billing:bic"), {"iban": "BE67 0010 0000 1187"}).json()
    assert (found["bic"], found["error"]) == ("GEBABEBB", "")
    wrong = client.get(reverse("billing:bic"), {"iban": "BE69001000001187"}).json()
    assert wrong["error"] and not wrong["missing"]
    assert client.get(reverse("billing:bic"), {"iban": "BE90539000009932"}).json()["missing"]


def test_a_receptionist_has_no_financial_section(signed_in) -> None:
    user = UserFactory(roles=["reception"])
    assert signed_in(user).get(url(user)).status_code == 404


def test_a_manager_sees_the_end_of_an_account_and_keeps_it(signed_in) -> None:
    doctor = FinancialFactory().practitioner.user
    manager = signed_in(UserFactory(practice=doctor.practice, roles=["user_manager"]))
    page = manager.get(url(doctor)).content.decode()
    assert 'value="•••••••••••••187"' in page and "0000 1187" not in page and "BE67001000001187" not in page
    typed = answers(iban="•••••••••••••187", convention="non_conventioned")
    assert manager.post(url(doctor), typed).status_code == 302
    assert (stored(doctor).iban, stored(doctor).convention) == ("BE67001000001187", "non_conventioned")
    assert "BE67 0010 0000 1187" in signed_in(doctor).get(url(doctor)).content.decode()


def test_only_the_owner_replaces_an_account_that_is_theirs(signed_in) -> None:
    doctor = FinancialFactory().practitioner.user
    boss = UserFactory(practice=doctor.practice, roles=["user_manager"])
    typed = answers(iban="BE54001000002197", convention="non_conventioned")
    response = signed_in(boss).post(url(doctor), typed)
    assert response.status_code == 422 and "Seule la personne elle-même" in response.content.decode()
    values = {
        "company_name": "", "bce": "0100000169", "convention": "conventioned", "convention_hours": "",
        "supervisor": None, "assistants_account": None, "shared_changed": False,
        "account": bank.account("BE54001000002197", ""),
    }  # fmt: skip
    with pytest.raises(Forbidden):
        save_financial(user=doctor, by=boss, version=0, now=timezone.now(), **values)
    assert stored(doctor).iban == "BE67001000001187"
    # What a manager filled in stays a manager's to correct until the owner has confirmed it.
    SectionReview.objects.update_or_create(
        user=doctor,
        section="billing/financial",
        defaults={"prefilled_by": boss, "prefilled_at": timezone.now()},
    )
    save_financial(user=doctor, by=boss, version=0, now=timezone.now(), **values)
    assert stored(doctor).iban == "BE54001000002197"


def test_once_recognised_everything_becomes_own_and_empty(signed_in) -> None:
    senior = FinancialFactory().practitioner
    trainee = PractitionerFactory(user__practice=senior.practice, trainee=True)
    client = signed_in(trainee.user)
    typed = {"version": 0, "convention": "conventioned", "supervisor": senior.uuid}
    assert client.post(url(trainee.user), typed).status_code == 302
    trainee.training_status = "recognised"
    trainee.save()
    form = client.get(url(trainee.user)).context["form"]
    assert [form[name].value() for name in ("bce", "convention", "iban", "bic")] == ["", "", "", ""]
    assert "supervisor" not in form.fields
    assert client.post(url(trainee.user), answers(version=1)).status_code == 302
    assert stored(trainee.user).supervisor is None


def test_an_account_that_is_not_belgian_is_a_warning(signed_in, doctor) -> None:
    client = signed_in(doctor)
    landed = client.post(url(doctor), answers(iban="LU28 0019 4006 4475 0000"), follow=True)
    assert "IBAN : Ce compte n&#x27;est pas belge" in landed.content.decode()
    page = client.get(url(doctor)).content.decode()
    assert 'id="id_iban_warning"' in page and "pas belge" in page


@pytest.mark.parametrize("why", ["deactivated", "became a trainee", "became a nurse"])
def test_trainee_and_supervisor_are_told_once_when_it_ends(doctor, why) -> None:
    senior = PractitionerFactory(user__practice=doctor.practice)
    trainee = PractitionerFactory(user__practice=doctor.practice, trainee=True)
    FinancialFactory(practitioner=trainee, iban="", bic="", bic_source="", supervisor=senior)
    PractitionerFactory(user__practice=doctor.practice)
    now = timezone.now()
    assert tell_of_lost_supervisors(now=now) == 0
    if why == "deactivated":
        senior.user.is_active, senior.user.deactivated_at = False, now
        senior.user.save()
    senior.training_status = "trainee" if why == "became a trainee" else senior.training_status
    senior.profession = "persnurse" if why == "became a nurse" else senior.profession
    senior.save()
    assert [tell_of_lost_supervisors(now=now) for _round in range(2)] == [1, 0]
    told = {(mail.kind, mail.user) for mail in Mail.objects.all()}
    assert told == {("supervisor_lost", trainee.user), ("trainees_lost", senior.user)}
    FinancialSettings.objects.filter(practitioner=trainee).update(supervisor=doctor.practitioner)
    assert tell_of_lost_supervisors(now=now) == 0
    assert stored(trainee.user).supervisor_lost_at is None


def test_an_untouched_shared_account_is_left_to_who_changed_it(signed_in, doctor) -> None:
    other = PractitionerFactory(user__practice=doctor.practice).user
    first, second = signed_in(doctor), signed_in(other)
    shared = {"assistants_shared_iban": "BE54001000002197"}
    assert first.post(url(doctor), answers() | shared).status_code == 302
    form = second.get(url(other)).context["form"]
    shown = {name: form[name].value() for name in ("assistants_shared_iban", "assistants_shared_bic")}
    seen = shown | {f"initial-{name}": value for name, value in shown.items()}
    assert 'name="initial-assistants_shared_iban"' in second.get(url(other)).content.decode()
    changed = {"assistants_shared_iban": "BE90539000009932", "assistants_shared_bic": "NICABEBB"}
    assert first.post(url(doctor), answers(version=1) | changed).status_code == 302
    assert second.post(url(other), answers() | seen).status_code == 302
    assert AssistantsAccount.objects.get().iban == "BE90539000009932"
    corrected = changed | {"assistants_shared_bic": "KREDBEBB"}
    assert first.post(url(doctor), answers(version=2) | corrected).status_code == 302
    assert AssistantsAccount.objects.get().bic == "KREDBEBB"
