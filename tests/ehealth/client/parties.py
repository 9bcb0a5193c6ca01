"""Who takes part in the tests of the client: doctors with keys of both kinds, an STS, and the platform's
addresses.

Signatures of the other side are made by xmlsec, so that no code of the client stands on both ends.
"""

import base64
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from lxml import etree

from ehealth.client import names
from ehealth.client.platform import SERVICES, Assertion, Identity, Licence, Platform, PrivateKey

SSIN = "84011012387"
NIHII = "19999915004"
NOW = datetime.now(UTC).replace(microsecond=0)
ISSUER = "urn:be:fgov:ehealth:sts:1_0"
CLAIMED = "urn:be:fgov:identification-namespace"
CERTIFIED = "urn:be:fgov:certified-namespace:ehealth"


def certificate_for(key: PrivateKey, name: str, *, serial: int = 5, unit: str = "") -> x509.Certificate:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if unit:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    subject = x509.Name(parts)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(NOW - timedelta(days=10))
        .not_valid_after(NOW + timedelta(days=1000))
        .sign(key, hashes.SHA256())
    )


@cache
def identity(kind: str = "rsa", ssin: str = SSIN) -> Identity:
    key: PrivateKey = (
        rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP384R1())
    )
    return Identity(ssin, key, (certificate_for(key, f"SSIN={ssin}", unit=f"SSIN={ssin}"),))


@cache
def sts(kind: str = "rsa") -> tuple[PrivateKey, x509.Certificate]:
    one = identity(kind, "STS")
    return one.private_key, certificate_for(one.private_key, "CBE=0809394427, IAMACC", serial=9)


def platform(address: str = "http://127.0.0.1:9", **changes: object) -> Platform:
    given: dict[str, object] = {
        "environment": "simulation",
        "endpoints": dict.fromkeys(SERVICES, (address,)),
        "issuers": (),
        "sts_certificates": (sts()[1],),
        "licence": Licence("medisetup", "licence-user", "licence-secret"),
        "is_test": True,
        "user_agent": "medisetup/test",
        "connect_timeout": 2.0,
        "read_timeout": 1.0,
        "call_timeout": 2.0,
    }
    return Platform(**(given | changes))  # type: ignore[arg-type]


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def one_line(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def moment(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def attribute(name: str, value: str, namespace: str = CERTIFIED) -> str:
    return (
        f'<saml:Attribute AttributeName="{name}" AttributeNamespace="{namespace}">'
        f"<saml:AttributeValue>{value}</saml:AttributeValue></saml:Attribute>"
    )


def attributes(ssin: str = SSIN, nihii: str = NIHII) -> str:
    return "".join(
        [
            attribute("urn:be:fgov:ehealth:1.0:certificateholder:person:ssin", ssin, CLAIMED),
            attribute("urn:be:fgov:person:ssin", ssin, CLAIMED),
            attribute("urn:be:fgov:person:ssin:doctor:boolean", "true"),
            attribute("urn:be:fgov:person:ssin:ehealth:1.0:doctor:nihii11", nihii),
        ]
    )


def unsigned_assertion(
    holder: Identity, *, issuer: str = ISSUER, born: datetime = NOW, claims: str | None = None,
    method: str = "urn:oasis:names:tc:SAML:1.0:cm:holder-of-key", lasting: timedelta = timedelta(hours=24),
) -> str:  # fmt: skip
    """An assertion with odd white space, so that re-serialising it would show."""
    identifier = "_" + uuid.uuid4().hex
    subject = f'<saml:NameIdentifier NameQualifier="CA">SSIN={SSIN}</saml:NameIdentifier>'
    confirmation = (
        f"<saml:SubjectConfirmation><saml:ConfirmationMethod>{method}</saml:ConfirmationMethod><ds:KeyInfo>"
        f"<ds:X509Data><ds:X509Certificate>{one_line(holder.certificate)}</ds:X509Certificate></ds:X509Data>"
        "</ds:KeyInfo></saml:SubjectConfirmation>"
    )
    return (
        f'<saml:Assertion   xmlns:saml="{names.SAML}" xmlns:ds="{names.DS}"'
        " MajorVersion='1'\n MinorVersion=\"1\""
        f' AssertionID="{identifier}" Issuer="{issuer}" IssueInstant="{moment(born)}" >\n'
        f'  <saml:Conditions NotBefore="{moment(born - timedelta(minutes=5))}"'
        f' NotOnOrAfter="{moment(born + lasting)}"/>\n'
        f'<saml:AuthenticationStatement AuthenticationInstant="{moment(born)}"'
        ' AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:X509-PKI">'
        f"<saml:Subject>{subject}{confirmation}</saml:Subject></saml:AuthenticationStatement>"
        f"<saml:AttributeStatement><saml:Subject>{subject}</saml:Subject>"
        f"{attributes() if claims is None else claims}</saml:AttributeStatement></saml:Assertion>"
    )


_SIGNATURE = """<ds:Signature xmlns:ds="{ds}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{exc}"/>
<ds:SignatureMethod Algorithm="{method}"/><ds:Reference URI="#{identifier}"><ds:Transforms>
<ds:Transform Algorithm="{enveloped}"/><ds:Transform Algorithm="{exc}"/></ds:Transforms>
<ds:DigestMethod Algorithm="{digest}"/><ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/>
<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>
</ds:Signature>"""


def signed_by_xmlsec(
    text: str,
    *,
    kind: str = "rsa",
    key: PrivateKey | None = None,
    method: str = "",
    digest: str = names.SHA256,
    shape: Callable[[str], str] = str,
) -> bytes:
    """The assertion with the signature of an STS as its last child."""
    default = names.RSA_SHA256 if kind == "rsa" else names.ECDSA_SHA256
    root = etree.fromstring(text.encode())
    template = _SIGNATURE.format(
        ds=names.DS, exc=names.EXCLUSIVE, enveloped=names.ENVELOPED, method=method or default, digest=digest,
        identifier=root.get("AssertionID"), certificate=one_line(sts(kind)[1]),
    )  # fmt: skip
    root.append(etree.fromstring(shape(template)))
    xmlsec.tree.add_ids(root, ["AssertionID"])
    context = xmlsec.SignatureContext()
    octets = (key or sts(kind)[0]).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    context.key = xmlsec.Key.from_memory(octets, xmlsec.KeyFormat.PEM)
    context.sign(root[-1])
    signature = etree.tostring(root[-1])
    return text.replace("</saml:Assertion>", "").encode() + signature + b"</saml:Assertion>"


def assertion(kind: str = "rsa", holder: Identity | None = None) -> Assertion:
    """A token as the client holds it after an exchange with the STS."""
    owner = holder or identity(kind)
    xml = signed_by_xmlsec(unsigned_assertion(owner))
    root = etree.fromstring(xml)
    born, ends = NOW - timedelta(minutes=5), NOW + timedelta(hours=24)
    return Assertion(xml, root.get("AssertionID"), born, ends, {}, owner.certificate)
