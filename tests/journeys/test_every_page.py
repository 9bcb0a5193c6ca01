"""Every page as it is seen: wide and narrow, light and dark, in French and in the longest words of German.

Accessibility rules on each, no sideways scrolling down to 320 px, no error in the console, nothing asked
from another host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import resolve
from playwright.sync_api import BrowserContext
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from tests.cast import SECTIONS, Visit, visits
from tests.conftest import sign_in
from tests.journeys.visitor import AXE, OPTIONS, WIDE, Visitor

PHONE, SMALLEST = {"width": 360, "height": 780}, {"width": 320, "height": 640}
# All rules where most differs; what depends on colours alone for the other two.
LOOKS: list[tuple[dict[str, int], str, dict[str, Any]]] = [
    (WIDE, "light", OPTIONS),
    (WIDE, "dark", {"runOnly": ["color-contrast"], "preload": False}),
    (PHONE, "dark", OPTIONS),
    (PHONE, "light", {"runOnly": ["color-contrast"], "preload": False}),
]
# Pages that show other fields or lines to other kinds of people.
PERSONS = ("doctor", "beginner", "trainee", "house", "receptionist")
OF_THE_PERSON = ("home", *SECTIONS[:3], "billing:financial")
# Parts of pages; an answer to a script; a page whose script goes on by itself, seen in the key journeys.
NO_PAGES = (
    "ehealth:connection_state", "ehealth:edmg_state", "ehealth:checks_state", "accounts:key_session",
    "practitioners:import_state", "practitioners:import_template",
)  # fmt: skip


OF_STATES = ("ehealth:", "accounts:key", "practitioners:import", "practitioners:practice", "accounts:billing")


def distinct() -> Iterator[Visit]:
    """Each page once for each kind of reader and each state, without those that differ by words only."""
    seen = set()
    for visit in visits():
        name = resolve(visit.path.split("?")[0]).view_name if visit.status != 404 else "404"
        kind = (look_of(name), state_of(visit, name))
        if name not in NO_PAGES and visit.status != 302 and kind not in seen:
            seen.add(kind)
            yield visit


def look_of(name: str) -> str:
    """The lists of support differ by their columns, its rows by their facts: one template each."""
    return re.sub(r"^support:\w+_(changelist|change)$", r"support \1", name)


def state_of(visit: Visit, name: str) -> str:
    """What makes a page look otherwise than for the next reader."""
    first = visit.who.split()[0]
    if first in ("manager", "admin"):
        return "about somebody"
    if name in OF_THE_PERSON:
        return first if first not in ("connection", "eDMG") else "doctor"
    return visit.who if name.startswith(OF_STATES) and first not in PERSONS else ""


def cookies(visit: Visit, origin: str, language: str) -> list[Any]:
    values = {django_settings.LANGUAGE_COOKIE_NAME: language}
    if visit.user:
        client = sign_in(Client(), visit.user)
        session = client.session
        session.update(visit.session)
        session.save()
        values[django_settings.SESSION_COOKIE_NAME] = client.cookies["sessionid"].value
    return [{"name": name, "value": value, "url": origin} for name, value in values.items()]


def width(visitor: Visitor, size: dict[str, int]) -> int:
    visitor.page.set_viewport_size(size)  # type: ignore[arg-type]
    return int(visitor.page.evaluate("document.documentElement.scrollWidth"))


def scrolling(visitor: Visitor, visit: Visit, language: str) -> Iterator[str]:
    for size in (SMALLEST, PHONE, WIDE):
        found = width(visitor, size)
        if found > size["width"]:
            yield f"{visit} ({language}): {found} px wide on {size['width']}"


def broken_rules(visitor: Visitor, visit: Visit) -> Iterator[str]:
    for size, scheme, options in LOOKS:
        visitor.page.set_viewport_size(size)  # type: ignore[arg-type]
        visitor.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for rule in AXE.run(visitor.page, options=options).response["violations"]:
            nodes = "; ".join(node["html"][:160] for node in rule["nodes"][:3])
            yield f"{visit} ({size['width']} {scheme}): {rule['id']}: {nodes}"


# In parts, so that parallel runs share the work.
PARTS = 4


@pytest.mark.browser
@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_can_be_used_by_everybody(
    part: int, live_server: LiveServer, settings: Settings, new_context: Callable[..., BrowserContext]
) -> None:
    settings.PORTAL_ORIGIN = live_server.url
    context = new_context(viewport=WIDE)
    visitor = Visitor(context, live_server.url)
    wrong: list[str] = []
    pages = 0
    for visit in islice(distinct(), part, None, PARTS):
        pages += 1
        given = cookies(visit, live_server.url, "fr")
        for language in ("fr", "de"):
            context.clear_cookies()
            context.add_cookies([*given[1:], *cookies(Visit("", None, ""), live_server.url, language)])
            visitor.open(visit.path)
            wrong += scrolling(visitor, visit, language)
            if language == "fr":
                wrong += broken_rules(visitor, visit)
    visitor.leave()
    print(f"\n{pages} pages, {pages * len(LOOKS)} runs of the rules")  # noqa: T201
    assert not wrong, "\n" + "\n".join(wrong)
