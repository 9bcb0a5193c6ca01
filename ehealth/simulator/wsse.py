"""WS-Security of incoming messages, judged in a fixed order; what fails before the schema is SOA-01001."""

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from lxml import etree

from ehealth.simulator import xmldsig
from ehealth.simulator.pki import Pki, owner_of
from ehealth.simulator.soap import DS, SAML, SOAP, WSSE, WSSE11, WSU, Envelope, Refusal, text
from ehealth.simulator.store import Store
from ehealth.simulator.xmldsig import BadSignature

SKEW = timedelta(seconds=60)
LONGEST_WINDOW = timedelta(minutes=5)
X509_V3 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
BASE64 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
ASSERTION_ID = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID"
SAML_V11 = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1"
HOLDER_OF_KEY = "urn:oasis:names:tc:SAML:1.0:cm:holder-of-key"
ISSUER = "urn:be:fgov:ehealth:sts:1_0"
PERSON_SSIN = "urn:be:fgov:person:ssin"
NIHII11 = "urn:be:fgov:person:ssin:ehealth:1.0:doctor:nihii11"
DOCTOR = "urn:be:fgov:person:ssin:doctor:boolean"


@dataclass(frozen=True)
class Caller:
    """Who signed the message: the certificate, its owner, and what the token says (nothing for X.509)."""

    certificate: x509.Certificate
    ssin: str
    claims: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Header:
    security: etree._Element
    timestamp: etree._Element
    expires: datetime
    signature: etree._Element


def verify(envelope: Envelope, profile: str, *, pki: Pki, store: Store, now: datetime) -> Caller:
    """Who sent the message, with ``profile`` "x509" or "saml"; refuses with SOA-01001.

    A message that verifies is remembered: the same signature is refused the second time.
    """
    try:
        header = _header(envelope, now)
        identified = xmldsig.ids(envelope.root)
        judge = _x509_caller if profile == "x509" else _saml_caller
        caller = judge(envelope, header, identified, pki, now)
        _check_certificate(caller.certificate, pki, now)
        if store.is_revoked(caller.certificate.serial_number):
            raise BadSignature("the certificate is revoked")
        _check_first_sight(header, store, now)
    except BadSignature as error:
        raise Refusal("SOA-01001", str(error)) from error
    return caller


def _only(parent: etree._Element, tag: str) -> etree._Element:
    found = parent.findall(tag)
    if len(found) != 1:
        raise BadSignature(f"exactly one {etree.QName(tag).localname} is needed, there are {len(found)}")
    return found[0]


def _header(envelope: Envelope, now: datetime) -> _Header:
    if envelope.header is None:
        raise BadSignature("the message has no header")
    tag = f"{{{WSSE}}}Security"
    if len(list(envelope.root.iter(tag))) != 1:
        raise BadSignature("exactly one Security header is needed")
    security = _only(envelope.header, tag)
    if security.get(f"{{{SOAP}}}mustUnderstand") != "1":
        raise BadSignature("the Security header must be marked mustUnderstand")
    if len(list(envelope.root.iter(f"{{{WSU}}}Timestamp"))) != 1:
        raise BadSignature("exactly one Timestamp is needed")
    timestamp = _only(security, f"{{{WSU}}}Timestamp")
    expires = _check_window(timestamp, now)
    return _Header(security, timestamp, expires, _only(security, f"{{{DS}}}Signature"))


def instant(value: str) -> datetime:
    """A UTC xs:dateTime with ``Z``; raises :class:`BadSignature`."""
    try:
        if not value.endswith("Z"):
            raise ValueError(value)
        return datetime.fromisoformat(value).astimezone(UTC)
    except ValueError as error:
        raise BadSignature("a time must be UTC, written with Z") from error


def _check_window(timestamp: etree._Element, now: datetime) -> datetime:
    created = instant(text(_only(timestamp, f"{{{WSU}}}Created")))
    expires = instant(text(_only(timestamp, f"{{{WSU}}}Expires")))
    if created > now + SKEW:
        raise BadSignature("the timestamp lies in the future")
    if expires <= now:
        raise BadSignature("the timestamp has expired")
    if not timedelta(0) < expires - created <= LONGEST_WINDOW:
        raise BadSignature("the timestamp lives too long")
    return expires


def _check_references(
    signature: etree._Element, identified: dict[str, etree._Element], required: list[etree._Element]
) -> None:
    """Every reference is one of the required elements, each of them is referenced, each digest holds."""
    covered = []
    for reference in xmldsig.references(signature):
        target = identified.get(reference.uri[1:]) if reference.uri.startswith("#") else None
        if target is None or not any(target is element for element in required):
            raise BadSignature(f"the reference {reference.uri} points at something else")
        if reference.transforms != (xmldsig.EXC_C14N,):
            raise BadSignature("the only transform allowed is exclusive canonicalisation")
        reference.check(xmldsig.canonical(target, reference.prefixes))
        covered.append(target)
    for element in required:
        if not any(element is target for target in covered):
            raise BadSignature(f"{etree.QName(element).localname} is not signed")


def _key_reference(signature: etree._Element) -> etree._Element:
    info = _only(signature, f"{{{DS}}}KeyInfo")
    return _only(info, f"{{{WSSE}}}SecurityTokenReference")


def _x509_caller(
    envelope: Envelope,
    header: _Header,
    identified: dict[str, etree._Element],
    pki: Pki,
    now: datetime,
) -> Caller:
    token = _only(header.security, f"{{{WSSE}}}BinarySecurityToken")
    reference = _only(_key_reference(header.signature), f"{{{WSSE}}}Reference")
    if (token.get("ValueType"), token.get("EncodingType")) != (X509_V3, BASE64):
        raise BadSignature("the token must be a base64 X.509 certificate")
    if reference.get("ValueType") != X509_V3 or identified.get(reference.get("URI", "")[1:]) is not token:
        raise BadSignature("the key reference does not point at the token")
    certificate = xmldsig.certificate_in(token)
    _check_references(header.signature, identified, [header.timestamp, envelope.body, token])
    xmldsig.check_value(header.signature, certificate)
    return Caller(certificate, _number(certificate))


def _saml_caller(
    envelope: Envelope,
    header: _Header,
    identified: dict[str, etree._Element],
    pki: Pki,
    now: datetime,
) -> Caller:
    assertion = _only(header.security, f"{{{SAML}}}Assertion")
    reference = _key_reference(header.signature)
    key = _only(reference, f"{{{WSSE}}}KeyIdentifier")
    if reference.get(f"{{{WSSE11}}}TokenType") != SAML_V11 or key.get("ValueType") != ASSERTION_ID:
        raise BadSignature("the key reference does not name a SAML 1.1 assertion")
    if text(key) != assertion.get("AssertionID"):
        raise BadSignature("the key reference names another assertion")
    certificate = confirmed(assertion)
    _check_references(header.signature, identified, [header.timestamp, envelope.body])
    xmldsig.check_value(header.signature, certificate)
    check_assertion(assertion, pki, now)
    claims = {
        attribute.get("AttributeName", ""): text(attribute)
        for attribute in assertion.iterfind(f"{{{SAML}}}AttributeStatement/{{{SAML}}}Attribute")
    }
    if claims.get(PERSON_SSIN) != _number(certificate):
        raise BadSignature("the token is about another person than its key")
    return Caller(certificate, claims[PERSON_SSIN], claims)


def confirmed(assertion: etree._Element) -> x509.Certificate:
    """The certificate of the key that the token is bound to."""
    path = f"{{{SAML}}}AuthenticationStatement/{{{SAML}}}Subject/{{{SAML}}}SubjectConfirmation"
    confirmation = _only(assertion, path)
    if text(_only(confirmation, f"{{{SAML}}}ConfirmationMethod")) != HOLDER_OF_KEY:
        raise BadSignature("the token is not confirmed by a key")
    return xmldsig.certificate_in(
        confirmation.find(f"{{{DS}}}KeyInfo/{{{DS}}}X509Data/{{{DS}}}X509Certificate")
    )


def check_assertion(assertion: etree._Element, pki: Pki, now: datetime) -> None:
    """Raises :class:`BadSignature` unless our STS has signed the assertion and it is valid now."""
    signature = _only(assertion, f"{{{DS}}}Signature")
    if signature.tail:
        raise BadSignature("the token was rewritten")
    found = xmldsig.references(signature)
    if len(found) != 1 or found[0].uri != f"#{assertion.get('AssertionID')}":
        raise BadSignature("the signature of the token does not cover the token")
    if found[0].transforms != (xmldsig.ENVELOPED, xmldsig.EXC_C14N):
        raise BadSignature("the transforms of the token's signature are not allowed")
    bare = copy.deepcopy(assertion)
    bare.remove(_only(bare, f"{{{DS}}}Signature"))
    found[0].check(xmldsig.canonical(bare, found[0].prefixes))
    xmldsig.check_value(signature, pki.sts.certificate)
    conditions = _only(assertion, f"{{{SAML}}}Conditions")
    if assertion.get("Issuer") != ISSUER:
        raise BadSignature("the token comes from another issuer")
    start, end = instant(conditions.get("NotBefore", "")), instant(conditions.get("NotOnOrAfter", ""))
    if not start <= now < end:
        raise BadSignature("the token is not valid now")


def _number(certificate: x509.Certificate) -> str:
    owner = owner_of(certificate)
    if owner is None or owner[0] != "SSIN":
        raise BadSignature("the certificate is not that of a person")
    return owner[1]


def _check_certificate(certificate: x509.Certificate, pki: Pki, now: datetime) -> None:
    try:
        certificate.verify_directly_issued_by(pki.ca.certificate)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise BadSignature("the certificate comes from an unknown authority") from error
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise BadSignature("the certificate is not valid now")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        raise BadSignature("the certificate has no key usage") from error
    if not usage.digital_signature:
        raise BadSignature("the certificate is not meant for signatures")


def _check_first_sight(header: _Header, store: Store, now: datetime) -> None:
    info = xmldsig.canonical(
        _only(header.signature, f"{{{DS}}}SignedInfo")
    )  # an ECDSA value can be rewritten
    if not store.first_sight(xmldsig.digest_of(info), now, header.expires + SKEW):
        raise BadSignature("the message was received before")
