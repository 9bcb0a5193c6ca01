"""What is sealed of a keystore and of a session, and how it is opened again. Opened in workers only.

Each value is bound to its table, column, row and owner; an assertion also to its own end, so that an
older one put back does not open.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import TypedDict, cast
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key

from accounts.sealing import sealer
from ehealth.client.assertions import restore
from ehealth.client.platform import Assertion, Identity, PrivateKey
from ehealth.models import Keystore, PlatformSession

Holder = Keystore | PlatformSession


class Place(TypedDict):
    """Where a sealed value belongs, as `accounts.sealing` wants it."""

    table: str
    column: str
    row: UUID
    owner: UUID
    version: int


def place(row: Holder, column: str) -> Place:
    owner = row.user.uuid if isinstance(row, Keystore) else row.keystore.user.uuid
    version = 1
    if isinstance(row, PlatformSession) and column == "assertion" and row.not_on_or_after:
        version = int(row.not_on_or_after.timestamp())
    return {
        "table": row._meta.db_table,
        "column": column,
        "row": row.uuid,
        "owner": owner,
        "version": version,
    }


def seal(row: Holder, column: str, plaintext: bytes) -> None:
    """Put the sealed value into the column; the caller saves. The row's uuid and owner are set already."""
    setattr(row, column, sealer().seal(plaintext, **place(row, column)))


def unseal(row: Holder, column: str) -> bytes:
    """The plaintext; `accounts.sealing.CannotOpen` when it was moved, put back or changed."""
    return sealer().open(bytes(getattr(row, column)), **place(row, column))


def seal_identity(row: Holder, key_der: bytes, chain_der: Sequence[bytes]) -> None:
    seal(row, "key", key_der)
    seal(row, "chain", b"\n".join(b64encode(link) for link in chain_der))


def move_identity(source: Holder, target: Holder) -> None:
    """Seal the same key and chain for another row; the caller saves."""
    seal(target, "key", unseal(source, "key"))
    seal(target, "chain", unseal(source, "chain"))


def identity(row: Holder, ssin: str) -> Identity:
    """The key with its certificates, for one call; never stored, passed on or logged.

    The keystore was opened with the full check of its key, and the seal proves that these are its bytes:
    the check, which costs as much as a hundred signatures, is not made again.
    """
    chain = tuple(x509.load_der_x509_certificate(b64decode(line)) for line in unseal(row, "chain").split())
    key = load_der_private_key(unseal(row, "key"), None, unsafe_skip_rsa_key_validation=True)
    return Identity(ssin, cast(PrivateKey, key), chain)


def assertion(session: PlatformSession) -> Assertion:
    return restore(unseal(session, "assertion"))
