"""WS-Security of what we send: timestamp, token and signature over timestamp and body, in both profiles.

The header is written as text that is already canonical and put in place of a mark, so that an assertion goes
out byte for byte as it came in. Pure: key, token and time are arguments.
"""

import re
import uuid
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from ehealth.client import names
from ehealth.client.platform import Assertion, Identity, PrivateKey
from ehealth.client.signatures import Reference, b64, signed_parts
from ehealth.client.xml import Element, canonical, parse, stamp

LIFETIME = timedelta(seconds=60)
_NCNAME = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")


def with_certificate(envelope: Element, identity: Identity, now: datetime, *, enclosed: bytes = b"") -> bytes:
    """The message in profile X509: body, timestamp and token signed by the identity, valid for 60 seconds.

    `enclosed`: the octets of the one assertion that the body holds, which go out unchanged.
    """
    token_id = _fresh("X509")
    token = _binary_token(identity.certificate, token_id)
    pointer = (
        f'<wsse:SecurityTokenReference xmlns:wsse="{names.WSSE}">'
        f'<wsse:Reference URI="#{token_id}" ValueType="{names.X509V3}"/></wsse:SecurityTokenReference>'
    )
    extra = [Reference(f"#{token_id}", token)]
    return _secured(envelope, identity.private_key, now, token, pointer, extra, enclosed)


def with_assertion(envelope: Element, identity: Identity, assertion: Assertion, now: datetime) -> bytes:
    """The message in profile SAML holder-of-key: body and timestamp signed, the assertion left unchanged."""
    if not _NCNAME.fullmatch(assertion.assertion_id):
        raise ValueError("identifier of the assertion")
    pointer = (
        f'<wsse:SecurityTokenReference xmlns:wsse="{names.WSSE}" xmlns:wsse11="{names.WSSE11}"'
        f' wsse11:TokenType="{names.SAML11}"><wsse:KeyIdentifier ValueType="{names.ASSERTION_ID}">'
        f"{assertion.assertion_id}</wsse:KeyIdentifier></wsse:SecurityTokenReference>"
    )
    return _secured(envelope, identity.private_key, now, assertion.xml, pointer, [])


def _secured(
    envelope: Element, key: PrivateKey, now: datetime, token: bytes, pointer: str, extra: list[Reference],
    enclosed: bytes = b"",
) -> bytes:  # fmt: skip
    body = envelope.find(f"{{{names.SOAP}}}Body")
    body_id, time_id = _fresh("id"), _fresh("TS")
    body.set(f"{{{names.WSU}}}Id", body_id)
    timestamp = _timestamp(time_id, now)
    places = [(_marked(assertion), enclosed) for assertion in _enclosed_in(body, enclosed)]
    signed = canonical(_as_sent(envelope, places)) if places else canonical(body)
    references = [Reference(f"#{time_id}", timestamp), Reference(f"#{body_id}", signed), *extra]
    signature = (
        f'<ds:Signature xmlns:ds="{names.DS}" Id="{_fresh("SIG")}">{signed_parts(key, references)}'
        f"<ds:KeyInfo>{pointer}</ds:KeyInfo></ds:Signature>"
    )
    opening = f'<wsse:Security xmlns:wsse="{names.WSSE}" xmlns:soap="{names.SOAP}" soap:mustUnderstand="1">'
    header = b"".join([opening.encode(), timestamp, token, signature.encode(), b"</wsse:Security>"])
    return _serialised(envelope, [(_in_header(envelope), header), *places])


def _enclosed_in(body: Element, enclosed: bytes) -> list[Element]:
    return list(body.iter(f"{{{names.SAML}}}Assertion")) if enclosed else []


def _as_sent(envelope: Element, places: list[tuple[bytes, bytes]]) -> Element:
    """The body as its receiver reads it: a tree put together here may have changed prefixes of a guest."""
    return parse(_serialised(envelope, places)).find(f"{{{names.SOAP}}}Body")


def _in_header(envelope: Element) -> bytes:
    """A mark in the header of the message."""
    place = envelope.find(f"{{{names.SOAP}}}Header")
    if place is None:
        place = etree.Element(f"{{{names.SOAP}}}Header")
        envelope.insert(0, place)
    return _marked(etree.SubElement(place, "place"))


def _marked(element: Element) -> bytes:
    """Put a mark in the place of the element; how it will look."""
    mark = etree.Comment(uuid.uuid4().hex)
    element.getparent().replace(element, mark)
    octets: bytes = etree.tostring(mark, with_tail=False)
    return octets


def _serialised(envelope: Element, places: list[tuple[bytes, bytes]]) -> bytes:
    """The message with octets in the place of marks; the marks are random, so they are nowhere else."""
    octets: bytes = etree.tostring(envelope, encoding="UTF-8", xml_declaration=True)
    for mark, content in places:
        octets = octets.replace(mark, content, 1)
    return octets


def _timestamp(identifier: str, now: datetime) -> bytes:
    return (
        f'<wsu:Timestamp xmlns:wsu="{names.WSU}" wsu:Id="{identifier}">'
        f"<wsu:Created>{stamp(now)}</wsu:Created>"
        f"<wsu:Expires>{stamp(now + LIFETIME)}</wsu:Expires></wsu:Timestamp>"
    ).encode()


def _binary_token(certificate: x509.Certificate, identifier: str) -> bytes:
    return (
        f'<wsse:BinarySecurityToken xmlns:wsse="{names.WSSE}" xmlns:wsu="{names.WSU}"'
        f' EncodingType="{names.BASE64}" ValueType="{names.X509V3}" wsu:Id="{identifier}">'
        f"{b64(certificate.public_bytes(Encoding.DER))}</wsse:BinarySecurityToken>"
    ).encode()


def _fresh(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"
