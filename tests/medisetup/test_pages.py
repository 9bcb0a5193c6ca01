"""Home, people, one person, help: what each reader sees."""

from __future__ import annotations

import html
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts.access import Capability
from accounts.actions.people import NoRole
from accounts.models import AuditEvent, Invitation, User
from practitioners.models import Practitioner
from tests.accounts.factories import PracticeFactory, UserFactory
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.django_db


def test_a_beginner_sees_what_is_missing_and_where_to_go(signed_in) -> None:
    user = PractitionerFactory(blank=True).user
    page = signed_in(user).get("/").content.decode()
    assert "Compléter les informations générales" in page
    assert reverse("practitioners:general", args=[user.uuid]) in page
    assert "étapes sur" in page and "prêt à utiliser" not in page


def test_the_initials_open_ones_configuration(signed_in) -> None:
    user = PractitionerFactory(user__first_name="Anne", user__last_name="Zola").user
    client = signed_in(user)
    assert ">AZ<" in client.get("/").content.decode()
    assert client.get(reverse("me")).url == reverse("practitioners:general", args=[user.uuid])


def test_help_is_one_click_away(signed_in) -> None:
    page = signed_in(PractitionerFactory().user).get("/").content.decode()
    assert f'href="{reverse("help")}"' in page


def test_a_manager_sees_the_own_practice_only(signed_in) -> None:
    ours = PractitionerFactory(user__last_name="Denotrecabinet").user
    PractitionerFactory(user__last_name="Dunautrecabinet")
    manager = UserFactory(practice=ours.practice, roles=["user_manager"])
    client = signed_in(manager)
    page = client.get(reverse("people")).content.decode()
    assert "Denotrecabinet" in page and "Dunautrecabinet" not in page
    assert "Denotrecabinet" in client.get(reverse("people"), {"state": "missing"}).content.decode()
    assert "Denotrecabinet" not in client.get(reverse("people"), {"state": "ready"}).content.decode()
    detail = client.get(reverse("person", args=[ours.uuid])).content.decode()
    assert "Compléter les données financières" in detail


def test_a_doctor_sees_no_list_and_no_colleague(signed_in) -> None:
    doctor = PractitionerFactory().user
    colleague = PractitionerFactory(user__practice=doctor.practice).user
    client = signed_in(doctor)
    assert client.get(reverse("people")).status_code == 403
    assert client.get(reverse("person", args=[colleague.uuid])).status_code == 404


def test_the_list_takes_the_same_queries_for_three_and_for_thirty(
    signed_in, django_assert_max_num_queries
) -> None:
    practice = PracticeFactory()
    PractitionerFactory.create_batch(3, user__practice=practice)
    client = signed_in(UserFactory(practice=practice, roles=["admin"]))
    with django_assert_max_num_queries(13) as few:
        client.get(reverse("people"))
    PractitionerFactory.create_batch(27, user__practice=practice)
    with django_assert_max_num_queries(len(few)):
        client.get(reverse("people"))


def new_person(**changes: object) -> dict[str, object]:
    return {
        "last_name": "Fontaine",
        "first_name": "Élise",
        "email": "elise@example.be",
        "login": "elise@example.be",
        "profession": "persphysician",
        "roles": ["physician"],
        "language": "nl",
    } | changes


def test_a_manager_creates_a_doctor_with_licence_and_invitation(signed_in) -> None:
    manager = UserFactory(roles=["user_manager"])
    response = signed_in(manager).post(reverse("practitioners:new"), new_person())
    user = User.objects.get(login="elise@example.be")
    assert response.url == reverse("person", args=[user.uuid])
    assert (user.practice, user.language) == (manager.practice, "nl")
    assert (user.licence.ends_on - user.licence.starts_on).days == 45
    assert Invitation.objects.filter(user=user, used_at=None).count() == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"email": "pas-une-adresse"}, "e-mail"),
        ({"login": "admin"}, "login"),
        ({"roles": []}, NoRole.message),
        ({"roles": ["admin"]}, "admin"),
        ({"profession": ""}, "Complétez le champ « Profession »."),
        ({"first_name": ""}, "Complétez le champ « Prénom »."),
    ],
)
def test_a_wrong_new_person_is_explained_and_kept(signed_in, changes, words) -> None:
    client = signed_in(UserFactory(roles=["user_manager"]))
    response = client.post(reverse("practitioners:new"), new_person(**changes))
    assert response.status_code == 422
    page = html.unescape(response.content.decode())
    assert str(words) in page and 'value="Fontaine"' in page
    assert not Practitioner.objects.exists()


def test_a_taken_login_belongs_to_its_field(signed_in) -> None:
    UserFactory(login="elise@example.be")
    client = signed_in(UserFactory(roles=["user_manager"]))
    page = client.post(reverse("practitioners:new"), new_person(email="autre@example.be")).content.decode()
    assert "#id_login" in page


def test_a_doctor_may_not_create_people(signed_in) -> None:
    client = signed_in(UserFactory())
    assert client.get(reverse("practitioners:new")).status_code == 403


def test_a_refused_page_is_noted(signed_in) -> None:
    user = UserFactory()
    assert signed_in(user).get(reverse("people")).status_code == 403
    event = AuditEvent.objects.get(kind="account:access:refused")
    assert (event.actor, event.details["page"]) == (user.uuid, "people")
    assert event.details["wanted"] == Capability.SEE_PRACTICE_READINESS


def test_a_page_of_somebody_unseen_is_noted_alike_for_a_stranger_and_for_nobody(signed_in) -> None:
    admin, stranger = UserFactory(roles=["admin"]), UserFactory()
    for uuid in (stranger.uuid, uuid4()):
        cache.clear()  # the second of a quarter of an hour would not be noted
        assert signed_in(admin).get(reverse("person", args=[uuid])).status_code == 404
    first, second = AuditEvent.objects.filter(kind="account:access:refused")
    assert first.actor == second.actor == admin.uuid
    assert first.details == second.details == {"page": "person"}
    assert (first.subject, second.subject) == (None, None), "no name of another practice in this journal"


def test_help_is_public_and_the_rest_is_not() -> None:
    client = Client()
    assert client.get("/help/").status_code == 200
    for path in ("/", "/people/", "/mailbox/", "/key/"):
        assert client.get(path).url.startswith("/signin/")


def test_without_a_key_every_page_leads_to_the_key() -> None:
    client = Client()
    client.force_login(UserFactory(key=False))
    assert client.get("/").url == "/key/"


def test_errors_carry_the_policy_too() -> None:
    response = Client().get("/nowhere/")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_house_is_created_in_a_flat_rate_house_only(signed_in) -> None:
    url, house = reverse("practitioners:new"), new_person(profession="orgprimaryhealthcarecenter")
    assert signed_in(UserFactory(roles=["admin"])).post(url, house).status_code == 422
    practice = PracticeFactory(type="flat_rate_house")
    assert signed_in(UserFactory(roles=["admin"], practice=practice)).post(url, house).status_code == 302


@pytest.mark.parametrize("profession", ["persphysician", "persnurse", "persadministrative"])
def test_every_link_of_the_checklist_leads_to_a_page_where_it_is_done(signed_in, profession) -> None:
    person = PractitionerFactory(blank=True, profession=profession).user
    client = signed_in(person)
    context = client.get("/").context
    links = [row["url"] for row in [*context["blocking"], *context["recommended"]] if row["url"]]
    assert links
    for link in links:
        page = client.get(link, follow=True)
        assert page.status_code == 200 and page.request["PATH_INFO"] != "/", link


def test_a_nurse_is_not_sent_to_a_connection_she_cannot_have(signed_in) -> None:
    nurse = PractitionerFactory(profession="persnurse").user
    client = signed_in(nurse)
    page = client.post(reverse("ehealth:switch_mailbox"), {"auto": "on"}, follow=True).content.decode()
    assert reverse("ehealth:connection", args=[nurse.uuid]) not in page


def test_who_helps_reads_of_the_person_and_is_offered_what_helps(signed_in) -> None:
    """Only parts that others may fill in, each with how far it is; no page tells a helper to act as owner."""
    manager = UserFactory(roles=["user_manager"])
    owner = PractitionerFactory(user__practice=manager.practice, user__first_name="Élise").user
    client = signed_in(manager)
    page = html.unescape(client.get(reverse("person", args=[owner.uuid])).content.decode())
    parts = page[page.index("Parties que vous pouvez préremplir") : page.index("access-title")]
    assert reverse("practitioners:general", args=[owner.uuid]) in parts and "rien d'enregistré" in parts
    assert reverse("ehealth:connection", args=[owner.uuid]) not in parts
    assert reverse("ehealth:edmg", args=[owner.uuid]) not in parts
    connection = client.get(reverse("ehealth:connection", args=[owner.uuid])).content.decode()
    assert "Choisissez le fichier" not in connection and "Tester ma configuration" not in connection
    assert "Compte : Élise" in connection
    account = client.get(reverse("accounts:account", args=[owner.uuid])).content.decode()
    assert "votre mot de passe" not in account and "à vous seul" not in account
