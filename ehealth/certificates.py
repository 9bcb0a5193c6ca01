"""What an eHealth certificate says, and whether a configured authority stands behind it.

Pure: takes certificates and times. Subject layout: one organisational unit ``TYPE=number`` names
the owner, another free one the display name; the common name repeats the owner.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LONGEST_CHAIN = 5
PLATFORM_UNIT = "eHealth-platform Belgium"
Extension = TypeVar("Extension", bound=x509.ExtensionType)
_OWNER = re.compile(r"([A-Z|_-]+)=([0-9]+)")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom a certificate names: type (SSIN, CBE, NIHII-…), number and printed name."""

    kind: str
    number: str
    name: str


def owner(certificate: x509.Certificate) -> Owner | None:
    """The one owner, or None when the subject names none or does not say the same everywhere."""
    units = _values(certificate.subject, NameOID.ORGANIZATIONAL_UNIT_NAME)
    found = {match.groups() for unit in units if (match := _OWNER.fullmatch(unit))}
    named = {
        match.groups()
        for text in _values(certificate.subject, NameOID.COMMON_NAME)
        if (match := _OWNER.match(text))
    }
    if len(found) != 1 or not named <= found:
        return None
    kind, number = found.pop()
    free = [unit for unit in units if not _OWNER.fullmatch(unit) and unit != PLATFORM_UNIT]
    return Owner(kind, number, free[0] if free else "")


def _values(name: x509.Name, attribute: x509.ObjectIdentifier) -> list[str]:
    return [str(entry.value) for entry in name.get_attributes_for_oid(attribute)]


def common_name(name: x509.Name) -> str:
    """First common name, empty when there is none."""
    return next(iter(_values(name, NameOID.COMMON_NAME)), "")


def may_authenticate(certificate: x509.Certificate) -> bool:
    """Whether it is an end certificate for signatures and client authentication."""
    usage = _extension(certificate, x509.KeyUsage)
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if usage is None or purposes is None or is_authority(certificate):
        return False
    return usage.digital_signature and ExtendedKeyUsageOID.CLIENT_AUTH in purposes


def may_sign(certificate: x509.Certificate) -> bool:
    usage = _extension(certificate, x509.KeyUsage)
    return usage is not None and usage.digital_signature


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may sign other certificates."""
    constraints = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    return constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign)


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def is_valid_at(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def chain(
    leaf: x509.Certificate,
    *,
    offered: Sequence[x509.Certificate],
    trusted: Sequence[x509.Certificate],
    now: datetime,
) -> tuple[x509.Certificate, ...] | None:
    """The path from the leaf to a trusted authority, both included, or None.

    At most five certificates; every authority must be one, be valid now and allow the length.
    """
    return _extend((leaf,), list(offered), tuple(trusted), now)


def _extend(
    path: tuple[x509.Certificate, ...],
    untried: list[x509.Certificate],
    trusted: tuple[x509.Certificate, ...],
    now: datetime,
) -> tuple[x509.Certificate, ...] | None:
    """Try every offered certificate once: a file full of look-alikes costs no more than its length."""
    if len(path) >= LONGEST_CHAIN:
        return None
    for anchor in trusted:
        if _issued(anchor, path, now):
            return (*path, anchor)
    for step in [offer for offer in untried if _issued(offer, path, now)]:
        if step in untried:
            untried.remove(step)
            found = _extend((*path, step), untried, trusted, now)
            if found:
                return found
    return None


def _issued(issuer: x509.Certificate, path: tuple[x509.Certificate, ...], now: datetime) -> bool:
    if not (is_authority(issuer) and is_valid_at(issuer, now) and _allows_length(issuer, len(path) - 1)):
        return False
    try:
        path[-1].verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _allows_length(issuer: x509.Certificate, authorities_below: int) -> bool:
    constraints = _extension(issuer, x509.BasicConstraints)
    limit = constraints.path_length if constraints else None
    return limit is None or authorities_below <= limit
