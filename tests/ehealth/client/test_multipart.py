"""Bodies in several parts, well made and hostile, and what their references may point at."""

from collections.abc import Callable

import pytest
from lxml import etree

from ehealth.client import names
from ehealth.client.errors import Malformed
from ehealth.client.multipart import MOST_PARTS, Attachments, unpack

KIND = 'multipart/related; type="text/xml"; start="<root@x>"; boundary="=_b"'
ROOT = (b"Content-Type: text/xml; charset=utf-8\r\nContent-ID: <root@x>", b"<a/>")
ONE = (
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <one@x>",
    b"\0\r\n--=_\r",
)


def body(*parts: tuple[bytes, bytes], end: bytes = b"--\r\n") -> bytes:
    pieces = [b"--=_b\r\n" + head + b"\r\n\r\n" + content + b"\r\n" for head, content in parts]
    return b"".join(pieces) + b"--=_b" + end


def test_the_root_and_the_other_parts_come_out_byte_for_byte() -> None:
    for octets in (body(ROOT, ONE), b"\r\n" + body(ROOT, ONE), body(ROOT, ONE, end=b"--")):
        found = unpack(octets, KIND)
        assert (found.root, dict(found.attachments)) == (b"<a/>", {"one@x": ONE[1]})


def test_a_root_alone_and_one_for_inclusions_are_as_good() -> None:
    assert unpack(body(ROOT), KIND).attachments == {}
    packed = (
        b'Content-Type: application/xop+xml; charset=UTF-8; type="text/xml"\r\nContent-ID: <root@x>',
        b"<a/>",
    )
    kind = KIND.replace('type="text/xml"', 'start-info="text/xml"; type="application/xop+xml"')
    assert unpack(body(packed), kind).root == b"<a/>"


def changed(old: bytes, new: bytes, part: tuple[bytes, bytes] = ONE) -> bytes:
    assert old in part[0]
    return body(ROOT, (part[0].replace(old, new), part[1]))


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", KIND),
    "no part": (b"--=_b--\r\n", KIND),
    "never closed": (body(ROOT, end=b"\r\n"), KIND),
    "cut in the middle": (body(ROOT, ONE)[:-20], KIND),
    "something before": (b"hello\r\n" + body(ROOT), KIND),
    "something behind": (body(ROOT) + b"more", KIND),
    "a part behind the end": (body(ROOT) + body(ONE), KIND),
    "another boundary": (body(ROOT), KIND.replace("=_b", "=_c")),
    "a boundary that goes on": (body(ROOT).replace(b"--=_b--", b"--=_bx--"), KIND),
    "no boundary": (body(ROOT), KIND.replace('; boundary="=_b"', "")),
    "an empty boundary": (body(ROOT), KIND.replace("=_b", "")),
    "a boundary too long": (body(ROOT).replace(b"=_b", b"b" * 71), KIND.replace("=_b", "b" * 71)),
    "two boundaries": (body(ROOT), KIND + '; boundary="=_b"'),
    "parameters that are none": (body(ROOT), KIND + "; nonsense"),
    "another kind of multipart": (body(ROOT), KIND.replace("related", "mixed")),
    "bare line feeds": (body(ROOT, ONE).replace(b"\r\n", b"\n"), KIND),
    "no head": (b"--=_b\r\n<a/>\r\n--=_b--", KIND),
    "a head that is none": (changed(b"text/plain", b"text/plain\r\nnonsense"), KIND),
    "a folded head": (changed(b"text/plain", b"text/plain;\r\n charset=x"), KIND),
    "a doubled head": (changed(b"text/plain", b"a/b\r\nContent-Type: text/plain"), KIND),
    "a head without end": (changed(b"text/plain", b"text/plain\r\nX: " + b"x" * 5000), KIND),
    "a head in another script": (changed(b"Content-ID:", "Content-İD:".encode()), KIND),
    "an encoded part": (changed(b"binary", b"quoted-printable"), KIND),
    "parts within a part": (changed(b"text/plain", b"multipart/mixed; boundary=c"), KIND),
    "a message within a part": (changed(b"text/plain", b"Message/RFC822"), KIND),
    "a part without a name": (changed(b"Content-ID: <one@x>", b"X-Name: one"), KIND),
    "a name without brackets": (changed(b"<one@x>", b"one@x"), KIND),
    "two parts of one name": (body(ROOT, ONE, ONE), KIND),
    "too many parts": (
        body(ROOT, *((ONE[0].replace(b"one", b"n%d" % n), b"") for n in range(MOST_PARTS))),
        KIND,
    ),
    "a root that comes later": (body(ONE, ROOT), KIND),
    "a root of another name": (body(ROOT), KIND.replace("root@x", "one@x")),
    "a root of another type": (body((ROOT[0].replace(b"text/xml", b"text/html"), b"<a/>")), KIND),
    "a root other than announced": (body(ROOT), KIND.replace("text/xml", "application/xop+xml")),
    "a root in another encoding": (body((ROOT[0].replace(b"utf-8", b"utf-7"), b"<a/>")), KIND),
    "a type that nobody announced": (body(ROOT), KIND.replace('type="text/xml"; ', "")),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_anything_odd_is_malformed(case: str) -> None:
    octets, kind = HOSTILE[case]
    with pytest.raises(Malformed):
        unpack(octets, kind)


def including(inner: str) -> etree._Element:
    return etree.fromstring(f'<r xmlns:x="{names.XOP}">{inner}</r>')


def test_an_inclusion_becomes_the_base64_of_its_part() -> None:
    parts = Attachments({"one@x": b"\0\1", "a b@x": b"two"})
    root = including('<a>\n<x:Include href="cid:one@x"/>\n</a><b><x:Include href="cid:a%20b@x"/></b>')
    parts.include(root)
    assert [child.text for child in root] == ["AAE=", "dHdv"]
    parts.refuse_left()


BAD = {
    "to no part": '<a><x:Include href="cid:two@x"/></a>',
    "to one part twice": '<a><x:Include href="cid:one@x"/></a><b><x:Include href="cid:one@x"/></b>',
    "to an address elsewhere": '<a><x:Include href="http://example.org/one@x"/></a>',
    "to a file": '<a><x:Include href="file:///etc/passwd"/></a>',
    "to nothing": "<a><x:Include/></a>",
    "with text beside it": '<a>x<x:Include href="cid:one@x"/></a>',
    "with text behind it": '<a><x:Include href="cid:one@x"/>x</a>',
    "with a sister": '<a><b/><x:Include href="cid:one@x"/></a>',
    "with a child": '<a><x:Include href="cid:one@x"><b/></x:Include></a>',
    "with more to say": '<a><x:Include href="cid:one@x" b="c"/></a>',
}


@pytest.mark.parametrize("case", BAD)
def test_an_inclusion_that_is_odd_is_malformed(case: str) -> None:
    with pytest.raises(Malformed):
        Attachments({"one@x": b"1"}).include(including(BAD[case]))


def taken_twice(parts: Attachments) -> None:
    parts.take("cid:one@x")
    parts.take("cid:one@x")


@pytest.mark.parametrize(
    "use", [taken_twice, lambda parts: parts.take("one@x"), lambda parts: parts.refuse_left()]
)
def test_a_part_is_read_exactly_once(use: Callable[[Attachments], object]) -> None:
    with pytest.raises(Malformed):
        use(Attachments({"one@x": b"1"}))
