"""E-mail addresses, telephone numbers, postcodes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts import contacts
from accounts.identifiers import Invalid


def code_of(judge, *args, **kwargs):
    with pytest.raises(Invalid) as caught:
        judge(*args, **kwargs)
    return caught.value.code


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("anne@exemple.be", "anne@exemple.be"),
        (" Anne@EXEMPLE.be ", "Anne@exemple.be"),
        ("a.b+c@sub.exemple.co.uk", "a.b+c@sub.exemple.co.uk"),
        ("anne@Café.be", "anne@café.be"),
        ("x" * 64 + "@a.be", "x" * 64 + "@a.be"),
    ],
)
def test_addresses_are_taken(typed, canonical):
    assert contacts.email(typed) == canonical


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "required"),
        ("  ", "required"),
        ("anne", "at"),
        ("a@b@c.be", "at"),
        ("@exemple.be", "local"),
        ("x" * 65 + "@a.be", "local"),
        (".a@a.be", "local"),
        ("a..b@a.be", "local"),
        ("a b@a.be", "local"),
        ("é@a.be", "local"),
        ("a\nb@a.be", "local"),
        ("a@be", "domain"),
        ("a@", "domain"),
        ("a@-a.be", "domain"),
        ("a@a..be", "domain"),
        ("a@a_b.be", "domain"),
        ("a@127.0.0.1", "domain"),
        ("a@" + "x" * 64 + ".be", "domain"),
        ("a@" + "x." * 130 + "be", "length"),
    ],
)
def test_what_is_no_address_is_named(typed, code):
    assert code_of(contacts.email, typed) == code


def test_addresses_are_compared_without_case_and_on_the_wire_form():
    assert contacts.email_key("Anne@exemple.be") == contacts.email_key("aNNE@EXEMPLE.be")
    assert contacts.email_key("anne@café.be") == contacts.email_key("anne@xn--caf-dma.be")


def test_shared_mailboxes_are_seen():
    assert contacts.is_shared_mailbox("Info@exemple.be")
    assert not contacts.is_shared_mailbox("anne@info.be")


@pytest.mark.parametrize(
    ("typed", "e164", "kind"),
    [
        ("0470/12.34.56", "+32470123456", "mobile"),
        ("04 222 33 44", "+3242223344", "fixed"),
        ("+32 (0)470 12 34 56", "+32470123456", "mobile"),
        ("078 15 12 34", "+3278151234", "service"),
        ("0032 470 12 34 56", "+32470123456", "mobile"),
        ("+320470123456", "+32470123456", "mobile"),
        ("(02) 234 56 78", "+3222345678", "fixed"),
        ("02\u00a0234–56–78", "+3222345678", "fixed"),
        ("0800 12345", "+3280012345", "service"),
        ("070 12 34 56", "+3270123456", "service"),
        ("080 21 23 45", "+3280212345", "fixed"),
        ("+33 1 23 45 67 89", "+33123456789", "foreign"),
        ("+352 12 34 56", "+352123456", "foreign"),
        ("0032(0)2 234 56 78", "+3222345678", "fixed"),
    ],
)
def test_telephone_numbers_become_international(typed, e164, kind):
    assert contacts.phone(typed) == contacts.Phone(e164, kind)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "required"),
        (" - ", "required"),
        ("0470 12 34 5", "length"),
        ("0470 12 34 567", "length"),
        ("02 123 45 67", "number"),
        ("0900 12345", "premium"),
        ("0903 12345", "premium"),
        ("+32 2 000 00 00", "placeholder"),
        ("02 000 00 00", "placeholder"),
        ("470123456", "format"),
        ("0470 12 34 5a", "format"),
        ("٠٤٧٠١٢٣٤٥٦", "format"),
        ("+", "format"),
        ("+0123456", "length"),
        ("+33 12", "length"),
        ("0420 12 34 56", "length"),
        ("02", "length"),
    ],
)
def test_what_is_no_number_is_named(typed, code):
    assert code_of(contacts.phone, typed) == code


@given(st.text(alphabet="0123456789+()/. ab", max_size=20))
def test_an_accepted_number_is_its_own_form(text):
    try:
        found = contacts.phone(text)
    except Invalid:
        return
    assert contacts.phone(found.e164) == found


@pytest.mark.parametrize(
    ("typed", "country", "code"),
    [
        ("1000", "BE", "1000"),
        (" 4 020 ", "BE", "4020"),
        ("B-4000", "BE", "4000"),
        ("sw1a  1aa", "GB", "SW1A 1AA"),
    ],
)
def test_postcodes_are_taken(typed, country, code):
    assert contacts.postcode(typed, country=country) == code


@pytest.mark.parametrize(
    ("typed", "country", "code"),
    [
        ("", "BE", "required"),
        ("0999", "BE", "format"),
        ("400", "BE", "length"),
        ("40000", "BE", "length"),
        ("40a0", "BE", "format"),
        ("1", "FR", "length"),
        ("12345678901", "FR", "length"),
        ("75<01", "FR", "format"),
    ],
)
def test_wrong_postcodes_are_named(typed, country, code):
    assert code_of(contacts.postcode, typed, country=country) == code


@pytest.mark.parametrize(
    ("address", "shown"),
    [("claire.lemaire@parc.example", "c•••@parc.example"), ("a@b.be", "a•••@b.be")],
)
def test_a_masked_address_keeps_its_first_letter_and_its_domain(address, shown):
    assert contacts.mask_email(address) == shown
