"""E-mail addresses, telephone numbers and postcodes as people type them."""

import re
from dataclasses import dataclass

from accounts.identifiers import Invalid, is_digits, normalise

EMAIL_LENGTH = 254
LOCAL_PART_LENGTH = 64
SHARED_MAILBOXES = frozenset({"info", "contact", "secretariat", "accueil", "onthaal", "admin", "cabinet"})

_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MOBILE = re.compile(r"\+324[5-9][0-9]{7}")
_FIXED = re.compile(
    r"\+32(?:80[2-8][0-9]{5}"
    r"|(?:1[0-69]|[23][2-8]|4[23]|5[0-9]|6[013-57-9]|71|8[1-79]|9[2-4])[0-9]{6})"
)
_SERVICE = re.compile(r"\+32(?:7[08][0-9]{6}|800[0-9]{5})")
_FOREIGN = re.compile(r"\+[1-9][0-9]{6,14}")
# Printed on prescriptions by other software when no number is known.
_PHONE_PLACEHOLDER = "+3220000000"


def email(text: str) -> str:
    """Return the address with its domain in lower case, or raise ``Invalid``.

    Codes: required, length, at, local, domain.
    """
    address = text.strip()
    if not address:
        raise Invalid("required")
    if len(address) > EMAIL_LENGTH:
        raise Invalid("length")
    if address.count("@") != 1:
        raise Invalid("at")
    local, domain = address.split("@")
    if len(local) > LOCAL_PART_LENGTH or not _LOCAL_PART.fullmatch(local):
        raise Invalid("local")
    return f"{local}@{_domain(domain)}"


def _domain(text: str) -> str:
    domain = text.lower()
    labels = _ascii_domain(domain).split(".")
    if len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        raise Invalid("domain")
    return domain


def _ascii_domain(domain: str) -> str:
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise Invalid("domain") from None


def mask_email(address: str) -> str:
    """The first character and the domain: enough to recognise one's own address."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}•••{at}{domain}"


def email_key(address: str) -> str:
    """Form in which two accepted addresses are compared: case-insensitive, domain as on the wire."""
    local, domain = address.split("@")
    return f"{local.casefold()}@{_ascii_domain(domain)}".lower()


def is_shared_mailbox(address: str) -> bool:
    """Whether the address seems to be read by several people: worth a warning, no more."""
    return address.split("@")[0].casefold() in SHARED_MAILBOXES


@dataclass(frozen=True, slots=True)
class Phone:
    """A number in E.164 form; kind is mobile, fixed, service or foreign."""

    e164: str
    kind: str


def phone(text: str) -> Phone:
    """Return the number, or raise ``Invalid``.

    Codes: required, format, length, number (no such Belgian range), premium, placeholder.
    """
    compact = _compact_phone(text)
    if compact == _PHONE_PLACEHOLDER:
        raise Invalid("placeholder")
    if not compact.startswith("+32"):
        return _foreign_phone(compact)
    for kind, pattern in (("mobile", _MOBILE), ("fixed", _FIXED), ("service", _SERVICE)):
        if pattern.fullmatch(compact):
            return Phone(compact, kind)
    raise Invalid(_phone_fault(compact.removeprefix("+32")))


def _foreign_phone(compact: str) -> Phone:
    if not _FOREIGN.fullmatch(compact):
        raise Invalid("length")
    return Phone(compact, "foreign")


def _phone_fault(national: str) -> str:
    if national.startswith("90") and len(national) == 8:
        return "premium"
    expected = 9 if national[:1] == "4" and national[1:2] in set("56789") else 8
    return "number" if len(national) == expected else "length"


def _compact_phone(text: str) -> str:
    """International form with a plus sign; brackets around a trunk zero are dropped with it."""
    bare = normalise(text)
    if not bare:
        raise Invalid("required")
    bare = _international(bare.replace("(0)", "", 1) if _has_country_code(bare) else bare)
    bare = bare.replace("(", "").replace(")", "")
    if not (bare.startswith("+") and is_digits(bare[1:])):
        raise Invalid("format")
    return bare.replace("+320", "+32", 1) if bare.startswith("+320") else bare


def _has_country_code(text: str) -> bool:
    return text.startswith(("+", "00"))


def _international(text: str) -> str:
    bare = text.replace("(", "", 1).replace(")", "", 1) if text.startswith("(") else text
    if bare.startswith("00"):
        return "+" + bare[2:]
    return "+32" + bare[1:] if bare.startswith("0") else bare


def postcode(text: str, *, country: str = "BE") -> str:
    """Return the postcode as printed, or raise ``Invalid``. Codes: required, format, length.

    Belgium: four digits, the first not 0. Elsewhere: 2 to 10 letters, digits, spaces, dashes.
    """
    code = " ".join(text.split()).upper()
    if not code:
        raise Invalid("required")
    return _belgian_postcode(code) if country == "BE" else _foreign_postcode(code)


def _belgian_postcode(code: str) -> str:
    digits = normalise(code).removeprefix("B")
    if not is_digits(digits) or digits[0] == "0":
        raise Invalid("format")
    if len(digits) != 4:
        raise Invalid("length")
    return digits


def _foreign_postcode(code: str) -> str:
    if not 2 <= len(code) <= 10:
        raise Invalid("length")
    if not re.fullmatch(r"[A-Z0-9][A-Z0-9 -]*", code):
        raise Invalid("format")
    return code
