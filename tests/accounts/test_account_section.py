"""The section « Utilisateur »: one form, saved in one go or not at all; nothing typed is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import emails
from accounts.access import Forbidden
from accounts.actions.account import save_account
from accounts.actions.passwords import pending_email
from accounts.models import AuditEvent, BillingAddress, Mail, SectionReview, User
from tests.accounts.factories import PASSWORD, BillingAddressFactory, UserFactory
from tests.client import CheckingClient

pytestmark = pytest.mark.django_db
NEW_PASSWORD = "Prairie€Bleue7"
ADDRESS = {
    "billing_address": "new",
    "address_name": "Cabinet des Prés",
    "address_bce": "BE 0100.456.762",
    "address_street": "Rue Haute",
    "address_number": "7",
    "address_box": "",
    "address_postcode": "5000",
    "address_city": "Namur",
    "address_country": "BE",
    "address_email": "Compta@Example.be",
}
SignedIn = Callable[[User], CheckingClient]


def url_of(user: User) -> str:
    return reverse("accounts:account", args=[user.uuid])


def shown(client: CheckingClient, user: User) -> dict[str, Any]:
    """What a browser would post back from the page as it is."""
    form = client.get(url_of(user)).context["form"]
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value is not None and value is not False}


@pytest.fixture
def user() -> User:
    return UserFactory(login="anne@example.be", hub_region="rsw")


@pytest.fixture
def address(user: User) -> BillingAddress:
    return BillingAddressFactory(practice=user.practice)


# --- billing address -------------------------------------------------------------------------
def test_with_an_empty_list_the_form_waits_for_an_address_and_keeps_what_was_typed(
    user: User, signed_in: SignedIn
) -> None:
    client = signed_in(user)
    page = client.get(url_of(user))
    assert "n’a pas encore d’adresse de facturation" in page.content.decode()
    typed = shown(client, user) | {"hub_region": "cozo", "sumehr_auto_send": "yes", "address_city": "Namur"}
    refused = client.post(url_of(user), typed)
    assert refused.status_code == 422
    errors = refused.context["form"].errors
    assert {"address_name", "address_street", "address_number", "address_postcode", "address_email"} == set(
        errors
    )
    form = refused.context["form"]
    assert [form[name].value() for name in ("hub_region", "sumehr_auto_send", "address_city")] == [
        "cozo",
        "yes",
        "Namur",
    ]
    user.refresh_from_db()
    assert user.hub_region == "rsw"
    assert not BillingAddress.objects.exists()
    assert client.post(url_of(user), typed | ADDRESS).headers["Location"] == "/"
    user.refresh_from_db()
    created = user.billing_address
    assert (created.practice, created.bce, created.country) == (user.practice, "0100456762", "BE")
    assert (user.hub_region, user.sumehr_auto_send) == ("cozo", True)


def test_an_address_of_the_list_is_chosen_and_a_second_click_saves_nothing_twice(
    user: User, address: BillingAddress, signed_in: SignedIn
) -> None:
    client = signed_in(user)
    typed = shown(client, user) | {"billing_address": str(address.uuid)}
    assert client.post(url_of(user), typed).status_code == 302
    assert client.post(url_of(user), typed).status_code == 302
    user.refresh_from_db()
    assert user.billing_address == address
    assert SectionReview.objects.get(user=user, section="account").version == 1
    assert AuditEvent.objects.filter(kind="section:account:saved").count() == 1


def test_a_double_click_creates_one_address(user: User, signed_in: SignedIn) -> None:
    client = signed_in(user)
    typed = shown(client, user) | ADDRESS
    assert [client.post(url_of(user), typed).status_code for _click in range(2)] == [302, 302]
    assert BillingAddress.objects.count() == 1


def test_an_address_of_another_practice_is_no_choice_and_says_nothing_of_it(
    user: User, address: BillingAddress, signed_in: SignedIn
) -> None:
    foreign = BillingAddressFactory(name="Secret de Liège")
    client = signed_in(user)
    refused = client.post(url_of(user), shown(client, user) | {"billing_address": str(foreign.uuid)})
    assert refused.status_code == 422
    assert set(refused.context["form"].errors) == {"billing_address"}
    assert "Secret de Liège" not in refused.content.decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("address_bce", "0100000170"),
        ("address_postcode", "500"),
        ("address_email", "compta@"),
        ("address_country", "XX"),
        ("address_name", ""),
    ],
)
def test_each_part_of_a_new_address_is_judged(
    user: User, signed_in: SignedIn, field: str, value: str
) -> None:
    client = signed_in(user)
    refused = client.post(url_of(user), shown(client, user) | ADDRESS | {field: value})
    assert field in refused.context["form"].errors
    assert not BillingAddress.objects.exists()


# --- hubs ------------------------------------------------------------------------------------
def test_sending_by_itself_needs_a_hub_and_a_caregiver_answers_the_hub(
    user: User, address: BillingAddress, signed_in: SignedIn
) -> None:
    client = signed_in(user)
    typed = shown(client, user) | {"billing_address": str(address.uuid)}
    refused = client.post(url_of(user), typed | {"hub_region": "none", "sumehr_auto_send": "yes"})
    assert set(refused.context["form"].errors) == {"sumehr_auto_send"}
    refused = client.post(url_of(user), typed | {"hub_region": ""})
    assert set(refused.context["form"].errors) == {"hub_region"}
    saved = client.post(
        url_of(user), typed | {"hub_region": "none", "sumehr_auto_send": "no", "same_roof_search": "on"}
    )
    assert saved.status_code == 302
    user.refresh_from_db()
    assert (user.hub_region, user.sumehr_auto_send, user.same_roof_search) == ("none", False, True)


def test_somebody_at_the_desk_needs_no_hub(signed_in: SignedIn) -> None:
    user = UserFactory(roles=["reception"])
    address = BillingAddressFactory(practice=user.practice)
    client = signed_in(user)
    saved = client.post(url_of(user), shown(client, user) | {"billing_address": str(address.uuid)})
    assert saved.status_code == 302
    user.refresh_from_db()
    assert user.sumehr_auto_send is None


# --- login, address, password ----------------------------------------------------------------
@pytest.mark.parametrize(
    "change",
    [
        {"login": "autre@example.be"},
        {"email": "autre@example.be"},
        {"password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD},
    ],
)
def test_changing_the_access_takes_the_current_password(
    user: User, address: BillingAddress, signed_in: SignedIn, change: dict[str, str]
) -> None:
    client = signed_in(user)
    typed = shown(client, user) | {"billing_address": str(address.uuid), "hub_region": "cozo"} | change
    for current in ("", "Not-the-1-password"):
        refused = client.post(url_of(user), typed | {"current_password": current})
        assert set(refused.context["form"].errors) == {"current_password"}
        user.refresh_from_db()
        assert (user.login, user.hub_region, pending_email(user)) == ("anne@example.be", "rsw", "")
        assert user.check_password(PASSWORD)
    assert client.post(url_of(user), typed | {"current_password": PASSWORD}).status_code == 302
    assert client.get("/").status_code == 200


def test_guessing_the_current_password_is_limited(
    user: User, address: BillingAddress, signed_in: SignedIn
) -> None:
    client = signed_in(user)
    typed = shown(client, user) | {"billing_address": str(address.uuid), "login": "autre@example.be"}
    for _guess in range(5):
        client.post(url_of(user), typed | {"current_password": "Not-the-1-password"})
    refused = client.post(url_of(user), typed | {"current_password": PASSWORD})
    assert "Trop d&#x27;essais" in refused.content.decode()
    user.refresh_from_db()
    assert user.login == "anne@example.be"


@pytest.mark.parametrize(
    ("password", "repeated", "codes"),
    [
        ("Court#1a", "Court#1a", {"length"}),
        ("motdepasse", "motdepasse", {"upper", "digit", "symbol", "common"}),
        (NEW_PASSWORD, "Prairie€Bleue8", set()),
        (PASSWORD, PASSWORD, set()),
    ],
)
def test_a_new_password_follows_the_policy(
    user: User, address: BillingAddress, signed_in: SignedIn, password: str, repeated: str, codes: set[str]
) -> None:
    client = signed_in(user)
    typed = shown(client, user) | {"billing_address": str(address.uuid), "current_password": PASSWORD}
    refused = client.post(url_of(user), typed | {"password": password, "password_confirm": repeated})
    assert refused.status_code == 422
    errors = refused.context["form"].errors.as_data()
    assert codes <= {error.code for error in errors.get("password", [])}
    assert password not in refused.content.decode()
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_a_taken_login_or_address_is_the_fields_own_message(
    user: User, address: BillingAddress, signed_in: SignedIn
) -> None:
    UserFactory(login="pris@example.be", email="prise@example.be")
    client = signed_in(user)
    typed = shown(client, user) | {"billing_address": str(address.uuid), "current_password": PASSWORD}
    for name, value in (
        ("login", "Pris@example.be"),
        ("login", "prise@example.be"),
        ("email", "pris@example.be"),
    ):
        refused = client.post(url_of(user), typed | {name: value})
        assert set(refused.context["form"].errors) == {name}
        assert refused.context["form"][name].value() == value


def test_a_waiting_address_is_shown_and_its_mail_can_be_sent_again(
    user: User, address: BillingAddress, signed_in: SignedIn
) -> None:
    client = signed_in(user)
    typed = shown(client, user) | {"billing_address": str(address.uuid), "current_password": PASSWORD}
    client.post(url_of(user), typed | {"email": "autre@example.be"})
    page = client.get(url_of(user))
    assert "ouvrez le lien envoyé à autre@example.be" in page.content.decode()
    again = shown(client, user)
    assert client.post(url_of(user), again).status_code == 302, "a waiting address is no new change"
    assert pending_email(user) == "autre@example.be"
    client.post(reverse("accounts:verify_email", args=[user.uuid]))
    assert Mail.objects.filter(kind="email_verification", to="autre@example.be").count() == 2
    back = shown(client, user) | {"email": user.email, "current_password": PASSWORD}
    assert client.post(url_of(user), back).status_code == 302
    assert pending_email(user) == ""


def test_an_address_of_several_people_is_a_warning_told_at_once(
    user: User, address: BillingAddress, signed_in: SignedIn
) -> None:
    client = signed_in(user)
    typed = shown(client, user) | {"billing_address": str(address.uuid), "current_password": PASSWORD}
    landed = client.post(url_of(user), typed | {"email": "info@cabinet.example"}, follow=True)
    assert "E-mail : Cette adresse semble lue par plusieurs personnes" in landed.content.decode()
    assert 'id="id_email_warning"' in client.get(url_of(user)).content.decode()


# --- somebody else ---------------------------------------------------------------------------
def test_a_manager_prefills_the_owner_reviews_and_is_told_of_later_changes(
    user: User, address: BillingAddress, signed_in: SignedIn
) -> None:
    manager = UserFactory(practice=user.practice, roles=["user_manager"])
    theirs, own = signed_in(manager), signed_in(user)
    page = theirs.get(url_of(user))
    assert 'name="password"' not in page.content.decode()
    typed = shown(theirs, user) | {"billing_address": str(address.uuid), "roles": ["physician", "reception"]}
    assert theirs.post(url_of(user), typed).headers["Location"] == reverse("person", args=[user.uuid])
    assert user.roles() == {"physician", "reception"}
    assert not Mail.objects.filter(kind="section_reopened").exists()
    assert "À vérifier" in own.get(url_of(user)).content.decode()
    assert own.post(url_of(user), shown(own, user)).status_code == 302
    assert SectionReview.objects.get(user=user).confirmed_at
    theirs.post(url_of(user), shown(theirs, user) | {"hub_region": "cozo"})
    assert Mail.objects.get(kind="section_reopened").user == user
    assert SectionReview.objects.get(user=user).confirmed_at is None


def test_nobody_elses_password_and_nobodys_own_roles(
    user: User, address: BillingAddress, signed_in: SignedIn
) -> None:
    manager = UserFactory(practice=user.practice, roles=["user_manager"])
    client = signed_in(manager)
    secret = {"password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD, "current_password": PASSWORD}
    client.post(url_of(user), shown(client, user) | {"billing_address": str(address.uuid)} | secret)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    own = shown(client, manager) | {"billing_address": str(address.uuid), "roles": ["admin", "user_manager"]}
    client.post(url_of(manager), own)
    assert manager.roles() == {"user_manager"}
    refused = client.post(url_of(user), shown(client, user) | {"roles": ["admin"]})
    assert set(refused.context["form"].errors) == {"roles"}
    assert user.roles() == {"physician"}


def test_a_role_above_the_manager_stays_when_the_manager_saves(
    user: User, address: BillingAddress, signed_in: SignedIn
) -> None:
    manager = UserFactory(practice=user.practice, roles=["user_manager"])
    admin = UserFactory(practice=user.practice, roles=["admin", "physician"])
    client = signed_in(manager)
    typed = shown(client, admin) | {"billing_address": str(address.uuid), "roles": ["reception"]}
    assert client.post(url_of(admin), typed).status_code == 302
    assert admin.roles() == {"admin", "reception"}


def test_the_page_is_closed_to_colleagues_and_to_other_practices(user: User, signed_in: SignedIn) -> None:
    colleague, stranger = UserFactory(practice=user.practice), UserFactory(roles=["admin"])
    for method in ("get", "post"):
        assert getattr(signed_in(colleague), method)(url_of(user)).status_code == 404
        assert getattr(signed_in(stranger), method)(url_of(user)).status_code == 404
    unknown = signed_in(stranger).get(url_of(User(uuid="6b1f8e0e-6f0a-4a63-8b7e-0d5b5cf6e7a1")))
    assert unknown.content == b"" or unknown.status_code == 404


def test_a_stale_page_is_refused_with_both_versions_and_passwords_left_out(
    user: User, address: BillingAddress, signed_in: SignedIn
) -> None:
    manager = UserFactory(practice=user.practice, roles=["user_manager"])
    theirs, own = signed_in(manager), signed_in(user)
    mine = shown(own, user) | {"billing_address": str(address.uuid), "hub_region": "cozo"}
    mine |= {"password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD, "current_password": PASSWORD}
    theirs.post(
        url_of(user), shown(theirs, user) | {"billing_address": str(address.uuid), "hub_region": "vzn"}
    )
    conflict = own.post(url_of(user), mine)
    assert conflict.status_code == 409
    assert NEW_PASSWORD not in conflict.content.decode()
    assert conflict.context["form"]["hub_region"].value() == "cozo"
    user.refresh_from_db()
    assert user.hub_region == "vzn"
    assert user.check_password(PASSWORD)


def test_the_owner_is_told_by_mail_without_any_secret(
    user: User, address: BillingAddress, signed_in: SignedIn
) -> None:
    client = signed_in(user)
    typed = shown(client, user) | {"billing_address": str(address.uuid), "current_password": PASSWORD}
    typed |= {"login": "autre@example.be", "password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD}
    assert client.post(url_of(user), typed).status_code == 302
    mails = Mail.objects.order_by("pk")
    assert [mail.kind for mail in mails] == ["login_changed", "password_changed"]
    for mail in mails:
        content = emails.open_content(mail)
        assert NEW_PASSWORD not in content.text + content.html
        assert "http" not in content.text.replace("http://localhost:8000", "")
    trail = str(list(AuditEvent.objects.values_list("details", flat=True)))
    assert NEW_PASSWORD not in trail


def test_what_is_left_in_the_new_address_counts_only_when_it_is_chosen(
    user: User, address: BillingAddress, signed_in: SignedIn
) -> None:
    client = signed_in(user)
    left = {"address_postcode": "0", "address_email": "pas-une-adresse", "address_bce": "1"}
    typed = shown(client, user) | {"billing_address": str(address.uuid)} | left
    assert client.post(url_of(user), typed).headers["Location"] == "/"


@pytest.mark.parametrize("activated", [True, False])
def test_a_manager_does_not_redirect_the_account_of_an_administrator(
    user: User, address: BillingAddress, signed_in: SignedIn, activated: bool
) -> None:
    manager = UserFactory(practice=user.practice, roles=["user_manager"])
    admin = UserFactory(practice=user.practice, roles=["admin"], invited=not activated)
    client = signed_in(manager)
    before = (admin.login, admin.email)
    typed = shown(client, admin) | {"billing_address": str(address.uuid), "roles": []}
    taken = typed | {"email": "moi@example.be", "login": "moi@example.be"}
    assert client.post(url_of(admin), taken).headers["Location"] == reverse("person", args=[admin.uuid])
    admin.refresh_from_db()
    assert (admin.login, admin.email) == before
    assert not Mail.objects.filter(to="moi@example.be").exists()
    with pytest.raises(Forbidden):
        save_account(
            user=admin, by=manager, version=1, now=timezone.now(), login=admin.login, email="moi@example.be",
            roles=["admin"], password="", current_password="", billing_address=address, new_address=None,
            hub_region="", sumehr_auto_send=None, same_roof_search=False,
        )  # fmt: skip
    above = signed_in(UserFactory(practice=user.practice, roles=["admin"]))
    assert above.get(url_of(admin)).context["form"].fields["email"].disabled is False
