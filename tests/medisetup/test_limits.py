"""Requests that are too large are refused from their head, by a real web process (security SR-38)."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from medisetup.limits import LARGEST_OF_PATH
from tests.accounts.factories import UserFactory
from tests.client import CheckingClient
from tests.conftest import sign_in
from tests.medisetup.test_unavailable import ask, serving

pytestmark = pytest.mark.django_db(transaction=True)
HEAD = b"POST /signin/ HTTP/1.1\r\nHost: localhost\r\nAccept-Language: nl\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
PARTS = b"Content-Type: multipart/form-data; boundary=x\r\n"
MIB = 1024 * 1024


@pytest.fixture
def web(tmp_path: Path) -> Iterator[int]:
    with serving(tmp_path / "static") as port:
        ask(port, "/signin/")
        yield port


def resident(port: int) -> int:
    """Bytes in memory of all processes that listen at the port."""
    mark, total = f"127.0.0.1:{port}".encode(), 0
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and mark in (entry / "cmdline").read_bytes():
                found = re.search(r"VmRSS:\s+(\d+)", (entry / "status").read_text())
                total += int(found[1]) * 1024 if found else 0
    return total


def answer(port: int, head: bytes, piece: bytes = b"") -> tuple[int, str, float]:
    """Status, page and seconds of an answer, while `piece` is sent again and again."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        began = time.monotonic()
        line.sendall(head)

        def flood() -> None:
            with suppress(OSError):
                for _turn in range(64):
                    line.sendall(piece)

        if piece:
            threading.Thread(target=flood, daemon=True).start()
        said = line.recv(65536)
        seconds = time.monotonic() - began
        with suppress(OSError):
            while b"</html>" not in said and (more := line.recv(65536)):
                said += more
    return int(said.split(b" ", 2)[1]), said.decode(errors="replace"), seconds


def test_what_is_too_large_or_of_unknown_length_is_refused_before_anything_is_read(web: int) -> None:
    """One process for all cases: what one leaves behind would show in the next."""
    before = resident(web)
    for kind in (FORM, PARTS):
        for length in (MIB + 1, 10**10, 10**30):
            head = HEAD + kind + b"Content-Length: %d\r\n\r\n" % length
            status, page, seconds = answer(web, head)
            assert status == 413 and seconds < 1
            assert "Te groot om te verzenden" in page and "hoogstens 1,0\xa0MB" in page
            assert answer(web, head, b"a" * MIB)[0] == 413
        head = HEAD + kind + b"Transfer-Encoding: chunked\r\n\r\n"
        status, page, seconds = answer(web, head, b"%x\r\n%b\r\n" % (MIB, b"a" * MIB))
        assert status == 400 and seconds < 1 and '<html lang="nl"' in page
    assert before and resident(web) - before < 16 * MIB
    assert ask(web, "/signin/")[0].status == 200


@pytest.mark.parametrize(
    ("language", "said"),
    [("fr", "Envoi trop grand"), ("nl", "Te groot om"), ("de", "Zu groß"), ("en", "Too large")],
)
def test_the_page_is_ours_and_in_the_persons_language(language: str, said: str) -> None:
    client = sign_in(CheckingClient(), UserFactory(language=language))
    page = client.post(reverse("home"), {"a": "x" * MIB})
    assert page.status_code == 413 and said in page.content.decode()


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "²", "1e3", "0x10", " "])
def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    assert Client().post("/signin/", CONTENT_LENGTH=length).status_code == 413


def test_a_file_of_people_may_be_larger_and_nothing_else() -> None:
    assert list(LARGEST_OF_PATH) == [reverse("practitioners:import")]
    client = sign_in(Client(), UserFactory(roles=["admin"]))
    for size, status in ((3 * MIB, 422), (6 * MIB, 413)):
        file = SimpleUploadedFile("people.csv", b"a" * size)
        assert client.post(reverse("practitioners:import"), {"file": file}).status_code == status


def test_more_fields_or_files_than_any_form_has_are_refused() -> None:
    client = sign_in(CheckingClient(), UserFactory())
    url = reverse("set_language")
    assert client.post(url, {f"a{number}": "" for number in range(401)}).status_code == 400
    files = {f"a{number}": SimpleUploadedFile("a", b"a") for number in range(6)}
    assert client.post(url, files).status_code == 400
    assert client.post(url, {f"a{number}": "" for number in range(400)}).status_code == 302
