"""Accounts: created once, named once, roles by the matrix, the last administrator kept."""

from __future__ import annotations

import csv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.access import Capability, Forbidden, assignable_roles, capabilities
from accounts.actions import people
from accounts.actions.passwords import change_email, confirm_email, pending_email
from accounts.models import AuditEvent, Invitation, Mail, Role, User
from tests.accounts.factories import PracticeFactory, UserFactory
from tests.client import CheckingClient

ROLES = Path(__file__).parent.parent / "data" / "roles.csv"


def at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    """Run all acts together, each over its own connection; results or errors in order."""
    barrier = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return act()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def create(**values: Any) -> User:
    given = {
        "login": "anne@example.be",
        "email": "anne@example.be",
        "by": None,
        "roles": ["physician"],
    } | values
    given.setdefault("practice", given["by"].practice if given["by"] else None)
    return people.create_user(
        first_name="Anne", last_name="Dupont", language="fr", now=timezone.now(), **given
    )


# --- creation --------------------------------------------------------------------------------
@pytest.mark.django_db
def test_a_created_account_waits_for_its_owner_with_an_invitation_and_an_audit() -> None:
    manager = UserFactory(roles=["user_manager"])
    user = create(by=manager, email="Anne.Dupont@Example.BE", login="1-99901-16-003")
    assert (user.email, user.login_key) == ("anne.dupont@example.be", "19990116003")
    assert not user.has_usable_password()
    assert user.activated_at is None
    assert user.roles() == {"physician"}
    assert Invitation.objects.open(timezone.now()).filter(user=user).count() == 1
    assert Mail.objects.get(user=user).kind == "invitation"
    kinds = set(AuditEvent.objects.filter(subject=user.uuid).values_list("kind", flat=True))
    assert kinds == {"account:user:created", "account:role:granted", "account:invitation:sent"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"login": "TAKEN@example.be"}, people.LoginTaken),
        ({"login": "ｔａｋｅｎ@example.be"}, people.LoginTaken),
        ({"login": "Address@Example.be"}, people.LoginTaken),
        ({"email": "Address@example.BE"}, people.EmailTaken),
        ({"email": "taken@example.be"}, people.EmailTaken),
        ({"login": "accueil"}, people.InvalidLogin),
        ({"login": "ab"}, people.InvalidLogin),
        ({"email": "anne@nowhere"}, people.InvalidEmail),
        ({"roles": []}, people.NoRole),
        ({"roles": ["admin"]}, people.RoleNotAssignable),
        ({"roles": ["user_manager"]}, people.RoleNotAssignable),
        ({"roles": ["support"]}, people.RoleNotAssignable),
    ],
)
def test_what_cannot_be_created_names_its_field_and_leaves_nothing(
    values: dict[str, Any], error: type
) -> None:
    """Logins and addresses are unique over all practices, also one against the other."""
    UserFactory(login="taken@example.be", email="address@example.be")
    manager = UserFactory(roles=["user_manager"])
    before = (User.objects.count(), AuditEvent.objects.count(), Mail.objects.count())
    with pytest.raises(error) as refused:
        create(by=manager, **values)
    assert refused.value.field
    assert str(refused.value)
    assert (User.objects.count(), AuditEvent.objects.count(), Mail.objects.count()) == before


@pytest.mark.django_db
def test_nobody_creates_in_another_practice_or_without_the_right() -> None:
    with pytest.raises(Forbidden):
        create(by=UserFactory(roles=["physician"]))
    with pytest.raises(Forbidden):
        create(by=UserFactory(roles=["admin"]), practice=PracticeFactory())


@pytest.mark.django_db(transaction=True)
def test_fifty_creations_of_one_login_at_once_give_one_account() -> None:
    practice = PracticeFactory()
    spellings = ["anne@example.be", "ANNE@example.be", "ａnne@example.be", " Anne@Example.be "]
    acts = [
        lambda number=number: create(
            practice=practice, login=spellings[number % 4], email=f"anne{number}@example.be"
        )
        for number in range(50)
    ]
    results = at_once(acts)
    assert [type(result) for result in results].count(User) == 1
    assert {type(result) for result in results} == {User, people.LoginTaken}
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_login_and_anothers_address_never_meet_even_at_once() -> None:
    practice = PracticeFactory()
    for number in range(10):
        name = f"person{number}@example.be"
        results = at_once(
            [
                lambda name=name, number=number: create(
                    practice=practice, login=name, email=f"x{number}@example.be"
                ),
                lambda name=name, number=number: create(
                    practice=practice, login=f"y{number}@example.be", email=name
                ),
            ]
        )
        assert sum(isinstance(result, User) for result in results) == 1, results


# --- roles -----------------------------------------------------------------------------------
def matrix() -> list[dict[str, str]]:
    with ROLES.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.django_db
@pytest.mark.parametrize("row", matrix(), ids=lambda row: row["key"])
def test_each_role_allows_what_the_matrix_says(row: dict[str, str]) -> None:
    can = capabilities(UserFactory(roles=[row["key"]]))
    listed = [capability for capability in Capability if capability.value in row]
    assert len(listed) == 9
    assert can & set(listed) == {capability for capability in listed if row[capability.value] == "1"}
    assert (Capability.RESET_KEY in can) == (row["key"] == "admin")


@pytest.mark.django_db
@pytest.mark.parametrize("actor_role", [*Role.values])
@pytest.mark.parametrize("role", [*Role.values])
def test_a_role_is_given_only_by_who_may(actor_role: str, role: str) -> None:
    actor = UserFactory(roles=[actor_role])
    subject = UserFactory(practice=actor.practice, roles=["reception"])
    wanted = {"reception", role}
    if wanted == {"reception"}:
        assert not people.set_roles(user=subject, roles=wanted, by=actor, now=timezone.now())
    elif role in assignable_roles(actor):
        assert people.set_roles(user=subject, roles=wanted, by=actor, now=timezone.now())
        assert subject.roles() == wanted
    else:
        with pytest.raises(people.RoleNotAssignable):
            people.set_roles(user=subject, roles=wanted, by=actor, now=timezone.now())
        assert subject.roles() == {"reception"}


@pytest.mark.django_db
def test_nobody_changes_own_roles_nor_takes_one_they_cannot_give_nor_leaves_none() -> None:
    manager = UserFactory(roles=["user_manager"])
    admin = UserFactory(practice=manager.practice, roles=["admin", "physician"])
    stranger = UserFactory(roles=["admin"])
    now = timezone.now()
    with pytest.raises(people.OwnRoles):
        people.set_roles(user=manager, roles=["user_manager", "physician"], by=manager, now=now)
    with pytest.raises(people.RoleNotAssignable):
        people.set_roles(user=admin, roles=["physician"], by=manager, now=now)
    with pytest.raises(people.RoleNotAssignable):
        people.set_roles(user=manager, roles=["physician"], by=stranger, now=now)
    with pytest.raises(people.NoRole):
        people.set_roles(user=UserFactory(practice=manager.practice), roles=[], by=admin, now=now)


@pytest.mark.django_db
def test_a_role_taken_acts_on_the_next_request(signed_in: Callable[[User], CheckingClient]) -> None:
    admin, manager = UserFactory(roles=["admin"]), UserFactory(roles=["user_manager"])
    User.objects.filter(pk=manager.pk).update(practice=admin.practice)
    client = signed_in(User.objects.get(pk=manager.pk))
    assert client.get("/people/").status_code == 200
    people.set_roles(user=User.objects.get(pk=manager.pk), roles=["physician"], by=admin, now=timezone.now())
    assert client.get("/people/").status_code == 403


# --- the last administrator ------------------------------------------------------------------
@pytest.mark.django_db
def test_the_last_administrator_stays() -> None:
    admin = UserFactory(roles=["admin"])
    manager = UserFactory(practice=admin.practice, roles=["user_manager"])
    UserFactory(practice=admin.practice, roles=["admin"], invited=True)
    UserFactory(roles=["admin"])
    with pytest.raises(people.LastAdministrator):
        people.deactivate(user=admin, by=manager, now=timezone.now())
    with pytest.raises(people.OwnDeactivation):
        people.deactivate(user=admin, by=admin, now=timezone.now())
    admin.refresh_from_db()
    assert admin.is_active


# --- closing and opening ---------------------------------------------------------------------
@pytest.mark.django_db
def test_a_closed_account_is_out_at_once_and_keeps_everything(
    signed_in: Callable[[User], CheckingClient],
) -> None:
    manager = UserFactory(roles=["user_manager"])
    user = UserFactory(practice=manager.practice)
    client = signed_in(user)
    assert client.get("/").status_code == 200
    people.deactivate(user=user, by=manager, now=timezone.now())
    assert client.get("/").headers["Location"].startswith("/signin/")
    with pytest.raises(people.LoginTaken):
        create(by=manager, login=user.login)
    with pytest.raises(people.EmailTaken):
        create(by=manager, email=user.email)
    people.reactivate(user=user, by=manager, now=timezone.now())
    user.refresh_from_db()
    assert user.is_active
    assert user.roles() == {"physician"}
    assert client.get("/").headers["Location"].startswith("/signin/"), "an old session does not revive"


@pytest.mark.django_db
def test_closing_voids_the_invitation_and_is_refused_across_practices() -> None:
    manager, stranger = UserFactory(roles=["user_manager"]), UserFactory(roles=["admin"])
    user = create(by=manager)
    with pytest.raises(Forbidden):
        people.deactivate(user=user, by=stranger, now=timezone.now())
    people.deactivate(user=user, by=manager, now=timezone.now())
    assert not Invitation.objects.open(timezone.now()).filter(user=user).exists()


# --- the address -----------------------------------------------------------------------------
@pytest.mark.django_db
def test_a_new_address_counts_once_its_link_is_opened_and_the_old_one_is_told() -> None:
    user = UserFactory(email="old@example.be")
    now = timezone.now()
    change_email(user=user, email="New@Example.be", by=user, now=now)
    user.refresh_from_db()
    assert (user.email, pending_email(user)) == ("old@example.be", "new@example.be")
    assert list(Mail.objects.order_by("pk").values_list("kind", "to")) == [
        ("email_change_asked", "old@example.be"),
        ("email_verification", "new@example.be"),
    ]
    assert confirm_email(address=user.emailaddress_set.get(primary=False), now=now)
    user.refresh_from_db()
    assert (user.email, user.email_key) == ("new@example.be", "new@example.be")
    assert [(row.email, row.verified, row.primary) for row in user.emailaddress_set.all()] == [
        ("new@example.be", True, True)
    ]
    assert Mail.objects.filter(kind="email_changed", to="old@example.be").count() == 1


@pytest.mark.django_db
def test_an_address_taken_while_it_waited_is_refused_at_the_link() -> None:
    user = UserFactory(email="old@example.be")
    change_email(user=user, email="new@example.be", by=user, now=timezone.now())
    UserFactory(email="new@example.be", login="other", verified=False)
    assert not confirm_email(address=user.emailaddress_set.get(primary=False), now=timezone.now())
    user.refresh_from_db()
    assert user.email == "old@example.be"


@pytest.mark.django_db
def test_the_link_of_a_replaced_address_confirms_nothing() -> None:
    from allauth.account.models import EmailConfirmationHMAC
    from django.urls import reverse

    user = UserFactory(email="old@example.be")
    change_email(user=user, email="first@example.be", by=user, now=timezone.now())
    key = EmailConfirmationHMAC(user.emailaddress_set.get(primary=False)).key
    change_email(user=user, email="second@example.be", by=user, now=timezone.now())
    client = CheckingClient()
    assert "ne fonctionne plus" in client.get(reverse("account_confirm_email", args=[key])).content.decode()
    assert client.post(reverse("account_confirm_email", args=[key])).status_code == 404
    user.refresh_from_db()
    assert (user.email, pending_email(user)) == ("old@example.be", "second@example.be")


@pytest.mark.django_db
def test_opening_the_link_confirms_only_by_its_button() -> None:
    from allauth.account.models import EmailConfirmationHMAC
    from django.urls import reverse

    user = UserFactory(verified=False)
    url = reverse("account_confirm_email", args=[EmailConfirmationHMAC(user.emailaddress_set.get()).key])
    client = CheckingClient()
    assert user.email in client.get(url).content.decode()
    assert not user.emailaddress_set.get().verified
    assert client.post(url).headers["Location"] == reverse("account_login")
    assert user.emailaddress_set.get().verified
