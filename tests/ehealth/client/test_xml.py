"""The one parser of foreign XML: what it refuses, and that it fetches nothing."""

import pytest

from ehealth.client.errors import Malformed
from ehealth.client.xml import ids_are_unique, instant, parse, text_of

BOMB = b'<!DOCTYPE a [<!ENTITY b "' + b"x" * 50 + b'"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'
HOSTILE = {
    "empty": b"",
    "no XML": b"404 not found",
    "truncated": b"<a><b></a",
    "two roots": b"<a/><b/>",
    "entity bomb": BOMB,
    "external entity": b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>',
    "external DTD": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
    "public DTD": b'<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://www.w3.org/x.dtd"><html/>',
    "parameter entity": b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p">%p;]><a/>',
    "doctype in UTF-16": '\ufeff<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>'.encode("utf-16-le"),
    "unknown entity": b"<a>&nbsp;</a>",
    "latin 1": b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>',
    "declared latin 1": b'<?xml version="1.0" encoding="ISO-8859-1"?><a>e</a>',
    "declared UTF-7": b'<?xml version="1.0" encoding="UTF-7"?><a/>',
    "broken UTF-8": b"<a>\xff\xfe</a>",
    "unbound prefix": b"<p:a/>",
    "doubled attribute": b'<a b="1" b="2"/>',
    "control character": b"<a>\x00</a>",
    "deep": b"<a>" * 5000 + b"</a>" * 5000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_documents_are_malformed(kind: str) -> None:
    with pytest.raises(Malformed):
        parse(HOSTILE[kind])


def test_documents_in_utf_8_and_utf_16_are_read() -> None:
    assert parse("<a>é</a>".encode()).text == "é"
    assert parse('<?xml version="1.0" encoding="UTF-16"?><a>é</a>'.encode("utf-16")).text == "é"


def test_the_text_of_an_element_is_all_its_text_whatever_cuts_it() -> None:
    root = parse(b"<a><iban>1000<!-- -->4000<?x y?>5</iban></a>")
    assert root[0].text == "100040005"
    assert text_of(root, "iban") == "100040005"
    assert text_of(root, "bic") == ""


def test_identifiers_are_compared_across_their_names() -> None:
    assert ids_are_unique(parse(b'<a Id="1"><b ID="2"/></a>'))
    assert not ids_are_unique(parse(b'<a Id="1"><b AssertionID="1"/></a>'))
    assert not ids_are_unique(parse(b'<a Id="1"><b xmlns:u="urn:u" u:Id="1"/></a>'))


@pytest.mark.parametrize("text", ["", "2026-01-15", "2026-01-15T09:30:00", "soon", "2026-13-01T00:00:00Z"])
def test_an_instant_without_a_zone_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        instant(text)
