"""Bounded reader of the outside of a PKCS#12 file (RFC 7292), without its password.

``load_pkcs12`` of the cryptography library obeys any iteration count, takes a file without MAC or
with bytes after its end, and returns the first private key only. This reader looks first: DER and
BER (Java writes indefinite lengths), bounded in depth, nodes, bags and rounds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

DEEPEST = 64
MOST_NODES = 20_000
MOST_BAGS = 20
MOST_ROUNDS = 1_000_000
MOST_ROUNDS_TOGETHER = 2_000_000

SEQUENCE, SET, OID, INTEGER, OCTETS, OCTETS_BUILT = 0x30, 0x31, 0x06, 0x02, 0x04, 0x24
CONTEXT_0, CONTEXT_0_BUILT = 0x80, 0xA0
BMP_STRING = 0x1E
_BUILT = 0x20
_END_OF_CONTENTS = b"\0\0"


def oid(dotted: str) -> bytes:
    """Content octets of an object identifier."""
    first, second, *rest = (int(part) for part in dotted.split("."))
    octets = bytearray()
    for number in (40 * first + second, *rest):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(number & 0x7F | 0x80)
        octets += bytes(reversed(groups))
    return bytes(octets)


DATA = oid("1.2.840.113549.1.7.1")
ENCRYPTED_DATA = oid("1.2.840.113549.1.7.6")
SHROUDED_KEY_BAG = oid("1.2.840.113549.1.12.10.1.2")
PLAIN_KEY_BAG = oid("1.2.840.113549.1.12.10.1.1")
CERTIFICATE_BAG = oid("1.2.840.113549.1.12.10.1.3")
FRIENDLY_NAME = oid("1.2.840.113549.1.9.20")
LOCAL_KEY_ID = oid("1.2.840.113549.1.9.21")
PBES2 = oid("1.2.840.113549.1.5.13")
PBKDF2 = oid("1.2.840.113549.1.5.12")
PBMAC1 = oid("1.2.840.113549.1.5.14")
# PKCS#12's own schemes and those of PKCS#5 version 1 start so; their parameters are salt and rounds.
_SIMPLE_SCHEMES = (oid("1.2.840.113549.1.12.1"), oid("1.2.840.113549.1.5"))


class NotReadable(ValueError):
    """The file is refused; code is not_pkcs12, no_mac, too_many_rounds, too_many_bags or unsupported."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Node:
    """One value: identifier octet, content when primitive, children when constructed."""

    tag: int
    content: bytes = field(default=b"", repr=False)
    children: tuple["Node", ...] = ()

    def der(self) -> bytes:
        """The value with definite, shortest lengths."""
        body = b"".join(child.der() for child in self.children) if self.tag & _BUILT else self.content
        return bytes([self.tag]) + _length(len(body)) + body

    def octets(self) -> bytes:
        """Content of an octet string, put together when it came in pieces."""
        if self.tag & _BUILT:
            return b"".join(child.octets() for child in self.children)
        return self.content

    def expect(self, *tags: int) -> "Node":
        """Itself, when it has one of the tags."""
        if self.tag not in tags:
            raise NotReadable("not_pkcs12")
        return self

    def child(self, index: int, *tags: int) -> "Node":
        if index >= len(self.children):
            raise NotReadable("not_pkcs12")
        return self.children[index].expect(*tags) if tags else self.children[index]

    def number(self) -> int:
        return int.from_bytes(self.expect(INTEGER).content, "big", signed=True)


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def sequence(*children: Node) -> Node:
    return Node(SEQUENCE, children=children)


class _Reader:
    """Reads one value and refuses anything after it. Counts nodes over all files it is used on."""

    def __init__(self) -> None:
        self._nodes = 0

    def read(self, data: bytes) -> Node:
        node, end = self._node(data, 0, len(data), 0)
        if end != len(data):
            raise NotReadable("not_pkcs12")
        return node

    def _node(self, data: bytes, start: int, end: int, depth: int) -> tuple[Node, int]:
        self._nodes += 1
        if depth > DEEPEST or self._nodes > MOST_NODES or start + 2 > end:
            raise NotReadable("not_pkcs12")
        tag, size, body = data[start], data[start + 1], start + 2
        if tag & 0x1F == 0x1F:
            raise NotReadable("not_pkcs12")
        if size == 0x80:
            return self._indefinite(data, body, end, depth, tag)
        if size > 0x80:
            size, body = _long_length(data, body, end, size & 0x7F)
        if body + size > end:
            raise NotReadable("not_pkcs12")
        if not tag & _BUILT:
            return Node(tag, data[body : body + size]), body + size
        return Node(tag, children=tuple(self._children(data, body, body + size, depth))), body + size

    def _children(self, data: bytes, start: int, end: int, depth: int) -> Iterator[Node]:
        while start < end:
            node, start = self._node(data, start, end, depth + 1)
            yield node

    def _indefinite(self, data: bytes, start: int, end: int, depth: int, tag: int) -> tuple[Node, int]:
        if not tag & _BUILT:
            raise NotReadable("not_pkcs12")
        children = []
        while data[start : start + 2] != _END_OF_CONTENTS:
            node, start = self._node(data, start, end, depth + 1)
            children.append(node)
        if start + 2 > end:
            raise NotReadable("not_pkcs12")
        return Node(tag, children=tuple(children)), start + 2


def _long_length(data: bytes, start: int, end: int, octets: int) -> tuple[int, int]:
    if octets > 4 or start + octets > end:
        raise NotReadable("not_pkcs12")
    return int.from_bytes(data[start : start + octets], "big"), start + octets


@dataclass(frozen=True, slots=True)
class Mac:
    """How the file is authenticated: algorithm (a sequence), digest, salt and rounds."""

    algorithm: Node
    digest: bytes
    salt: bytes
    rounds: int


@dataclass(frozen=True, slots=True)
class KeyBag:
    """A private key as it lies in the file: PKCS#8, encrypted unless ``plain``."""

    alias: str
    local_id: bytes
    pkcs8: bytes = field(repr=False)
    plain: bool


@dataclass(frozen=True, slots=True)
class Pfx:
    """What can be seen without the password.

    ``signed`` are the bytes under the MAC; ``certificates_only`` is the authenticated safe without
    its visible key bags, in DER.
    """

    mac: Mac
    signed: bytes = field(repr=False)
    certificates_only: bytes = field(repr=False)
    keys: tuple[KeyBag, ...]


def read(data: bytes) -> Pfx:
    """Read a PKCS#12 file within the bounds, or raise ``NotReadable``."""
    reader = _Reader()
    outer = reader.read(data).expect(SEQUENCE)
    if outer.child(0).number() != 3:
        raise NotReadable("not_pkcs12")
    signed = _data(outer.child(1, SEQUENCE))
    if len(outer.children) < 3:
        raise NotReadable("no_mac")
    mac = _mac(outer.child(2, SEQUENCE))
    parts = _Parts(reader)
    safe = sequence(*map(parts.content_info, reader.read(signed).expect(SEQUENCE).children))
    _check_rounds([mac.rounds, *parts.rounds])
    return Pfx(mac, signed, safe.der(), tuple(parts.keys))


def _data(info: Node) -> bytes:
    if info.child(0, OID).content != DATA:
        raise NotReadable("unsupported")
    return info.child(1, CONTEXT_0_BUILT).child(0, OCTETS, OCTETS_BUILT).octets()


def _mac(node: Node) -> Mac:
    info = node.child(0, SEQUENCE)
    algorithm = info.child(0, SEQUENCE)
    rounds = node.child(2).number() if len(node.children) > 2 else 1
    if algorithm.child(0, OID).content == PBMAC1:
        rounds = _derivation_rounds(algorithm.child(1, SEQUENCE).child(0, SEQUENCE))
    return Mac(algorithm, info.child(1, OCTETS).octets(), node.child(1, OCTETS).octets(), rounds)


def _check_rounds(rounds: list[int]) -> None:
    if not all(1 <= count <= MOST_ROUNDS for count in rounds) or sum(rounds) > MOST_ROUNDS_TOGETHER:
        raise NotReadable("too_many_rounds")


def scheme_rounds(algorithm: Node) -> int:
    """Iteration count of an encryption algorithm identifier; raise for schemes we do not bound."""
    name = algorithm.child(0, OID).content
    if name == PBES2:
        return _derivation_rounds(algorithm.child(1, SEQUENCE).child(0, SEQUENCE))
    if name.startswith(_SIMPLE_SCHEMES):
        return algorithm.child(1, SEQUENCE).child(1).number()
    raise NotReadable("unsupported")


def _derivation_rounds(derivation: Node) -> int:
    if derivation.child(0, OID).content != PBKDF2:
        raise NotReadable("unsupported")
    return derivation.child(1, SEQUENCE).child(1).number()


class _Parts:
    """Collects keys and rounds while it copies the safe without its key bags."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self._bags = 0
        self.keys: list[KeyBag] = []
        self.rounds: list[int] = []

    def content_info(self, info: Node) -> Node:
        if info.expect(SEQUENCE).child(0, OID).content == ENCRYPTED_DATA:
            return self._encrypted(info)
        bags = self._reader.read(_data(info)).expect(SEQUENCE)
        kept = sequence(*(bag for bag in bags.children if not self._take_key(bag)))
        return sequence(info.child(0), _explicit(Node(OCTETS, kept.der())))

    def _encrypted(self, info: Node) -> Node:
        body = info.child(1, CONTEXT_0_BUILT).child(0, SEQUENCE)
        content = body.child(1, SEQUENCE)
        self.rounds.append(scheme_rounds(content.child(1, SEQUENCE)))
        hidden = Node(CONTEXT_0, content.child(2, CONTEXT_0, CONTEXT_0_BUILT).octets())
        whole = sequence(content.child(0), content.child(1), hidden)
        return sequence(info.child(0), _explicit(sequence(body.child(0), whole)))

    def _take_key(self, bag: Node) -> bool:
        self._bags += 1
        if self._bags > MOST_BAGS:
            raise NotReadable("too_many_bags")
        kind = bag.expect(SEQUENCE).child(0, OID).content
        if kind not in {SHROUDED_KEY_BAG, PLAIN_KEY_BAG}:
            return False
        self._keep_key(bag, is_plain=kind == PLAIN_KEY_BAG)
        return True

    def _keep_key(self, bag: Node, *, is_plain: bool) -> None:
        value = bag.child(1, CONTEXT_0_BUILT).child(0, SEQUENCE)
        if not is_plain:
            self.rounds.append(scheme_rounds(value.child(0, SEQUENCE)))
        alias = _attribute(bag, FRIENDLY_NAME).decode("utf-16-be", "replace")
        self.keys.append(KeyBag(alias, _attribute(bag, LOCAL_KEY_ID), _flat_pkcs8(value).der(), is_plain))


def _flat_pkcs8(value: Node) -> Node:
    """The same key with octet strings in one piece."""
    return Node(value.tag, children=tuple(_flat_octets(child) for child in value.children))


def _flat_octets(node: Node) -> Node:
    return Node(OCTETS, node.octets()) if node.tag == OCTETS_BUILT else node


def _explicit(node: Node) -> Node:
    return Node(CONTEXT_0_BUILT, children=(node,))


def _attribute(bag: Node, name: bytes) -> bytes:
    """First value of a bag attribute, empty when absent."""
    if len(bag.children) < 3:
        return b""
    for attribute in bag.child(2, SET).children:
        if attribute.child(0, OID).content == name:
            return attribute.child(1, SET).child(0).octets()
    return b""
