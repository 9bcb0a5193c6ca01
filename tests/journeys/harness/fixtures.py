"""Fixtures: Chromium, one computer, one tab that must stay without complaint, a portal."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from tests.journeys.harness import server as harness
from tests.journeys.harness.bench import visit

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")


@pytest.fixture(scope="module")
def key_browser(playwright: Playwright) -> Iterator[Browser]:
    rules = "--host-resolver-rules=MAP portail.test 127.0.0.1"
    chromium = playwright.chromium.launch(args=["--no-sandbox", rules], executable_path=CHROMIUM)
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
