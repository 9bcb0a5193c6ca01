"""A person at a browser: counts clicks, looks at each page as it is shown, keeps pictures when asked."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, FilePayload, Locator, Page, Request, expect

TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS: dict[str, Any] = {
    "runOnly": {"type": "tag", "values": TAGS},
    "resultTypes": ["violations"],
    "preload": False,
}
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 780}
SLOW = 45_000
AXE = Axe()


class Visitor:
    """One page of one browser context against the running portal.

    `look` is called on every page a journey shows: accessibility rules, no sideways scrolling at 360 px, no
    raw template, pictures. At the end `leave` fails when anything was asked from another host.
    """

    def __init__(self, context: BrowserContext, origin: str, *, script: bool = True) -> None:
        self.context = context
        self.origin = origin
        self.script = script
        self.clicks = self.typed = 0
        self.began = time.monotonic()
        self.strangers: list[str] = []
        context.on("request", self._note)
        context.set_default_timeout(SLOW)
        self.page: Page = context.new_page()

    def _note(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "blob:", "data:")):
            self.strangers.append(request.url)

    # --- acts --------------------------------------------------------------------------------
    def open(self, path: str) -> None:
        self.page.goto(path if path.startswith("http") else self.origin + path)

    def press(self, name: str | re.Pattern[str], within: Locator | None = None) -> None:
        """A button by its words."""
        self.clicks += 1
        (within or self.page).get_by_role("button", name=name).click()

    def follow(self, name: str | re.Pattern[str], within: Locator | None = None) -> None:
        """A link by its words."""
        self.clicks += 1
        (within or self.page).get_by_role("link", name=name).first.click()

    def fill(self, **values: str) -> None:
        """Text fields by name; a double underscore stands for a hyphen."""
        for name, value in values.items():
            self.typed += 1
            self.field(name).fill(value)

    def choose(self, **values: str) -> None:
        """Lists by name."""
        for name, value in values.items():
            self.clicks += 1
            self.field(name).select_option(value)

    def tick(self, name: str, value: str = "") -> None:
        self.clicks += 1
        self.field(name, value).check()

    def give(self, name: str, file: str, data: bytes) -> None:
        """A file in a field."""
        self.clicks += 1
        payload = FilePayload(name=file, mimeType="application/octet-stream", buffer=data)
        self.field(name).set_input_files(payload)

    def field(self, name: str, value: str = "") -> Locator:
        more = f"[value='{value}']" if value else ":not([type=hidden])"
        return self.page.locator(f"main [name='{name.replace('__', '-')}']{more}")

    def value(self, name: str) -> str:
        return self.field(name).input_value()

    # --- judgements --------------------------------------------------------------------------
    def heading(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text, timeout=SLOW)

    def sees(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.locator("main")).to_contain_text(text, timeout=SLOW)

    def error(self, name: str) -> str:
        """The sentence beside a field."""
        return str(self.page.locator(f"[data-field='{name}'] .field-error").first.inner_text())

    def look(self, step: str) -> None:
        """Judge the page as it stands; with JOURNEY_SCREENSHOTS, keep it at both widths."""
        body = self.page.locator("body").inner_text()
        assert not re.search(r"\{[%{]|%\(|blocktranslate", body), f"{step}: raw template"
        if not self.script:
            return
        found = AXE.run(self.page, options=OPTIONS)
        assert not found.violations_count, f"{step}\n{found.generate_report()}"
        self._picture(step, "1280")
        self.page.set_viewport_size(NARROW)
        width = self.page.evaluate("document.documentElement.scrollWidth")
        self._picture(step, "360")
        self.page.set_viewport_size(WIDE)
        assert width <= NARROW["width"], f"{step}: {width} px wide on a phone"

    def _picture(self, step: str, width: str) -> None:
        if folder := os.environ.get("JOURNEY_SCREENSHOTS"):
            path = Path(folder) / f"{step}-{width}.png"
            self.page.evaluate("window.scrollTo(0, 0)")
            self.page.screenshot(path=path, full_page=True)

    def leave(self) -> None:
        assert not self.strangers, f"asked from elsewhere: {self.strangers}"
        self.context.close()

    def report(self) -> str:
        seconds = time.monotonic() - self.began
        return f"{self.clicks} clicks, {self.typed} fields typed, {seconds:.0f} s"
