"""Fixtures: Chromium, one computer, one tab that must stay without complaint, a portal."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from tests.journeys.harness import server as harness
from tests.journeys.harness.bench import visit


@pytest.fixture(scope="module")
def key_browser(playwright: Playwright, browser_type_launch_args: dict[str, Any]) -> Iterator[Browser]:
    """The common Chromium, with one more host name: a page over plain http that is not localhost."""
    args = [*browser_type_launch_args.get("args", []), "--host-resolver-rules=MAP portail.test 127.0.0.1"]
    chromium = playwright.chromium.launch(**{**browser_type_launch_args, "args": args})
    yield chromium
    chromium.close()


@pytest.fixture
def desk() -> Iterator[harness.Portal]:
    desk, server = harness.start()
    yield desk
    server.shutdown()
    server.server_close()


@pytest.fixture
def computer(key_browser: Browser) -> Iterator[BrowserContext]:
    context = key_browser.new_context(accept_downloads=True)
    yield context
    context.close()


@pytest.fixture
def tab(computer: BrowserContext, desk: harness.Portal) -> Iterator[Page]:
    tab = computer.new_page()
    complaints: list[str] = []
    tab.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    yield tab
    unexpected = [line for line in complaints if "Failed to load resource" not in line]
    assert unexpected == []


@pytest.fixture
def modules(tab: Page, desk: harness.Portal) -> Page:
    visit(tab, desk, "generate")
    return tab
