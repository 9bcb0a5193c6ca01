"""Belgian numbers of persons and enterprises, and logins: normalise, judge, format, mask.

Each judge takes what somebody typed and returns the canonical form (ASCII digits, fixed length),
or raises ``Invalid`` with one machine code. When several rules are broken the first of this order
is told: required, format, length, checksum, then the rules of the kind.
"""

import unicodedata
from datetime import date
from pathlib import Path

SSIN_LENGTH = 11
NIHII_LENGTH = 11
BCE_LENGTH = 10
PHYSICIAN = "1"
HOUSE = "8"
HOUSE_DISCIPLINES = frozenset({"111", "110", "101", "100", "011", "010", "001"})
# Passes the check, but is what invoicing software prints when nobody filled in a number.
BCE_PLACEHOLDER = "0999999922"
GP_COMPETENCES = frozenset({"001", "002", "003", "004", "007", "008"})
TRAINEE_GP_COMPETENCES = frozenset({"005", "006"})

_SEPARATOR_CATEGORIES = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Pd"})
_SEPARATORS = frozenset("./\u2212")
_DIGITS = frozenset("0123456789")
_CENTURY_2000 = 2_000_000_000
_UNUSUAL_AGES = (21, 100)


class Invalid(ValueError):
    """A value that cannot be taken; ``code`` is the machine code of the broken rule."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def normalise(text: str) -> str:
    """Drop spaces, controls, invisible characters, dashes, dots and slashes."""
    return "".join(char for char in text if not _is_separator(char))


def _is_separator(char: str) -> bool:
    return char in _SEPARATORS or unicodedata.category(char) in _SEPARATOR_CATEGORIES


def is_digits(text: str) -> bool:
    """ASCII digits only, and at least one: ``str.isdigit`` takes other scripts too."""
    return bool(text) and _DIGITS.issuperset(text)


def _digits(text: str, *, length: int) -> str:
    digits = normalise(text)
    _require_digits(digits)
    if len(digits) != length:
        raise Invalid("length")
    return digits


def _require_digits(text: str) -> None:
    if not text:
        raise Invalid("required")
    if not is_digits(text):
        raise Invalid("format")


def mask(text: str) -> str:
    """Keep the last three characters of a number, for logs and audit."""
    return "•" * max(len(text) - 3, 0) + text[-3:]


# National number (NISS): register number or BIS number.


def ssin(text: str, *, today: date) -> str:
    """Return the eleven digits of a national number, or raise ``Invalid``.

    Codes: required, format, length, checksum, serial, month, day, future.
    """
    digits = _digits(text, length=SSIN_LENGTH)
    century = _ssin_century(digits)
    if digits[6:9] in {"000", "999"}:
        raise Invalid("serial")
    year, month, day = century + int(digits[:2]), _ssin_month(digits), int(digits[4:6])
    if _is_future(year, month, _ssin_day(year, month, day), today):
        raise Invalid("future")
    return digits


def _ssin_century(digits: str) -> int:
    base, check = int(digits[:9]), int(digits[9:])
    if check == 97 - base % 97:
        return 1900
    if check == 97 - (_CENTURY_2000 + base) % 97:
        return 2000
    raise Invalid("checksum")


def _ssin_month(digits: str) -> int:
    month = int(digits[2:4])
    for offset in (0, 20, 40):
        if offset <= month <= offset + 12:
            return month - offset
    raise Invalid("month")


def _ssin_day(year: int, month: int, day: int) -> int:
    if day > 31:
        raise Invalid("day")
    if month and day:
        try:
            date(year, month, day)
        except ValueError:
            raise Invalid("day") from None
    return day


def _is_future(year: int, month: int, day: int, today: date) -> bool:
    """Compare as far as the date is known: month 00 or day 00 says nothing."""
    born = (year, month, day)[: 1 + bool(month) + bool(month and day)]
    return born > (today.year, today.month, today.day)[: len(born)]


def ssin_age_is_unusual(number: str, *, today: date) -> bool:
    """Whether a canonical national number tells an age under 21 or over 100: worth a question, no more."""
    year, month, day = _ssin_century(number) + int(number[:2]), _ssin_month(number), int(number[4:6])
    age = today.year - year - ((today.month, today.day) < (month, day))
    return not _UNUSUAL_AGES[0] <= age <= _UNUSUAL_AGES[1]


def format_ssin(number: str) -> str:
    """``YY.MM.DD-SSS.CC``; anything that is not eleven long comes back as it is."""
    if len(number) != SSIN_LENGTH:
        return number
    return f"{number[:2]}.{number[2:4]}.{number[4:6]}-{number[6:9]}.{number[9:]}"


def mask_ssin(number: str) -> str:
    return mask(number)


# Number of the health insurance institute (INAMI, NIHII).


def nihii(text: str, *, profession_digit: str = PHYSICIAN) -> str:
    """Return the eleven digits of a personal INAMI number, or raise ``Invalid``.

    ``profession_digit`` holds the first digits that the profession may have (``"1"``, ``"26"``);
    empty accepts all. Codes: required, format, length, checksum, profession.
    """
    digits = _digits(text, length=NIHII_LENGTH)
    _check_nihii(digits)
    if profession_digit and digits[0] not in profession_digit:
        raise Invalid("profession")
    return digits


def house_nihii(text: str) -> str:
    """Return the INAMI number of a flat-rate medical house. Codes as ``nihii``, and competence."""
    digits = nihii(text, profession_digit=HOUSE)
    if nihii_competence(digits) not in HOUSE_DISCIPLINES:
        raise Invalid("competence")
    return digits


def _check_nihii(digits: str) -> None:
    # Numbers given since 2019 may be checked modulo 89: the modulo 97 ones ran out.
    base, check = int(digits[:6]), int(digits[6:8])
    if check not in {97 - base % 97, 89 - base % 89}:
        raise Invalid("checksum")


def nihii_identity(number: str) -> str:
    """First eight digits: the person, whatever happens to the competence code."""
    return number[:8]


def nihii_competence(number: str) -> str:
    """Last three digits: training and titles."""
    return number[8:]


def nihii_is_trainee(number: str) -> bool:
    code = nihii_competence(number)
    return code in TRAINEE_GP_COMPETENCES or "010" <= code <= "099"


def nihii_is_gp(number: str) -> bool:
    """Recognised general practitioner; a general practitioner in training is not."""
    return nihii_competence(number) in GP_COMPETENCES


def nihii_may_register_edmg(number: str) -> bool:
    """General practitioners and those in training (codes 001 to 008)."""
    return nihii_competence(number) in GP_COMPETENCES | TRAINEE_GP_COMPETENCES


def format_nihii(number: str) -> str:
    """``1-23456-78-901``."""
    if len(number) != NIHII_LENGTH:
        return number
    return f"{number[0]}-{number[1:6]}-{number[6:8]}-{number[8:]}"


def mask_nihii(number: str) -> str:
    return mask(number)


# Enterprise number (BCE, KBO).


def bce(text: str) -> str:
    """Return the ten digits of an enterprise number, or raise ``Invalid``.

    Codes: required, format, length, checksum, establishment, prefix, placeholder.
    """
    digits = _strip_bce_prefixes(normalise(text.upper()))
    _require_digits(digits)
    if len(digits) == BCE_LENGTH - 1:
        digits = "0" + digits
    if len(digits) != BCE_LENGTH:
        raise Invalid("length")
    if 97 - int(digits[:8]) % 97 != int(digits[8:]):
        raise Invalid("checksum")
    return _judge_bce_series(digits)


def _strip_bce_prefixes(text: str) -> str:
    for prefix in ("TVA", "BTW", "BE"):
        text = text.removeprefix(prefix)
    return text.replace("(0)", "0", 1)


def _judge_bce_series(digits: str) -> str:
    if digits[0] in "2345678":
        raise Invalid("establishment")
    if digits[0] == "9":
        raise Invalid("prefix")
    if digits == BCE_PLACEHOLDER:
        raise Invalid("placeholder")
    return digits


def format_bce(number: str) -> str:
    """``0123.456.789``."""
    if len(number) != BCE_LENGTH:
        return number
    return f"{number[:4]}.{number[4:7]}.{number[7:]}"


def mask_bce(number: str) -> str:
    return mask(number)


# Logins. Two people may not have logins that look the same, or differ in case or width only.

LOGIN_SHORTEST = 3
LOGIN_LONGEST = 150

# Blank or default-ignorable characters whose category looks harmless.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_LOGIN_PUNCTUATION = frozenset("!#$%&'*+-./=?@^_{|}~")
# Scripts that one language mixes (Unicode technical standard 39, section 5.1).
_MIXED_BY_LANGUAGE = (
    frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}),
    frozenset({"CJK", "HANGUL"}),
    frozenset({"CJK", "BOPOMOFO"}),
)

# Role words in French, Dutch, German and English, and the names of actors in the audit.
RESERVED_LOGINS = frozenset(
    Path(__file__).with_name("data").joinpath("reserved_logins.txt").read_text("utf-8").split()
)


def canonical_login(text: str) -> str:
    """Return the form in which logins are compared, or raise ``Invalid``.

    Trimmed, compatibility-normalised, case-folded; one made of digits and separators only is
    compared on its digits. Codes: required, invisible, character, mixed_scripts, length, reserved.
    """
    trimmed = text.strip()
    if not trimmed:
        raise Invalid("required")
    # Before anything costs time: nothing that long can become short enough.
    if len(trimmed) > 4 * LOGIN_LONGEST:
        raise Invalid("length")
    _refuse_invisible(trimmed)
    login = _digits_or_text(_fold_login(trimmed))
    _check_login(login)
    return login


def fold(text: str) -> str:
    """Small letters without accents: how words that people type are compared with ours."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def mask_login(login: str) -> str:
    """One that is somebody's number is masked like it; any other says nothing secret."""
    return mask(login) if is_digits(normalise(login)) else login


def _fold_login(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded).strip()


def _digits_or_text(text: str) -> str:
    digits = normalise(text)
    return digits if is_digits(digits) else text


def _check_login(login: str) -> None:
    _refuse_invisible(login)
    if not all(_may_appear_in_login(char) for char in login):
        raise Invalid("character")
    if not _is_single_script(login):
        raise Invalid("mixed_scripts")
    if not LOGIN_SHORTEST <= len(login) <= LOGIN_LONGEST:
        raise Invalid("length")
    if is_reserved_login(login):
        raise Invalid("reserved")


def _refuse_invisible(text: str) -> None:
    if any(_is_invisible(char) for char in text):
        raise Invalid("invisible")


def _is_invisible(char: str) -> bool:
    is_selector = "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    return is_selector or char in _INVISIBLE or unicodedata.category(char) in _INVISIBLE_CATEGORIES


def _may_appear_in_login(char: str) -> bool:
    if char.isascii():
        return char.isalnum() or char in _LOGIN_PUNCTUATION
    return unicodedata.category(char) in {"Ll", "Lo", "Mn", "Mc"}


def _is_single_script(login: str) -> bool:
    scripts = {_script(char) for char in login if char.isalpha()}
    return len(scripts) < 2 or any(scripts <= mixture for mixture in _MIXED_BY_LANGUAGE)


def _script(letter: str) -> str:
    """First word of the character's name: the standard library knows no script property."""
    return unicodedata.name(letter, "UNKNOWN").split(" ", 1)[0]


def is_reserved_login(login: str) -> bool:
    """Whether a canonical login is a role word, also with accents, dots or dashes in it."""
    plain = unicodedata.normalize("NFD", login)
    return "".join(char for char in plain if char.isalpha()) in RESERVED_LOGINS and not any(
        char.isdigit() for char in plain
    )
