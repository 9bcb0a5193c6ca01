"""Secrets at rest: AES-256-GCM envelopes under a ring of master keys, bound to their row.

A sealed value is ``01 || len(kid) || kid || n1(12) || wrapped data key(48) || n2(12) || ciphertext``.
Each value has its own data key, wrapped by the first key of the ring; the associated data name
table, column, row, owner and version, so that a value moved or put back does not open. Nothing else
in the project sees a master key.
"""

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT = b"\x01"
KEY_LENGTH = 32
NONCE_LENGTH = 12
WRAPPED_LENGTH = KEY_LENGTH + 16
LONGEST_KEY_NAME = 32


class CannotOpen(ValueError):
    """The one error of opening: wrong key, place, owner or version, or a changed byte."""


class BadKeyRing(ValueError):
    """The setting with the master keys cannot be used; says why, never the key."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Master keys by name; the first seals, all open."""

    keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"k2:<base64 of 32 bytes>,k1:…"``; raise ``BadKeyRing``."""
        entries = [_parse_entry(entry.strip()) for entry in text.split(",") if entry.strip()]
        keys = dict(entries)
        if not entries:
            raise BadKeyRing("no sealing key")
        if len(keys) != len(entries):
            raise BadKeyRing("two sealing keys have one name")
        return cls(keys)

    @property
    def first(self) -> str:
        """Name of the key that seals."""
        return next(iter(self.keys))

    def named(self, name: str) -> bytes:
        """The key of that name; raise ``CannotOpen`` when the ring lacks it."""
        if name not in self.keys:
            raise CannotOpen
        return self.keys[name]


def _parse_entry(entry: str) -> tuple[str, bytes]:
    name, _, encoded = entry.partition(":")
    if not (name.isascii() and name.isalnum() and len(name) <= LONGEST_KEY_NAME):
        raise BadKeyRing("a sealing key has no usable name")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadKeyRing(f"sealing key {name} is not base64") from None
    if len(key) != KEY_LENGTH:
        raise BadKeyRing(f"sealing key {name} is not {KEY_LENGTH} bytes long")
    return name, key


@dataclass(frozen=True, slots=True)
class _Envelope:
    key_name: str
    wrap_nonce: bytes
    wrapped: bytes = field(repr=False)
    nonce: bytes
    ciphertext: bytes = field(repr=False)

    @classmethod
    def parse(cls, value: bytes) -> Self:
        start = 2 + value[1] if len(value) > 1 else 0
        wrapped, nonce = start + NONCE_LENGTH, start + NONCE_LENGTH + WRAPPED_LENGTH
        ciphertext = nonce + NONCE_LENGTH
        if value[:1] != FORMAT or len(value) < ciphertext + 16 or not value[2:start].isascii():
            raise CannotOpen
        name = value[2:start].decode("ascii")
        return cls(
            name, value[start:wrapped], value[wrapped:nonce], value[nonce:ciphertext], value[ciphertext:]
        )

    def pack(self) -> bytes:
        name = self.key_name.encode("ascii")
        head = FORMAT + bytes([len(name)]) + name
        return head + self.wrap_nonce + self.wrapped + self.nonce + self.ciphertext


def key_name_of(value: bytes) -> str:
    """Name of the key that sealed a value, read in its first 34 bytes; '' for what is no sealed value."""
    name = bytes(value[2 : 2 + value[1]]) if len(value) > 1 else b""
    return name.decode("ascii") if bytes(value[:1]) == FORMAT and name.isalnum() else ""


class Sealer:
    """Seals and opens values with one key ring.

    The place of a value is given as keywords everywhere: ``table`` and ``column`` names, ``row`` and
    ``owner`` UUIDs, ``version`` the row's own counter.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    @property
    def first(self) -> str:
        """Name of the key that seals."""
        return self._ring.first

    def seal(
        self, plaintext: bytes, *, table: str, column: str, row: object, owner: object, version: int
    ) -> bytes:
        """Return the sealed value; two calls never return the same."""
        aad = _associated_data(table, column, row, owner, version)
        data_key = secrets.token_bytes(KEY_LENGTH)
        nonces = secrets.token_bytes(NONCE_LENGTH), secrets.token_bytes(NONCE_LENGTH)
        return seal_with(self._ring, self._ring.first, data_key, nonces, plaintext, aad)

    def open(
        self, value: bytes, *, table: str, column: str, row: object, owner: object, version: int
    ) -> bytes:
        """Return the plaintext, or raise ``CannotOpen``."""
        aad = _associated_data(table, column, row, owner, version)
        envelope = _Envelope.parse(bytes(value))
        return _decrypt(self._unwrap(envelope, aad), envelope.nonce, envelope.ciphertext, aad)

    def rewrap(
        self, value: bytes, *, table: str, column: str, row: object, owner: object, version: int
    ) -> bytes:
        """Return the same value under the first key of the ring; checks first that it opens."""
        aad = _associated_data(table, column, row, owner, version)
        old = _Envelope.parse(bytes(value))
        data_key = self._unwrap(old, aad)
        _decrypt(data_key, old.nonce, old.ciphertext, aad)
        if old.key_name == self._ring.first:
            return bytes(value)
        nonce = secrets.token_bytes(NONCE_LENGTH)
        wrapped = _wrap(self._ring, self._ring.first, data_key, nonce, aad)
        return _Envelope(self._ring.first, nonce, wrapped, old.nonce, old.ciphertext).pack()

    def is_current(self, value: bytes) -> bool:
        """Whether the value is under the key that seals now, so that an older one may be dropped."""
        return _Envelope.parse(bytes(value)).key_name == self._ring.first

    def _unwrap(self, envelope: _Envelope, aad: bytes) -> bytes:
        key = self._ring.named(envelope.key_name)
        return _decrypt(key, envelope.wrap_nonce, envelope.wrapped, _wrap_data(aad, envelope.key_name))


def seal_with(
    ring: KeyRing, name: str, data_key: bytes, nonces: tuple[bytes, bytes], plaintext: bytes, aad: bytes
) -> bytes:
    """Build a sealed value from given parts; ``Sealer.seal`` gives it fresh random ones."""
    wrapped = _wrap(ring, name, data_key, nonces[0], aad)
    ciphertext = AESGCM(data_key).encrypt(nonces[1], plaintext, aad)
    return _Envelope(name, nonces[0], wrapped, nonces[1], ciphertext).pack()


def _wrap(ring: KeyRing, name: str, data_key: bytes, nonce: bytes, aad: bytes) -> bytes:
    return AESGCM(ring.named(name)).encrypt(nonce, data_key, _wrap_data(aad, name))


def _wrap_data(aad: bytes, name: str) -> bytes:
    return aad + b"|dek|" + name.encode("ascii")


def _decrypt(key: bytes, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, aad)
    except InvalidTag:
        raise CannotOpen from None


def _associated_data(table: str, column: str, row: object, owner: object, version: int) -> bytes:
    fields = ("medisetup", "1", table, column, str(row), str(owner), str(version))
    if any("|" in text or not text for text in fields):
        raise ValueError("a place of a sealed value has no bar in it and no empty part")
    return "|".join(fields).encode()


def derive_key(secret: bytes, use: str) -> bytes:
    """Return 32 bytes for one use (audit chain, blind index) from that use's own secret."""
    info = f"medisetup/{use}".encode()
    return HKDF(algorithm=hashes.SHA256(), length=KEY_LENGTH, salt=None, info=info).derive(secret)


def ring() -> KeyRing:
    """The key ring of this installation, from the setting SEALING_KEYS; raises ``BadKeyRing``."""
    from django.conf import settings

    return KeyRing.parse(settings.SEALING_KEYS)


def sealer() -> Sealer:
    """The sealer of this installation."""
    return Sealer(ring())
