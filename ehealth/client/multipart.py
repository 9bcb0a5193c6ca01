"""Answers in several parts (multipart/related): the envelope first, then what it refers to.

Both ways of referring are read: an address as the text of an element (SOAP with attachments), and an
xop:Include in the place of base64 (MTOM). Only what an envelope can need is accepted; anything odd is
Malformed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from ehealth.client import names
from ehealth.client.errors import Malformed
from ehealth.client.signatures import b64
from ehealth.client.xml import Element

KIND = "multipart/related"
MOST_PARTS = 32
_LONGEST_HEAD = 4096
_PARAMETER = re.compile(r';\s*([A-Za-z-]+)=("[^"\\\r\n]*"|[^\s;",\\()<>@:/\[\]?=]+)\s*')
_BOUNDARY = re.compile(r"[A-Za-z0-9'()+_,./:=?-]{1,70}")
_CONTENT_ID = re.compile(r"<([^<>\s]{1,200})>")
_ROOTS = frozenset({"text/xml", "application/xop+xml"})
_CHARSETS = frozenset({"", "utf-8", "utf-16"})
_ENCODINGS = frozenset({"", "binary", "8bit", "7bit"})
_INCLUDE = f"{{{names.XOP}}}Include"


@dataclass(frozen=True)
class Package:
    """The octets of the envelope, and those of the other parts by their identifier."""

    root: bytes
    attachments: Mapping[str, bytes] = field(repr=False)


def unpack(body: bytes, content_type: str) -> Package:
    """The parts of a body of that type, none within another, each attachment named once."""
    parameters = _parameters(content_type, KIND)
    root, *others = _parts(body, parameters.get("boundary", ""))
    kind = _media_type(root[0])
    if kind not in _ROOTS or parameters.get("type", "").lower() != kind:
        raise Malformed("type of the first part")
    start = parameters.get("start")
    if start is not None and root[0].get("content-id") != start:
        raise Malformed("the first part is not the root")
    attachments: dict[str, bytes] = {}
    for head, content in others:
        identifier = _identifier(head)
        if identifier in attachments:
            raise Malformed("two parts of one name")
        attachments[identifier] = content
    return Package(root[1], attachments)


def _parameters(value: str, expected: str) -> dict[str, str]:
    """Of a content type, which must be the expected one; names in small letters, each once."""
    kind, separator, rest = value.partition(";")
    if kind.strip().lower() != expected:
        raise Malformed("content type")
    found: dict[str, str] = {}
    rest = separator + rest
    while rest:
        parameter = _PARAMETER.match(rest)
        if parameter is None or parameter[1].lower() in found:
            raise Malformed("parameters of the content type")
        found[parameter[1].lower()] = parameter[2].strip('"')
        rest = rest[parameter.end() :]
    return found


def _parts(body: bytes, boundary: str) -> list[tuple[dict[str, str], bytes]]:
    """Head and content of every part; nothing but line ends may stand before the first or after the last."""
    if not _BOUNDARY.fullmatch(boundary):
        raise Malformed("boundary")
    before, *pieces = (b"\r\n" + body.removeprefix(b"\r\n")).split(b"\r\n--" + boundary.encode())
    if before or len(pieces) < 2 or pieces.pop() not in (b"--", b"--\r\n"):
        raise Malformed("not closed parts")
    if len(pieces) > MOST_PARTS:
        raise Malformed("too many parts")
    return [_part(piece) for piece in pieces]


def _part(piece: bytes) -> tuple[dict[str, str], bytes]:
    head, separator, content = piece.partition(b"\r\n\r\n")
    if not separator or not head.startswith(b"\r\n") or len(head) > _LONGEST_HEAD:
        raise Malformed("head of a part")
    fields: dict[str, str] = {}
    for line in head[2:].split(b"\r\n"):
        name, colon, value = line.decode("ascii", "replace").partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9-]+", name) or name.lower() in fields:
            raise Malformed("head of a part")
        fields[name.lower()] = value.strip()
    if fields.get("content-transfer-encoding", "").lower() not in _ENCODINGS:
        raise Malformed("encoding of a part")
    if fields.get("content-type", "").lower().startswith(("multipart/", "message/")):
        raise Malformed("parts within a part")
    return fields, content


def _media_type(head: Mapping[str, str]) -> str:
    value = head.get("content-type", "")
    kind = value.partition(";")[0].strip().lower()
    if _parameters(value, kind).get("charset", "").lower() not in _CHARSETS:
        raise Malformed("encoding of the first part")
    return kind


def _identifier(head: Mapping[str, str]) -> str:
    found = _CONTENT_ID.fullmatch(head.get("content-id", ""))
    if found is None:
        raise Malformed("a part without a name")
    return found[1]


class Attachments:
    """The other parts of an answer while it is read: each is handed out once, none may be left over."""

    def __init__(self, parts: Mapping[str, bytes]) -> None:
        self._left = dict(parts)

    def take(self, address: str) -> bytes:
        """The part at a `cid:` address."""
        scheme, _, identifier = address.partition(":")
        content = self._left.pop(unquote(identifier), None)
        if scheme.lower() != "cid" or content is None:
            raise Malformed("reference to no part, or to one already read")
        return content

    def include(self, root: Element) -> None:
        """Put the base64 of the parts in the place of every xop:Include."""
        for element in list(root.iter(_INCLUDE)):
            parent = element.getparent()
            alone = parent is not None and len(parent) == 1 and not (parent.text or "").strip()
            if not alone or len(element) or element.text or (element.tail or "").strip():
                raise Malformed("inclusion")
            if set(element.attrib) != {"href"}:
                raise Malformed("inclusion")
            content = self.take(element.get("href"))
            parent.remove(element)
            parent.text = b64(content)

    def refuse_left(self) -> None:
        """Malformed when a part was never referred to."""
        if self._left:
            raise Malformed("a part that nothing refers to")
