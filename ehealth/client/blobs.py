"""The content of a MyCareNet Detail: base64, perhaps deflated, perhaps with a digest."""

import hashlib
import zlib
from base64 import b64decode

from ehealth.client.errors import Malformed
from ehealth.client.xml import Element

_LIMIT = 1024 * 1024


def octets_of(element: Element) -> bytes:
    """What the element's base64 stands for."""
    try:
        return b64decode("".join("".join(element.itertext()).split()), validate=True)
    except ValueError as error:
        raise Malformed("base64") from error


def content_of(detail: Element) -> bytes:
    """The uncompressed content, at most 1 MiB; deflate is the contract's default, raw first, then with its
    wrapper.
    """
    octets = octets_of(detail)
    encoding = detail.get("ContentEncoding", "deflate")
    if encoding not in ("none", "deflate"):
        raise Malformed("content encoding of the detail")
    content = octets if encoding == "none" else _inflated(octets)
    stated = detail.get("HashValue")
    if stated is not None and b64decode(stated) != hashlib.sha256(content).digest():
        raise Malformed("digest of the detail")
    return content


def _inflated(octets: bytes) -> bytes:
    for bits in (-zlib.MAX_WBITS, zlib.MAX_WBITS):
        unpacker = zlib.decompressobj(bits)
        try:
            content = unpacker.decompress(octets, _LIMIT)
        except zlib.error:
            continue
        if unpacker.eof:
            return content
    raise Malformed("compression of the detail")
