"""Personal public keys: parse, judge, fingerprint, and check proofs of possession.

Pure: takes text and bytes, returns values or raises ``KeyRefused``. The block list and the table of
known fingerprints belong to the caller. Only the public half ever comes here.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from functools import cache
from math import gcd, isqrt, prod

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

LARGEST_TEXT = 8 * 1024
LARGEST_DER = 600
SMALLEST_NEW_KEY = 3072
SMALLEST_IMPORTED_KEY = 2048
SIZES = (2048, 3072, 4096)
EXPONENT = 65537
FERMAT_ROUNDS = 100
SALT_LENGTH = 32
LARGEST_SIGNATURE = 512
PURPOSES = frozenset(
    {"register", "backup", "import", "session", "rotate-old", "rotate-new", "revoke", "action"}
)
NO_BINDING = "-"

_PROOF_HEADER = "medisetup-key-proof-v1"
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=SALT_LENGTH)
_SPKI = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
# Weaknesses shown to the user as one code, key_weak, with the reason beside it.
WEAKNESSES = frozenset({"size", "exponent", "small_factor", "roca", "close_primes", "prime"})


class KeyRefused(ValueError):
    """A public key or proof that cannot be taken.

    ``code`` is one of too_large, private_key_sent, not_a_key, not_rsa, key_weak, bad_proof;
    ``reason`` says which weakness (``WEAKNESSES``) when the code is key_weak, else it is empty.
    """

    def __init__(self, code: str, reason: str = "") -> None:
        super().__init__(f"{code}: {reason}" if reason else code)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An accepted key: re-encoded SubjectPublicKeyInfo, its SHA-256 in hex, modulus size in bits."""

    spki: bytes
    fingerprint: str
    bits: int


def parse_public_key(text: str, *, minimum: int = SMALLEST_NEW_KEY) -> PublicKey:
    """Judge a base64 SubjectPublicKeyInfo; raise ``KeyRefused``.

    ``minimum`` is 3072 for new pairs, 2048 for imports. Cheap checks come first.
    """
    der = _decode(text)
    key = _load(der)
    _check_strength(key.public_numbers().n, key.public_numbers().e, minimum)
    return PublicKey(der, fingerprint(der), key.key_size)


def _decode(text: str) -> bytes:
    if len(text) > LARGEST_TEXT:
        raise KeyRefused("too_large")
    if "PRIVATE KEY" in text or '"d"' in text:
        raise KeyRefused("private_key_sent")
    try:
        der = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise KeyRefused("not_a_key") from None
    if _is_private_key(der):
        raise KeyRefused("private_key_sent")
    if len(der) > LARGEST_DER:
        raise KeyRefused("too_large")
    return der


def _is_private_key(der: bytes) -> bool:
    try:
        serialization.load_der_private_key(der, password=None)
    except TypeError:
        return True  # encrypted: still a private key
    except Exception:
        return False
    return True


def _load(der: bytes) -> rsa.RSAPublicKey:
    try:
        key = serialization.load_der_public_key(der)
    except Exception:  # the loader's own errors differ by kind of key
        raise KeyRefused("not_a_key") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise KeyRefused("not_rsa")
    if key.public_bytes(*_SPKI) != der:
        raise KeyRefused("not_a_key")
    return key


def _check_strength(modulus: int, exponent: int, minimum: int) -> None:
    bits = modulus.bit_length()
    if bits not in SIZES or bits < minimum:
        raise KeyRefused("key_weak", "size")
    if exponent != EXPONENT:
        raise KeyRefused("key_weak", "exponent")
    if gcd(modulus, _small_prime_product()) != 1:
        raise KeyRefused("key_weak", "small_factor")
    if _looks_like_roca(modulus):
        raise KeyRefused("key_weak", "roca")
    if _has_close_primes(modulus):
        raise KeyRefused("key_weak", "close_primes")
    if pow(2, modulus - 1, modulus) == 1:
        raise KeyRefused("key_weak", "prime")


def _primes_below(limit: int) -> list[int]:
    return [n for n in range(2, limit) if all(n % d for d in range(2, isqrt(n) + 1))]


@cache
def _small_prime_product() -> int:
    return prod(_primes_below(752))


@cache
def _roca_residues() -> tuple[tuple[int, frozenset[int]], ...]:
    """Odd primes up to 167 with the powers of 65537, where these are not all residues."""
    powers = ((p, frozenset(pow(EXPONENT, k, p) for k in range(p - 1))) for p in _primes_below(168)[1:])
    return tuple((p, residues) for p, residues in powers if len(residues) < p - 1)


def _looks_like_roca(modulus: int) -> bool:
    """Whether the modulus has the form of the faulty smart card library (CVE-2017-15361)."""
    return all(modulus % p in residues for p, residues in _roca_residues())


def _has_close_primes(modulus: int) -> bool:
    """Fermat's method, a hundred rounds from the square root; finds a square in the first."""
    start = isqrt(modulus - 1) + 1
    return any(_is_square(a * a - modulus) for a in range(start, start + FERMAT_ROUNDS))


def _is_square(number: int) -> bool:
    return isqrt(number) ** 2 == number


def fingerprint(spki: bytes) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, 64 lower-case hex digits. Compare all of it."""
    return hashlib.sha256(spki).hexdigest()


def display_fingerprint(full: str) -> str:
    """First 128 bits as eight groups of four capitals, for reading aloud."""
    return " ".join(full[start : start + 4].upper() for start in range(0, 32, 4))


def short_fingerprint(full: str) -> str:
    """First eight digits, as in names of key files."""
    return full[:8]


def proof_message(
    *,
    purpose: str,
    origin: str,
    user: str,
    challenge: str,
    nonce: str,
    fingerprint: str,
    binding: str = NO_BINDING,
) -> bytes:
    """The bytes that the owner signs: eight lines joined by LF, ASCII, no LF at the end.

    ``fingerprint`` is of the key that verifies the signature; ``binding`` is the other key's
    fingerprint when rotating, the SHA-256 of the canonical action for an action, else a dash.
    Raises ``ValueError`` for an unknown purpose or a field that would break the lines.
    """
    fields = (purpose, origin, user, challenge, nonce, fingerprint, binding)
    if purpose not in PURPOSES or not all(_is_line(field) for field in fields):
        raise ValueError("not a proof message")
    return "\n".join((_PROOF_HEADER, *fields)).encode("ascii")


def _is_line(field: str) -> bool:
    return bool(field) and field.isascii() and field.isprintable()


def verify_proof(spki: bytes, signature: str, message: bytes) -> None:
    """Raise ``KeyRefused('bad_proof')`` unless the base64 signature of the message is the key's own."""
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        raise KeyRefused("bad_proof") from None
    key = _load(spki)
    if len(raw) > LARGEST_SIGNATURE:
        raise KeyRefused("bad_proof")
    try:
        key.verify(raw, message, _PSS, hashes.SHA256())
    except InvalidSignature:
        raise KeyRefused("bad_proof") from None
