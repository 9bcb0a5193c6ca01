"""A real Chromium for the tests marked `browser`: found, never installed, strict about what the pages do.

Every console error, uncaught exception and failed request of a page fails the test at its end unless the test
allowed it with `allow_page_trouble("pattern")`. Without any Chromium the tests are skipped, loudly; under
CI=true they fail instead.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Playwright, Request, Response

ON_PATH = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    "no Chromium: set BROWSER_PATH, put chromium on PATH, or run `python -m playwright install chromium`; "
    "the browser tests did not run"
)
missing_reports: list[str] = []


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def on_path() -> str | None:
    return next(filter(None, map(shutil.which, ON_PATH)), None)


def find_browser(playwrights_own: str) -> str | None:
    """BROWSER_PATH, then Playwright's own browser, then PATH."""
    if given := os.environ.get("BROWSER_PATH"):
        return given
    return playwrights_own if Path(playwrights_own).exists() else on_path()


class Trouble:
    """What went wrong in the pages of one test, and what the test declared to be expected."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.allowed: list[re.Pattern[str]] = []

    def unexpected(self) -> list[str]:
        return [line for line in self.seen if not any(pattern.search(line) for pattern in self.allowed)]

    def watch(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("weberror", lambda error: self.seen.append(f"uncaught: {error.error}"))
        context.on("requestfailed", self._request_failed)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        # The response itself is recorded below; Chromium repeats it in the console, without its address.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.seen.append(f"console: {message.text}")

    def _request_failed(self, request: Request) -> None:
        # Leaving a page ends what it was still fetching.
        if request.failure != "net::ERR_ABORTED":
            self.seen.append(f"request: {request.method} {request.url} {request.failure}")

    def _response(self, response: Response) -> None:
        page_itself = response.request.is_navigation_request()
        if response.status >= 500 or (response.status >= 400 and not page_itself):
            self.seen.append(f"response: {response.request.method} {response.url} {response.status}")


@pytest.fixture
def allow_page_trouble(page_trouble: Trouble) -> Callable[[str], None]:
    """Declare a regular expression of console errors or failed requests that this test expects."""
    return lambda pattern: page_trouble.allowed.append(re.compile(pattern))


@pytest.fixture
def page_trouble() -> Iterator[Trouble]:
    """Collects the trouble of every page of the test; what was not expected fails the test."""
    trouble = Trouble()
    yield trouble
    unexpected = trouble.unexpected()
    if unexpected:
        pytest.fail("trouble in the pages:\n  " + "\n  ".join(unexpected), pytrace=False)


@pytest.fixture(scope="session")
def base_url() -> None:
    """Tests give whole addresses; takes the place of the one that tests.services keeps out."""


@pytest.fixture(scope="session")
def browser_type_launch_args(
    browser_type_launch_args: dict[str, Any], playwright: Playwright
) -> dict[str, Any]:
    """Which browser is started and how; root cannot have Chromium's sandbox."""
    path = find_browser(playwright.chromium.executable_path)
    if path is None:
        missing_reports.append(MISSING)
        pytest.fail(MISSING, pytrace=False) if in_ci() else pytest.skip(MISSING)
    arguments = [*browser_type_launch_args.get("args", []), *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    return {**browser_type_launch_args, "executable_path": path, "args": arguments}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """A Belgian reader's browser."""
    return {**browser_context_args, "locale": "fr-BE", "timezone_id": "Europe/Brussels"}


@pytest.fixture
def new_context(
    new_context: Callable[..., BrowserContext], page_trouble: Trouble
) -> Callable[..., BrowserContext]:
    """As pytest-playwright's, each context watched."""

    def watched(**options: Any) -> BrowserContext:
        context = new_context(**options)
        page_trouble.watch(context)
        return context

    return watched


def pytest_itemcollected(item: pytest.Item) -> None:
    """A test that asks for a page is a browser test, marked or not, before `-m` chooses."""
    if "browser" in getattr(item, "fixturenames", ()):
        item.add_marker("browser")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: the loop of the first one stays in its thread, and Django would take every
    later test for asynchronous code."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Playwright's synchronous API runs a loop in this thread, which Django takes for asynchronous code."""
    if item.get_closest_marker("browser"):
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if nextitem is None or not nextitem.get_closest_marker("browser"):
        os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Skipped browser tests must not look like a green run."""
    skipped = terminalreporter.stats.get("skipped", [])
    if missing_reports or any(MISSING in str(report.longrepr) for report in skipped):
        terminalreporter.write_line(f"BROWSER TESTS DID NOT RUN: {MISSING}", red=True, bold=True)
