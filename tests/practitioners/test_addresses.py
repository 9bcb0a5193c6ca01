"""The tab « Adresses »."""

from __future__ import annotations

import html
import re

import pytest
from django.urls import reverse

from accounts.models import AuditEvent, User
from medisetup import journal_words
from practitioners.models import Address
from tests.accounts.factories import UserFactory
from tests.practitioners.factories import AddressFactory, PractitionerFactory

pytestmark = pytest.mark.django_db
TELECOMS = [("email", "cabinet@example.be"), ("phone", "081 22 22 22"), ("mobile", "")]


def url(user: User) -> str:
    return reverse("practitioners:addresses", args=[user.uuid])


def address(number: int = 0, telecoms: list[tuple[str, str]] = TELECOMS, **changes: str) -> dict[str, object]:
    values = {
        "uuid": "",
        "type": "work",
        "description": "",
        "street": "Rue de Fer",
        "number": "3",
        "box": "",
        "postcode": "5000",
        "city": "Namur",
        "country": "BE",
    } | changes
    data: dict[str, object] = {f"address-{number}-{name}": value for name, value in values.items()}
    data[f"address-{number}-telecoms"] = len(telecoms)
    for index, (kind, value) in enumerate(telecoms):
        data[f"address-{number}-telecom-{index}-type"] = kind
        data[f"address-{number}-telecom-{index}-value"] = value
    return data


def form(*parts: dict[str, object], version: int = 0, **more: object) -> dict[str, object]:
    data: dict[str, object] = {"version": version, "addresses": len(parts)} | more
    for part in parts:
        data |= part
    return data


@pytest.fixture
def doctor() -> User:
    return PractitionerFactory().user


def test_saves_a_workplace_with_its_contacts(signed_in, doctor) -> None:
    assert signed_in(doctor).post(url(doctor), form(address())).status_code == 302
    row = Address.objects.get(practitioner__user=doctor)
    assert sorted(row.telecoms.values_list("type", "value")) == [
        ("email", "cabinet@example.be"),
        ("phone", "+3281222222"),
    ]


def test_the_first_visit_proposes_one_workplace(signed_in, doctor) -> None:
    page = signed_in(doctor).get(url(doctor)).content.decode()
    assert "Adresse 1" in page and "Adresse 2" not in page


@pytest.mark.parametrize(
    ("changes", "telecoms", "words"),
    [
        ({"street": ""}, TELECOMS, "Complétez le champ « Rue »"),
        ({"postcode": "0123"}, TELECOMS, "code postal"),
        ({}, [("phone", "02 123 45 67")], "id_address-0-telecom-0-value"),
        ({}, [("email", "pas une adresse")], "id_address-0-telecom-0-value"),
    ],
)
def test_a_wrong_value_is_named_and_kept(signed_in, doctor, changes, telecoms, words) -> None:
    response = signed_in(doctor).post(url(doctor), form(address(telecoms=telecoms, **changes)))
    page = response.content.decode()
    assert response.status_code == 422
    assert words in page and "Il y a un problème" in page
    assert 'value="Namur"' in page
    assert not Address.objects.exists()


def test_adding_a_row_saves_nothing_and_keeps_what_was_typed(signed_in, doctor) -> None:
    response = signed_in(doctor).post(url(doctor), form(address(street="Rue gardée"), add="address"))
    page = response.content.decode()
    assert "Adresse 2" in page and "Rue gardée" in page and "Il y a un problème" not in page
    more = signed_in(doctor).post(url(doctor), form(address(), add="telecom-0")).content.decode()
    assert "address-0-telecom-3-value" in more
    assert not Address.objects.exists()


def test_a_row_more_is_no_reason_to_complain(signed_in, doctor) -> None:
    wrong = address(street="", postcode="0123", telecoms=[("email", "pas une adresse")])
    page = signed_in(doctor).post(url(doctor), form(wrong, add="telecom-0")).content.decode()
    assert "field-error" not in page and "pas une adresse" in page and "0123" in page
    assert 'data-unsaved="changed"' in page


def test_enter_saves_and_adds_nothing(signed_in, doctor) -> None:
    """Browsers press the first button of a form when somebody presses Enter in a field."""
    page = signed_in(doctor).get(url(doctor)).content.decode()
    first = re.search(r"<button[^>]*>", page[page.index('class="form"') :])
    assert first and "name=" not in first[0]


def test_losing_the_last_complete_workplace_asks_first(signed_in, doctor) -> None:
    row = AddressFactory(practitioner=doctor.practitioner)
    kept = address(uuid=str(row.uuid), telecoms=[("phone", "081222222")])
    client = signed_in(doctor)
    response = client.post(url(doctor), form(kept))
    assert response.status_code == 422 and "confirm_loss" in response.content.decode()
    assert row.telecoms.count() == 2
    assert client.post(url(doctor), form(kept, confirm_loss="on")).status_code == 302
    assert row.telecoms.count() == 1


def test_deleting_an_address_removes_it_alone(signed_in, doctor) -> None:
    row, home = (
        AddressFactory(practitioner=doctor.practitioner),
        AddressFactory(practitioner=doctor.practitioner, type="home"),
    )
    telecoms = [("email", "cabinet@example.be"), ("phone", "081222222")]
    data = form(
        address(0, uuid=str(row.uuid), telecoms=telecoms),
        address(1, uuid=str(home.uuid), type="home") | {"address-1-delete": "on"},
    )
    assert signed_in(doctor).post(url(doctor), data).status_code == 302
    assert list(Address.objects.filter(practitioner__user=doctor)) == [row]


def test_the_journal_tells_which_address_changed_how(signed_in, doctor) -> None:
    practice, home, third = (
        AddressFactory(practitioner=doctor.practitioner, type=kind, street=f"Rue {kind}", number="3", box="")
        for kind in ("work", "home", "other")
    )
    telecoms = [("email", "cabinet@example.be"), ("phone", "081222222")]
    data = form(
        address(0, uuid=str(practice.uuid), telecoms=telecoms, street="Rue Neuve"),
        address(1, uuid=str(home.uuid), type="hq", telecoms=telecoms, street="Rue home"),
        address(2, uuid=str(third.uuid), type="other") | {"address-2-delete": "on"},
        address(3, type="home", telecoms=[], street="Rue Haute"),
    )
    assert signed_in(doctor).post(url(doctor), data).status_code == 302
    event = AuditEvent.objects.get(kind="section:practitioner/addresses:saved")
    told = {entry["label"]: (entry["before"], entry["after"]) for entry in journal_words.details(event)}
    assert told["Adresse 1"] == ("Rue work 3, 5000 Namur", "Rue Neuve 3, 5000 Namur")
    assert told["Adresse 2"] == ("", "Rue home 3, 5000 Namur"), "it stays where it is"
    assert told["Adresse 2 : Type"] == ("Domicile", "Siège social")
    assert told["Adresse 3"] == ("Rue other 3, 5000 Namur", "–")
    assert told["Adresse 4"] == ("–", "Rue Haute 3, 5000 Namur")


def test_the_journal_tells_what_a_contact_was_before(signed_in, doctor) -> None:
    row = AddressFactory(practitioner=doctor.practitioner)
    before = ", ".join(row.telecoms.order_by("pk").values_list("value", flat=True))
    telecoms = [("email", "neuf@example.be"), ("phone", "081222222")]
    data = form(address(uuid=str(row.uuid), telecoms=telecoms))
    assert signed_in(doctor).post(url(doctor), data).status_code == 302
    event = AuditEvent.objects.get(kind="section:practitioner/addresses:saved")
    told = {entry["label"]: (entry["before"], entry["after"]) for entry in journal_words.details(event)}
    assert told["Adresse 1 : Contacts"] == (before, "neuf@example.be, +3281222222")


def test_an_address_of_somebody_else_is_not_taken_over(signed_in, doctor) -> None:
    foreign = AddressFactory()
    signed_in(doctor).post(url(doctor), form(address(uuid=str(foreign.uuid))))
    foreign.refresh_from_db()
    assert foreign.street == "Rue de la Station"
    assert foreign.practitioner.user != doctor


@pytest.mark.parametrize("count", ["9" * 5000, "-1", "²", ""])
def test_an_odd_count_of_rows_is_no_error_of_the_server(signed_in, doctor, count) -> None:
    data = form(address(), address(1)) | {"addresses": count, "address-0-telecoms": count}
    assert signed_in(doctor).post(url(doctor), data).status_code < 500


def test_somebody_without_a_practice_of_their_own_has_no_addresses(signed_in) -> None:
    admin = UserFactory(roles=["admin"])
    client = signed_in(admin)
    assert client.get(url(admin)).status_code == 404
    assert client.post(url(admin), form(address())).status_code == 404


# --- two people at once -----------------------------------------------------------------------
WORKPLACE = [("email", "cabinet@example.be"), ("phone", "081222222")]


def conflict_of(response: object) -> list[tuple[str, str, str]]:
    return [(row["label"], row["typed"], row["stored"]) for row in response.context["comparison"]]


def test_an_address_added_meanwhile_is_shown_and_survives_the_second_save(signed_in, doctor) -> None:
    row = AddressFactory(practitioner=doctor.practitioner)
    manager = UserFactory(practice=doctor.practice, roles=["user_manager"])
    mine = address(uuid=str(row.uuid), street="Rue Neuve", telecoms=WORKPLACE)
    theirs = address(uuid=str(row.uuid), telecoms=WORKPLACE)
    home = address(1, type="home", city="Dinant", telecoms=[])
    assert signed_in(manager).post(url(doctor), form(theirs, home)).status_code == 302
    owner = signed_in(doctor)
    response = owner.post(url(doctor), form(mine))
    assert response.status_code == 409
    assert "vient d'enregistrer cette page" in html.unescape(response.content.decode())
    changed, added = conflict_of(response)
    assert "Rue Neuve 3" in changed[1] and "Rue de Fer 3" in changed[2]
    assert changed[2].startswith("Lieu de travail, ") and "E-mail cabinet@example.be" in changed[2]
    assert "gardée" in added[1] and added[2].startswith("Domicile, ") and "Dinant" in added[2]
    assert owner.post(url(doctor), form(mine, version=1)).status_code == 302
    stored = Address.objects.filter(practitioner__user=doctor).order_by("pk")
    assert list(stored.values_list("street", "city")) == [("Rue Neuve", "Namur"), ("Rue de Fer", "Dinant")]


def test_a_change_of_the_same_address_is_shown_before_it_is_overwritten(signed_in, doctor) -> None:
    row = AddressFactory(practitioner=doctor.practitioner)
    client = signed_in(doctor)
    client.post(url(doctor), form(address(uuid=str(row.uuid), city="Dinant", telecoms=WORKPLACE)))
    response = client.post(url(doctor), form(address(uuid=str(row.uuid), telecoms=WORKPLACE)))
    assert response.status_code == 409
    [(label, typed, stored)] = conflict_of(response)
    assert (label, "Namur" in typed, "Dinant" in stored) == ("Adresse 1", True, True)
    row.refresh_from_db()
    assert row.city == "Dinant"


def test_a_second_click_on_a_new_address_makes_no_second_one(signed_in, doctor) -> None:
    client = signed_in(doctor)
    assert [client.post(url(doctor), form(address())).status_code for _click in range(2)] == [302, 302]
    assert Address.objects.filter(practitioner__user=doctor).count() == 1
