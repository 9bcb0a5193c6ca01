"""« Mon cabinet »: name and type, who may change them, and what follows for a flat-rate house."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from accounts.access import Forbidden
from accounts.actions.sections import StaleSection
from accounts.models import AuditEvent, Mail, Practice, SectionReview, User
from medisetup.readiness import states_of
from practitioners import actions
from practitioners.models import Practitioner
from tests.accounts.factories import BillingAddressFactory, PracticeFactory, UserFactory
from tests.practitioners.factories import PractitionerFactory
from tests.practitioners.test_general import answers

pytestmark = pytest.mark.django_db

URL = "/practice/"
FLAT_RATE = Practice.Type.FLAT_RATE_HOUSE
IDENTITY = {"house_nihii": "89990165111", "house_contact_ssin": "75031498594"}


def admin(**facts: Any) -> User:
    user: User = UserFactory(roles=["admin"], **facts)
    return user


def flat_rate_admin() -> User:
    return admin(practice=PracticeFactory(type=FLAT_RATE))


def house_of(practice: Practice, **facts: Any) -> Practitioner:
    row: Practitioner = PractitionerFactory(
        user__practice=practice, user__last_name="Maison Soleil", user__first_name="", blank=True,
        profession="orgprimaryhealthcarecenter", **facts,
    )  # fmt: skip
    contact = UserFactory(practice=practice)
    Practitioner.objects.filter(pk=row.pk).update(**IDENTITY, house_contact=contact)
    return Practitioner.objects.get(pk=row.pk)


def typed(practice: Practice, **changes: Any) -> dict[str, Any]:
    return {"version": practice.version, "name": practice.name, "type": practice.type} | changes


# --- name and type ----------------------------------------------------------------------------
def test_an_administrator_corrects_name_and_type(signed_in) -> None:
    user = admin()
    client = signed_in(user)
    assert client.get(URL).context["form"]["name"].value() == user.practice.name
    sent = typed(user.practice, name="  Cabinet   du Parc ", type="solo")
    for _click in range(2):
        assert client.post(URL, sent).headers["Location"] == URL
    practice = Practice.objects.get(pk=user.practice_id)
    assert (practice.name, practice.type, practice.version) == ("Cabinet du Parc", "solo", 1)
    event = AuditEvent.objects.get(kind="account:practice:changed")
    assert event.details == {"name": [user.practice.name, "Cabinet du Parc"], "type": ["group", "solo"]}
    assert (event.practice, event.subject) == (practice.uuid, None)
    page = client.get("/journal/").content.decode()
    assert "Nom ou type du cabinet changé" in page and "Cabinet de groupe" in page
    assert "Cabinet individuel" in page


@pytest.mark.parametrize("change", [{"name": " "}, {"name": "x" * 121}, {"type": "hospital"}, {"type": ""}])
def test_what_cannot_be_is_named_and_changes_nothing(signed_in, change: dict[str, str]) -> None:
    user = admin()
    page = signed_in(user).post(URL, typed(user.practice) | change)
    assert page.status_code == 422 and set(page.context["form"].errors) == set(change)
    assert Practice.objects.get(pk=user.practice_id).version == 0


def test_a_stale_page_is_compared_side_by_side(signed_in) -> None:
    user = admin()
    colleague = admin(practice=user.practice)
    signed_in(colleague).post(URL, typed(user.practice, name="Cabinet du Lac"))
    client = signed_in(user)
    page = client.post(URL, typed(user.practice, name="Cabinet du Parc"))
    assert page.status_code == 409
    assert page.context["comparison"] == [
        {"label": "Nom du cabinet", "typed": "Cabinet du Parc", "stored": "Cabinet du Lac"}
    ]
    assert Practice.objects.get(pk=user.practice_id).name == "Cabinet du Lac"
    sent = typed(user.practice, name="Cabinet du Parc", version=page.context["form"]["version"].value())
    assert client.post(URL, sent).status_code == 302
    assert Practice.objects.get(pk=user.practice_id).name == "Cabinet du Parc"


# --- who may ----------------------------------------------------------------------------------
def test_a_manager_reads_name_and_type_and_manages_the_addresses(signed_in) -> None:
    user = UserFactory(roles=["user_manager"])
    address = BillingAddressFactory(practice=user.practice, name="Société des Prés")
    foreign = BillingAddressFactory(name="Secret de Liège")
    User.objects.filter(pk=user.pk).update(billing_address=address)
    client = signed_in(user)
    page = client.get(URL).content.decode()
    assert "Seul un administrateur" in page and 'name="type"' not in page
    assert "Société des Prés" in page and "1 compte" in page and foreign.name not in page
    assert reverse("accounts:new_billing_address") in page
    assert client.post(URL, typed(user.practice, name="x")).status_code == 403
    with pytest.raises(Forbidden):
        actions.save_practice(by=user, version=0, now=timezone.now(), name="x", type="solo")
    assert Practice.objects.get(pk=user.practice_id).version == 0


def test_nobody_else_sees_the_page(signed_in) -> None:
    client = signed_in(UserFactory(roles=["physician"]))
    assert client.get(URL).status_code == client.post(URL).status_code == 403
    assert URL not in client.get("/").content.decode()


@pytest.mark.parametrize("role", ["admin", "user_manager"])
def test_the_page_is_one_click_from_everywhere(signed_in, role: str) -> None:
    client = signed_in(UserFactory(roles=[role]))
    for page in ("/", "/people/"):
        assert f'href="{URL}"' in client.get(page).content.decode()


# --- flat rate --------------------------------------------------------------------------------
def test_a_practice_that_becomes_a_house_may_give_an_account_that_profession(signed_in) -> None:
    user = admin()
    row = PractitionerFactory(user__practice=user.practice, blank=True, profession="persadministrative")
    client = signed_in(user)
    page = client.post(URL, typed(user.practice, type=FLAT_RATE), follow=True).content.decode()
    assert "peut maintenant avoir la profession" in page
    contact = UserFactory(practice=user.practice)
    sent = answers(
        profession="orgprimaryhealthcarecenter", house_nihii="8-99901-65-111",
        house_contact_ssin="75031498594", house_contact=contact.uuid,
    )  # fmt: skip
    assert client.post(reverse("practitioners:general", args=[row.user.uuid]), sent).status_code == 302
    row.refresh_from_db()
    assert row.house_nihii == "89990165111"


def test_leaving_the_flat_rate_names_the_account_and_waits_for_a_confirmation(signed_in) -> None:
    user = flat_rate_admin()
    row = house_of(user.practice)
    client = signed_in(user)
    assert "Maison Soleil" in client.get(URL).content.decode()
    page = client.post(URL, typed(user.practice, type="group"))
    assert page.status_code == 422
    assert "Ce changement concerne : Maison Soleil." in page.content.decode()
    assert 'name="confirm_houses"' in page.content.decode()
    row.refresh_from_db()
    assert row.house_nihii and Practice.objects.get(pk=user.practice_id).type == FLAT_RATE


def test_leaving_the_flat_rate_empties_the_house_and_asks_another_profession(signed_in) -> None:
    user = flat_rate_admin()
    row = house_of(user.practice)
    SectionReview.objects.create(user=row.user, section="practitioner/general", version=3)
    client = signed_in(user)
    sent = typed(user.practice, type="group", confirm_houses="on")
    page = client.post(URL, sent, follow=True).content.decode()
    assert "Profession à choisir, ou compte à désactiver : Maison Soleil." in page
    assert client.post(URL, sent).status_code == 302, "a second click changes nothing"
    row.refresh_from_db()
    assert (row.house_nihii, row.house_contact_ssin, row.house_contact) == ("", "", None)
    # The owner is told, and has it to check.
    review = SectionReview.objects.get(user=row.user)
    assert (review.version, review.prefilled_by) == (4, user) and review.to_review()
    assert Mail.objects.filter(user=row.user, kind="section_reopened").count() == 1
    event = AuditEvent.objects.get(kind="section:practitioner/general:saved")
    assert event.subject == row.user.uuid and event.details["house_nihii"] == ["•••111", ""]
    # Nothing asks for the data of a house any more; another profession is asked.
    states = states_of([row.user_id])[row.user_id]
    assert (states["house_identity"], states["identity"]) == ("not_applicable", "todo")
    page = client.get(reverse("practitioners:general", args=[row.user.uuid])).content.decode()
    assert "plus une maison médicale au forfait" in page
    assert "house_nihii" not in page
    assert "choisissent une autre profession" in client.get(URL).content.decode()
    sent = answers(version=4, profession="persphysician")
    assert client.post(reverse("practitioners:general", args=[row.user.uuid]), sent).status_code == 302
    assert "choisissent une autre profession" not in client.get(URL).content.decode()


def test_a_house_that_becomes_one_again_begins_anew(signed_in) -> None:
    user = flat_rate_admin()
    row = house_of(user.practice)
    client = signed_in(user)
    client.post(URL, typed(user.practice, type="group", confirm_houses="on"))
    client.post(URL, typed(user.practice, type=FLAT_RATE, version=1))
    states = states_of([row.user_id])[row.user_id]
    assert (states["house_identity"], states["identity"]) == ("todo", "not_applicable")


def test_another_name_leaves_a_house_alone(signed_in) -> None:
    user = flat_rate_admin()
    row = house_of(user.practice)
    signed_in(user).post(URL, typed(user.practice, name="Maison du Parc"))
    row.refresh_from_db()
    assert row.house_nihii and not SectionReview.objects.exists()


def test_a_house_elsewhere_is_left_alone(signed_in) -> None:
    other = house_of(PracticeFactory(type=FLAT_RATE))
    signed_in(user := flat_rate_admin()).post(URL, typed(user.practice, type="group"))
    other.refresh_from_db()
    assert other.house_nihii


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("filled", [True, False])
def test_a_house_saved_while_the_practice_leaves_the_flat_rate_keeps_nothing(filled: bool) -> None:
    user = flat_rate_admin()
    row = house_of(user.practice)
    values = {name: getattr(row, name) for name in ("profession", *Practitioner.NO_HOUSE)}
    values |= {"nihii": "", "last_name": "Maison", "first_name": "", "language": "fr"}
    if not filled:
        Practitioner.objects.filter(pk=row.pk).update(**Practitioner.NO_HOUSE)
    assert row.user.practice.type == FLAT_RATE, "as the page was asked for"
    stale: list[bool] = []

    def save() -> None:
        try:
            actions.save_general(user=row.user, by=row.user, version=0, now=timezone.now(), **values)
        except StaleSection:
            stale.append(True)
        connection.close()

    thread = threading.Thread(target=save)
    with transaction.atomic():
        actions.save_practice(by=user, version=0, now=timezone.now(), name="x", type="group")
        thread.start()
        thread.join(1)
        assert thread.is_alive(), "it waits for the first"
    thread.join()
    row.refresh_from_db()
    assert (row.house_nihii, row.house_contact) == ("", None)
    assert stale == ([True] if filled else []), "where something was emptied, the section changed"
