"""Fields: every code has its sentence, typed text comes back, stored values are grouped."""

import inspect
import re

import pytest
from django import forms

from accounts import contacts, fields, identifiers
from billing import bank
from billing.fields import BicField, IbanField, bank_message


class SampleForm(forms.Form):
    ssin = fields.SsinField(required=False)
    nihii = fields.NihiiField(required=False)
    house = fields.HouseNihiiField(required=False)
    bce = fields.BceField(required=False)
    login = fields.LoginField(required=False)
    email = fields.EmailField(required=False)
    phone = fields.PhoneField(required=False)
    postcode = fields.PostcodeField(required=False)
    name = fields.NameField(required=False)
    iban = IbanField(required=False)
    bic = BicField(required=False)


@pytest.mark.parametrize(
    ("field", "typed", "value"),
    [
        ("ssin", "75.03.14-985.94", "75031498594"),
        ("nihii", "1-99902-15-004", "19990215004"),
        ("house", "89990165111", "89990165111"),
        ("bce", "BE 0100.456.762", "0100456762"),
        ("login", " Anne.Martin ", "Anne.Martin"),
        ("email", "Anne@EXEMPLE.be", "Anne@exemple.be"),
        ("phone", "0470/12.34.56", "+32470123456"),
        ("postcode", " 4020 ", "4020"),
        ("name", "  D’Hondt   Müller-Li. ", "D’Hondt Müller-Li."),
        ("iban", "be67 0010 0000 1187", "BE67001000001187"),
        ("bic", "geba be bb", "GEBABEBB"),
    ],
)
def test_good_values_become_canonical_and_show_as_typed(field, typed, value):
    form = SampleForm({field: typed})
    assert form.is_valid(), form.errors
    assert form.cleaned_data[field] == value
    assert form[field].value() == typed


@pytest.mark.parametrize(
    ("field", "typed", "part"),
    [
        ("ssin", "75031498595", "chiffres de contrôle du numéro national"),
        ("nihii", "19990116", "11 chiffres"),
        ("nihii", "39990130001", "profession"),
        ("house", "19990116003", "commence par 8"),
        ("house", "89990165112", "trois derniers chiffres"),
        ("bce", "2100000114", "unité d&#x27;établissement"),
        ("login", "admin", "réservé"),
        ("email", "anne", "@"),
        ("phone", "0470 12 34 5", "trop ou trop peu"),
        ("postcode", "0999", "quatre chiffres"),
        ("name", "4nne", "lettres"),
        ("iban", "BE40001000001188", "les deux derniers"),
    ],
)
def test_a_wrong_value_is_explained_and_shown_again(field, typed, part):
    form = SampleForm({field: typed})
    assert part in str(form.errors[field])
    assert form[field].value() == typed
    assert f'value="{typed}"' in str(form[field])


@pytest.mark.parametrize("typed", ["", "  ", " - "])
def test_an_optional_field_may_be_empty(typed):
    form = SampleForm({"ssin": typed, "iban": typed, "phone": typed})
    assert form.is_valid() and form.cleaned_data["ssin"] == form.cleaned_data["iban"] == ""


def test_a_required_field_asks_for_its_value():
    with pytest.raises(forms.ValidationError, match="Indiquez le numéro national"):
        fields.SsinField().clean("")


def test_stored_values_are_shown_grouped():
    form = SampleForm(initial={"ssin": "75031498594", "iban": "BE67001000001187", "bce": "0100456762"})
    shown = [form[name].value() for name in ("ssin", "iban", "bce")]
    assert shown == ["75.03.14-985.94", "BE67 0010 0000 1187", "0100.456.762"]


def test_other_separators_are_no_change():
    form = SampleForm({"ssin": "75031498594", "bce": "BE0100456762"}, initial={"ssin": "75031498594"})
    assert form.changed_data == ["bce"]


def test_the_profession_may_be_set_when_it_is_known():
    form = SampleForm({"nihii": "39990130001"})
    form.fields["nihii"].profession_digits = "3"
    assert form.is_valid()


def test_keyboards_and_managers_are_told_what_the_field_is():
    form = SampleForm()
    assert 'inputmode="numeric"' in str(form["ssin"])
    assert 'type="email"' in str(form["email"]) and 'autocomplete="email"' in str(form["email"])
    assert 'type="tel"' in str(form["phone"])
    assert 'autocomplete="off"' in str(fields.LoginField(autocomplete="off").widget.render("l", "", {}))


def codes(*functions):
    """Codes that the source of these functions can raise."""
    return {
        code
        for function in functions
        for code in re.findall(r'Invalid\("(\w+)"\)', inspect.getsource(function))
    }


def test_every_code_has_a_sentence():
    assert codes(identifiers, contacts, bank)
    shared = {"required", "format", "length"}
    for code in (
        shared | codes(identifiers.ssin, identifiers._ssin_month, identifiers._ssin_day) | {"checksum"}
    ):
        assert fields.identifier_message("ssin", code)
    for code in shared | codes(identifiers._check_nihii, identifiers.nihii, identifiers.house_nihii):
        assert fields.identifier_message("house_nihii", code)
    for code in shared | codes(identifiers.bce, identifiers._judge_bce_series):
        assert fields.identifier_message("bce", code)
    for code in {"required", *codes(identifiers._check_login, identifiers._refuse_invisible)}:
        assert fields.identifier_message("login", code)
    for code in codes(contacts.email, contacts._domain, contacts._ascii_domain):
        assert fields.contact_message("email", code)
    for code in {"number", "length", "premium", *codes(contacts.phone, contacts._compact_phone)}:
        assert fields.contact_message("phone", code)
    for code in codes(contacts.postcode, contacts._belgian_postcode, contacts._foreign_postcode):
        assert fields.contact_message("postcode", code)
    for code in codes(bank) | set(bank._CODES.values()):
        assert bank_message(code)
