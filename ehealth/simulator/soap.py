"""SOAP 1.1 as the gateway of the platform understands it: reading envelopes, writing answers and faults."""

import threading
import uuid
from dataclasses import dataclass
from functools import cache
from typing import Any

from lxml import etree

from ehealth import wsdl

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSSE11 = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DS = "http://www.w3.org/2000/09/xmldsig#"
SAML = "urn:oasis:names:tc:SAML:1.0:assertion"
WST = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
ERR = "urn:be:fgov:ehealth:errors:soa:v1"
XML = "http://www.w3.org/XML/1998/namespace"

MESSAGES = {
    "SOA-00001": "An internal error has occurred",
    "SOA-01001": "Service call not authenticated",
    "SOA-01002": "Service call not authorized",
    "SOA-02001": "Service not available",
    "SOA-02002": "Service temporarily not available. Please try later",
    "SOA-03001": "Malformed message",
    "SOA-03002": "Message must be SOAP",
    "SOA-03003": "Message must contain SOAP body",
    "SOA-03004": "WS-I compliance failure",
    "SOA-03005": "WSDL compliance failure",
    "SOA-03006": "XSD compliance failure",
    "SOA-03007": "Message content validation failed",
}
RETRYABLE = {"SOA-00001", "SOA-02001", "SOA-02002"}


class Refusal(Exception):
    """The call is refused with a SOAP fault.

    ``code`` is what stands in the fault's detail, ``reason`` why, for whoever reads the answer;
    ``kind`` is SystemError or BusinessError; ``faultcode`` a qualified name.
    """

    def __init__(
        self, code: str, reason: str, *, kind: str = "SystemError", faultcode: str = "soap:Server"
    ) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        self.kind = kind
        self.faultcode = faultcode


@dataclass(frozen=True)
class Envelope:
    """A SOAP message whose outer structure has been checked."""

    root: etree._Element
    header: etree._Element | None
    body: etree._Element
    payload: etree._Element


def parse_xml(data: bytes) -> etree._Element:
    """A tree without comments or processing instructions; ``ValueError`` for bad XML or any DTD."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError("not well-formed") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("document type declarations are not allowed")
    return root


def read(data: bytes) -> Envelope:
    """The envelope in ``data``; refuses with SOA-03001, 03002 or 03003."""
    try:
        root = parse_xml(data)
    except ValueError as error:
        raise Refusal("SOA-03001", str(error)) from error
    if root.tag != f"{{{SOAP}}}Envelope":
        raise Refusal("SOA-03002", "the root is not a SOAP 1.1 envelope")
    parts = list(root)
    header = parts.pop(0) if parts and parts[0].tag == f"{{{SOAP}}}Header" else None
    if not parts or parts[0].tag != f"{{{SOAP}}}Body":
        raise Refusal("SOA-03003", "the envelope has no body in its place")
    if len(parts) != 1:
        raise Refusal("SOA-03002", "nothing may follow the body")
    if len(parts[0]) != 1:
        raise Refusal("SOA-03003", "the body must hold exactly one element")
    return Envelope(root, header, parts[0], parts[0][0])


_ONE_AT_A_TIME = threading.Lock()  # a compiled schema keeps the errors of its last run


@cache
def _schema() -> etree.XMLSchema:
    return etree.XMLSchema(file=str(wsdl.path("envelope.xsd")))


def check_schema(root: etree._Element) -> None:
    """Refuses with SOA-03006 what is not valid against the contract."""
    problem = schema_problem(root)
    if problem:
        raise Refusal("SOA-03006", problem)


def schema_problem(root: etree._Element) -> str:
    """What is wrong with a message or element under the contract; empty when it is valid."""
    with _ONE_AT_A_TIME:
        schema = _schema()
        if schema.validate(root):
            return ""
        last: Any = schema.error_log
        return str(last.last_error.message)[:300]


def text(element: etree._Element | None) -> str:
    """All the text inside, trimmed; empty when there is no element."""
    return "" if element is None else "".join(str(part) for part in element.itertext()).strip()


def new_id() -> str:
    """An identifier fit for xs:ID."""
    return f"_{uuid.uuid4().hex}"


class Message(bytes):
    """A message as it goes over HTTP; ``kind`` is its content type."""

    kind = "text/xml; charset=UTF-8"


@dataclass(frozen=True)
class WithParts:
    """A payload that refers to parts by ``cid:`` addresses, and the parts by their names."""

    payload: etree._Element
    parts: dict[str, bytes]


def envelope(content: etree._Element | WithParts) -> Message:
    """A whole message around a payload, which stays as it is; multipart/related when there are parts."""
    payload, parts = (content.payload, content.parts) if isinstance(content, WithParts) else (content, {})
    root = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP})
    etree.SubElement(root, f"{{{SOAP}}}Body").append(payload)
    octets = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return _in_parts(octets, parts) if parts else Message(octets)


def _in_parts(root: bytes, parts: dict[str, bytes]) -> Message:
    boundary, start = f"MIMEBoundary_{uuid.uuid4().hex}", f"<root.{uuid.uuid4().hex}@simulator>"
    pieces = [("text/xml; charset=UTF-8", "8bit", start, root)]
    pieces += [("application/octet-stream", "binary", f"<{name}>", octets) for name, octets in parts.items()]
    body = b"".join(
        f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n"
        f"Content-ID: {identifier}\r\n\r\n".encode()
        + octets
        + b"\r\n"
        for kind, encoding, identifier, octets in pieces
    )
    message = Message(body + f"--{boundary}--\r\n".encode())
    message.kind = f'multipart/related; type="text/xml"; start="{start}"; boundary="{boundary}"'
    return message


def fault(refusal: Refusal) -> bytes:
    """The message that tells ``refusal``; children of the error are unqualified but for Environment."""
    prefix = refusal.faultcode.partition(":")[0]
    nsmap = {"soap": SOAP, "wst": WST} if prefix == "wst" else {"soap": SOAP}
    element = etree.Element(f"{{{SOAP}}}Fault", nsmap=nsmap)
    etree.SubElement(element, "faultcode").text = refusal.faultcode
    etree.SubElement(element, "faultstring").text = refusal.code
    detail = etree.SubElement(element, "detail")
    error = etree.SubElement(detail, f"{{{ERR}}}{refusal.kind}", nsmap={"err": ERR}, Id=new_id())
    etree.SubElement(error, "Origin").text = "Consumer" if refusal.code.startswith("SOA-03") else "Server"
    etree.SubElement(error, "Code").text = refusal.code
    message = etree.SubElement(error, "Message", {f"{{{XML}}}lang": "en"})
    message.text = ": ".join(filter(None, [MESSAGES.get(refusal.code, ""), refusal.reason]))
    etree.SubElement(error, "Retry").text = "true" if refusal.code in RETRYABLE else "false"
    etree.SubElement(error, f"{{{ERR}}}Environment").text = "Simulation"
    return envelope(element)
