"""The password policy: what a password must have, and what it may not be.

``problems`` is pure and tells all broken rules at once; ``SeedPasswordValidator`` says them in words
wherever Django sets a password. Passwords are compared in Unicode NFC and never cut.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.identifiers import fold

SHORTEST = 10
LONGEST = 256
# Shorter parts of a name or login occur in too many words to say anything.
SHORTEST_PART = 4
FEWEST_DISTINCT = 5

_WORDS_FILE = Path(__file__).with_name("data") / "frequent_words.txt"
_LOOKALIKES = str.maketrans("@4310578$€!|", "aaeiostbseii")
_NO_LETTER = re.compile(r"[\W\d_]+")

MESSAGES = {
    "length": _("Le mot de passe doit compter au moins 10 caractères."),
    "too_long": _("Le mot de passe ne peut pas dépasser 256 caractères."),
    "lower": _("Le mot de passe doit contenir au moins une lettre minuscule."),
    "upper": _("Le mot de passe doit contenir au moins une lettre majuscule."),
    "digit": _("Le mot de passe doit contenir au moins un chiffre."),
    "symbol": _("Le mot de passe doit contenir au moins un symbole, par exemple # @ % € * ! _ ou -."),
    "common": _("Ce mot de passe est trop répandu. Choisissez des mots que d'autres n'utiliseraient pas."),
    "contains_login": _("Le mot de passe ne peut pas contenir votre login."),
    "contains_email": _("Le mot de passe ne peut pas contenir votre adresse e-mail."),
    "contains_name": _("Le mot de passe ne peut pas contenir votre nom ni votre prénom."),
    "contains_nihii": _("Le mot de passe ne peut pas contenir votre numéro INAMI."),
}
REQUIREMENTS = (
    _("au moins 10 caractères"),
    _("au moins une lettre minuscule"),
    _("au moins une lettre majuscule"),
    _("au moins un chiffre"),
    _("au moins un symbole (# @ % € * ! _ -)"),
    _("ni votre nom, ni votre login, ni votre e-mail, ni votre numéro INAMI"),
)


def canonical_password(text: str) -> str:
    """The form that is hashed and compared, so that two keyboards give the same password."""
    return unicodedata.normalize("NFC", text)


def problems(
    password: str, *, login: str = "", email: str = "", names: Iterable[str] = (), nihii: str = ""
) -> tuple[str, ...]:
    """Codes of all broken rules, keys of ``MESSAGES``; empty when the password is accepted."""
    text = canonical_password(password)
    found = [*_composition_problems(text)]
    if is_common(text):
        found.append("common")
    found += _personal_problems(text, login=login, email=email, names=names, nihii=nihii)
    return tuple(found)


def _composition_problems(text: str) -> list[str]:
    held = {
        "length": len(text) >= SHORTEST,
        "too_long": len(text) <= LONGEST,
        "lower": any(map(str.islower, text)),
        "upper": any(map(str.isupper, text)),
        "digit": any(unicodedata.category(char) == "Nd" for char in text),
        "symbol": any(map(is_symbol, text)),
    }
    return [code for code, is_held in held.items() if not is_held]


def is_symbol(char: str) -> bool:
    """Neither letter, digit, mark of a letter, whitespace nor control character."""
    return unicodedata.category(char)[0] not in "LNMZC"


def is_common(text: str) -> bool:
    """Whether it is a frequent word dressed with digits, symbols, capitals or look-alikes, or the
    like of ``Aaaaaaaa1!``."""
    if len(set(text.casefold())) < FEWEST_DISTINCT or len(_without_sequences(text)) <= FEWEST_DISTINCT:
        return True
    return any(_repeats_frequent_word(stem) for stem in _stems(text))


def _without_sequences(text: str) -> str:
    """Drop characters that continue an alphabet or count from their left neighbour (``12345``)."""
    codes = [ord(char) for char in text.casefold()]
    kept = [
        char for char, code, left in zip(text[1:], codes[1:], codes, strict=False) if abs(code - left) != 1
    ]
    return text[:1] + "".join(kept)


def _stems(text: str) -> set[str]:
    """What remains when the usual dressing is taken off."""
    plain = fold(text[:LONGEST])
    core = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", plain)
    return {_NO_LETTER.sub("", form) for form in (plain, core.translate(_LOOKALIKES))}


def _repeats_frequent_word(stem: str) -> bool:
    words = frequent_words()
    if stem in words:
        return True
    parts = (stem[: len(stem) // times] for times in range(2, 7) if stem and len(stem) % times == 0)
    return any(part in words and part * (len(stem) // len(part)) == stem for part in parts)


@cache
def frequent_words() -> frozenset[str]:
    """Words people take for passwords here: plain small letters, without accents."""
    return frozenset(fold(word) for word in _WORDS_FILE.read_text("utf-8").split())


def _personal_problems(text: str, *, login: str, email: str, names: Iterable[str], nihii: str) -> list[str]:
    bare, digits = _bare(text), "".join(char for char in text if char in "0123456789")
    held = {
        "contains_login": _contains(bare, login),
        "contains_email": _contains(bare, email.split("@")[0]),
        "contains_name": any(_contains(bare, name) for name in _name_parts(names)),
        "contains_nihii": len(nihii) >= 8 and nihii[:8] in digits,
    }
    return [code for code, is_held in held.items() if is_held]


def _name_parts(names: Iterable[str]) -> set[str]:
    return {part for name in names for part in (name, *re.split(r"[\W_]+", name))}


def _contains(bare: str, part: str) -> bool:
    wanted = _bare(part)
    return len(wanted) >= SHORTEST_PART and wanted in bare


def _bare(text: str) -> str:
    """Letters and digits only, without case and accents: ``Anne-Sophie`` is in ``anne_sophie``."""
    return re.sub(r"[\W_]+", "", fold(text))


class SeedPasswordValidator:
    """Django password validator: one French sentence for each broken rule, all at once."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ``ValidationError`` with one error per broken rule, each with its code."""
        found = problems(password, **facts_about(user))
        if found:
            raise ValidationError([ValidationError(MESSAGES[code], code=code) for code in found])

    def get_help_texts(self) -> list[str]:
        """The requirements, one line each."""
        return [str(text) for text in REQUIREMENTS]

    def get_help_text(self) -> str:
        return str(_("10 caractères au moins, avec minuscule, majuscule, chiffre et symbole."))


def facts_about(user: Any) -> dict[str, Any]:
    """What a password of this person may not contain; unknown facts are left out."""
    if user is None:
        return {}
    texts = {name: str(getattr(user, name, "") or "") for name in ("login", "email")}
    names = [str(getattr(user, name, "") or "") for name in ("first_name", "last_name")]
    nihii = getattr(getattr(user, "practitioner", None), "nihii", "")
    return {**texts, "names": names, "nihii": nihii}
