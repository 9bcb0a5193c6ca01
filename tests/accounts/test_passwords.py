"""The password policy: the seed's table, frequent passwords, personal facts."""

import itertools

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from accounts import passwords
from accounts.passwords import SeedPasswordValidator, problems

SEED = {"length", "lower", "upper", "digit", "symbol"}


@pytest.mark.parametrize("value", ["Cabinet#2026", "Prairie€Bleue7", "Écureuil_75x", "Mot de passe 1A!"])
def test_good_passwords_are_accepted(value):
    assert problems(value) == ()


@pytest.mark.parametrize(
    ("value", "missing"),
    [
        ("Court#1a", {"length"}), ("motdepasse#1", {"upper"}), ("MOTDEPASSE#1", {"lower"}),
        ("MotDePasse##", {"digit"}), ("MotDePasse12", {"symbol"}), ("Mot de passe 1A", {"symbol"}),
        ("", SEED), ("aaaa", {"length", "upper", "digit", "symbol"}), ("          ", SEED - {"length"}),
        ("ÉCUREUIL_75X", {"lower"}), ("écureuil_75x", {"upper"}), ("Prairie#bleue٧", set()),
        ("Prairie#bleue²", {"digit"}), ("Prairie\tbleue7", {"symbol"}),
    ],
)  # fmt: skip
def test_all_missing_conditions_are_told_at_once(value, missing):
    assert set(problems(value)) & SEED == missing


def test_length_counts_code_points_after_composition():
    assert "length" in problems("E\u0301cur#75x\u0301")
    assert "length" not in problems("Prai€Bl7xy")
    assert "too_long" not in problems("Aa1#" + "xyzw" * 31)
    assert "too_long" in problems("Aa1#" + "xyzw" * 64)


def test_two_keyboards_give_one_password():
    assert passwords.canonical_password("E\u0301cureuil") == passwords.canonical_password("Écureuil")


@pytest.mark.parametrize(
    "value",
    [
        "Azerty123!",
        "Azerty1234!",
        "AZERTYuiop1!",
        "Azerty@2026",
        "azertyAZERTY1!",
        "Qwerty12345!",
        "Qwertz2026!",
        "Qsdfghjklm1!",
        "Wxcvbn2026!",
        "Aqwzsxedc1!",
        "1qaz2wsx#QAZWSX",
        "Password123!",
        "P@ssw0rd123",
        "P@ssw0rd!2024",
        "Passw0rd#2026",
        "Passwort2026!",
        "Wachtwoord1!",
        "W@chtw00rd1",
        "MotDePasse1!",
        "Motdepasse2026#",
        "M0tD3P@sse1",
        "Mot-de-passe1",
        "Mot.De.Passe.1",
        "Mot de passe 1!",
        "Welkom2024!",
        "Welkom01#2026",
        "W3lk0m2026!",
        "Welcome123!",
        "Bienvenue1!",
        "Bienvenue2026!",
        "Willkommen1!",
        "Bonjour123!",
        "Bonjour2026#",
        "Bonjour!Bonjour1",
        "Goededag1!",
        "Medisetup1!",
        "Medisetup2026!",
        "Medispring1!",
        "Medispring#2026",
        "M3d1spr1ng!",
        "Inami2026!!",
        "Riziv12345!",
        "Ehealth2026!",
        "Mycarenet1!",
        "Dokter2026!",
        "Docteur123!",
        "D0cteur2026!",
        "Huisarts1!",
        "Médecin2026!",
        "Patient123!",
        "Janvier2026!",
        "Février2026!",
        "Août2026!!!!",
        "Januari2026!",
        "Dezember1!",
        "Décembre24#",
        "Printemps26!",
        "Zomer20262026!",
        "Bruxelles1!",
        "Brussel2026!",
        "Antwerpen1!",
        "Belgique1!",
        "Belgie1830!",
        "Anderlecht1!",
        "Doudou12345!",
        "Iloveyou1!",
        "Soleil2026!",
        "Chocolat1!",
        "Aaaaaaaa1!",
        "Ababababab1!",
        "1234567890Aa!",
        "Abcdefghij1!",
        "!2026Azerty",
        "2026!Welkom2026",
        "123Soleil!",
        "Admin12345!",
        "Secret2026!",
    ],
)
def test_frequent_passwords_are_refused(value):
    assert "common" in problems(value)


def test_thousands_of_frequent_passwords_that_meet_the_rules_are_refused():
    endings = ("1!", "12!", "123!", "1234#", "2024!", "2025!", "2026!", "01@", "#1", "!2026")
    made = {word.capitalize() + end for word, end in itertools.product(passwords.frequent_words(), endings)}
    meeting = {value for value in made if not set(problems(value)) & SEED}
    assert len(meeting) >= 3000
    assert all("common" in problems(value) for value in meeting)


@pytest.mark.parametrize(
    "value",
    ["Trottoir%Vert88", "Guichet_Lundi42", "Kapstok7&Regenjas", "Lampadaire=9Tulle", "Zeep!Kachel33Trein"],
)
def test_uncommon_words_are_no_problem(value):
    assert problems(value) == ()


PERSON = {
    "login": "amartin75", "email": "anne.martin@exemple.be", "names": ["Anne-Sophie", "D'Hondt Müller", "Li"],
    "nihii": "19990116003",
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("Vert#Amartin75x", "contains_login"), ("X#a-martin-75-Z", "contains_login"),
        ("Anne_Martin#2026", "contains_email"), ("ANNEMARTIN#26x", "contains_email"),
        ("Sophie#Lampe26", "contains_name"), ("Lampe#Anne#26x", "contains_name"),
        ("Müller#Lampe26", "contains_name"), ("Muller#Lampe26", "contains_name"),
        ("dhondt-Lampe26", "contains_name"), ("D'Hondt#Lampe26", "contains_name"),
        ("Lampe#19990116", "contains_nihii"), ("Lampe#1-99901-16-004", "contains_nihii"),
    ],
)  # fmt: skip
def test_a_password_does_not_contain_what_others_know(value, code):
    assert code in problems(value, **PERSON)
    assert code not in problems(value)


def test_two_letters_of_a_name_are_no_reason_to_refuse():
    assert problems("Lilas%Vert88", **PERSON) == ()


class Person:
    login, email, first_name, last_name = "amartin75", "anne@exemple.be", "Anne", "Martin"


def test_the_validator_says_every_broken_rule_in_french():
    with pytest.raises(ValidationError) as caught:
        SeedPasswordValidator().validate("martin", Person())
    assert [error.code for error in caught.value.error_list] == [
        "length",
        "upper",
        "digit",
        "symbol",
        "common",
        "contains_name",
    ]
    assert "Le mot de passe doit contenir au moins un chiffre." in caught.value.messages


def test_the_validator_is_silent_on_a_good_password():
    SeedPasswordValidator().validate("Cabinet#2026", Person())
    SeedPasswordValidator().validate("Cabinet#2026")


def test_help_lists_the_requirements():
    assert len(SeedPasswordValidator().get_help_texts()) == len(passwords.REQUIREMENTS)


@given(st.text(max_size=40))
def test_any_text_gets_known_codes(text):
    assert set(problems(text, **PERSON)) <= set(passwords.MESSAGES)
