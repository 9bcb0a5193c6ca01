"""The simulated public key infrastructure: issuing authority, STS and MyCareNet signers, doctors' keystores.

Also a command: ``python -m ehealth.simulator.pki --data DIR --person SSIN --name "NAME" --out FILE``.
"""

import argparse
import os
import sys
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from ehealth.simulator import pkcs12
from ehealth.simulator.pkcs12 import Entry, PrivateKey
from ehealth.simulator.store import Store

KINDS = (
    "rsa",
    "p384",
    "two-keys-auth-first",
    "two-keys-enc-first",
    "expired",
    "not-yet-valid",
    "near-expiry",
    "foreign-ca",
    "acceptance-issuer",
    "production-issuer",
    "other-person",
    "organisation",
    "no-encryption",
    "legacy",
)
"""Keystores that can be made; all but ``no-encryption`` hold two private keys.

``rsa`` is also the modern encryption (AES-256), ``legacy`` the old one (triple DES). ``other-person`` names
:data:`OTHER_PERSON` whoever asks.
"""

OTHER_PERSON = ("99123199940", "Autre", "Personne")

CA_NAME = "TEST-Simulation eHealth issuing CA 001"
OTHER_CAS = {
    "foreign-ca": "TEST-Unrelated eHealth issuing CA 009",
    "acceptance-issuer": "TEST-ZetesConfidens-eHealth acceptance test-issuing CA 001",
    "production-issuer": "ZetesConfidens Private Trust PKI - eHealth issuing CA 001",
}
LIFETIME = timedelta(days=3 * 365)
LONG_AGO, FAR_AHEAD = timedelta(days=10 * 365), timedelta(days=20 * 365)


@dataclass(frozen=True)
class Signer:
    """A private key and the certificate that vouches for it."""

    key: PrivateKey
    certificate: x509.Certificate


@dataclass(frozen=True)
class Pki:
    """Everything the simulated platform signs with."""

    ca: Signer
    sts: Signer
    mycarenet: Signer


@dataclass(frozen=True)
class Keystore:
    """A freshly made keystore with what the platform learns of it."""

    p12: bytes
    serial: int
    """Serial number of the authentication certificate."""
    etk: bytes | None
    """DER of the token to publish in the ETK depot (CMS SignedData), when there is an encryption key."""


def load_or_create(data: Path, now: datetime | None = None) -> Pki:
    """The infrastructure kept in ``data``; made, with its trust anchors as PEM files, when there is none."""
    folder = data / "pki"
    if not (folder / "complete").exists():
        _create(folder, now or datetime.now(UTC))
    pki = Pki(*(_read(folder, name) for name in ("ca", "sts", "mycarenet")))
    for name, signer in (("issuing-ca", pki.ca), ("sts", pki.sts), ("mycarenet", pki.mycarenet)):
        (data / f"{name}.pem").write_bytes(_pem(signer.certificate))
    return pki


def make_keystore(
    pki: Pki,
    *,
    ssin: str,
    first_name: str,
    last_name: str,
    password: str,
    kind: str = "rsa",
    now: datetime | None = None,
) -> bytes:
    """The PKCS#12 file of :func:`issue`, alone."""
    return issue(
        pki, ssin=ssin, first_name=first_name, last_name=last_name, password=password, kind=kind, now=now
    ).p12


def issue(
    pki: Pki,
    *,
    ssin: str,
    first_name: str,
    last_name: str,
    password: str,
    kind: str = "rsa",
    now: datetime | None = None,
) -> Keystore:
    """Makes a doctor's keystore as the certificate manager does: alias ``authentication``, then the
    encryption entry whose alias is the decimal serial number of its certificate.

    ``kind`` is one of :data:`KINDS`; ``ValueError`` otherwise. ``organisation`` takes ``ssin`` as an
    8-digit NIHII of a medical house. That of ``other-person`` has no token to publish for ``ssin``.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of keystore: {kind}")
    if kind == "other-person":
        ssin, first_name, last_name = OTHER_PERSON
    now = now or datetime.now(UTC)
    issuer = _other_ca(OTHER_CAS[kind], now) if kind in OTHER_CAS else pki.ca
    start, end = _validity(kind, now)
    owner = f"NIHII-MEDICAL_HOUSE={ssin}" if kind == "organisation" else f"SSIN={ssin}"
    key: PrivateKey = ec.generate_private_key(ec.SECP384R1()) if kind == "p384" else _rsa()
    subject = _owner_name(owner, f"{first_name} {last_name}")
    certificate = _authentication_certificate(issuer, subject, key, start, end)
    entries = [Entry("authentication", key, certificate)]
    etk = None
    if kind != "no-encryption":
        encryption_key = _rsa()
        encryption = _encryption_certificate(Signer(key, certificate), encryption_key)
        entries.append(Entry(str(encryption.serial_number), encryption_key, encryption))
        etk = None if kind == "other-person" else _etk(Signer(key, certificate), encryption)
    if kind == "two-keys-enc-first":
        entries.reverse()
    p12 = pkcs12.write(entries, [issuer.certificate], password, legacy=kind == "legacy")
    return Keystore(p12=p12, serial=certificate.serial_number, etk=etk)


def owner_of(certificate: x509.Certificate) -> tuple[str, str] | None:
    """Type and number of the holder, from the organisational unit ``TYPE=number``; none without one."""
    for unit in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME):
        kind, separator, number = str(unit.value).partition("=")
        if separator and number.isdigit():
            return kind, number
    return None


def _validity(kind: str, now: datetime) -> tuple[datetime, datetime]:
    ends = {
        "expired": now - timedelta(days=10),
        "near-expiry": now + timedelta(days=30),
        "not-yet-valid": now + timedelta(days=2) + LIFETIME,
    }
    end = ends.get(kind, now - timedelta(days=1) + LIFETIME)
    return end - LIFETIME, end


def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).upper()


def _owner_name(owner: str, name: str) -> x509.Name:
    unit = NameOID.ORGANIZATIONAL_UNIT_NAME
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "BE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Federal Government"),
            x509.NameAttribute(unit, owner),
            x509.NameAttribute(unit, _plain(name)),
            x509.NameAttribute(unit, "eHealth-platform Belgium"),
            x509.NameAttribute(NameOID.COMMON_NAME, owner),
        ]
    )


def _key_usage(*allowed: str) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in allowed for name in names})


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _digest(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    return hashes.SHA384() if isinstance(key, ec.EllipticCurvePrivateKey) else hashes.SHA256()


def _authentication_certificate(
    issuer: Signer, subject: x509.Name, key: PrivateKey, start: datetime, end: datetime
) -> x509.Certificate:
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION])
    crl = x509.UniformResourceIdentifier("http://crl.simulation.invalid/issuing-ca-001.crl")
    ocsp = x509.UniformResourceIdentifier("http://ocsp.simulation.invalid")
    points = [x509.DistributionPoint([crl], None, None, None)]
    responder = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, ocsp)
    usage = _key_usage("digital_signature", "content_commitment", "key_encipherment")
    return (
        _builder(subject, issuer.certificate.subject, key, start, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(usages, critical=False)
        .add_extension(x509.CRLDistributionPoints(points), critical=False)
        .add_extension(x509.AuthorityInformationAccess([responder]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
        )
        .sign(issuer.key, _digest(issuer.key))
    )


def _encryption_certificate(owner: Signer, key: PrivateKey) -> x509.Certificate:
    subject = owner.certificate.subject
    start, end = owner.certificate.not_valid_before_utc, owner.certificate.not_valid_after_utc
    usage = _key_usage("key_encipherment", "data_encipherment")
    builder = _builder(subject, subject, key, start, end)
    return builder.add_extension(usage, critical=True).sign(owner.key, _digest(owner.key))


def _etk(owner: Signer, encryption: x509.Certificate) -> bytes:
    builder = pkcs7.PKCS7SignatureBuilder().set_data(encryption.public_bytes(serialization.Encoding.DER))
    builder = builder.add_signer(owner.certificate, owner.key, hashes.SHA256())
    return builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])


def _organisation_name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "BE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Simulation"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _other_ca(common_name: str, now: datetime) -> Signer:
    key, name = _rsa(), _organisation_name(common_name)
    builder = _builder(name, name, key, now - LONG_AGO, now + FAR_AHEAD)
    certificate = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Signer(key, certificate)


def _service(ca: Signer, common_name: str, now: datetime) -> Signer:
    key, name = _rsa(), _organisation_name(common_name)
    start, end = now - timedelta(days=1), now + LIFETIME
    return Signer(key, _authentication_certificate(ca, name, key, start, end))


def _create(folder: Path, now: datetime) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca = _other_ca(CA_NAME, now)
    _write(folder, "ca", ca)
    _write(folder, "sts", _service(ca, "CBE=0809394427, IAMSIM", now))
    _write(folder, "mycarenet", _service(ca, "CBE=0820563481, MYCARENET", now))
    (folder / "complete").touch()


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(folder: Path, name: str, signer: Signer) -> None:
    clear = signer.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.open(folder / f"{name}.key", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(clear)
    (folder / f"{name}.pem").write_bytes(_pem(signer.certificate))


def _read(folder: Path, name: str) -> Signer:
    key = serialization.load_pem_private_key((folder / f"{name}.key").read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"{name}.key is not an RSA key")
    return Signer(key, x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ehealth.simulator.pki", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the simulator")
    parser.add_argument("--person", required=True, metavar="SSIN")
    parser.add_argument("--name", required=True, help="first name, a space, last name")
    parser.add_argument("--password", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kind", choices=KINDS, default="rsa")
    return parser


def main() -> int:
    """Writes a keystore and publishes its encryption token in the simulator's depot."""
    options = _parser().parse_args()
    options.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    first_name, _, last_name = options.name.partition(" ")
    made = issue(
        load_or_create(options.data),
        ssin=options.person,
        first_name=first_name,
        last_name=last_name,
        password=options.password,
        kind=options.kind,
    )
    options.out.write_bytes(made.p12)
    if made.etk:
        store = Store(options.data / "memory.sqlite3")
        store.publish_etk(options.person, made.etk)
        store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
