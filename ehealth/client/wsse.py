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
from ehealth.client.xml import Element, canonical, stamp

LIFETIME = timedelta(seconds=60)
_EMBEDDED = re.compile(rb"<(?:\w+:)?Assertion[\s>].*?</(?:\w+:)?Assertion\s*>", re.DOTALL)
_NCNAME = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")


def with_certificate(
    envelope: Element, identity: Identity, now: datetime, *, carried: bytes | None = None
) -> bytes:
    """The message in profile X509: body, timestamp and token signed by the identity, valid for 60 seconds.

    `carried`: the octets of the assertion that the body embeds, which go out as they are.
    """
    token_id = _fresh("X509")
    token = _binary_token(identity.certificate, token_id)
    pointer = (
        f'<wsse:SecurityTokenReference xmlns:wsse="{names.WSSE}">'
        f'<wsse:Reference URI="#{token_id}" ValueType="{names.X509V3}"/></wsse:SecurityTokenReference>'
    )
    extra = [Reference(f"#{token_id}", token)]
    signed = _secured(envelope, identity.private_key, now, token, pointer, extra)
    return signed if carried is None else _verbatim(signed, carried)


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
    envelope: Element, key: PrivateKey, now: datetime, token: bytes, pointer: str, extra: list[Reference]
) -> bytes:
    body = envelope.find(f"{{{names.SOAP}}}Body")
    body_id, time_id = _fresh("id"), _fresh("TS")
    body.set(f"{{{names.WSU}}}Id", body_id)
    timestamp = _timestamp(time_id, now)
    references = [Reference(f"#{time_id}", timestamp), Reference(f"#{body_id}", canonical(body)), *extra]
    signature = (
        f'<ds:Signature xmlns:ds="{names.DS}" Id="{_fresh("SIG")}">{signed_parts(key, references)}'
        f"<ds:KeyInfo>{pointer}</ds:KeyInfo></ds:Signature>"
    )
    opening = f'<wsse:Security xmlns:wsse="{names.WSSE}" xmlns:soap="{names.SOAP}" soap:mustUnderstand="1">'
    header = b"".join([opening.encode(), timestamp, token, signature.encode(), b"</wsse:Security>"])
    return _in_header(envelope, header)


def _in_header(envelope: Element, header: bytes) -> bytes:
    place = envelope.find(f"{{{names.SOAP}}}Header")
    if place is None:
        place = etree.Element(f"{{{names.SOAP}}}Header")
        envelope.insert(0, place)
    mark = uuid.uuid4().hex
    place.append(etree.Comment(mark))
    serialised: bytes = etree.tostring(envelope, encoding="UTF-8", xml_declaration=True)
    return serialised.replace(f"<!--{mark}-->".encode(), header, 1)


def _verbatim(message: bytes, carried: bytes) -> bytes:
    """The message with the embedded assertion in the form it came in; its canonical form stays the same."""
    embedded = _EMBEDDED.findall(message)
    if len(embedded) != 1:
        raise ValueError("exactly one assertion is embedded")
    return message.replace(embedded[0], carried, 1)


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
