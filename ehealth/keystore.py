"""Open an eHealth keystore (PKCS#12) and judge it for one practitioner.

The file is looked at with our own bounded reader, then opened in a child process with little time
and memory; what comes back is judged here. Pure but for that child: bytes, text and times in, a
frozen value or ``KeystoreRefused`` out. Nothing is written anywhere.
"""

import base64
import binascii
import hashlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from accounts.identifiers import Invalid, mask
from accounts.identifiers import ssin as judge_ssin
from ehealth import certificates, pkcs12

LARGEST_FILE = 256 * 1024
LONGEST_PASSWORD = 1024
WALL_SECONDS = 5.0
QUEUE_SECONDS = 5.0
AT_ONCE = 2
RENEWAL_WINDOW = timedelta(days=90)
SMALLEST_RSA = 2048
SMALLEST_CURVE = 384
EXPONENT = 65537
PRODUCTION = "production"

_AUTHENTICATION = "authentication"
_TEST_ISSUER = ("TEST", "UAT")
_PRODUCTION_ISSUER = "ZetesConfidens Private Trust PKI - eHealth"
_PROJECT = Path(__file__).resolve().parent.parent
_slots = threading.BoundedSemaphore(AT_ONCE)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class KeystoreRefused(ValueError):
    """A keystore that cannot be used.

    ``code`` is one of empty, too_large, pem, is_certificate, not_pkcs12, no_mac, too_many_rounds,
    too_many_bags, unsupported, busy, too_slow, wrong_password, no_private_key, incomplete, weak_key,
    expired, not_yet_valid, owner_unclear, organisation, other_person, wrong_environment,
    untrusted_issuer, wrong_usage. ``facts`` holds what the sentence may tell (dates, masked number).
    """

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


@dataclass(frozen=True, slots=True)
class Opened:
    """An accepted keystore. ``key_der`` is PKCS#8 in clear, ``chain_der`` starts with the leaf.

    ``serial`` and ``encryption_serials`` are decimal text, ``sha256`` is of the file, in hex. No
    encryption serial means that encrypted messages cannot be read: a warning.
    """

    ssin: str
    holder_name: str
    serial: str
    issuer_name: str
    not_before: datetime
    not_after: datetime
    sha256: str
    renewal_due: bool
    encryption_serials: tuple[str, ...]
    key_der: bytes = field(repr=False)
    chain_der: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Entry:
    alias: str
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class _Contents:
    keys: tuple[tuple[str, bytes], ...] = field(repr=False)
    entries: tuple[_Entry, ...]
    others: tuple[str, ...]


def open_keystore(
    data: bytes,
    password: bytes,
    *,
    ssin: str,
    now: datetime,
    issuers: Sequence[x509.Certificate],
    environment: str,
) -> Opened:
    """Open the file and judge it, or raise ``KeystoreRefused``.

    ``password`` is UTF-8; ``ssin`` the owner's canonical national number; ``issuers`` the trusted
    authorities; ``environment`` is production, acceptance, or another name for one of our own.
    """
    look(data)
    contents = _contents(_run_child(data, password))
    key_der, leaf = _authentication(contents)
    _judge_dates(leaf, now)
    name = _judge_owner(leaf, ssin, now)
    path = _judge_issuer(leaf, contents, now=now, issuers=issuers, environment=environment)
    if not certificates.may_authenticate(leaf):
        raise KeystoreRefused("wrong_usage")
    return Opened(
        ssin=ssin,
        holder_name=name,
        serial=str(leaf.serial_number),
        issuer_name=certificates.common_name(leaf.issuer),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        sha256=hashlib.sha256(data).hexdigest(),
        renewal_due=leaf.not_valid_after_utc - now <= RENEWAL_WINDOW,
        encryption_serials=_encryption_serials(contents, leaf),
        key_der=key_der,
        chain_der=tuple(certificate.public_bytes(Encoding.DER) for certificate in path),
    )


def look(data: bytes) -> None:
    """Refuse what is plainly not a usable keystore, without a password and without cost."""
    if not data:
        raise KeystoreRefused("empty")
    if len(data) > LARGEST_FILE:
        raise KeystoreRefused("too_large", limit=LARGEST_FILE)
    if b"-----BEGIN" in data[:4096]:
        raise KeystoreRefused("pem")
    try:
        pkcs12.read(data)
    except pkcs12.NotReadable as error:
        raise KeystoreRefused("is_certificate" if _is_certificate(data) else error.code) from None


def _is_certificate(data: bytes) -> bool:
    try:
        x509.load_der_x509_certificate(data)
    except ValueError:
        return False
    return True


# The child process.


def _run_child(data: bytes, password: bytes) -> dict[str, Any]:
    if len(password) > LONGEST_PASSWORD:
        raise KeystoreRefused("wrong_password")
    if not _slots.acquire(timeout=QUEUE_SECONDS):
        raise KeystoreRefused("busy")
    try:
        answer = _ask(len(password).to_bytes(4, "big") + password + data)
    finally:
        _slots.release()
    if "code" in answer:
        raise KeystoreRefused(answer["code"])
    return answer


def _ask(request: bytes) -> dict[str, Any]:
    """Start the child with an empty environment; it ends by itself, by its limits, or by ours."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ehealth.keystore_child"],
            input=request,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_PROJECT,
            env={},
            timeout=WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise KeystoreRefused("too_slow") from None
    if done.returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise KeystoreRefused("too_slow")
    if done.returncode:
        raise KeystoreRefused("not_pkcs12")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _contents(answer: dict[str, Any]) -> _Contents:
    try:
        entries = tuple(
            _Entry(entry["alias"], x509.load_der_x509_certificate(base64.b64decode(entry["der"])))
            for entry in answer["certificates"]
        )
    except (ValueError, binascii.Error):
        raise KeystoreRefused("incomplete") from None
    keys = tuple((entry["alias"], base64.b64decode(entry["der"])) for entry in answer["keys"])
    if not keys:
        raise KeystoreRefused("no_private_key")
    return _Contents(keys, entries, tuple(answer["others"]))


# Which entry authenticates: by its name, else by what its certificate may do.


def _authentication(contents: _Contents) -> tuple[bytes, x509.Certificate]:
    pairs = [
        (alias, der, leaf)
        for alias, der in contents.keys
        if (leaf := _certificate_of(der, contents.entries)) is not None
    ]
    named = [pair for pair in pairs if pair[0].casefold() == _AUTHENTICATION]
    for _alias, der, leaf in named or [pair for pair in pairs if certificates.may_sign(pair[2])]:
        _judge_key(der)
        return der, leaf
    raise KeystoreRefused("incomplete")


def _certificate_of(key_der: bytes, entries: Sequence[_Entry]) -> x509.Certificate | None:
    """The certificate with the key's public half; of several, the one that may sign and ends last."""
    # The child that opened the file has checked the key, which is dear; here it is only read.
    key = load_der_private_key(key_der, None, unsafe_skip_rsa_key_validation=True)
    public = _public_half(key.public_key())
    matching = [entry.certificate for entry in entries if _public_key_of(entry.certificate) == public]
    return max(matching, key=_preference, default=None)


def _preference(certificate: x509.Certificate) -> tuple[bool, datetime]:
    return certificates.may_sign(certificate), certificate.not_valid_after_utc


def _public_key_of(certificate: x509.Certificate) -> bytes:
    try:
        return _public_half(certificate.public_key())
    except ValueError:
        return b""


def _public_half(key: Any) -> bytes:
    half: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return half


def _judge_key(der: bytes) -> None:
    key = load_der_private_key(der, None)  # once more in full: what is sealed is never checked again
    if isinstance(key, rsa.RSAPrivateKey):
        is_strong = key.key_size >= SMALLEST_RSA and key.public_key().public_numbers().e == EXPONENT
    else:
        is_strong = isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size >= SMALLEST_CURVE
    if not is_strong:
        raise KeystoreRefused("weak_key")


def _encryption_serials(contents: _Contents, leaf: x509.Certificate) -> tuple[str, ...]:
    """Serial numbers of the other key entries' certificates, as published for the owner."""
    others = {alias for alias in contents.others if alias}
    return tuple(
        str(entry.certificate.serial_number)
        for entry in contents.entries
        if entry.certificate != leaf
        and (entry.alias in others or str(entry.certificate.serial_number) in others)
    )


# What the certificate says.


def _judge_dates(leaf: x509.Certificate, now: datetime) -> None:
    if now > leaf.not_valid_after_utc:
        raise KeystoreRefused("expired", not_after=leaf.not_valid_after_utc)
    if now < leaf.not_valid_before_utc:
        raise KeystoreRefused("not_yet_valid", not_before=leaf.not_valid_before_utc)


def _judge_owner(leaf: x509.Certificate, ssin: str, now: datetime) -> str:
    owner = certificates.owner(leaf)
    if owner is None:
        raise KeystoreRefused("owner_unclear")
    if owner.kind != "SSIN":
        raise KeystoreRefused("organisation", kind=owner.kind, found=mask(owner.number))
    try:
        found = judge_ssin(owner.number, today=now.date())
    except Invalid:
        raise KeystoreRefused("owner_unclear") from None
    if found != ssin:
        raise KeystoreRefused("other_person", found=mask(found))
    return owner.name


def _judge_issuer(
    leaf: x509.Certificate,
    contents: _Contents,
    *,
    now: datetime,
    issuers: Sequence[x509.Certificate],
    environment: str,
) -> tuple[x509.Certificate, ...]:
    issuer = certificates.common_name(leaf.issuer)
    foreign = _TEST_ISSUER if environment == PRODUCTION else _PRODUCTION_ISSUER
    if issuer.startswith(foreign):
        raise KeystoreRefused("wrong_environment", issuer=issuer)
    offered = [entry.certificate for entry in contents.entries]
    path = certificates.chain(leaf, offered=offered, trusted=issuers, now=now)
    if path is None:
        raise KeystoreRefused("untrusted_issuer", issuer=issuer)
    return path
