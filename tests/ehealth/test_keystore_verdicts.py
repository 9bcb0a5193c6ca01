"""Every kind of file that somebody may upload with the verdict it must get, what the verdicts say in each
language, and that a file which asks for endless work costs nothing.
"""

import os
import re
import resource
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.utils import translation

from ehealth import keystore, keystore_child, words
from ehealth.keystore import KeystoreRefused, open_keystore
from tests.ehealth.keystores import (
    CERTIFYING,
    ENCIPHERING,
    END,
    LEGACY,
    MODERN,
    NOW,
    PASSWORD,
    SIGNING,
    SSIN,
    START,
    Authority,
    Entry,
    Style,
    authentication,
    certificate,
    contents,
    curve_key,
    encryption,
    hidden_rounds,
    indefinite,
    rsa_key,
    sealed,
    subject,
    with_key_rounds,
    without_mac,
)
from tests.ehealth.keystores import keystore as make

JAVA = Path(__file__).parents[1] / "data" / "keystores"
CA = Authority()
REAL = Authority("ZetesConfidens Private Trust PKI - eHealth issuing CA 001")
OWN = authentication(CA)
CODES = set(re.findall(r"[a-z]\w+", (KeystoreRefused.__doc__ or "").partition("one of")[2].partition(".")[0]))


def verdict(data: bytes, password: bytes = PASSWORD, **changes: Any) -> str:
    """The code of a refusal, or how it was accepted."""
    facts = {"ssin": SSIN, "now": NOW, "issuers": [CA.certificate], "environment": "simulation"} | changes
    try:
        opened = open_keystore(data, password, **facts)
    except KeystoreRefused as refused:
        return refused.code
    warnings = ["renewal due"] * opened.renewal_due + ["no encryption key"] * (not opened.encryption_serials)
    return "accepted" + "".join(f", {warning}" for warning in warnings)


def pem(part: Any) -> bytes:
    if isinstance(part, x509.Certificate):
        return part.public_bytes(Encoding.PEM)
    return part.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def java(name: str) -> bytes:
    return (JAVA / f"{name}.p12").read_bytes()


def java_facts() -> dict[str, Any]:
    issuer = x509.load_der_x509_certificate((JAVA / "java-authority.der").read_bytes())
    return {"password": b"Geheim#2026x", "issuers": [issuer]}


def both(entry: Entry, **more: Any) -> bytes:
    return make(entry, encryption(entry), **more)


def mixed(key_password: bytes = PASSWORD, key_of: Entry = OWN) -> bytes:
    """The certificates of one keystore, the key of another, or under another password."""
    return sealed([contents(OWN, PASSWORD, MODERN)[0], contents(key_of, key_password, MODERN)[1]], PASSWORD)


def issued(**options: Any) -> bytes:
    return both(authentication(CA, **options))


def rounds(count: int) -> bytes:
    return make(OWN, style=Style(mac_rounds=count))


FORGED = certificate(subject(), OWN.key, CA.name, rsa_key("forger"), allowed=SIGNING, client=True)
STRANGER = Entry("authentication", rsa_key("other"), authentication(CA, key=rsa_key("other")).certificate)
PRODUCTION = {"environment": "production", "issuers": [REAL.certificate]}

# What the file is → how to make it, the verdict, what is different about the upload.
TABLE: dict[str, tuple[Callable[[], bytes], str, dict[str, Any]]] = {
    "modern": (lambda: both(OWN), "accepted", {}),
    "legacy encryption": (lambda: both(OWN, style=LEGACY), "accepted", {}),
    "encryption key first": (lambda: make(encryption(OWN), OWN), "accepted", {}),
    "MAC of SHA-1": (lambda: both(OWN, style=Style(mac_hash="sha1")), "accepted", {}),
    "MAC of SHA-512": (lambda: both(OWN, style=Style(mac_hash="sha512")), "accepted", {}),
    "indefinite lengths": (lambda: indefinite(both(OWN)), "accepted", {}),
    "P-384": (lambda: issued(key=curve_key("authentication")), "accepted", {}),
    "P-521": (lambda: issued(key=curve_key("authentication", ec.SECP521R1)), "accepted", {}),
    "another alias": (lambda: issued(alias="mykey"), "accepted", {}),
    "application in the name": (
        lambda: issued(name=subject(common=f"SSIN={SSIN}, MYAPP")),
        "accepted",
        {},
    ),
    "Java, modern": (lambda: java("java-modern"), "accepted", java_facts()),
    "Java, legacy": (lambda: java("java-legacy"), "accepted", java_facts()),
    "Java, encryption key first": (lambda: java("java-encryption-first"), "accepted", java_facts()),
    "Java, P-384": (lambda: java("java-curve"), "accepted", java_facts()),
    "production": (lambda: both(authentication(REAL)), "accepted", PRODUCTION),
    "no encryption key": (lambda: make(OWN), "accepted, no encryption key", {}),
    "ninety days left": (lambda: both(OWN), "accepted, renewal due", {"now": END - timedelta(days=90)}),
    "last day, no encryption key": (
        lambda: make(OWN),
        "accepted, renewal due, no encryption key",
        {"now": END - timedelta(days=1)},
    ),
    "nothing": (lambda: b"", "empty", {}),
    "more than 256 kB": (lambda: b"0" * (256 * 1024 + 1), "too_large", {}),
    "PEM certificate": (lambda: pem(OWN.certificate), "pem", {}),
    "PEM key": (lambda: pem(OWN.key), "pem", {}),
    "certificate alone": (lambda: OWN.certificate.public_bytes(Encoding.DER), "is_certificate", {}),
    "text": (lambda: b"hello, this is text", "not_pkcs12", {}),
    "Java keystore": (lambda: bytes.fromhex("feedfeed") + os.urandom(500), "not_pkcs12", {}),
    "noise": (lambda: os.urandom(3000), "not_pkcs12", {}),
    "last byte missing": (lambda: make(OWN)[:-1], "not_pkcs12", {}),
    "first 400 bytes": (lambda: make(OWN)[:400], "not_pkcs12", {}),
    "a byte too many": (lambda: make(OWN) + b"\0", "not_pkcs12", {}),
    "indefinite, cut": (lambda: indefinite(make(OWN))[:-2], "not_pkcs12", {}),
    "too deep": (lambda: b"\x30\x80" * 200 + b"\0\0" * 200, "not_pkcs12", {}),
    "announces 4 GB": (lambda: b"\x30\x84\xff\xff\xff\xff" + b"\0" * 100, "not_pkcs12", {}),
    "twenty thousand nulls": (lambda: b"\x30\x82\x9c\x40" + b"\x05\x00" * 20_000, "not_pkcs12", {}),
    "octets without end": (lambda: b"\x04\x80\0\0", "not_pkcs12", {}),
    "version 2": (lambda: make(OWN).replace(b"\x02\x01\x03", b"\x02\x01\x02", 1), "not_pkcs12", {}),
    "no MAC": (lambda: without_mac(make(OWN)), "no_mac", {}),
    "21 keys": (lambda: make(*[encryption(OWN, str(n)) for n in range(21)]), "too_many_bags", {}),
    "2³¹ rounds in the MAC": (lambda: rounds(2**31), "too_many_rounds", {}),
    "a round too many in the MAC": (lambda: rounds(1_000_001), "too_many_rounds", {}),
    "no rounds in the MAC": (lambda: rounds(0), "too_many_rounds", {}),
    "minus five rounds": (lambda: rounds(-5), "too_many_rounds", {}),
    "2⁸⁰ rounds": (lambda: rounds(2**80), "too_many_rounds", {}),
    "2³¹ rounds for a key": (lambda: with_key_rounds(make(OWN), 2**31), "too_many_rounds", {}),
    "2³¹ rounds for a legacy key": (
        lambda: with_key_rounds(make(OWN, style=LEGACY), 2**31 - 1, LEGACY),
        "too_many_rounds",
        {},
    ),
    "2⁷⁰ rounds for a key": (lambda: with_key_rounds(make(OWN), 2**70), "too_many_rounds", {}),
    "no rounds for a key": (lambda: with_key_rounds(make(OWN), 0), "too_many_rounds", {}),
    "too many rounds together": (
        lambda: with_key_rounds(make(OWN, encryption(OWN), encryption(OWN)), 900_000),
        "too_many_rounds",
        {},
    ),
    "too many rounds for certificates": (
        lambda: make(OWN, style=Style(rounds=1_000_001)),
        "too_many_rounds",
        {},
    ),
    "rounds hidden inside": (lambda: hidden_rounds(OWN, 2**31 - 1), "too_slow", {}),
    "wrong password": (lambda: both(OWN), "wrong_password", {"password": b"Tresor#2026"}),
    "wrong password, legacy": (lambda: both(OWN, style=LEGACY), "wrong_password", {"password": b"Tresor"}),
    "no password": (lambda: both(OWN), "wrong_password", {"password": b""}),
    "password that is no text": (lambda: both(OWN), "wrong_password", {"password": b"\xff\xfe"}),
    "endless password": (lambda: both(OWN), "wrong_password", {"password": b"x" * 2000}),
    "certificates only": (
        lambda: sealed(contents(OWN, PASSWORD, MODERN)[:1], PASSWORD),
        "no_private_key",
        {},
    ),
    "key under another password": (lambda: mixed(b"another"), "incomplete", {}),
    "key of another certificate": (lambda: mixed(key_of=STRANGER), "incomplete", {}),
    "encryption key only": (lambda: make(encryption(OWN)), "incomplete", {}),
    "RSA of 1024 bits": (lambda: issued(key=rsa_key("small", 1024)), "weak_key", {}),
    "exponent 3": (lambda: issued(key=rsa_key("three", 2048, 3)), "weak_key", {}),
    "P-256": (lambda: issued(key=curve_key("small", ec.SECP256R1)), "weak_key", {}),
    "Ed25519": (
        lambda: make(authentication(CA, key=ed25519.Ed25519PrivateKey.generate())),
        "weak_key",
        {},
    ),
    "expired": (lambda: both(OWN), "expired", {"now": END + timedelta(seconds=1)}),
    "not yet valid": (lambda: both(OWN), "not_yet_valid", {"now": START - timedelta(seconds=1)}),
    "another person": (lambda: both(OWN), "other_person", {"ssin": "82110297684"}),
    "enterprise": (lambda: issued(name=subject("0100000169", kind="CBE")), "organisation", {}),
    "medical house": (
        lambda: issued(name=subject("89990165", kind="NIHII-MEDICAL_HOUSE")),
        "organisation",
        {},
    ),
    "two different numbers": (lambda: issued(name=subject(common="SSIN=82110297684")), "owner_unclear", {}),
    "two owners": (
        lambda: issued(name=subject(units=(f"SSIN={SSIN}", "SSIN=82110297684"))),
        "owner_unclear",
        {},
    ),
    "no owner": (
        lambda: issued(name=subject(units=("ANNE TESTEUR", "eHealth-platform Belgium"))),
        "owner_unclear",
        {},
    ),
    "number that is none": (lambda: issued(name=subject("75031498595")), "owner_unclear", {}),
    "acceptance in production": (lambda: both(OWN), "wrong_environment", PRODUCTION),
    "production in acceptance": (
        lambda: both(authentication(REAL)),
        "wrong_environment",
        {"environment": "acceptance"},
    ),
    "unknown issuer": (lambda: both(authentication(Authority("TEST somebody"))), "untrusted_issuer", {}),
    "issuer's name, another key": (
        lambda: make(Entry("authentication", OWN.key, FORGED)),
        "untrusted_issuer",
        {},
    ),
    "not for clients": (lambda: issued(client=False), "wrong_usage", {}),
    "for encryption": (lambda: issued(allowed=ENCIPHERING), "wrong_usage", {}),
    "an authority's": (lambda: issued(ca=True, allowed=CERTIFYING), "wrong_usage", {}),
    "usage not stated": (lambda: issued(allowed=None), "wrong_usage", {}),
}


@pytest.mark.parametrize("file", TABLE)
def test_each_file_gets_its_verdict(file: str) -> None:
    make_file, expected, facts = TABLE[file]
    password = facts.get("password", PASSWORD)
    others = {name: value for name, value in facts.items() if name != "password"}
    assert verdict(make_file(), password, **others) == expected


def test_the_table_is_complete() -> None:
    """Every code but two is in it: `busy` is about others, `unsupported` about what nobody writes."""
    found = {expected for _make, expected, _facts in TABLE.values()}
    assert len(TABLE) >= 40
    assert found - {expected for expected in found if expected.startswith("accepted")} == CODES - {
        "busy",
        "unsupported",
    }


@pytest.mark.parametrize("language", ["fr", "nl", "de", "en"])
@pytest.mark.parametrize("code", sorted(CODES))
def test_each_verdict_has_its_sentence_in_each_language(code: str, language: str) -> None:
    facts = {"not_after": END, "not_before": START}
    with translation.override("fr"):
        french = words.keystore(code, facts)
        french = words.Words(str(french.reason), str(french.step))
    with translation.override(language):
        said = words.keystore(code, facts)
        reason, step = str(said.reason), str(said.step)
    assert code in words.KEYSTORE and reason and step and "%(" not in reason
    assert ((reason, step) == french) == (language == "fr")
    if language != "fr":
        assert reason != french.reason and step != french.step


@pytest.mark.parametrize("warning", ["no_encryption_key", "etk_differs", "mailbox_unreachable"])
def test_each_warning_has_its_sentence_in_each_language(warning: str) -> None:
    said = set()
    for language in ("fr", "nl", "de", "en"):
        with translation.override(language):
            said.add(str(words.WARNINGS[warning]))
    assert len(said) == 4 and all(said)


# What endless work costs.

SMALL = authentication(CA, key=curve_key("authentication"), chain=())


def of_children() -> tuple[float, int]:
    """Processor seconds and page faults of all processes started from here that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime, used.ru_minflt


@pytest.mark.parametrize(
    "make_file",
    [
        lambda: make(SMALL, style=Style(mac_rounds=2**31)),
        lambda: with_key_rounds(make(SMALL), 2**31),
        lambda: with_key_rounds(make(SMALL, style=LEGACY), 2**31, LEGACY),
    ],
    ids=["MAC", "key", "legacy key"],
)
def test_a_small_file_that_asks_for_2_31_rounds_is_refused_before_anything_is_started(
    make_file: Callable[[], bytes],
) -> None:
    data = make_file()
    assert len(data) <= 2560
    children, own = of_children(), time.thread_time()
    assert verdict(data) == "too_many_rounds"
    assert of_children() == children, "no process was started"
    assert time.thread_time() - own < 2


def test_rounds_that_nobody_can_see_from_outside_cost_two_seconds_of_one_core() -> None:
    data = hidden_rounds(SMALL, 2**31 - 1)
    assert len(data) <= 2560
    (before, _), own = of_children(), time.thread_time()
    assert verdict(data) == "too_slow"
    assert of_children()[0] - before <= keystore_child.CPU_SECONDS + 0.5
    assert time.thread_time() - own < 1
    assert verdict(both(OWN)) == "accepted", "the next one is served"
    assert keystore.AT_ONCE == 2
