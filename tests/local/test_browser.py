"""The browser fixtures against a small server: what a page does wrong is seen, and fails the test."""

import http.server
import threading
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from tests.browser import Trouble

PAGES = {
    "/good": b"<!doctype html><title>good</title><link rel=icon href='data:,'><h1>good</h1>",
    "/console": b"<!doctype html><link rel=icon href='data:,'><script>console.error('told')</script>",
    "/throws": b"<!doctype html><link rel=icon href='data:,'><script>throw new Error('thrown')</script>",
    "/missing": b"<!doctype html><link rel=icon href='data:,'><script src='/gone.js'></script>",
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = PAGES.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "told"),
    [("/console", "console: told"), ("/throws", "uncaught: "), ("/missing", "gone.js 404")],
)
def test_what_a_page_does_wrong_is_seen(
    page: Page,
    page_trouble: Trouble,
    site: str,
    path: str,
    told: str,
    allow_page_trouble: Callable[[str], None],
) -> None:
    page.goto(site + path)
    assert len(page_trouble.unexpected()) == 1 and told in page_trouble.unexpected()[0]
    allow_page_trouble(told)
    assert page_trouble.unexpected() == []


def test_a_good_page_is_no_trouble(page: Page, page_trouble: Trouble, site: str) -> None:
    page.goto(site + "/good")
    assert page.title() == "good"
    assert page_trouble.seen == []
