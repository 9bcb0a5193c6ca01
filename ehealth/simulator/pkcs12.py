"""Writes PKCS#12 files with several private keys, in the order and with the aliases given.

The layout is the one Java writes: one clear safe with encrypted key bags, one encrypted safe with
the certificates, a MAC over both (RFC 7292).
"""

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.x509 import Certificate

from ehealth.simulator import der

DATA = "1.2.840.113549.1.7.1"
ENCRYPTED_DATA = "1.2.840.113549.1.7.6"
SHROUDED_KEY_BAG = "1.2.840.113549.1.12.10.1.2"
CERTIFICATE_BAG = "1.2.840.113549.1.12.10.1.3"
X509_CERTIFICATE = "1.2.840.113549.1.9.22.1"
FRIENDLY_NAME = "1.2.840.113549.1.9.20"
LOCAL_KEY_ID = "1.2.840.113549.1.9.21"
PBES2 = "1.2.840.113549.1.5.13"
PBKDF2 = "1.2.840.113549.1.5.12"
HMAC_SHA256 = "1.2.840.113549.2.9"
AES256_CBC = "2.16.840.1.101.3.4.1.42"
PBE_SHA1_3DES = "1.2.840.113549.1.12.1.3"
SHA1 = "1.3.14.3.2.26"
SHA256 = "2.16.840.1.101.3.4.2.1"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Cipherer = Callable[[bytes, str], tuple[bytes, bytes]]


@dataclass(frozen=True)
class Entry:
    """A private key with its certificate under an alias."""

    alias: str
    key: PrivateKey
    certificate: Certificate


def write(entries: list[Entry], trusted: list[Certificate], password: str, *, legacy: bool = False) -> bytes:
    """The file: ``entries`` in their order, then ``trusted`` certificates under their subject.

    ``legacy`` uses SHA-1 and triple DES, as keystores written before 2022 do; otherwise AES-256 and SHA-256.
    """
    encrypt = _legacy_encrypt if legacy else modern_encrypt
    keys = [_key_bag(entry, password, encrypt) for entry in entries]
    certificates = [_certificate_bag(e.certificate, e.alias, _key_id(e.certificate)) for e in entries]
    certificates += [_certificate_bag(c, c.subject.rfc4514_string(), None) for c in trusted]
    safes = der.sequence(
        _content(DATA, der.octets(der.sequence(*keys))),
        _encrypted_safe(der.sequence(*certificates), password, encrypt),
    )
    return der.sequence(
        der.integer(3),
        _content(DATA, der.octets(safes)),
        _mac(safes, password, "sha1" if legacy else "sha256"),
    )


def _content(kind: str, value: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.explicit(0, value))


def _key_id(certificate: Certificate) -> bytes:
    return certificate.fingerprint(hashes.SHA256())[:20]


def _attributes(alias: str, key_id: bytes | None) -> bytes:
    attributes = [der.sequence(der.oid(FRIENDLY_NAME), der.set_of(der.bmp_string(alias)))]
    if key_id is not None:
        attributes.append(der.sequence(der.oid(LOCAL_KEY_ID), der.set_of(der.octets(key_id))))
    return der.set_of(*attributes)


def _key_bag(entry: Entry, password: str, encrypt: Cipherer) -> bytes:
    clear = entry.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    algorithm, sealed = encrypt(clear, password)
    return der.sequence(
        der.oid(SHROUDED_KEY_BAG),
        der.explicit(0, der.sequence(algorithm, der.octets(sealed))),
        _attributes(entry.alias, _key_id(entry.certificate)),
    )


def _certificate_bag(certificate: Certificate, alias: str, key_id: bytes | None) -> bytes:
    body = certificate.public_bytes(serialization.Encoding.DER)
    return der.sequence(
        der.oid(CERTIFICATE_BAG),
        der.explicit(0, _content(X509_CERTIFICATE, der.octets(body))),
        _attributes(alias, key_id),
    )


def _encrypted_safe(clear: bytes, password: str, encrypt: Cipherer) -> bytes:
    algorithm, sealed = encrypt(clear, password)
    info = der.sequence(der.oid(DATA), algorithm, der.implicit(0, sealed))
    return _content(ENCRYPTED_DATA, der.sequence(der.integer(0), info))


def _pad(clear: bytes, block_bits: int) -> bytes:
    padder = padding.PKCS7(block_bits).padder()
    return padder.update(clear) + padder.finalize()


def modern_encrypt(clear: bytes, password: str, rounds: int = 10_000) -> tuple[bytes, bytes]:
    salt, iv = os.urandom(20), os.urandom(16)
    key = PBKDF2HMAC(hashes.SHA256(), 32, salt, rounds).derive(password.encode())
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    prf = der.sequence(der.oid(HMAC_SHA256), der.NULL)
    derivation = der.sequence(
        der.oid(PBKDF2), der.sequence(der.octets(salt), der.integer(rounds), der.integer(32), prf)
    )
    scheme = der.sequence(der.oid(AES256_CBC), der.octets(iv))
    algorithm = der.sequence(der.oid(PBES2), der.sequence(derivation, scheme))
    return algorithm, encryptor.update(_pad(clear, 128)) + encryptor.finalize()


def _legacy_encrypt(clear: bytes, password: str, rounds: int = 2_048) -> tuple[bytes, bytes]:
    salt = os.urandom(8)
    key = _derive(password, salt, rounds, purpose=1, size=24, digest="sha1")
    iv = _derive(password, salt, rounds, purpose=2, size=8, digest="sha1")
    encryptor = Cipher(TripleDES(key), modes.CBC(iv)).encryptor()
    algorithm = der.sequence(der.oid(PBE_SHA1_3DES), der.sequence(der.octets(salt), der.integer(rounds)))
    return algorithm, encryptor.update(_pad(clear, 64)) + encryptor.finalize()


def _mac(safes: bytes, password: str, digest: str, rounds: int = 10_000) -> bytes:
    salt = os.urandom(20)
    size = hashlib.new(digest).digest_size
    key = _derive(password, salt, rounds, purpose=3, size=size, digest=digest)
    algorithm = der.sequence(der.oid(SHA1 if digest == "sha1" else SHA256), der.NULL)
    info = der.sequence(algorithm, der.octets(hmac.digest(key, safes, digest)))
    return der.sequence(info, der.octets(salt), der.integer(rounds))


def _derive(password: str, salt: bytes, rounds: int, *, purpose: int, size: int, digest: str) -> bytes:
    """Key derivation of RFC 7292, appendix B.2; every digest used here has blocks of 64 octets."""
    block = 64
    secret = password.encode("utf-16-be") + b"\x00\x00"
    state = bytearray(_fill(salt, block) + _fill(secret, block))
    output = b""
    while len(output) < size:
        chunk = bytes([purpose]) * block + bytes(state)
        for _ in range(rounds):
            chunk = hashlib.new(digest, chunk).digest()
        output += chunk
        step = int.from_bytes(_fill(chunk, block)[:block], "big") + 1
        for start in range(0, len(state), block):
            total = int.from_bytes(state[start : start + block], "big") + step
            state[start : start + block] = (total % (1 << (8 * block))).to_bytes(block, "big")
    return output[:size]


def _fill(value: bytes, block: int) -> bytes:
    size = block * -(-len(value) // block)
    return (value * (size // len(value) + 1))[:size]
