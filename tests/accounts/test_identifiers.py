"""Every row of the table of identifiers, and the rules that the rows do not show."""

import csv
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts import identifiers
from accounts.identifiers import Invalid, canonical_login
from billing import bank

TODAY = date(2026, 11, 22)
JUDGES = {
    "NISS": lambda text: identifiers.ssin(text, today=TODAY),
    "NIHII": identifiers.nihii,
    "NIHII_HOUSE": identifiers.house_nihii,
    "BCE": identifiers.bce,
    "IBAN": bank.iban,
}


def rows():
    path = Path(__file__).parents[1] / "data" / "identifiers.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def code_of(judge, *args, **kwargs):
    with pytest.raises(Invalid) as caught:
        judge(*args, **kwargs)
    return caught.value.code


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["id"])
def test_every_row_gets_its_verdict_reason_and_canonical_form(row):
    try:
        found = ("valid", "", JUDGES[row["kind"]](row["input"]))
    except Invalid as error:
        found = ("invalid", error.code, "")
    assert found == (row["verdict"], row["reason"], row["canonical"])


def test_the_table_is_whole():
    assert len(rows()) == 106


@pytest.mark.parametrize(
    ("number", "shown"),
    [("75031498594", "75.03.14-985.94"), ("7503", "7503"), ("", "")],
)
def test_national_numbers_are_shown_grouped(number, shown):
    assert identifiers.format_ssin(number) == shown


def test_other_numbers_are_shown_grouped():
    assert identifiers.format_nihii("12345678901") == "1-23456-78-901"
    assert identifiers.format_bce("0123456789") == "0123.456.789"


@pytest.mark.parametrize(
    ("login", "shown"),
    [
        ("10002345003", "••••••••003"),
        ("1-00023-45-003", "•••••••••••003"),
        ("75.03.14-985.94", "••••••••••••.94"),
        ("dr.peeters", "dr.peeters"),
        ("anne@example.be", "anne@example.be"),
        ("a1", "a1"),
    ],
)
def test_a_login_is_masked_when_it_is_a_number(login, shown):
    assert identifiers.mask_login(login) == shown


@pytest.mark.parametrize("mask", [identifiers.mask_ssin, identifiers.mask_nihii, identifiers.mask_bce])
def test_masks_keep_the_last_three(mask):
    assert mask("75031498594") == "••••••••594"
    assert mask("94") == "94" and mask("") == ""


@pytest.mark.parametrize(
    ("code", "trainee", "gp", "edmg"),
    [
        ("000", False, False, False), ("001", False, True, True), ("002", False, True, True),
        ("003", False, True, True), ("004", False, True, True), ("005", True, False, True),
        ("006", True, False, True), ("007", False, True, True), ("008", False, True, True),
        ("009", False, False, False), ("010", True, False, False), ("058", True, False, False),
        ("099", True, False, False), ("100", False, False, False), ("580", False, False, False),
    ],
)  # fmt: skip
def test_the_competence_code_tells_training_and_general_practice(code, trainee, gp, edmg):
    number = "19990116" + code
    assert identifiers.nihii_is_trainee(number) is trainee
    assert identifiers.nihii_is_gp(number) is gp
    assert identifiers.nihii_may_register_edmg(number) is edmg
    assert identifiers.nihii_competence(number) == code


def test_two_numbers_with_the_same_six_digits_are_two_people():
    assert identifiers.nihii_identity("19990116003") != identifiers.nihii_identity("19990182003")
    assert identifiers.nihii_identity("19990116003") == identifiers.nihii_identity("19990116004")


def test_the_profession_decides_the_first_digit():
    assert identifiers.nihii("39990130001", profession_digit="3") == "39990130001"
    assert identifiers.nihii("39990130001", profession_digit="") == "39990130001"
    assert code_of(identifiers.nihii, "39990130001", profession_digit="26") == "profession"


@pytest.mark.parametrize(
    ("number", "unusual"),
    [("75031498594", False), ("04123199320", False), ("00010197965", True), ("90000096453", False)],
)
def test_an_unusual_age_is_a_question_not_an_error(number, unusual):
    assert identifiers.ssin_age_is_unusual(number, today=TODAY) is unusual


def test_the_day_of_birth_itself_is_not_the_future():
    number = _ssin(date(2026, 11, 22))
    assert identifiers.ssin(number, today=TODAY) == number
    assert code_of(identifiers.ssin, number, today=date(2026, 11, 21)) == "future"


def _ssin(born, serial=901):
    base = int(f"{born:%y%m%d}{serial:03}")
    check = 97 - ((2_000_000_000 if born.year >= 2000 else 0) + base) % 97
    return f"{base:09}{check:02}"


@given(st.dates(date(1900, 1, 1), TODAY), st.integers(1, 998))
def test_every_well_made_national_number_is_taken(born, serial):
    number = _ssin(born, serial)
    assert identifiers.ssin(identifiers.format_ssin(number), today=TODAY) == number


@given(st.dates(date(1900, 1, 1), TODAY), st.integers(0, 10), st.integers(1, 9))
def test_one_wrong_digit_is_found_unless_it_reads_as_the_other_century(born, place, change):
    number = _ssin(born)
    wrong = number[:place] + str((int(number[place]) + change) % 10) + number[place + 1 :]
    try:
        identifiers.ssin(wrong, today=TODAY)
    except Invalid as error:
        assert error.code in {"checksum", "future", "month", "day", "serial"}
    else:
        assert identifiers._ssin_century(wrong) != born.year // 100 * 100


@given(st.text(max_size=40))
def test_any_text_is_judged_or_refused_with_a_code(text):
    for judge in (*JUDGES.values(), canonical_login):
        try:
            assert judge(text)
        except Invalid as error:
            assert error.code.isidentifier()


# Logins.


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("Anne.Martin", "anne.martin"), ("  anne  ", "anne"), ("ANNE@Exemple.BE", "anne@exemple.be"),
        ("1-99901-16-003", "19990116003"), ("1 99901/16.003", "19990116003"), ("19990116003", "19990116003"),
        ("ａｎｎｅ", "anne"), ("１２３４", "1234"), ("Straße", "strasse"), ("Ｍüller", "müller"),
        ("Mu\u0308ller", "müller"), ("ﬁona", "fiona"), ("d'hondt", "d'hondt"), ("info2", "info2"),
        ("Ωμέγα", "ωμέγα"), ("Иван", "иван"), ("a_b-c+d", "a_b-c+d"),
    ],
)  # fmt: skip
def test_logins_are_compared_on_one_form(typed, canonical):
    assert canonical_login(typed) == canonical
    assert canonical_login(canonical) == canonical


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "required"), ("   ", "required"), ("ab", "length"), ("a" * 151, "length"), ("1-2", "length"),
        ("a" * 100_000, "length"), ("ﷺ" * 30, "character"),
        ("an\u200bne", "invisible"), ("anne\u200b", "invisible"), ("\ufeffanne", "invisible"),
        ("an\u00adne", "invisible"), ("anne\u202eeb", "invisible"), ("\u2066anne", "invisible"),
        ("an\u2060ne", "invisible"), ("an\u3164ne", "invisible"), ("an\uffa0ne", "invisible"),
        ("an\ufe0fne", "invisible"), ("an\u034fne", "invisible"), ("an\x00ne", "invisible"),
        ("an\nne", "invisible"), ("an\x7fne", "invisible"), ("an\u2028ne", "invisible"),
        ("an\ue000ne", "invisible"), ("1999\u200b0116003", "invisible"),
        ("anne martin", "character"), ("an\u00a0ne", "character"), ("anne<b>", "character"),
        ('an"ne', "character"), ("an,ne", "character"), ("an;ne", "character"), ("anne😀", "character"),
        ("٧٥٠٣١٤", "character"), ("an\\ne", "character"), ("anne\u20dd", "character"),
        ("аnne", "mixed_scripts"), ("annе.martin", "mixed_scripts"), ("αnne", "mixed_scripts"),
        ("pаypаl", "mixed_scripts"), ("Ωmega", "mixed_scripts"), ("अanne", "mixed_scripts"),
        ("admin", "reserved"), ("ADMIN", "reserved"), (" Admin ", "reserved"), ("ａｄｍｉｎ", "reserved"),
        ("Secrétaire", "reserved"), ("secretaresse", "reserved"), ("Sekretärin", "reserved"),
        ("accueil", "reserved"), ("onthaal", "reserved"), ("Empfang", "reserved"), ("reception", "reserved"),
        ("médecin", "reserved"), ("arts", "reserved"), ("Arzt", "reserved"), ("doctor", "reserved"),
        ("test", "reserved"), ("info", "reserved"), ("root", "reserved"), ("system", "reserved"),
        ("anonymous", "reserved"), ("support", "reserved"), ("ad.min", "reserved"), ("no-reply", "reserved"),
    ],
)  # fmt: skip
def test_what_is_no_login_is_named(typed, code):
    assert code_of(canonical_login, typed) == code


@given(st.text(max_size=60))
def test_the_canonical_login_is_its_own_canonical_form(text):
    try:
        login = canonical_login(text)
    except Invalid:
        return
    assert canonical_login(login) == login
    assert canonical_login(login.upper()) == login or "ı" in login.upper().lower() or not login.isascii()
