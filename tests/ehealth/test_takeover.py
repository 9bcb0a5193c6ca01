"""The same doctor in a second practice: the data follows who proves the first account, and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import get_hasher
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent, Mail, Practice, SectionReview, User
from billing.models import FinancialSettings
from ehealth.models import Keystore
from practitioners.models import Address, Practitioner
from practitioners.reference import HOUSE
from tests.accounts.factories import PASSWORD, UserFactory
from tests.accounts.test_factor import code_of, with_factor
from tests.billing.factories import FinancialFactory
from tests.client import CheckingClient
from tests.ehealth.factories import KeystoreFactory
from tests.practitioners.factories import AddressFactory, PractitionerFactory

pytestmark = pytest.mark.django_db
SignedIn = Callable[[User], CheckingClient]
REFUSED = "Ces données ne peuvent pas être reprises"


@pytest.fixture
def first() -> User:
    """A doctor with everything, in a first practice."""
    card = PractitionerFactory(user__login="anne@premier.example", title="Médecin agréé")
    AddressFactory(practitioner=card)
    FinancialFactory(practitioner=card)
    KeystoreFactory(user=card.user, file_name="anne.p12")
    user: User = card.user
    return user


@pytest.fixture
def second(first: User) -> User:
    """The same person, invited to a second practice with little filled in."""
    user: User = PractitionerFactory(blank=True).user
    Practitioner.objects.filter(user=user).update(ssin=first.practitioner.ssin)
    return user


def ask(
    client: CheckingClient,
    user: User,
    login: str = "anne@premier.example",
    password: str = PASSWORD,
    code: str = "",
) -> Any:
    url = reverse("ehealth:takeover", args=[user.uuid])
    return client.post(url, {"login": login, "password": password, "code": code}, follow=True)


def test_who_proves_the_first_account_finds_the_data_in_the_second(
    first: User, second: User, signed_in: SignedIn
) -> None:
    page = ask(signed_in(second), second).content.decode()
    assert "Vos données sont reprises" in page
    assert "anne.p12" in page and "choisissez-le de nouveau" in page
    mine, theirs = Practitioner.objects.get(user=second), first.practitioner
    for name in ("ssin", "nihii", "civility", "title", "speciality", "training_status"):
        assert getattr(mine, name) == getattr(theirs, name)
    copied, original = Address.objects.get(practitioner=mine), Address.objects.get(practitioner=theirs)
    assert (copied.street, copied.telecoms.count()) == (original.street, original.telecoms.count())
    assert copied.pk != original.pk
    money = FinancialSettings.objects.get(practitioner=mine)
    assert (money.iban, money.bic, money.bce) == ("BE67001000001187", "GEBABEBB", "0100000169")
    assert not Keystore.objects.filter(user=second).exists(), "a keystore is chosen again"
    saved = SectionReview.objects.filter(user=second, version=1)
    assert saved.count() == 3


def test_both_histories_know_it_and_the_first_owner_is_told(
    first: User, second: User, signed_in: SignedIn
) -> None:
    ask(signed_in(second), second)
    there = AuditEvent.objects.filter(practice=first.practice.uuid)
    here = AuditEvent.objects.filter(practice=second.practice.uuid)
    assert there.get(kind="billing:data:taken_over").subject == first.uuid
    assert here.filter(kind__startswith="section:", subject=second.uuid).count() == 3
    assert Mail.objects.get(kind="data_taken_over").user == first


def test_the_new_practice_never_learns_of_the_first_account(
    first: User, second: User, signed_in: SignedIn
) -> None:
    ask(signed_in(second), second)
    here = str(list(AuditEvent.objects.filter(practice=second.practice.uuid).values()))
    for word in (first.login, str(first.uuid), first.practice.name, "taken_over"):
        assert word not in here
    boss = UserFactory(roles=["admin"], practice=second.practice)
    page = signed_in(boss).get(f"/people/{second.uuid}/").content.decode()
    assert first.login not in page
    assert ask(signed_in(boss), second).status_code == 403, "the owner alone"
    assert not Mail.objects.filter(user=boss).exists()


def spoil(kind: str, first: User, second: User) -> dict[str, str]:
    """What is wrong with the proof; what is typed."""
    people = User.objects.filter(pk=first.pk)
    cards = Practitioner.objects.filter(user=second)
    if kind == "deactivated":
        people.update(is_active=False, deactivated_at=timezone.now())
    elif kind == "somebody else's password":
        people.update(password_own_at=None)
    elif kind == "the same practice":
        people.update(practice=second.practice)
    elif kind == "another national number":
        cards.update(ssin="01063098847")
    elif kind == "another INAMI number":
        cards.update(nihii="19990116003")
    elif kind == "no caregiver":
        return {"login": UserFactory(login="bea@premier.example").login}
    return {
        "unknown": {"login": "nobody@premier.example"},
        "impossible": {"login": "\u200b"},
        "wrong password": {"password": "Autre-mot1"},
        "oneself": {"login": second.login},
    }.get(kind, {})


KINDS = (
    "unknown", "impossible", "wrong password", "oneself", "deactivated", "somebody else's password",
    "the same practice", "another national number", "another INAMI number", "no caregiver",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_failure_reads_the_same_and_nothing_flows(
    kind: str, first: User, second: User, signed_in: SignedIn
) -> None:
    typed = spoil(kind, first, second)
    before = list(Practitioner.objects.filter(user=second).values())
    response = ask(signed_in(second), second, **typed)
    page = response.content.decode()
    assert response.status_code == 422
    assert page.count(REFUSED) == 1
    assert PASSWORD not in page
    assert list(Practitioner.objects.filter(user=second).values()) == before
    assert not Address.objects.filter(practitioner__user=second).exists()
    assert not FinancialSettings.objects.filter(practitioner__user=second).exists()
    assert not Mail.objects.filter(kind="data_taken_over").exists()


def test_an_account_with_a_second_factor_gives_nothing_without_its_code(
    first: User, second: User, signed_in: SignedIn
) -> None:
    seed, _codes = with_factor(first)
    for wrong in ("", "000000"):
        response = ask(signed_in(second), second, code=wrong)
        assert response.status_code == 422 and REFUSED in response.content.decode()
    assert not Address.objects.filter(practitioner__user=second).exists()
    assert ask(signed_in(second), second, code=code_of(seed, timezone.now())).status_code == 200
    assert Address.objects.filter(practitioner__user=second).exists()


@pytest.mark.parametrize("login", ["anne@premier.example", "nobody@premier.example"])
def test_a_failure_costs_one_hash_whether_the_login_is_known_or_not(
    login: str, first: User, second: User, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher, count = type(get_hasher()), []
    encode = hasher.encode
    client = signed_in(second)

    def counted(self: Any, *args: Any, **kwargs: Any) -> str:
        count.append(1)
        return str(encode(self, *args, **kwargs))

    monkeypatch.setattr(hasher, "encode", counted)
    ask(client, second, login, "Autre-mot1")
    assert len(count) == 1


def test_tries_are_few_for_a_person_and_for_a_login(first: User, second: User, signed_in: SignedIn) -> None:
    client = signed_in(second)
    pages = [ask(client, second, password=f"Autre-mot{n}").content.decode() for n in range(6)]
    assert [REFUSED in page for page in pages] == [True] * 5 + [False]
    assert "Trop d'essais" in pages[-1] or "Trop d&#x27;essais" in pages[-1]
    assert REFUSED not in ask(client, second).content.decode(), "the right password comes too late"
    assert not Address.objects.filter(practitioner__user=second).exists()
    refused = AuditEvent.objects.filter(kind="billing:data:refused", subject=first.uuid)
    assert refused.count() == 5


@pytest.mark.parametrize(("profession", "offered"), [("persphysician", True), (HOUSE, False)])
def test_every_caregiver_of_a_house_is_led_there_but_not_the_house(
    profession: str, offered: bool, signed_in: SignedIn
) -> None:
    user = PractitionerFactory(
        profession=profession, blank=True, user__practice__type=Practice.Type.FLAT_RATE_HOUSE
    ).user
    page = signed_in(user).get(reverse("practitioners:general", args=[user.uuid])).content.decode()
    assert (reverse("ehealth:takeover", args=[user.uuid]) in page) is offered


def test_the_password_of_this_account_is_asked_first(second: User, signed_in: SignedIn) -> None:
    client = signed_in(second)
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": 0}]
    session.save()
    url = reverse("ehealth:takeover", args=[second.uuid])
    for method in (client.get, client.post):
        assert "/signin/" in method(url).headers["Location"]


def test_what_is_here_already_stays(first: User, second: User, signed_in: SignedIn) -> None:
    Practitioner.objects.filter(user=second).update(title="Ici", civility="mrs")
    Practitioner.objects.filter(user=first).update(title="")
    own = AddressFactory(practitioner=second.practitioner, street="Rue d'ici")
    ask(signed_in(second), second)
    card = Practitioner.objects.get(user=second)
    assert (card.title, card.civility) == ("Ici", "dr")
    streets = list(Address.objects.filter(practitioner=card).order_by("pk").values_list("street", flat=True))
    assert streets == [own.street, "Rue de la Station"]
    ask(signed_in(second), second)
    assert Address.objects.filter(practitioner=card).count() == 2, "a second time doubles nothing"
