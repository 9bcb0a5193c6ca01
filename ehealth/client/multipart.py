"""SOAP with attachments: the envelope and the parts it points at, out of one multipart/related body."""

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser

from ehealth.client.errors import Malformed

MULTIPART = "multipart/related"
MOST_PARTS = 20
LARGEST_HEAD = 4_096
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=?]{1,70}")
_CLOSING = re.compile(rb"--[ \t]*(\r\n.*)?", re.DOTALL)
_PLAIN = frozenset({"", "binary", "8bit", "7bit"})


@dataclass(frozen=True)
class Parts:
    """The octets of the root, and of each attachment by its Content-ID without brackets."""

    root: bytes
    attachments: Mapping[str, bytes] = field(repr=False)


def unpack(content_type: str, body: bytes) -> Parts:
    """The parts of a body with that Content-Type; Malformed for anything but a flat, closed, small one.

    The first part is the envelope, as every service of the platform sends it; a `start` that says
    otherwise is refused, and so are two parts of one name.
    """
    stated = Message()
    stated["Content-Type"] = content_type
    boundary = stated.get_boundary() or ""
    if not _BOUNDARY.fullmatch(boundary):
        raise Malformed("boundary")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if len(pieces) < 3 or len(pieces) > MOST_PARTS + 2:
        raise Malformed("number of parts")
    if pieces[0].strip() or not _CLOSING.fullmatch(pieces[-1]):
        raise Malformed("end of the parts")
    named = [_part(piece) for piece in pieces[1:-1]]
    start = str(stated.get_param("start") or "").strip("<>")
    if start and start != named[0][0]:
        raise Malformed("start of the parts")
    others = dict(named[1:])
    if len(others) != len(named) - 1 or "" in others:
        raise Malformed("names of the parts")
    return Parts(named[0][1], others)


def _part(piece: bytes) -> tuple[str, bytes]:
    """Content-ID without brackets and octets of one part."""
    opening, separator, content = piece.partition(b"\r\n\r\n")
    if not separator or len(opening) > LARGEST_HEAD or not opening.lstrip(b" \t").startswith(b"\r\n"):
        raise Malformed("head of a part")
    head = BytesHeaderParser().parsebytes(opening.lstrip() + b"\r\n\r\n")
    if head.defects or head.get_content_maintype() == "multipart":
        raise Malformed("head of a part")
    packing = str(head.get("Content-Transfer-Encoding", "")).strip().lower()
    return str(head.get("Content-ID", "")).strip().strip("<>"), _unpacked(content, packing)


def _unpacked(content: bytes, packing: str) -> bytes:
    if packing in _PLAIN:
        return content
    if packing != "base64":
        raise Malformed("encoding of a part")
    try:
        return b64decode(b"".join(content.split()), validate=True)
    except ValueError as error:
        raise Malformed("encoding of a part") from error
