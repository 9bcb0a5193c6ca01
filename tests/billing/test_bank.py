"""Accounts: BIC derived or typed, foreign accounts, the register's gaps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.identifiers import Invalid
from billing import bank
from billing.bank import BankAccount, account


def code_of(*args):
    with pytest.raises(Invalid) as caught:
        account(*args)
    return caught.value.code


@pytest.mark.parametrize(
    ("typed", "bic"),
    [
        ("BE67001000001187", "GEBABEBB"),
        ("BE09 0630 0000 2257", "GKCCBEBB"),
        ("be06310000003322", "BBRUBEBB"),
        ("IBAN: BE39 7310 0000 4419", "KREDBEBB"),
        ("BE31-5230-0000-7755", "TRIOBEBB"),
        ("BE50650000008818", "REVOBEB2XXX"),
        ("LU28 0019 4006 4475 0000", "BCEELULL"),
    ],
)
@pytest.mark.parametrize("posted", ["", "KREDBEBB", "nonsense"])
def test_a_derived_bic_wins_over_whatever_was_posted(typed, bic, posted):
    found = account(typed, posted)
    assert (found.bic, found.bic_source) == (bic, "derived")


@pytest.mark.parametrize("typed", ["BE90539000009932", "BE12666000011092", "BE68 5390 0754 7034"])
def test_without_one_in_the_register_the_bic_is_typed(typed):
    assert code_of(typed) == "bic_required"
    assert code_of(typed, " - ") == "bic_required"
    found = account(typed, "geba be bb")
    assert (found.bic, found.bic_source) == ("GEBABEBB", "manual")
    assert account(typed, "GEBABEBBXXX").bic == "GEBABEBBXXX"


@pytest.mark.parametrize(
    ("bic", "code"),
    [
        ("GEBABEB", "bic_structure"),
        ("GEBABEBBX", "bic_structure"),
        ("1234BEBB", "bic_structure"),
        ("GEBAXXBB", "bic_structure"),
        ("ＧＥＢＡBEBB", "bic_structure"),
        ("BNPAFRPP", "bic_country"),
        ("BCEELULL", "bic_country"),
    ],
)
def test_a_wrong_typed_bic_is_named(bic, code):
    assert code_of("BE90539000009932", bic) == code


@pytest.mark.parametrize(
    ("typed", "code"),
    [("", "required"), ("BE40001000001188", "bban_checksum"), ("TR330006100519786457841326", "not_sepa")],
)
def test_the_iban_is_judged_before_the_bic(typed, code):
    assert code_of(typed, "GEBABEBB") == code


def test_banks_are_named():
    assert bank.bank_name("BE67001000001187") == "BNP Paribas Fortis"
    assert bank.bank_name("BE90539000009932") == ""
    assert bank.derive_bic("BE90539000009932") is None


def test_accounts_are_shown_in_fours_and_masked_elsewhere():
    assert bank.format_iban("BE67001000001187") == "BE67 0010 0000 1187"
    assert bank.mask_iban("BE67001000001187") == "•" * 13 + "187"
    assert "001000" not in repr(account("BE67001000001187"))
    assert not bank.is_belgian("LU280019400644750000")


@given(st.integers(0, 10**10 - 1))
def test_every_well_made_belgian_account_is_taken_and_no_other(body):
    national = body % 97 or 97
    bban = f"{body:010}{national:02}"
    number = f"BE{98 - int(bban + '111400') % 97:02}{bban}"
    assert bank.iban(bank.format_iban(number).lower()) == number
    assert bank.derive_bic(number) == bank.derive_bic(number)
    wrong = f"{body:010}{national % 97 + 1:02}"
    with pytest.raises(Invalid, match="bban_checksum"):
        bank.iban(f"BE{98 - int(wrong + '111400') % 97:02}{wrong}")


def test_an_account_is_a_value():
    assert account("BE67001000001187") == BankAccount("BE67001000001187", "GEBABEBB", "derived")
