"""The tab « Informations générales »."""

from __future__ import annotations

import lxml.html
import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import emails
from accounts.models import AuditEvent, Mail, SectionReview, User
from practitioners.actions import IdentityFixed, save_general
from practitioners.models import Practitioner
from tests.accounts.factories import PracticeFactory, UserFactory
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.django_db


def url(user: User) -> str:
    return reverse("practitioners:general", args=[user.uuid])


def answers(**changes: object) -> dict[str, object]:
    return {
        "version": 0,
        "profession": "persphysician",
        "civility": "dr",
        "last_name": "Lambert",
        "first_name": "Élise",
        "language": "fr",
        "ssin": "75.03.14-985.94",
        "nihii": "1-99901-16-003",
        "other_languages": ["nl", "de"],
    } | changes


@pytest.fixture
def doctor() -> User:
    return PractitionerFactory(blank=True).user


def test_saves_canonical_values_and_goes_back_to_the_checklist(signed_in, doctor) -> None:
    response = signed_in(doctor).post(url(doctor), answers())
    assert (response.status_code, response.url) == (302, "/")
    row = Practitioner.objects.get(user=doctor)
    assert (row.ssin, row.nihii, row.speciality) == ("75031498594", "19990116003", "general_practice")
    assert (row.training_status, row.other_languages) == ("recognised", ["nl", "de"])
    doctor.refresh_from_db()
    assert doctor.last_name == "Lambert"


def test_the_audit_shows_the_change_without_the_number(signed_in, doctor) -> None:
    signed_in(doctor).post(url(doctor), answers())
    event = AuditEvent.objects.get(kind="section:practitioner/general:saved")
    assert event.details["ssin"][1] == "•••594"
    assert "75031498594" not in str(event.details)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("ssin", "75031498595", "chiffres de contrôle du numéro national"),
        ("ssin", "", "Indiquez le numéro national"),
        ("nihii", "19990117003", "chiffres de contrôle du numéro INAMI"),
        ("nihii", "39990130001", "profession"),
        ("last_name", "R2D2", "nom"),
        ("civility", "", "Civilité"),
        ("profession", "president", "president"),
    ],
)
def test_a_wrong_value_is_named_and_everything_typed_is_kept(signed_in, doctor, field, value, words) -> None:
    response = signed_in(doctor).post(url(doctor), answers(**{field: value}))
    page = response.content.decode()
    assert response.status_code == 422
    assert words in page
    assert f"#id_{field}" in page, "the summary links to the field"
    assert 'value="Élise"' in page
    assert not Practitioner.objects.exclude(ssin="").exists()


def test_a_trainee_is_recognised_by_the_number(signed_in, doctor) -> None:
    signed_in(doctor).post(url(doctor), answers(nihii="19990413005"))
    assert Practitioner.objects.get(user=doctor).training_status == "trainee"


def test_a_nurse_has_no_speciality_and_a_number_of_her_own_profession(signed_in, doctor) -> None:
    client = signed_in(doctor)
    data = answers(
        profession="persnurse", nihii="49990137401", speciality="cardiology", training_status="trainee"
    )
    assert client.post(url(doctor), data).status_code == 302
    row = Practitioner.objects.get(user=doctor)
    assert (row.nihii, row.speciality, row.training_status) == ("49990137401", "", "")


def test_house_fields_exist_for_a_flat_rate_house_only(signed_in, doctor) -> None:
    client = signed_in(doctor)
    client.post(url(doctor), answers(house_nihii="89990165111", house_contact_ssin="75031498594"))
    row = Practitioner.objects.get(user=doctor)
    assert (row.house_nihii, row.house_contact_ssin) == ("", "")
    house = PracticeFactory(type="flat_rate_house")
    account = PractitionerFactory(
        blank=True, user__practice=house, profession="orgprimaryhealthcarecenter"
    ).user
    data = answers(
        profession="orgprimaryhealthcarecenter",
        first_name="",
        ssin="",
        nihii="",
        house_nihii="8-99901-65-111",
        house_contact_ssin="75031498594",
        house_contact=account.uuid,
    )
    assert signed_in(account).post(url(account), data).status_code == 302
    row = Practitioner.objects.get(user=account)
    assert (row.house_nihii, row.house_contact) == ("89990165111", account)


def test_what_a_house_had_is_cleared_when_the_account_is_a_doctors(signed_in) -> None:
    house = PracticeFactory(type="flat_rate_house")
    account = PractitionerFactory(
        blank=True,
        user__practice=house,
        profession="orgprimaryhealthcarecenter",
        house_nihii="89990165111",
        house_contact_ssin="75031498594",
        house_contact=UserFactory(practice=house),
    ).user
    hidden = {"house_nihii": "8-99901-65-111", "house_contact_ssin": "12", "house_contact": account.uuid}
    assert signed_in(account).post(url(account), answers(**hidden)).status_code == 302
    row = Practitioner.objects.get(user=account)
    assert (row.house_nihii, row.house_contact_ssin, row.house_contact) == ("", "", None)


def test_a_contact_person_of_another_practice_is_refused(signed_in) -> None:
    house = PracticeFactory(type="flat_rate_house")
    account = PractitionerFactory(
        blank=True, user__practice=house, profession="orgprimaryhealthcarecenter"
    ).user
    stranger = UserFactory()
    data = answers(
        profession="orgprimaryhealthcarecenter",
        house_nihii="89990165111",
        house_contact_ssin="75031498594",
        house_contact=stranger.uuid,
    )
    assert signed_in(account).post(url(account), data).status_code == 422


def test_the_same_number_twice_in_one_practice_is_the_fields_own_error(signed_in, doctor) -> None:
    PractitionerFactory(user__practice=doctor.practice, nihii="19990116004")
    response = signed_in(doctor).post(url(doctor), answers())
    assert response.status_code == 422
    assert "a déjà ce numéro INAMI" in response.content.decode()


def test_only_an_administrator_replaces_the_first_eight_digits(signed_in, doctor) -> None:
    client = signed_in(doctor)
    client.post(url(doctor), answers())
    assert client.post(url(doctor), answers(version=1, nihii="19990116004")).status_code == 302
    response = client.post(url(doctor), answers(version=2, nihii="19990215004"))
    assert response.status_code == 422
    assert "ne changent jamais" in response.content.decode()
    assert "nihii_reason" not in response.content.decode(), "nobody is asked what cannot help"
    manager = UserFactory(practice=doctor.practice, roles=["user_manager"])
    tried = answers(version=2, nihii="19990215004", nihii_reason="Faute de frappe")
    assert signed_in(manager).post(url(doctor), tried).status_code == 422
    admin = UserFactory(practice=doctor.practice, roles=["admin"])
    assert signed_in(admin).post(url(doctor), tried).status_code == 302


def test_an_administrator_who_replaces_them_says_why_and_the_owner_is_told(signed_in, doctor) -> None:
    signed_in(doctor).post(url(doctor), answers())
    admin = signed_in(UserFactory(practice=doctor.practice, roles=["admin"]))
    assert "nihii_reason" not in admin.get(url(doctor)).content.decode()
    shown = {"speciality": "general_practice", "training_status": "recognised"}
    other = answers(version=1, nihii="19990215004", **shown)
    asked = admin.post(url(doctor), other)
    assert asked.status_code == 422 and 'name="nihii_reason"' in asked.content.decode()
    assert set(asked.context["form"].errors) == {"nihii_reason"}
    assert not AuditEvent.objects.filter(kind="practitioner:nihii:changed").exists()
    given = other | {"nihii_reason": "Faute de frappe à la création"}
    assert admin.post(url(doctor), given).status_code == 302
    assert admin.post(url(doctor), given).status_code == 302, "a second click is no conflict"
    event = AuditEvent.objects.get(kind="practitioner:nihii:changed")
    assert event.details == {"nihii": ["•••003", "•••004"], "reason": "Faute de frappe à la création"}
    mail = Mail.objects.get(kind="nihii_replaced")
    assert mail.user == doctor and "Faute de frappe" in emails.open_content(mail).text


def test_new_last_digits_need_no_reason_and_tell_nobody(signed_in, doctor) -> None:
    signed_in(doctor).post(url(doctor), answers())
    admin = signed_in(UserFactory(practice=doctor.practice, roles=["admin"]))
    typed = answers(version=1, nihii="19990116004", nihii_reason="Sans raison")
    assert admin.post(url(doctor), typed).status_code == 302
    assert AuditEvent.objects.get(kind="practitioner:nihii:changed").details == {
        "nihii": ["•••003", "•••004"]
    }
    assert not Mail.objects.filter(kind="nihii_replaced").exists()


def test_the_action_itself_wants_a_reason(doctor) -> None:
    Practitioner.objects.filter(user=doctor).update(nihii="19990116003")
    admin = UserFactory(practice=doctor.practice, roles=["admin"])
    values = {"last_name": "Lambert", "first_name": "Élise", "language": "fr", "nihii": "19990215004"}
    with pytest.raises(IdentityFixed):
        save_general(user=doctor, by=admin, version=0, now=timezone.now(), **values)


def test_a_manager_prefills_and_the_owner_confirms(signed_in, doctor) -> None:
    manager = UserFactory(practice=doctor.practice, roles=["user_manager"])
    assert signed_in(manager).post(url(doctor), answers()).status_code == 302
    assert SectionReview.objects.get(user=doctor).to_review()
    owner = signed_in(doctor)
    assert "À vérifier" in owner.get(url(doctor)).content.decode()
    owner.post(url(doctor), answers(version=1))
    assert not SectionReview.objects.get(user=doctor).to_review()


def test_a_stale_save_shows_both_versions_and_overwrites_nothing(signed_in, doctor) -> None:
    client = signed_in(doctor)
    client.post(url(doctor), answers())
    response = client.post(url(doctor), answers(last_name="Autre"))
    page = response.content.decode()
    assert response.status_code == 409
    assert "Autre" in page and "Lambert" in page
    doctor.refresh_from_db()
    assert doctor.last_name == "Lambert"
    assert client.post(url(doctor), answers(version=1, last_name="Autre")).status_code == 302


def test_a_second_click_with_the_same_answers_is_no_conflict(signed_in, doctor) -> None:
    client = signed_in(doctor)
    client.post(url(doctor), answers(speciality="general_practice", training_status="recognised"))
    again = client.post(url(doctor), answers(speciality="general_practice", training_status="recognised"))
    assert again.status_code == 302
    assert SectionReview.objects.get(user=doctor).version == 1


def test_strangers_and_colleagues_see_nothing(signed_in, doctor) -> None:
    colleague = UserFactory(practice=doctor.practice)
    foreign_manager = UserFactory(roles=["user_manager"])
    assert signed_in(colleague).get(url(doctor)).status_code == 404
    assert signed_in(foreign_manager).post(url(doctor), answers()).status_code == 404


def test_a_save_writes_back_nothing_but_its_own_fields(doctor) -> None:
    read_before = User.objects.get_queryset().get(pk=doctor.pk)
    User.objects.get_queryset().filter(pk=doctor.pk).update(
        is_active=False, deactivated_at=timezone.now(), password="changed meanwhile"
    )
    save_general(
        user=read_before,
        by=read_before,
        version=0,
        now=timezone.now(),
        last_name="Lambert",
        first_name="Élise",
        language="fr",
        nihii="",
    )
    doctor.refresh_from_db()
    assert (doctor.last_name, doctor.is_active, doctor.password) == ("Lambert", False, "changed meanwhile")


def test_a_manager_sees_the_end_of_a_national_number_and_keeps_it(signed_in, doctor) -> None:
    signed_in(doctor).post(url(doctor), answers())
    manager = signed_in(UserFactory(practice=doctor.practice, roles=["admin"]))
    page = manager.get(url(doctor)).content.decode()
    assert 'value="••••••••594"' in page and "985.94" not in page and "75031498594" not in page
    assert (
        manager.post(url(doctor), answers(version=1, ssin="••••••••594", last_name="Autre")).status_code
        == 302
    )
    row = Practitioner.objects.get(user=doctor)
    assert (row.ssin, row.user.last_name) == ("75031498594", "Autre")
    stale = manager.post(url(doctor), answers(version=1, ssin="85472898102")).content.decode()
    assert "75031498594" not in stale and "••••••••594" in stale
    assert manager.post(url(doctor), answers(version=2, ssin="85472898102")).status_code == 302
    assert Practitioner.objects.get(user=doctor).ssin == "85472898102"
    assert "••••••••594" not in signed_in(doctor).get(url(doctor)).content.decode()


def test_a_trainee_who_is_recognised_gets_status_and_speciality_proposed_anew(signed_in, doctor) -> None:
    client = signed_in(doctor)
    client.post(url(doctor), answers(nihii="19990116073"))
    row = Practitioner.objects.get(user=doctor)
    assert (row.training_status, row.speciality) == ("trainee", "cardiology")
    shown = {"training_status": "trainee", "speciality": "cardiology"}
    page = client.post(url(doctor), answers(version=1, nihii="19990116003", **shown), follow=True)
    row.refresh_from_db()
    assert (row.training_status, row.speciality) == ("recognised", "general_practice")
    assert "ont suivi le nouveau numéro" in page.content.decode()


def test_a_code_of_a_trainee_makes_no_recognised_doctor(signed_in, doctor) -> None:
    data = answers(nihii="19990116005", training_status="recognised")
    page = signed_in(doctor).post(url(doctor), data)
    assert page.status_code == 422 and set(page.context["form"].errors) == {"training_status"}
    still_in_training = answers(training_status="trainee")
    assert signed_in(doctor).post(url(doctor), still_in_training).status_code == 302
    assert Practitioner.objects.get(user=doctor).training_status == "trainee"


def test_an_unknown_code_is_a_warning_and_asks_for_the_speciality(signed_in, doctor) -> None:
    client = signed_in(doctor)
    refused = client.post(url(doctor), answers(nihii="19990116999"))
    assert set(refused.context["form"].errors) == {"speciality"}
    chosen = answers(nihii="19990116999", speciality="cardiology")
    landed = client.post(url(doctor), chosen, follow=True).content.decode()
    assert "Numéro INAMI : Les trois derniers chiffres" in landed, "told at once, on the page one lands on"
    shown = lxml.html.fromstring(client.get(url(doctor)).content)
    told = shown.get_element_by_id("id_nihii_warning").text_content()
    assert "ne nous sont pas connus" in told
    assert "id_nihii_warning" in shown.get_element_by_id("id_nihii").get("aria-describedby").split()


def test_a_warning_is_about_what_is_stored_not_about_what_was_typed_since(signed_in, doctor) -> None:
    client = signed_in(doctor)
    client.post(url(doctor), answers(nihii="19990116999", speciality="cardiology"))
    wrong = answers(version=1, nihii="19990116998", speciality="cardiology", last_name="")
    page = client.post(url(doctor), wrong).content.decode()
    assert "id_last_name_error" in page and "id_nihii_warning" not in page


def test_a_speciality_of_another_code_and_an_unusual_age_are_warnings(signed_in, doctor) -> None:
    client = signed_in(doctor)
    data = answers(speciality="cardiology", ssin=young())
    landed = client.post(url(doctor), data, follow=True).content.decode()
    assert "Spécialité : La spécialité choisie ne correspond pas" in landed
    assert "Numéro National : D&#x27;après le numéro national" in landed


def young() -> str:
    """A national number of somebody born in 2020."""
    number = 200_101_901
    return f"{number:09}{97 - (2_000_000_000 + number) % 97:02}"


def test_a_caregiver_is_asked_for_the_national_number_and_the_desk_is_not(signed_in) -> None:
    nurse = PractitionerFactory(blank=True, profession="persnurse").user
    data = answers(profession="persnurse", nihii="49990137401", ssin="")
    assert set(signed_in(nurse).post(url(nurse), data).context["form"].errors) == {"ssin"}
    desk = PractitionerFactory(blank=True, profession="persadministrative").user
    data = answers(profession="persadministrative", nihii="", ssin="")
    assert signed_in(desk).post(url(desk), data).status_code == 302


def test_a_conflict_shows_choices_by_their_names(signed_in, doctor) -> None:
    client = signed_in(doctor)
    client.post(url(doctor), answers())
    response = client.post(
        url(doctor),
        answers(
            civility="mrs",
            language="nl",
            other_languages=["de", "en"],
            profession="perspracticalnurse",
            nihii="",
        ),
    )
    assert response.status_code == 409
    rows = {row["label"]: (row["typed"], row["stored"]) for row in response.context["comparison"]}
    assert rows["Profession"][1] == "Médecin" and rows["Civilité"][0] == "Madame"
    assert rows["Langues parlées"][0] == "Allemand, Anglais"
    assert not {"persphysician", "dr", "mrs"} & {value for pair in rows.values() for value in pair}
