"""Makes keystores for the tests: own authorities, several private keys in one file, any bound broken.

The files are put together with asn1crypto from parts written by cryptography, so that they share no
code with the reader under test.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from asn1crypto import algos, cms, core
from asn1crypto import pkcs12 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 12, 31, tzinfo=UTC)
SSIN = "75031498594"
PASSWORD = b"Tr\xc3\xa9sor#2026"

USAGES = (
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
SIGNING = {"digital_signature": True, "content_commitment": True, "key_encipherment": True}
ENCIPHERING = {"key_encipherment": True, "data_encipherment": True}
CERTIFYING = {"key_cert_sign": True, "crl_sign": True}


@cache
def rsa_key(name: str, bits: int = 2048, exponent: int = 65537) -> rsa.RSAPrivateKey:
    """One key per name and size: making them is slow."""
    return rsa.generate_private_key(exponent, bits)


@cache
def curve_key(name: str, curve: type[ec.EllipticCurve] = ec.SECP384R1) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve())


def usage(**allowed: bool) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in USAGES})


def subject(
    number: str = SSIN, *, kind: str = "SSIN", common: str = "", units: tuple[str, ...] = ()
) -> x509.Name:
    """Subject in the order of the certificate: country first, common name last."""
    owner = f"{kind}={number}"
    parts = [(NameOID.COUNTRY_NAME, "BE"), (NameOID.ORGANIZATION_NAME, "Federal Government")]
    for unit in units or (owner, "ANNE TESTEUR", "eHealth-platform Belgium"):
        parts.append((NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    parts.append((NameOID.COMMON_NAME, common or owner))
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])


def authority_name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.COUNTRY_NAME, "BE"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def certificate(
    name: x509.Name, key: Any, issuer: x509.Name, issuer_key: Any, *, allowed: dict[str, bool] | None = None,
    ca: bool = False, path_length: int | None = None, client: bool = False, start: datetime = START,
    end: datetime = END,
) -> x509.Certificate:  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca, path_length if ca else None), critical=True)
    )
    if allowed:
        builder = builder.add_extension(usage(**allowed), critical=True)
    if client:
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@dataclass(frozen=True)
class Authority:
    """An issuing authority; made by itself unless it has a parent."""

    common: str = "TEST eHealth issuing CA"
    parent: "Authority | None" = None
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> x509.Name:
        return authority_name(self.common)

    @property
    def key(self) -> rsa.RSAPrivateKey:
        return rsa_key("authority " + self.common)

    @property
    def certificate(self) -> x509.Certificate:
        above = self.parent or self
        options = {"allowed": CERTIFYING, "ca": True, **self.options}
        return certificate(self.name, self.key, above.name, above.key, **options)


@dataclass(frozen=True)
class Entry:
    """A private key entry as it goes into the file."""

    alias: str
    key: Any
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()


def authentication(
    authority: Authority, *, key: Any = None, name: x509.Name | None = None, **options: Any
) -> Entry:
    """The entry that an eHealth keystore is about; options replace those of the certificate."""
    key = key or rsa_key("authentication")
    given = {"allowed": SIGNING, "client": True, **options}
    alias = given.pop("alias", "authentication")
    chain = given.pop("chain", (authority.certificate,))
    made = certificate(name or subject(), key, authority.name, authority.key, **given)
    return Entry(alias, key, made, chain)


def encryption(owner: Entry, alias: str = "") -> Entry:
    """A self-made encryption entry, named by its serial number."""
    key, name = rsa_key("encryption"), owner.certificate.subject
    made = certificate(name, key, name, owner.key, allowed=ENCIPHERING)
    return Entry(alias or str(made.serial_number), key, made)


@dataclass(frozen=True)
class Style:
    """How the file is written."""

    scheme: pkcs12.PBES = pkcs12.PBES.PBESv2SHA256AndAES256CBC
    rounds: int = 2000
    mac_rounds: int = 2000
    mac_hash: str = "sha256"


MODERN = Style()
LEGACY = Style(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC, mac_hash="sha1")


def keystore(*entries: Entry, password: bytes = PASSWORD, style: Style = MODERN) -> bytes:
    """A PKCS#12 file with these entries in this order."""
    parts = [info for entry in entries for info in contents(entry, password, style)]
    return sealed(parts, password, style)


def contents(entry: Entry, password: bytes, style: Style) -> list[cms.ContentInfo]:
    """Content infos of one entry: its certificates encrypted, its key in a bag."""
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(style.rounds)
        .key_cert_algorithm(style.scheme)
        .build(password)
    )
    name = entry.alias.encode() or None
    whole = pkcs12.serialize_key_and_certificates(name, entry.key, entry.certificate, entry.chain, encryption)
    return list(asn1.Pfx.load(whole).authenticated_safe)


def sealed(parts: list[cms.ContentInfo], password: bytes, style: Style = MODERN) -> bytes:
    """The file around content infos, with its MAC."""
    return around(asn1.AuthenticatedSafe(parts).dump(), password, style).dump()


def around(safe: bytes, password: bytes, style: Style = MODERN, salt: bytes = b"saltsalt") -> asn1.Pfx:
    # A hostile count need not be paid by its maker: the reader must refuse before it looks.
    paid = style.mac_rounds if style.mac_rounds <= 3_000_000 else 1
    key = mac_key(style.mac_hash, password.decode(), salt, paid)
    digest = hmac.digest(key, safe, style.mac_hash)
    info = algos.DigestInfo({"digest_algorithm": {"algorithm": style.mac_hash}, "digest": digest})
    return asn1.Pfx(
        {
            "version": "v3",
            "auth_safe": {"content_type": "data", "content": core.OctetString(safe)},
            "mac_data": {"mac": info, "mac_salt": salt, "iterations": style.mac_rounds},
        }
    )


def mac_key(name: str, password: str, salt: bytes, rounds: int) -> bytes:
    block = hashlib.new(name).block_size
    text = password.encode("utf-16-be") + b"\0\0"
    value = b"\x03" * block
    for part in (salt, text):
        size = (len(part) + block - 1) // block * block
        value += (part * size)[:size]
    for _ in range(rounds):
        value = hashlib.new(name, value).digest()
    return value


def without_mac(data: bytes) -> bytes:
    pfx = asn1.Pfx.load(data)
    return asn1.Pfx({"version": "v3", "auth_safe": pfx["auth_safe"]}).dump()


def with_key_rounds(data: bytes, rounds: int, style: Style = MODERN) -> bytes:
    """The same file with another iteration count in its key bags (the key cannot be read then)."""
    parts = list(asn1.Pfx.load(data).authenticated_safe)
    for info in parts:
        if info["content_type"].native == "data":
            bags = asn1.SafeContents.load(info["content"].native)
            for bag in bags:
                scheme = bag["bag_value"]["encryption_algorithm"]["parameters"]
                target = (
                    scheme["key_derivation_func"]["parameters"] if "key_derivation_func" in scheme else scheme
                )
                target["iteration_count" if "iteration_count" in target else "iterations"] = rounds
            info["content"] = core.OctetString(bags.dump(force=True))
    return sealed([cms.ContentInfo.load(info.dump(force=True)) for info in parts], PASSWORD, style)


def _set_rounds(scheme: Any, rounds: int) -> None:
    if isinstance(scheme, algos.Pbes2Params):
        scheme["key_derivation_func"]["parameters"]["iteration_count"] = rounds
    else:
        scheme["iterations"] = rounds


def hiding(content: bytes, password: bytes = PASSWORD) -> cms.ContentInfo:
    """Safe contents inside an encrypted part, where no look from outside reaches."""
    key = PBKDF2HMAC(hashes.SHA256(), 32, b"salt" * 4, 2000).derive(password)
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(b"v" * 16)).encryptor()
    secret = encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()
    salt = algos.Pbkdf2Salt("specified", core.OctetString(b"salt" * 4))
    derivation = {"salt": salt, "iteration_count": 2000, "prf": {"algorithm": "sha256"}}
    scheme = algos.Pbes2Params(
        {
            "key_derivation_func": {"algorithm": "pbkdf2", "parameters": derivation},
            "encryption_scheme": {"algorithm": "aes256_cbc", "parameters": b"v" * 16},
        }
    )
    info = {
        "content_type": "data",
        "content_encryption_algorithm": {"algorithm": "pbes2", "parameters": scheme},
        "encrypted_content": secret,
    }
    body = cms.EncryptedData({"version": "v0", "encrypted_content_info": info})
    return cms.ContentInfo({"content_type": "encrypted_data", "content": body})


def hidden_rounds(entry: Entry, rounds: int) -> bytes:
    """A file whose key bag asks for many rounds, seen only after the first decryption."""
    bags = asn1.SafeContents.load(contents(entry, PASSWORD, MODERN)[1]["content"].native)
    for bag in bags:
        _set_rounds(bag["bag_value"]["encryption_algorithm"]["parameters"], rounds)
    return sealed([contents(entry, PASSWORD, MODERN)[0], hiding(bags.dump(force=True))], PASSWORD)


OPEN, END_OF_CONTENTS = b"\x30\x80", b"\0\0"


def indefinite(data: bytes) -> bytes:
    """The same file as some Java libraries write it: outer lengths indefinite, octets in pieces."""
    pfx = asn1.Pfx.load(data)
    safe = pfx["auth_safe"]["content"].native
    pieces = b"".join(core.OctetString(safe[at : at + 1000]).dump() for at in range(0, len(safe), 1000))
    info = OPEN + pfx["auth_safe"]["content_type"].dump() + b"\xa0\x80\x24\x80" + pieces + END_OF_CONTENTS * 3
    return OPEN + core.Integer(3).dump() + info + pfx["mac_data"].dump() + END_OF_CONTENTS


def indefinite_inside(data: bytes, style: Style = MODERN) -> bytes:
    """The authenticated safe itself with indefinite lengths, under a right MAC."""
    infos = b"".join(map(_indefinite_info, asn1.Pfx.load(data).authenticated_safe))
    return around(OPEN + infos + END_OF_CONTENTS, PASSWORD, style).dump()


def _indefinite_info(info: cms.ContentInfo) -> bytes:
    if info["content_type"].native == "data":
        inner = b"\x24\x80" + core.OctetString(info["content"].native).dump() + END_OF_CONTENTS
    else:
        inner = _indefinite_secret(info["content"])
    return OPEN + info["content_type"].dump() + b"\xa0\x80" + inner + END_OF_CONTENTS * 2


def _indefinite_secret(body: cms.EncryptedData) -> bytes:
    hidden = body["encrypted_content_info"]
    secret = b"\xa0\x80" + core.OctetString(hidden["encrypted_content"].native).dump() + END_OF_CONTENTS
    scheme = hidden["content_encryption_algorithm"].dump()
    inner = OPEN + hidden["content_type"].dump() + scheme + secret + END_OF_CONTENTS
    return OPEN + body["version"].dump() + inner + END_OF_CONTENTS
