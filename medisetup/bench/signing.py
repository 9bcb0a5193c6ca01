"""Signing a request: the message of one poll, with the key at hand and with the key still sealed."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from django.utils import timezone
from lxml import etree

from accounts.models import User
from ehealth import custody
from ehealth.client import names
from ehealth.client.contracts import message
from ehealth.client.platform import Assertion, Identity
from ehealth.client.wsse import with_assertion
from ehealth.models import Keystore
from medisetup.bench.measuring import Case, Group, Wrong

SSIN = "75031498594"
SECURITY = f"{{{names.SOAP}}}Header/{{{names.WSSE}}}Security"
# A token of the platform with its attributes and its own signature takes about 5 kB.
ATTRIBUTES = 16
LIST = {"Source": "INBOX", "StartIndex": 1, "EndIndex": 100}


def signing() -> Group:
    """One RSA-2048 signature is the floor of all."""
    now = timezone.now()
    key = rsa.generate_private_key(65537, 2048)
    certificate = _certificate(key, now)
    held, identity = _sealed(key, certificate), Identity(SSIN, key, (certificate,))
    token, envelope = _assertion(certificate, now), message("mailbox.wsdl", "getMessagesList", **LIST)
    judge = _judge(certificate)

    def signed() -> bytes:
        return with_assertion(deepcopy(envelope), identity, token, now)

    def unsealed() -> bytes:
        return with_assertion(deepcopy(envelope), custody.identity(held, SSIN), token, now)

    def whole() -> bytes:
        return with_assertion(message("mailbox.wsdl", "getMessagesList", **LIST), identity, token, now)

    cases = [Case("request", signed, judge), Case("unsealed", unsealed, judge), Case("built", whole, judge)]
    return Group("sign", Case("bare RSA-2048", lambda: _bare(key), _opens(key)), cases)


def _bare(key: rsa.RSAPrivateKey) -> bytes:
    return key.sign(b"floor", padding.PKCS1v15(), hashes.SHA256())


def _opens(key: rsa.RSAPrivateKey) -> Callable[[bytes], None]:
    # It raises by itself for a signature that is not right.
    return lambda value: key.public_key().verify(value, b"floor", padding.PKCS1v15(), hashes.SHA256())


def _certificate(key: rsa.RSAPrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now)
    return builder.not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())


def _sealed(key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> Keystore:
    """A row as the worker reads it, of nobody."""
    row = Keystore(user=User())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    custody.seal_identity(row, der, [certificate.public_bytes(Encoding.DER)])
    return row


def _assertion(certificate: x509.Certificate, now: datetime) -> Assertion:
    value = "v" * 60
    attributes = "".join(
        f'<saml:Attribute AttributeName="urn:be:fgov:bench:{number}" AttributeNamespace="{names.SAML}">'
        f"<saml:AttributeValue>{value}</saml:AttributeValue></saml:Attribute>"
        for number in range(ATTRIBUTES)
    )
    xml = (
        f'<saml:Assertion xmlns:saml="{names.SAML}" AssertionID="_bench" Issuer="bench" MajorVersion="1" '
        f'MinorVersion="1"><saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion>'
    )
    return Assertion(xml.encode(), "_bench", now, now + timedelta(hours=1), {}, certificate)


def _judge(certificate: x509.Certificate) -> Callable[[bytes], None]:
    """xmlsec, which shares nothing with the signer, accepts the signature over body and timestamp."""
    try:
        import xmlsec
    except ModuleNotFoundError as error:
        raise Wrong("sign: xmlsec, the judge of the signatures, is in requirements/dev.txt") from error
    pem = certificate.public_bytes(Encoding.PEM)

    def prove(octets: bytes) -> None:
        root: Any = etree.fromstring(octets)
        xmlsec.tree.add_ids(root, ["Id"])
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatCertPem)
        signature = root.find(f"{SECURITY}/{{{names.DS}}}Signature")
        try:
            context.verify(signature)
        except xmlsec.Error as error:
            raise Wrong("the signature does not verify") from error
        if len(signature.findall(f".//{{{names.DS}}}Reference")) != 2:
            raise Wrong("not body and timestamp")

    return prove
