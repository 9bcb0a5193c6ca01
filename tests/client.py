"""A test client that reads every page it receives as a strict browser and a strict reviewer would."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import html5lib
from django.http import HttpResponse
from django.test import Client

QUERY_CEILING = 40


class CheckingClient(Client):
    """Fails a test whose page is not HTML5, has no single h1, repeats ids, leaves a field unlabelled,
    carries inline code, or shows an unrendered tag."""

    def request(self, **request: Any) -> HttpResponse:
        response = super().request(**request)
        if (
            response.headers.get("Content-Type", "").startswith("text/html")
            and not response.streaming
            and response.content
        ):
            check_page(response.content.decode())
        return response


def check_page(html: str) -> None:
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    is_page = "<html" in html
    tree = parser.parse(html) if is_page else parser.parseFragment(html)
    assert not parser.errors, parser.errors
    elements = list(tree.iter())
    elements = [element for element in elements if isinstance(element.tag, str)]
    if is_page:
        assert sum(element.tag == "h1" for element in elements) == 1, "one h1 a page"
        assert tree.get("lang"), "the page names its language"
    ids = Counter(element.get("id") for element in elements if element.get("id"))
    assert not [name for name, count in ids.items() if count > 1], ids
    _check_code(elements)
    _check_labels(elements, set(ids))
    text = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    assert "{{" not in text and "{%" not in text, "an unrendered tag"


def _check_code(elements: list[Any]) -> None:
    for element in elements:
        handlers = [name for name in element.attrib if name.startswith("on") or name == "style"]
        assert not handlers, (element.tag, handlers)
        assert element.tag != "style", "no inline style"
        assert element.tag != "script" or element.get("src"), "no inline script"
        for name in ("src", "href", "action"):
            assert not element.get(name, "").startswith(("http:", "https:", "//", "javascript:")) or _own(
                element, name
            ), (
                element.tag,
                element.get(name),
            )


def _own(element: Any, name: str) -> bool:
    """Links to other sites are for people to click; nothing is loaded from them."""
    return element.tag == "a" and name == "href" and not element.get(name, "").startswith("javascript:")


def _check_labels(elements: list[Any], ids: set[str]) -> None:
    labelled = {element.get("for") for element in elements if element.tag == "label"}
    for element in elements:
        if element.tag in ("select", "textarea") or (
            element.tag == "input" and element.get("type", "text") not in ("hidden", "submit", "button")
        ):
            named = (
                element.get("id") in labelled or element.get("aria-label") or element.get("aria-labelledby")
            )
            assert named, (element.tag, element.get("name"))
        for reference in element.get("aria-describedby", "").split():
            assert reference in ids, f"{reference} describes nothing"
