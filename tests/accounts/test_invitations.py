"""An invitation: one way in, once, for 72 hours, for one account and address."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import emails
from accounts.actions import invitations, people
from accounts.actions.passwords import change_email
from accounts.models import AuditEvent, Invitation, Mail, User
from tests.accounts.factories import UserFactory
from tests.accounts.test_people import at_once, create
from tests.client import CheckingClient

pytestmark = pytest.mark.django_db
PASSWORD = "Prairie€Bleue7"


@pytest.fixture
def manager() -> User:
    return UserFactory(roles=["user_manager"])


@pytest.fixture
def invited(manager: User) -> User:
    return create(by=manager)


def path_of(user: User) -> str:
    """The path of the link in the last invitation mailed to the person."""
    text = emails.open_content(Mail.objects.filter(user=user, kind="invitation").latest("pk")).text
    found = re.search(re.escape(settings.PORTAL_ORIGIN) + r"(/invitations/\S+)", text)
    assert found
    return found[1]


def accept(path: str, client: Client | None = None) -> object:
    return (client or CheckingClient()).post(path, {"password1": PASSWORD, "password2": PASSWORD})


def test_opening_the_link_changes_nothing(invited: User) -> None:
    path = path_of(invited)
    for _scan in range(3):
        page = CheckingClient().get(path)
        assert page.status_code == 200
    assert "anne@example.be" in page.content.decode()
    assert "au moins 10 caractères" in page.content.decode()
    assert Invitation.objects.open(timezone.now()).count() == 1
    assert not AuditEvent.objects.filter(kind="account:user:activated").exists()


def test_the_owner_chooses_a_password_and_is_in_at_the_key_page(invited: User) -> None:
    client = CheckingClient()
    assert accept(path_of(invited), client).headers["Location"] == "/"
    assert client.get("/").headers["Location"] == reverse("accounts:key")
    invited.refresh_from_db()
    assert invited.check_password(PASSWORD)
    assert invited.activated_at
    assert invited.password_own_at
    assert invited.emailaddress_set.get().verified
    kinds = list(AuditEvent.objects.filter(actor=invited.uuid).order_by("pk").values_list("kind", flat=True))
    assert kinds == ["account:user:activated", "account:email:verified", "account:session:began"]


def test_a_weak_password_is_told_all_its_faults_and_the_link_still_works(invited: User) -> None:
    path = path_of(invited)
    refused = CheckingClient().post(path, {"password1": "dupont", "password2": "Dupont"})
    text = refused.content.decode()
    assert refused.status_code == 422
    codes = {error.code for error in refused.context["form"].errors.as_data()["password1"]}
    assert codes == {"length", "upper", "digit", "symbol", "common", "contains_name"}
    assert "Les deux mots de passe sont différents" in text
    assert "dupont" not in text.replace("Anne Dupont", ""), "a password is never sent back"
    assert accept(path).status_code == 302


def test_a_used_revoked_old_replaced_or_forged_link_says_what_to_do(invited: User, manager: User) -> None:
    now = timezone.now()
    first = path_of(invited)
    invitations.send(user=invited, by=manager, now=now)
    second = path_of(invited)
    assert accept(first).status_code == 410, "a newer invitation voids the older"
    Invitation.objects.filter(revoked_at=None).update(expires_at=now - timedelta(seconds=1))
    assert accept(second).status_code == 410, "72 hours"
    third = invitations.send(user=invited, by=manager, now=now)
    assert third.expires_at - now == timedelta(hours=72)
    invitations.revoke(user=invited, by=manager, now=now)
    assert accept(path_of(invited)).status_code == 410
    invitations.send(user=invited, by=manager, now=now)
    good = path_of(invited)
    forged = good[:-2] + ("0" if good[-2] != "0" else "1") + "/"
    other = f"/invitations/{third.uuid.hex}-{good.split('-')[-1]}"
    for path in (
        forged,
        other,
        "/invitations/nothing/",
        "/invitations/x-y/",
        f"/invitations/{third.uuid.hex}/",
    ):
        page = CheckingClient().get(path)
        assert page.status_code == 410, path
        assert "demandez-en une nouvelle" in page.content.decode()
    assert accept(good).status_code == 302
    used = CheckingClient().get(good)
    assert used.status_code == 410
    assert "déjà servi" in used.content.decode()
    assert accept(good).status_code == 410


def test_a_closed_account_or_another_address_kills_the_link(invited: User, manager: User) -> None:
    path = path_of(invited)
    change_email(user=invited, email="right@example.be", by=manager, now=timezone.now())
    assert accept(path).status_code == 410
    assert Mail.objects.filter(kind="invitation").latest("pk").to == "right@example.be"
    path = path_of(invited)
    people.deactivate(user=User.objects.get(pk=invited.pk), by=manager, now=timezone.now())
    assert accept(path).status_code == 410


def test_who_has_been_in_gets_no_invitation(manager: User) -> None:
    user = UserFactory(practice=manager.practice)
    with pytest.raises(invitations.AlreadyActivated):
        invitations.send(user=user, by=manager, now=timezone.now())


def test_nothing_in_the_database_opens_the_link(invited: User) -> None:
    token = path_of(invited).split("/")[2]
    row = Invitation.objects.get()
    mail = Mail.objects.get(kind="invitation")
    assert token.split("-")[1] not in str(vars(row))
    assert token.encode() not in bytes(mail.content)


@pytest.mark.django_db(transaction=True)
def test_one_link_opened_many_times_at_once_lets_in_once() -> None:
    user = create(by=UserFactory(roles=["user_manager"]))
    invitation = Invitation.objects.get(user=user)
    passwords = [f"Prairie€Bleue{number}" for number in range(8)]
    acts = [
        lambda chosen=chosen: invitations.activate(invitation=invitation, password=chosen, now=timezone.now())
        for chosen in passwords
    ]
    results = at_once(acts)
    assert sum(isinstance(result, User) for result in results) == 1
    assert sum(isinstance(result, invitations.InvitationSpent) for result in results) == 7


def test_a_manager_sends_again_revokes_closes_and_opens_from_the_persons_page(
    invited: User, manager: User, signed_in: Callable[[User], CheckingClient]
) -> None:
    client = signed_in(manager)
    person = reverse("person", args=[invited.uuid])
    page = client.get(person).content.decode()
    assert "Renvoyer l’invitation" in page
    assert "Annuler l’invitation" in page

    def press(name: str) -> str:
        return client.post(reverse(f"accounts:{name}", args=[invited.uuid]), follow=True).content.decode()

    assert "Une nouvelle invitation part" in press("invite")
    assert "ne fonctionne plus" in press("revoke_invitation")
    assert "est désactivé" in press("deactivate")
    assert "désactivé" in press("invite")
    assert "de nouveau actif" in press("reactivate")
    assert "Une nouvelle invitation part" in press("invite")
    assert "Trois messages" in press("invite"), "at most three in an hour"


@pytest.mark.parametrize("name", ["invite", "revoke_invitation", "deactivate", "reactivate"])
def test_these_buttons_are_for_managers_of_the_same_practice(
    name: str, invited: User, signed_in: Callable[[User], CheckingClient]
) -> None:
    url = reverse(f"accounts:{name}", args=[invited.uuid])
    colleague = UserFactory(practice=invited.practice)
    stranger = UserFactory(roles=["admin"])
    assert signed_in(colleague).post(url).status_code == 403
    assert signed_in(stranger).post(url).status_code == 404
    assert Client().post(url).status_code == 302
    page = signed_in(UserFactory(practice=invited.practice, roles=["admin"])).get(url)
    assert page.status_code == {"deactivate": 200, "reactivate": 302}.get(name, 405)


def test_closing_and_opening_ask_first_and_say_what_stays_reserved(
    invited: User, manager: User, signed_in: Callable[[User], CheckingClient]
) -> None:
    client = signed_in(manager)
    page = client.get(reverse("accounts:deactivate", args=[invited.uuid])).content.decode()
    assert invited.login in page and "restent réservés" in page
    invited.refresh_from_db()
    assert invited.is_active, "looking changes nothing"
    client.post(reverse("accounts:deactivate", args=[invited.uuid]))
    page = client.get(reverse("accounts:reactivate", args=[invited.uuid])).content.decode()
    assert "La personne retrouve son login" in page


def test_the_list_and_the_person_say_how_far_each_invitation_has_come(
    invited: User, manager: User, signed_in: Callable[[User], CheckingClient]
) -> None:
    client, now = signed_in(manager), timezone.now()

    def state() -> str:
        pages = [client.get(path).content.decode() for path in ("/people/", f"/people/{invited.uuid}/")]
        found = [
            set(re.findall(r"Invitation envoyée le [^<]*, (expire|expirée|révoquée|acceptée) le", page))
            for page in pages
        ]
        assert found[0] <= found[1]
        return "".join(found[0])

    assert state() == "expire"
    Invitation.objects.filter(user=invited).update(expires_at=now - timedelta(minutes=1))
    assert state() == "expirée"
    invitations.revoke(user=invited, by=manager, now=now)
    assert state() == "révoquée"
    invitation = invitations.send(user=invited, by=manager, now=now)
    assert state() == "expire"
    invitations.activate(invitation=invitation, password="Prairie€Bleue7", now=now)
    assert state() == "acceptée"
    assert "Aucune invitation" not in client.get("/people/").content.decode(), "the manager came another way"
    UserFactory(practice=manager.practice, activated_at=None)
    assert "Aucune invitation" in client.get("/people/").content.decode()
