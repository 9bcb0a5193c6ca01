"""ETK depot: which encryption certificate others use to write to a person."""

from collections.abc import Iterator
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID
from lxml import etree

from ehealth.client import names
from ehealth.client.blobs import octets_of
from ehealth.client.contracts import message
from ehealth.client.conversation import Question, Received, Trace, ask
from ehealth.client.errors import Detail, Malformed, NotAuthentic, Refused, clean
from ehealth.client.platform import Platform
from ehealth.client.xml import text_of

_FOUND = "200"
_NONE = "404"
_SEQUENCE, _OID, _OCTETS, _EXPLICIT = 0x30, 0x06, 0x04, 0xA0
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_NS = {"k": names.ETK, "s": names.STATUS}


def encryption_serial(
    platform: Platform, ssin: str, *, now: datetime, trace: Trace | None = None
) -> str | None:
    """The serial number, in decimal as in keystore aliases, of the published encryption certificate.

    None when the depot knows no token of this person. Refused for the depot's other codes, NotAuthentic when
    the token is somebody else's; other PlatformErrors. Good for a comparison, not for sealing: the signer of
    the token is not verified.
    """

    def build(_moment: datetime) -> bytes:
        identifier = {"Type": "SSIN", "Value": ssin, "ApplicationID": ""}
        envelope = message("etk.wsdl", "GetEtk", SearchCriteria={"Identifier": [identifier]})
        octets: bytes = etree.tostring(envelope, encoding="UTF-8", xml_declaration=True)
        return octets

    def read(answer: Received) -> str | None:
        return _serial(answer, ssin)

    question = Question("etk", "GetEtk", "", f"{{{names.ETK}}}GetEtkResponse", build)
    return ask(platform, question, read, now=now, trace=trace)


def _serial(answer: Received, ssin: str) -> str | None:
    code = text_of(answer.element, "s:Status/Code", _NS)
    if code == _NONE:
        return None
    token = answer.element.find("k:ETK", _NS)
    if code != _FOUND:
        raise Refused(code, [Detail(code, message=clean(text_of(answer.element, "s:Status/Message", _NS)))])
    if token is None:
        raise Malformed("no single token")
    certificate = enclosed_certificate(octets_of(token))
    units = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    if f"SSIN={ssin}" not in [unit.value for unit in units]:
        raise NotAuthentic("token of another person")
    return str(certificate.serial_number)


def enclosed_certificate(token: bytes) -> x509.Certificate:
    """The certificate that is the content of a CMS SignedData in DER; Malformed for anything else."""
    try:
        kind, wrapped = _children(_only(token, _SEQUENCE))[:2]
        if kind != (_OID, _SIGNED_DATA):
            raise ValueError("not signed data")
        signed = _children(_only(_value(wrapped, _EXPLICIT), _SEQUENCE))
        enclosed = _children(_value(signed[2], _SEQUENCE))
        content = _only(_value(enclosed[1], _EXPLICIT), _OCTETS)
        return x509.load_der_x509_certificate(content)
    except (ValueError, IndexError) as error:
        raise Malformed("token") from error


def _children(octets: bytes) -> list[tuple[int, bytes]]:
    return list(_items(octets))


def _items(octets: bytes) -> Iterator[tuple[int, bytes]]:
    while octets:
        tag, size, head = octets[0], octets[1], 2
        if size & 0x80:
            head += size & 0x7F
            size = int.from_bytes(octets[2:head], "big")
        if (head == 2 and octets[1] == 0x80) or head + size > len(octets):
            raise ValueError("length")
        yield tag, octets[head : head + size]
        octets = octets[head + size :]


def _value(item: tuple[int, bytes], tag: int) -> bytes:
    if item[0] != tag:
        raise ValueError("tag")
    return item[1]


def _only(octets: bytes, tag: int) -> bytes:
    (item,) = _children(octets)
    return _value(item, tag)
