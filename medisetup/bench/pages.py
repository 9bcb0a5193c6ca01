"""The pages, asked for through WSGI in this process: forms, checklist, boards."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.core.handlers.wsgi import WSGIHandler
from django.test.utils import override_settings
from django.urls import reverse

from accounts.models import User
from accounts.sessions import SessionStore
from medisetup.bench.measuring import Case, Group, Wrong
from medisetup.bench.scratch import Furnished

# What any Django site with people signed in has.
STOCK = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TOKEN = "b" * 32
FORM, CELL, PICTURE, END = b" data-unsaved", b'class="cell cell--', b'role="img"', b"</html>"
Answer = tuple[str, bytes]


def pages(people: Furnished) -> Group:
    """Every tab of a doctor, the checklist, the key page, one refused form, the boards."""
    doctor, admin, staff = (Visitor(user) for user in (people.doctor, people.admin, people.staff))
    own = [people.doctor.uuid]
    tabs = ("accounts:account", "practitioners:general", "practitioners:addresses", "billing:financial")
    cases = [
        doctor.page("home", marker=END),
        *(doctor.page(name, own, marker=FORM) for name in tabs),
        *(doctor.page(name, own, marker=END) for name in ("ehealth:connection", "ehealth:edmg")),
        doctor.page("ehealth:mailbox", marker=END),
        doctor.page("accounts:key", marker=END),
        doctor.refused("practitioners:general", own),
        admin.page("person", own, marker=END),
        admin.page("people", marker=CELL),
        staff.page("platform", marker=PICTURE),
        staff.page("platform_practice", [people.practice.uuid], marker=CELL),
        staff.page("platform_person", own, marker=END),
    ]
    return Group("pages", doctor.floor(), cases)


class Visitor:
    """Somebody signed in, past the second factor and the proof of the key."""

    def __init__(self, user: User) -> None:
        self.login, self.portal = user.login, WSGIHandler()
        with override_settings(MIDDLEWARE=STOCK):
            self.stock = WSGIHandler()
        now = int(time.time())
        session = SessionStore()
        session.update(
            {
                SESSION_KEY: str(user.pk),
                BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
                HASH_SESSION_KEY: user.get_session_auth_hash(),
                "key_proved_at": now,
                "factor_at": now,
            }
        )
        session.create()
        names = {settings.SESSION_COOKIE_NAME: session.session_key, settings.CSRF_COOKIE_NAME: TOKEN}
        self.cookies = "; ".join(f"{name}={value}" for name, value in names.items())

    def floor(self) -> Case:
        return self._case("floor page", self.stock, reverse("bench_floor"), "200", self.login.encode())

    def page(self, name: str, arguments: Any = None, *, marker: bytes) -> Case:
        return self._case(name, self.portal, reverse(name, args=arguments), "200", marker)

    def refused(self, name: str, arguments: Any) -> Case:
        """The same form sent with nothing in it: judged whole, shown again, nothing written."""
        url = reverse(name, args=arguments)
        body = urlencode({"csrfmiddlewaretoken": TOKEN, "version": 0}).encode()
        return self._case(f"{name} refused", self.portal, url, "422", FORM, body)

    def _case(
        self, name: str, handler: WSGIHandler, url: str, status: str, marker: bytes, body: bytes = b""
    ) -> Case:
        def run() -> Answer:
            return answer(handler, self._environ(url, body))

        return Case(name, run, shows(status, marker))

    def _environ(self, url: str, body: bytes) -> dict[str, Any]:
        origin = urlsplit(settings.PORTAL_ORIGIN)
        return {
            "REQUEST_METHOD": "POST" if body else "GET",
            "PATH_INFO": url,
            "SERVER_NAME": origin.hostname,
            "SERVER_PORT": str(origin.port or (443 if settings.SECURE else 80)),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": origin.netloc,
            "HTTP_ORIGIN": settings.PORTAL_ORIGIN,
            "HTTP_COOKIE": self.cookies,
            "HTTP_X_FORWARDED_PROTO": origin.scheme,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": "application/x-www-form-urlencoded",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": BytesIO(body),
            "wsgi.url_scheme": origin.scheme,
        }


def answer(handler: WSGIHandler, environ: dict[str, Any]) -> Answer:
    """Status and whole body, the request ended as a server ends it."""
    status: list[str] = []
    written: list[bytes] = []

    def start(line: str, _headers: Any, _error: Any = None) -> Callable[[bytes], object]:
        status.append(line[:3])
        return written.append

    response = handler(environ, start)
    try:
        return status[0], b"".join([*written, *response])
    finally:
        response.close()


def shows(status: str, marker: bytes) -> Callable[[Answer], None]:
    """The proof of a page: this status, and what only the right page holds."""

    def prove(found: Answer) -> None:
        if found[0] != status:
            raise Wrong(f"status {found[0]} instead of {status}")
        if marker not in found[1]:
            raise Wrong(f"no {marker.decode()} in the page")

    return prove
