"""The heavy part of opening a keystore, in a process of its own with little time and memory.

``python -m ehealth.keystore_child`` reads four bytes of length, the password, then the file from its
standard input, and writes one JSON object: either ``code``, or ``keys`` and ``certificates``. Nothing
comes by argument or environment, nothing touches a disk.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import resource
import sys
from collections.abc import Iterator
from typing import Any

from ehealth import pkcs12
from ehealth.pkcs12 import NotReadable

CPU_SECONDS = 2
MEMORY = 256 * 1024 * 1024
AUTHENTICATION = "authentication"

# Hash of a MAC by object identifier, with the block size of the hash.
_HASHES = {
    pkcs12.oid("1.3.14.3.2.26"): ("sha1", 64),
    pkcs12.oid("2.16.840.1.101.3.4.2.4"): ("sha224", 64),
    pkcs12.oid("2.16.840.1.101.3.4.2.1"): ("sha256", 64),
    pkcs12.oid("2.16.840.1.101.3.4.2.2"): ("sha384", 128),
    pkcs12.oid("2.16.840.1.101.3.4.2.3"): ("sha512", 128),
}
_HMACS = {
    pkcs12.oid("1.2.840.113549.2.7"): "sha1",
    pkcs12.oid("1.2.840.113549.2.8"): "sha224",
    pkcs12.oid("1.2.840.113549.2.9"): "sha256",
    pkcs12.oid("1.2.840.113549.2.10"): "sha384",
    pkcs12.oid("1.2.840.113549.2.11"): "sha512",
}
_MAC_KEY = b"\x03"
# Wrapped around the certificates before the library reads them; protects nothing.
_CHEAP_SALT = bytes(8)


def main() -> None:
    limit()
    raw = sys.stdin.buffer.read()
    size = 4 + int.from_bytes(raw[:4], "big")
    try:
        answer = contents(raw[size:], raw[4:size])
    except NotReadable as error:
        answer = {"code": error.code}
    except MemoryError:
        answer = {"code": "too_slow"}
    json.dump(answer, sys.stdout)


def limit() -> None:
    """Bound time and memory of this process, and leave no core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with contextlib.suppress(OSError):
        os.nice(5)


def contents(data: bytes, password: bytes) -> dict[str, Any]:
    """Keys (alias, local id, PKCS#8 in clear) and certificates (alias, DER) of the file.

    Where a key is called ``authentication`` only that one is opened. Raises ``NotReadable`` with
    wrong_password, unsupported, or a code of ``pkcs12.read``.
    """
    pfx = pkcs12.read(data)
    if not is_authentic(pfx, password):
        raise NotReadable("wrong_password")
    opened = _certificates(pfx, password)
    if len(opened.additional_certs) > pkcs12.MOST_BAGS:
        raise NotReadable("too_many_bags")
    named = [bag for bag in pfx.keys if bag.alias.casefold() == AUTHENTICATION]
    keys = [_key(bag, password) for bag in named or pfx.keys]
    hidden = [_entry(AUTHENTICATION, opened.key)] if opened.key and not keys else []
    return {
        "keys": keys + hidden,
        "certificates": list(_certificate_entries(opened)),
        "others": [bag.alias for bag in pfx.keys if bag not in named],
    }


def is_authentic(pfx: pkcs12.Pfx, password: bytes) -> bool:
    """Whether the MAC over the file is right with this password."""
    try:
        text = password.decode("utf-8")
    except UnicodeDecodeError:
        return False
    if pfx.mac.algorithm.child(0).content == pkcs12.PBMAC1:
        return hmac.compare_digest(_pbmac1(pfx, password), pfx.mac.digest)
    name, block = _hash(pfx.mac.algorithm)
    key = mac_key(name, block, text, pfx.mac.salt, pfx.mac.rounds)
    return hmac.compare_digest(hmac.digest(key, pfx.signed, name), pfx.mac.digest)


def _hash(algorithm: pkcs12.Node) -> tuple[str, int]:
    try:
        return _HASHES[algorithm.child(0).content]
    except KeyError:
        raise NotReadable("unsupported") from None


def mac_key(name: str, block: int, password: str, salt: bytes, rounds: int) -> bytes:
    """Key of the MAC by the derivation of RFC 7292, appendix B.2: one block of the hash is enough."""
    secret = password.encode("utf-16-be") + b"\0\0"
    digest = getattr(hashlib, name)
    value: bytes = digest(_MAC_KEY * block + _fill(salt, block) + _fill(secret, block)).digest()
    for _ in range(rounds - 1):
        value = digest(value).digest()
    return value


def _fill(text: bytes, block: int) -> bytes:
    """Repeat up to the next multiple of the block."""
    size = -(-len(text) // block) * block
    return (text * (size // len(text) + 1))[:size] if text else b""


def _pbmac1(pfx: pkcs12.Pfx, password: bytes) -> bytes:
    derivation, scheme = pfx.mac.algorithm.child(1).children[:2]
    salt, rounds, length, *rest = derivation.child(1).children
    pseudo_random = _hmac_name(rest[0]) if rest else "sha1"
    key = hashlib.pbkdf2_hmac(pseudo_random, password, salt.octets(), rounds.number(), length.number() % 65)
    return hmac.digest(key, pfx.signed, _hmac_name(scheme))


def _hmac_name(algorithm: pkcs12.Node) -> str:
    try:
        return _HMACS[algorithm.child(0).content]
    except KeyError:
        raise NotReadable("unsupported") from None


def _certificates(pfx: pkcs12.Pfx, password: bytes) -> Any:
    """Let the library open the certificates, under a MAC of one round over the DER we made."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import pkcs12 as library

    try:
        return library.load_pkcs12(_cheaply_signed(pfx.certificates_only, password), password)
    except UnsupportedAlgorithm:
        raise NotReadable("unsupported") from None
    except ValueError:
        raise NotReadable("not_pkcs12") from None


def _cheaply_signed(safe: bytes, password: bytes) -> bytes:
    key = mac_key("sha256", 64, password.decode("utf-8"), _CHEAP_SALT, 1)
    octets = pkcs12.Node(pkcs12.OCTETS, safe)
    info = pkcs12.sequence(
        pkcs12.Node(pkcs12.OID, pkcs12.DATA), pkcs12.Node(pkcs12.CONTEXT_0_BUILT, children=(octets,))
    )
    algorithm = pkcs12.sequence(
        pkcs12.Node(pkcs12.OID, pkcs12.oid("2.16.840.1.101.3.4.2.1")), pkcs12.Node(0x05)
    )
    digest = pkcs12.Node(pkcs12.OCTETS, hmac.digest(key, safe, "sha256"))
    salt = pkcs12.Node(pkcs12.OCTETS, _CHEAP_SALT)
    mac = pkcs12.sequence(pkcs12.sequence(algorithm, digest), salt, pkcs12.Node(pkcs12.INTEGER, b"\1"))
    return pkcs12.sequence(pkcs12.Node(pkcs12.INTEGER, b"\3"), info, mac).der()


def _key(bag: pkcs12.KeyBag, password: bytes) -> dict[str, str]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    try:
        key = load_der_private_key(bag.pkcs8, None if bag.plain else password)
    except UnsupportedAlgorithm:
        raise NotReadable("unsupported") from None
    except ValueError:
        # The MAC was right: the key has another password than the file, or is damaged.
        raise NotReadable("incomplete") from None
    return _entry(bag.alias, key)


def _entry(alias: str, key: Any) -> dict[str, str]:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {"alias": alias, "der": base64.b64encode(der).decode("ascii")}


def _certificate_entries(opened: Any) -> Iterator[dict[str, str]]:
    from cryptography.hazmat.primitives.serialization import Encoding

    for entry in [opened.cert, *opened.additional_certs]:
        if entry is not None:
            der = base64.b64encode(entry.certificate.public_bytes(Encoding.DER)).decode("ascii")
            yield {"alias": (entry.friendly_name or b"").decode("utf-8", "replace"), "der": der}


if __name__ == "__main__":
    main()
