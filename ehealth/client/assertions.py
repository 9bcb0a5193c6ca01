"""SAML 1.1 assertions: cut out of an answer byte for byte, verified, and read from the very octets that are
kept.
"""

import re
from base64 import b64decode
from collections.abc import Iterable
from datetime import datetime, timedelta

from cryptography import x509

from ehealth.client import names
from ehealth.client.errors import Malformed, NotAuthentic
from ehealth.client.platform import Assertion, Identity
from ehealth.client.signatures import verify_enveloped
from ehealth.client.xml import Element, canonical, ids_are_unique, instant, parse

ISSUER = "urn:be:fgov:ehealth:sts:1_0"
HOLDER_OF_KEY = "urn:oasis:names:tc:SAML:1.0:cm:holder-of-key"
IDENTIFICATION = "urn:be:fgov:identification-namespace"
CERTIFIED = "urn:be:fgov:certified-namespace:ehealth"
SSIN = "urn:be:fgov:person:ssin"
HOLDER_SSIN = "urn:be:fgov:ehealth:1.0:certificateholder:person:ssin"
_ASSERTED = frozenset({SSIN, HOLDER_SSIN})
_SKEW = timedelta(seconds=30)
_NS = {"saml": names.SAML, "ds": names.DS}


def cut_out(answer: bytes, element: Element) -> bytes:
    """The octets of the only assertion of a UTF-8 answer, as received.

    When the assertion leans on a namespace declared around it, its octets alone are no document: then its
    exclusive canonical form, which carries the same signature. NotAuthentic when the octets are not that
    element.
    """
    prefix = f"{element.prefix}:" if element.prefix else ""
    tag = re.escape(f"{prefix}Assertion".encode())
    opened = list(re.finditer(rb"<" + tag + rb"(?=[\s>])", answer))
    closed = list(re.finditer(rb"</" + tag + rb"\s*>", answer))
    if len(opened) != 1 or len(closed) != 1 or opened[0].start() > closed[0].start():
        raise NotAuthentic("not exactly one assertion")
    octets = answer[opened[0].start() : closed[0].end()]
    expected = canonical(element)
    try:
        found = canonical(parse(octets))
    except Malformed:
        return expected
    if found != expected:
        raise NotAuthentic("octets of the assertion")
    return octets


def verify(
    xml: bytes, *, issued_by: Iterable[x509.Certificate], identity: Identity, now: datetime
) -> Assertion:
    """The assertion, if it proves to be the STS's, valid now, and bound to this person and this certificate.

    NotAuthentic otherwise. Order: unique identifiers, one signature in its place, pinned algorithms, key from
    the configuration, then the values of the same parsed document.
    """
    root = parse(xml)
    if root.tag != f"{{{names.SAML}}}Assertion" or not ids_are_unique(root):
        raise NotAuthentic("identifiers")
    if any(element is not root for element in root.iter(f"{{{names.SAML}}}Assertion")):
        raise NotAuthentic("assertion within the assertion")
    usable = [one for one in issued_by if one.not_valid_before_utc <= now <= one.not_valid_after_utc]
    verify_enveloped(root, root.get("AssertionID", ""), usable)
    found = _read(root, xml)
    _check_origin(root, found, now)
    _check_holder(root, found, identity)
    return found


def restore(xml: bytes) -> Assertion:
    """The assertion from octets that `verify` accepted earlier and that were kept sealed since; Malformed
    otherwise.
    """
    return _read(parse(xml), xml)


def _check_origin(root: Element, found: Assertion, now: datetime) -> None:
    if (root.get("MajorVersion"), root.get("MinorVersion"), root.get("Issuer")) != ("1", "1", ISSUER):
        raise NotAuthentic("issuer")
    if not found.not_before - _SKEW <= now < found.not_on_or_after:
        raise NotAuthentic("dates")


def _check_holder(root: Element, found: Assertion, identity: Identity) -> None:
    methods = root.findall(".//saml:ConfirmationMethod", _NS)
    if not methods or any(_text(method) != HOLDER_OF_KEY for method in methods):
        raise NotAuthentic("confirmation method")
    if found.certificate != identity.certificate:
        raise NotAuthentic("holder of key")
    if found.attributes.get(SSIN) != identity.ssin or found.attributes.get(HOLDER_SSIN) != identity.ssin:
        raise NotAuthentic("person")


def _read(root: Element, xml: bytes) -> Assertion:
    conditions = root.findall("saml:Conditions", _NS)
    if len(conditions) != 1:
        raise Malformed("conditions")
    return Assertion(
        xml=xml,
        assertion_id=root.get("AssertionID", ""),
        not_before=instant(conditions[0].get("NotBefore", "")),
        not_on_or_after=instant(conditions[0].get("NotOnOrAfter", "")),
        attributes=_attributes(root),
        certificate=_holder(root),
    )


def _attributes(root: Element) -> dict[str, str]:
    read: dict[str, str] = {}
    for attribute in root.findall("saml:AttributeStatement/saml:Attribute", _NS):
        name = attribute.get("AttributeName", "")
        expected = IDENTIFICATION if name in _ASSERTED else CERTIFIED
        if name in read or attribute.get("AttributeNamespace") != expected:
            raise NotAuthentic("attribute")
        read[name] = ";".join(_text(value) for value in attribute)
    return read


def _holder(root: Element) -> x509.Certificate:
    """The certificate that every confirmation of the assertion names; several different ones are refused."""
    path = "*/saml:Subject/saml:SubjectConfirmation/ds:KeyInfo/ds:X509Data/ds:X509Certificate"
    texts = {"".join(_text(element).split()) for element in root.findall(path, _NS)}
    confirmations = root.findall(".//saml:SubjectConfirmation", _NS)
    everywhere = len(root.findall(path, _NS)) == len(confirmations)
    if len(texts) != 1 or not everywhere:
        raise NotAuthentic("holder of key")
    try:
        return x509.load_der_x509_certificate(b64decode(texts.pop(), validate=True))
    except ValueError as error:
        raise NotAuthentic("holder of key") from error


def _text(element: Element) -> str:
    return "".join(element.itertext()).strip()
