"""The one place where XML of others is parsed, and the few questions asked of any document."""

import codecs
import re
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from ehealth.client.errors import Malformed

# lxml declares no types of its own; an element is one opaque thing to the checker.
Element = Any
_DECLARED = re.compile(r"^\s*<\?xml[^>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ID_NAMES = frozenset({"Id", "ID", "id", "AssertionID"})


def parse(data: bytes) -> Element:
    """The root of a document in UTF-8 or UTF-16; Malformed for anything else, and for any DOCTYPE.

    No entity, no network, no DTD; comments and processing instructions are dropped, so that the text of an
    element is all its text.
    """
    _refuse_unsafe(data)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False,
        remove_comments=True, remove_pis=True, recover=False,
    )  # fmt: skip
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Malformed("not well-formed") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise Malformed("doctype")
    return root


def _refuse_unsafe(data: bytes) -> None:
    encoding, name = ("utf-16", "utf-16") if data.startswith(_UTF16) else ("utf-8-sig", "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Malformed("encoding") from error
    declared = _DECLARED.match(text)
    if declared and not declared[1].lower() == name:
        raise Malformed("encoding")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Malformed("doctype")


def canonical(element: Element, prefixes: list[str] | None = None) -> bytes:
    """The exclusive canonical form, without comments."""
    octets: bytes = etree.tostring(
        element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=prefixes
    )
    return octets


def ids_are_unique(root: Element) -> bool:
    """Whether no two elements bear the same identifier, whatever the attribute is called."""
    seen: list[str] = [
        value
        for element in root.iter(etree.Element)
        for name, value in element.attrib.items()
        if etree.QName(name).localname in _ID_NAMES
    ]
    return len(seen) == len(set(seen))


def text_of(element: Element, path: str, namespaces: dict[str, str] | None = None) -> str:
    """The whole text of the first element at the path, stripped; empty when there is none."""
    found = element.find(path, namespaces)
    return "" if found is None else "".join(found.itertext()).strip()


def instant(text: str) -> datetime:
    """An xs:dateTime with its zone, in UTC; Malformed otherwise."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Malformed("date") from error
    if moment.tzinfo is None:
        raise Malformed("date")
    return moment.astimezone(UTC)


def stamp(moment: datetime) -> str:
    """The form of an instant on the wire: UTC, milliseconds, Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
