"""The database is cut, refused and back again under a running web process: a page says so, no restart."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import DatabaseError, OperationalError, connection, transaction
from django.test import Client

from accounts.models import User
from medisetup.local.process import free_port
from medisetup.unavailable import database_is_lost
from tests.accounts.factories import UserFactory
from tests.client import check_page
from tests.conftest import sign_in

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]


class Proxy:
    """A door to PostgreSQL that can be shut: open connections break, new ones are refused. One that
    `swallows` takes new ones and never answers.
    """

    swallows = False

    def __init__(self) -> None:
        self.port, self.pairs = free_port(), []
        self.open()

    def open(self) -> None:
        self.door = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._let_in, args=[self.door], daemon=True).start()

    def shut(self) -> None:
        for one in (self.door, *self.pairs):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self.pairs.clear()

    def _let_in(self, door: socket.socket) -> None:
        with suppress(OSError):
            while True:
                inner, _address = door.accept()
                if self.swallows:
                    self.pairs.append(inner)
                    continue
                place = urlsplit(os.environ["DATABASE_URL"])
                outer = socket.create_connection((place.hostname, place.port))
                self.pairs += [inner, outer]
                for pair in ((inner, outer), (outer, inner)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.shut()


@pytest.fixture
def web(proxy: Proxy, tmp_path: Path) -> Iterator[int]:
    """A real web process whose way to the database is the proxy; its port."""
    with serving(tmp_path / "static", proxy.port) as port:
        yield port


@contextmanager
def serving(collected: Path, database_port: int | None = None) -> Iterator[int]:
    """A real web process of one worker on the test's database; its port."""
    port = free_port()
    place = urlsplit(os.environ["DATABASE_URL"])
    door = f"{place.netloc.rpartition(':')[0]}:{database_port or place.port}"
    way = place._replace(netloc=door, path=f"/{connection.settings_dict['NAME']}")
    environment = os.environ | {"DATABASE_URL": way.geturl(), "STATIC_ROOT": str(collected)}
    manage = (sys.executable, "manage.py", "collectstatic", "--no-input", "-v", "0")
    subprocess.run(manage, cwd=ROOT, env=environment, check=True)
    command = (
        sys.executable,
        "-m",
        "gunicorn",
        "-b",
        f"127.0.0.1:{port}",
        "--threads",
        "2",
        "medisetup.wsgi",
    )
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        try:
            wait_until_answered(port)
            yield port
        finally:
            process.terminate()


def wait_until_answered(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError):
            assert ask(port, "/health/live/")[0].status == 200
            return
        time.sleep(0.2)
    raise AssertionError("the web process does not answer")


def ask(port: int, path: str, **headers: str) -> tuple[HTTPResponse, str]:
    line = HTTPConnection("127.0.0.1", port, timeout=20)
    line.request("GET", path, headers=headers)
    response = line.getresponse()
    body = response.read().decode()
    line.close()
    return response, body


def test_the_page_comes_and_goes_with_the_database(web: int, proxy: Proxy) -> None:
    user: User = UserFactory()
    session = sign_in(Client(), user).cookies[settings.SESSION_COOKIE_NAME].value
    headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session}", "Accept-Language": "nl-BE"}
    assert ask(web, "/", **headers)[0].status == 200
    proxy.shut()
    for _turn in range(2):  # the broken connection, then a refused one
        response, page = ask(web, "/", **headers)
        assert (response.status, response.headers["Retry-After"]) == (503, "30")
        assert response.headers["Cache-Control"] == "no-store, private"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    check_page(page)
    assert '<html lang="nl">' in page and re.findall(r'<section lang="(\w+)">', page) == ["fr", "de", "en"]
    for sentence in ("even niet beschikbaar", "momentanément indisponible", "vorübergehend", "for a moment"):
        assert sentence in page
    assert user.last_name not in page
    assert ask(web, "/health/live/")[0].status == 200
    assert ask(web, "/health/ready/")[0].status == 503
    proxy.open()
    response, page = ask(web, "/", **headers)
    assert response.status == 200 and "<h1" in page


def test_a_database_that_swallows_is_an_error_after_seconds(web: int, proxy: Proxy) -> None:
    session = sign_in(Client(), UserFactory()).cookies[settings.SESSION_COOKIE_NAME].value
    cookie = f"{settings.SESSION_COOKIE_NAME}={session}"
    assert ask(web, "/", Cookie=cookie)[0].status == 200
    proxy.shut()
    proxy.swallows = True
    proxy.open()
    for _turn in range(2):  # the broken connection, then one that nobody answers
        began = time.monotonic()
        assert ask(web, "/", Cookie=cookie)[0].status == 503
        assert time.monotonic() - began < 10
    proxy.shut()
    proxy.swallows = False
    proxy.open()
    assert ask(web, "/", Cookie=cookie)[0].status == 200


def test_a_peer_that_vanishes_is_noticed_by_the_socket_itself() -> None:
    """Packets that are lost cannot be ordered here; that the kernel was told to mind them can be seen."""
    connection.ensure_connection()
    with socket.socket(fileno=os.dup(connection.connection.fileno())) as twin:
        told = {name: twin.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in (
            "TCP_USER_TIMEOUT", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")}  # fmt: skip
        assert twin.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert told["TCP_USER_TIMEOUT"] == 8_000
    assert told["TCP_KEEPIDLE"] + told["TCP_KEEPINTVL"] * told["TCP_KEEPCNT"] <= 15


@pytest.mark.parametrize("query", ["SELECT pg_sleep(5)", "SELECT 1/0"])
def test_an_error_of_a_query_is_no_lost_database(query: str) -> None:
    with pytest.raises(DatabaseError) as failed, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 50")
        cursor.execute(query)
    assert not database_is_lost(failed.value)


def test_a_lost_connection_is_known_in_whatever_it_became() -> None:
    with pytest.raises(OperationalError) as lost, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    connection.close()
    try:
        raise ValueError("what a page made of it") from lost.value
    except ValueError as error:
        assert database_is_lost(error)
    assert not database_is_lost(ValueError()) and not database_is_lost(None)
