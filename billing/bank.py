"""Bank accounts: judge an IBAN, derive its BIC, format, mask.

Every SEPA account is taken: refusing a foreign one is unlawful (Regulation (EU) 260/2012, article 9).
The register of banks knows no BIC for some Belgian codes; then the person types it.
"""

import re
from dataclasses import dataclass
from typing import Any

from accounts.identifiers import Invalid, mask, normalise

DERIVED = "derived"
MANUAL = "manual"

# Names of the register library's errors, by the machine code of the rule.
_CODES = {
    "InvalidLength": "length",
    "InvalidStructure": "structure",
    "InvalidCountryCode": "country",
    "InvalidChecksumDigits": "iban_checksum",
    "InvalidBBANChecksum": "bban_checksum",
}
_IBAN_SHAPE = re.compile(r"[A-Z0-9]+")
_BIC_SHAPE = re.compile(r"[A-Z]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?")


@dataclass(frozen=True, slots=True)
class BankAccount:
    """An accepted account: compact IBAN, BIC as registered or typed, and where the BIC comes from."""

    iban: str
    bic: str
    bic_source: str

    def __repr__(self) -> str:
        return f"BankAccount({mask_iban(self.iban)}, {self.bic}, {self.bic_source})"


def account(iban_text: str, bic_text: str = "") -> BankAccount:
    """Return the account, or raise ``Invalid``.

    A typed BIC counts only where none can be derived. Codes: those of ``iban``, then bic_required,
    bic_structure, bic_country.
    """
    number = iban(iban_text)
    derived = derive_bic(number)
    if derived:
        return BankAccount(number, derived, DERIVED)
    return BankAccount(number, typed_bic(bic_text, iban=number), MANUAL)


def iban(text: str) -> str:
    """Return the compact IBAN, or raise ``Invalid``.

    Codes: required, structure, country, length, iban_checksum, bban_checksum, not_sepa.
    """
    compact = _compact(text)
    if not compact:
        raise Invalid("required")
    if not _IBAN_SHAPE.fullmatch(compact):
        raise Invalid("structure")
    if not _registered(compact).in_sepa_zone:
        raise Invalid("not_sepa")
    return compact


def _compact(text: str) -> str:
    upper = normalise(text).upper()
    return upper.removeprefix("IBAN").removeprefix(":")


def _registered(compact: str) -> Any:
    # Imported late: the register is read from files at import.
    from schwifty import IBAN
    from schwifty.exceptions import SchwiftyException

    try:
        return IBAN(compact, validate_bban=True)
    except SchwiftyException as error:
        raise Invalid(_CODES.get(type(error).__name__, "structure")) from None


def derive_bic(number: str) -> str | None:
    """The BIC of an accepted IBAN, or None when the register has none."""
    bic = _registered(number).bic
    return str(bic) if bic else None


def bank_name(number: str) -> str:
    """The bank of an accepted IBAN, empty when unknown."""
    return _registered(number).bank_name or ""


def compact_bic(text: str) -> str:
    """A BIC as it is stored, without judging it."""
    return normalise(text).upper()


def typed_bic(text: str, *, iban: str) -> str:
    """Return a BIC typed for an accepted IBAN, or raise ``Invalid``.

    Codes: bic_required, bic_structure (ISO 9362, 8 or 11 characters), bic_country.
    """
    bic = compact_bic(text)
    if not bic:
        raise Invalid("bic_required")
    if not _BIC_SHAPE.fullmatch(bic) or not _is_known_bic(bic):
        raise Invalid("bic_structure")
    if bic[4:6] != iban[:2]:
        raise Invalid("bic_country")
    return bic


def _is_known_bic(bic: str) -> bool:
    from schwifty import BIC
    from schwifty.exceptions import SchwiftyException

    try:
        BIC(bic)
    except SchwiftyException:
        return False
    return True


def is_belgian(number: str) -> bool:
    """Insurers may answer code 130 to a foreign account: worth a warning, no more."""
    return number.startswith("BE")


def format_iban(number: str) -> str:
    """Groups of four."""
    return " ".join(number[start : start + 4] for start in range(0, len(number), 4))


def mask_iban(number: str) -> str:
    """Last three characters only."""
    return mask(number)
