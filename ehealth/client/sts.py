"""Security Token Service, WS-Trust 1.3: a token for a doctor, bound to the certificate of the keystore."""

import uuid
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from ehealth.client import names
from ehealth.client.assertions import HOLDER_SSIN, SSIN, cut_out, verify
from ehealth.client.contracts import message
from ehealth.client.conversation import Question, Received, Trace, ask
from ehealth.client.errors import Malformed, NotAuthentic
from ehealth.client.platform import Assertion, Identity, Platform
from ehealth.client.signatures import b64
from ehealth.client.wsse import with_certificate
from ehealth.client.xml import Element, parse, stamp

_ACTION = "urn:be:fgov:ehealth:sts:protocol:v1:RequestSecurityToken"
_ISSUE, _RENEW = f"{names.WST}/Issue", f"{names.WST}/Renew"
# The hyphen is missing on the wire, in every client and in the service.
_PUBLIC_KEY = "http://docs.oasis-open.org/ws-sx/wstrust/200512/PublicKey"
_DIALECT = f"{names.AUTH}/authclaims"
_PREFIXES = {"wst": names.WST, "auth": names.AUTH, "wsu": names.WSU, "wsse": names.WSSE, "ds": names.DS}
_REQUESTED = (
    "urn:be:fgov:person:ssin:doctor:boolean",
    "urn:be:fgov:person:ssin:ehealth:1.0:doctor:nihii11",
    "urn:be:fgov:person:ssin:ehealth:1.0:fpsph:doctor:boolean",
    "urn:be:fgov:person:ssin:ehealth:1.0:givenname",
    "urn:be:fgov:person:ssin:ehealth:1.0:surname",
)
LIFETIME = timedelta(hours=24)


def request_assertion(
    platform: Platform, identity: Identity, *, now: datetime, trace: Trace | None = None
) -> Assertion:
    """A new token of quality doctor, every claim of which is checked against the identity and the configured
    STS.

    A token without `nihii` is still a token: the platform knows the holder as no physician. Raises
    PlatformError.
    """
    return _ask(platform, identity, None, now, trace)


def renew_assertion(
    platform: Platform, identity: Identity, held: Assertion, *, now: datetime, trace: Trace | None = None
) -> Assertion:
    """The successor of a token that is still valid, shown byte for byte; checked like a new one."""
    return _ask(platform, identity, held, now, trace)


def _ask(
    platform: Platform, identity: Identity, held: Assertion | None, now: datetime, trace: Trace | None
) -> Assertion:
    context = f"urn:uuid:{uuid.uuid4()}"

    def build(moment: datetime) -> bytes:
        request = _request(identity, context, moment, held)
        return with_certificate(request, identity, moment, enclosed=held.xml if held else b"")

    def read(answer: Received) -> Assertion:
        octets = _token(answer, context)
        return verify(octets, issued_by=platform.sts_certificates, identity=identity, now=now)

    due = f"{{{names.WST}}}RequestSecurityTokenResponse"
    question = Question("sts", "RequestSecurityToken", _ACTION, due, build, reference=context)
    return ask(platform, question, read, now=now, trace=trace)


def _token(answer: Received, context: str) -> bytes:
    if answer.element.get("Context", context) != context:
        raise NotAuthentic("answer to another request")
    found = list(answer.element.iter(f"{{{names.SAML}}}Assertion"))
    if not found:
        raise Malformed("no assertion")
    holder = found[0].getparent()
    if (
        len(found) > 1
        or holder.tag != f"{{{names.WST}}}RequestedSecurityToken"
        or holder.getparent() is not answer.element
    ):
        raise NotAuthentic("not exactly one assertion in its place")
    return cut_out(answer.octets, found[0])


def _request(identity: Identity, context: str, moment: datetime, held: Assertion | None = None) -> Element:
    parts = [
        _element(names.WST, "TokenType", names.SAML11),
        _element(names.WST, "RequestType", _RENEW if held else _ISSUE),
        *([_target(held)] if held else []),
        _claims(identity.ssin),
        _lifetime(moment),
        _element(names.WST, "KeyType", _PUBLIC_KEY),
        _use_key(identity),
    ]
    return message("sts.wsdl", "RequestSecurityToken", _value_1=parts, Context=context)


def _target(held: Assertion) -> Element:
    target = _element(names.WST, "RenewTarget")
    pointer = etree.SubElement(target, f"{{{names.WSSE}}}SecurityTokenReference")
    embedded = etree.SubElement(pointer, f"{{{names.WSSE}}}Embedded")
    embedded.set(f"{{{names.WSU}}}Id", f"held-{uuid.uuid4().hex}")
    embedded.append(parse(held.xml))
    return target


def _claims(ssin: str) -> Element:
    claims = _element(names.WST, "Claims")
    claims.set("Dialect", _DIALECT)
    for uri in (HOLDER_SSIN, SSIN, *_REQUESTED):
        claim = etree.SubElement(claims, f"{{{names.AUTH}}}ClaimType", Uri=uri)
        if uri in (HOLDER_SSIN, SSIN):
            etree.SubElement(claim, f"{{{names.AUTH}}}Value").text = ssin
    return claims


def _lifetime(moment: datetime) -> Element:
    lifetime = _element(names.WST, "Lifetime")
    lifetime.append(_element(names.WSU, "Created", stamp(moment)))
    lifetime.append(_element(names.WSU, "Expires", stamp(moment + LIFETIME)))
    return lifetime


def _use_key(identity: Identity) -> Element:
    use = _element(names.WST, "UseKey")
    pointer = etree.SubElement(use, f"{{{names.WSSE}}}SecurityTokenReference")
    data = etree.SubElement(pointer, f"{{{names.DS}}}X509Data")
    octets = identity.certificate.public_bytes(Encoding.DER)
    etree.SubElement(data, f"{{{names.DS}}}X509Certificate").text = b64(octets)
    return use


def _element(namespace: str, name: str, text: str | None = None) -> Element:
    element = etree.Element(f"{{{namespace}}}{name}", nsmap=_PREFIXES)
    element.text = text
    return element
