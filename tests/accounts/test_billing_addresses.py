"""The billing addresses of a practice: added, corrected for everybody, removed while nobody chose them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from accounts.access import Forbidden
from accounts.actions import practices
from accounts.actions.account import AddressGone, save_account
from accounts.actions.practices import AddressInUse
from accounts.models import AuditEvent, BillingAddress, User
from tests.accounts.factories import BillingAddressFactory, UserFactory

pytestmark = pytest.mark.django_db

TYPED = {
    "version": "0", "name": "Cabinet des Prés", "bce": "BE 0100.456.762", "street": "Rue Haute",
    "number": "7", "box": "B2", "postcode": "5000", "city": "Namur", "country": "BE",
    "email": "Compta@Example.be",
}  # fmt: skip
NEW = "/practice/billing-addresses/new/"


def url(address: BillingAddress, name: str = "billing_address") -> str:
    return reverse(f"accounts:{name}", args=[address.uuid])


def manager(**facts: Any) -> User:
    user: User = UserFactory(**{"roles": ["user_manager"]} | facts)
    return user


def chosen_by(address: BillingAddress, **facts: Any) -> User:
    user: User = UserFactory(practice=address.practice, **facts)
    User.objects.filter(pk=user.pk).update(billing_address=address)
    return user


def account_of(user: User) -> dict[str, Any]:
    return {
        "user": user, "by": user, "version": 0, "now": timezone.now(), "login": user.login,
        "email": user.email, "roles": [], "password": "", "current_password": "", "new_address": None,
        "hub_region": "none", "sumehr_auto_send": None, "same_roof_search": False,
    }  # fmt: skip


def details(kind: str) -> dict[str, Any]:
    return AuditEvent.objects.get(kind=f"account:address:{kind}").details


# --- adding -----------------------------------------------------------------------------------
def test_a_manager_adds_an_address_and_a_second_click_adds_none(signed_in) -> None:
    user = manager()
    client = signed_in(user)
    assert client.get(NEW).status_code == 200
    for _click in range(2):
        assert client.post(NEW, TYPED).headers["Location"] == "/practice/"
    row = BillingAddress.objects.get()
    assert (row.practice, row.bce, row.box, row.email) == (
        user.practice, "0100456762", "B2", "Compta@example.be",
    )  # fmt: skip
    assert details("created") == {"name": "Cabinet des Prés"}
    assert "Cabinet des Prés" in client.get("/practice/").content.decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "), ("bce", "0100000170"), ("street", ""), ("number", ""), ("postcode", "500"),
        ("city", ""), ("country", "XX"), ("country", ""), ("email", "compta@"), ("email", ""),
    ],
)  # fmt: skip
def test_each_part_is_judged_and_nothing_typed_is_lost(signed_in, field: str, value: str) -> None:
    page = signed_in(manager()).post(NEW, TYPED | {field: value})
    assert page.status_code == 422 and not BillingAddress.objects.exists()
    form = page.context["form"]
    assert set(form.errors) == {field}
    assert {name: str(form[name].value()) for name in TYPED} == TYPED | {field: value}
    assert f'href="#id_{field}"' in page.content.decode()


def test_number_of_the_enterprise_and_box_may_stay_empty_and_a_foreign_postcode_counts(signed_in) -> None:
    typed = TYPED | {"bce": "", "box": "", "country": "NL", "postcode": "1011 AB"}
    assert signed_in(manager()).post(NEW, typed).status_code == 302
    assert BillingAddress.objects.get().postcode == "1011 AB"


# --- correcting -------------------------------------------------------------------------------
def test_a_correction_is_for_everybody_and_the_journal_says_before_and_after(signed_in) -> None:
    user = manager()
    address = BillingAddressFactory(practice=user.practice, bce="0100000169")
    doctor = chosen_by(address, last_name="Lambert")
    client = signed_in(user)
    assert "Lambert" in client.get(url(address)).content.decode()
    assert client.post(url(address), TYPED).headers["Location"] == "/practice/"
    doctor.refresh_from_db()
    assert str(doctor.billing_address) == "Cabinet des Prés, Rue Haute 7, 5000 Namur"
    found = details("changed")
    assert found["street"] == ["Rue Neuve", "Rue Haute"] and found["bce"] == ["•••169", "•••762"]
    event = AuditEvent.objects.get(kind="account:address:changed")
    assert (event.practice, event.subject) == (user.practice.uuid, None)
    page = client.get("/journal/").content.decode()
    assert "Adresse de facturation corrigée" in page and "Rue Neuve" in page and "Rue Haute" in page


def test_a_stale_correction_is_compared_side_by_side_and_saved_when_sent_again(signed_in) -> None:
    user = manager()
    address = BillingAddressFactory(practice=user.practice)
    client = signed_in(user)
    client.post(url(address), TYPED)
    mine = TYPED | {"street": "Rue Basse"}
    page = client.post(url(address), mine)
    assert page.status_code == 409
    assert [(row["typed"], row["stored"]) for row in page.context["comparison"]] == [
        ("Rue Basse", "Rue Haute")
    ]
    address.refresh_from_db()
    assert address.street == "Rue Haute"
    assert client.post(url(address), mine | {"version": "1"}).status_code == 302
    address.refresh_from_db()
    assert (address.street, address.version) == ("Rue Basse", 2)


def test_a_second_click_on_a_correction_counts_once(signed_in) -> None:
    user = manager()
    address = BillingAddressFactory(practice=user.practice)
    client = signed_in(user)
    assert [client.post(url(address), TYPED).status_code for _click in range(2)] == [302, 302]
    assert AuditEvent.objects.filter(kind="account:address:changed").count() == 1


# --- removing ---------------------------------------------------------------------------------
def test_an_address_of_nobody_is_removed_and_a_second_click_is_no_error(signed_in) -> None:
    user = manager()
    address = BillingAddressFactory(practice=user.practice, name="Ancienne société")
    client = signed_in(user)
    assert "Supprimer cette adresse" in client.get(url(address)).content.decode()
    for said in ("est supprimée", "n’existe plus"):
        page = client.post(url(address, "remove_billing_address"), follow=True)
        assert said in page.content.decode().replace("&#x27;", "’")
    assert not BillingAddress.objects.exists()
    assert details("removed")["name"] == ["Ancienne société", None]
    assert "Ancienne société" in client.get("/journal/").content.decode()
    assert client.get(url(address)).status_code == 404


@pytest.mark.parametrize("active", [True, False])
def test_an_address_in_use_stays_and_the_page_names_who_uses_it(signed_in, active: bool) -> None:
    user = manager()
    address = BillingAddressFactory(practice=user.practice)
    closed = {} if active else {"is_active": False, "deactivated_at": timezone.now()}
    doctor = chosen_by(address, first_name="Anne", last_name="Lambert", **closed)
    client = signed_in(user)
    page = client.get(url(address)).content.decode()
    assert "Supprimer cette adresse" not in page and "Anne Lambert" in page
    assert ("compte désactivé" in page) is not active
    assert reverse("accounts:account", args=[doctor.uuid]) in page
    page = client.post(url(address, "remove_billing_address"), follow=True).content.decode()
    assert "elle sert à Anne Lambert." in page
    assert BillingAddress.objects.filter(pk=address.pk).exists()
    assert not AuditEvent.objects.filter(kind="account:address:removed").exists()


def test_a_refusal_names_ten_at_most(signed_in) -> None:
    user = manager()
    address = BillingAddressFactory(practice=user.practice)
    for number in range(11):
        chosen_by(address, first_name="", last_name=f"Q{number:02}")
    page = signed_in(user).post(url(address, "remove_billing_address"), follow=True).content.decode()
    assert "Q08, Q09, …." in page


def test_the_database_keeps_an_address_that_somebody_points_to() -> None:
    address = BillingAddressFactory()
    chosen_by(address)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_billingaddress WHERE id = %s", [address.pk])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_who_chooses_an_address_that_was_just_removed_is_told(signed_in) -> None:
    address = BillingAddressFactory()
    user = UserFactory(practice=address.practice)
    practices.remove_address(address=address, by=manager(practice=address.practice), now=timezone.now())
    with pytest.raises(AddressGone, match="supprimée"):
        save_account(**account_of(user), billing_address=address)


def meanwhile(first: Callable[[], object], second: Callable[[], object]) -> list[BaseException]:
    """What `second` raises when it begins before the transaction of `first` has ended."""
    raised: list[BaseException] = []

    def other() -> None:
        try:
            second()
        except (AddressGone, AddressInUse) as refused:
            raised.append(refused)
        connection.close()

    thread = threading.Thread(target=other)
    with transaction.atomic():
        first()
        thread.start()
        thread.join(1)
        assert thread.is_alive(), "it waits for the first"
    thread.join()
    return raised


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("chosen_first", [True, False])
def test_of_choosing_and_removing_at_once_the_second_is_refused(chosen_first: bool) -> None:
    address = BillingAddressFactory()
    user, by = UserFactory(practice=address.practice), manager(practice=address.practice)

    def choose() -> None:
        save_account(**account_of(user), billing_address=address)

    def remove() -> None:
        practices.remove_address(address=address, by=by, now=timezone.now())

    [refused] = meanwhile(choose, remove) if chosen_first else meanwhile(remove, choose)
    if chosen_first:
        assert isinstance(refused, AddressInUse) and refused.users == [user]
    else:
        assert isinstance(refused, AddressGone)
    user.refresh_from_db()
    assert user.billing_address == (address if chosen_first else None)


# --- who may ----------------------------------------------------------------------------------
def test_another_practices_address_is_like_a_missing_one(signed_in) -> None:
    theirs = BillingAddressFactory(name="Secret de Liège")
    user = manager()
    client = signed_in(user)
    for answer in (client.get(url(theirs)), client.post(url(theirs), TYPED)):
        assert answer.status_code == 404
    page = client.post(url(theirs, "remove_billing_address"), follow=True)
    assert "Secret de Liège" not in page.content.decode()
    assert BillingAddress.objects.get().name == "Secret de Liège"
    with pytest.raises(Forbidden):
        practices.remove_address(address=theirs, by=user, now=timezone.now())
    with pytest.raises(Forbidden):
        practices.change_address(address=theirs, by=user, version=0, now=timezone.now(), name="x")


@pytest.mark.parametrize("role", ["physician", "paramedical", "reception", "support"])
def test_whoever_is_no_manager_is_refused(signed_in, role: str) -> None:
    user = UserFactory(roles=[role])
    address = BillingAddressFactory(practice=user.practice)
    client = signed_in(user)
    for path in (NEW, url(address)):
        assert client.get(path).status_code == client.post(path, TYPED).status_code == 403
    assert client.post(url(address, "remove_billing_address")).status_code == 403
    with pytest.raises(Forbidden):
        practices.remove_address(address=address, by=user, now=timezone.now())
    assert BillingAddress.objects.get().version == 0
