"""A small DER writer: just the types that a PKCS#12 file needs."""

NULL = b"\x05\x00"


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def tagged(tag: int, content: bytes) -> bytes:
    """One TLV with a single-octet tag."""
    return bytes([tag]) + _length(len(content)) + content


def integer(value: int) -> bytes:
    """A non-negative INTEGER."""
    return tagged(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octets(value: bytes) -> bytes:
    """An OCTET STRING."""
    return tagged(0x04, value)


def sequence(*items: bytes) -> bytes:
    """A SEQUENCE of already encoded items."""
    return tagged(0x30, b"".join(items))


def set_of(*items: bytes) -> bytes:
    """A SET OF, sorted as DER demands."""
    return tagged(0x31, b"".join(sorted(items)))


def bmp_string(text: str) -> bytes:
    """A BMPString (UTF-16, big endian)."""
    return tagged(0x1E, text.encode("utf-16-be"))


def explicit(number: int, content: bytes) -> bytes:
    """A context-specific, constructed tag around an encoded value."""
    return tagged(0xA0 | number, content)


def implicit(number: int, content: bytes) -> bytes:
    """A context-specific, primitive tag in place of the value's own tag."""
    return tagged(0x80 | number, content)


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER from its dotted form."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    body = bytes([40 * first + second])
    for arc in rest:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | (arc & 0x7F))
        body += bytes(reversed(groups))
    return tagged(0x06, body)
