"""What is posted is bounded before anybody looks at it; no upload touches a disk (SR-38, SR-39, SR-40)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.django_db
BOUNDARY = "frontier"
Post = Callable[[bytes], HttpResponse]


def part(name: str, content: bytes = b"x", *more: str) -> bytes:
    lines = [
        f"--{BOUNDARY}",
        f'Content-Disposition: form-data; name="{name}"; filename="a.p12"',
        *more,
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


@pytest.fixture
def doctor() -> User:
    return PractitionerFactory().user


@pytest.fixture
def post(doctor: User, signed_in: Callable[[User], Client]) -> Post:
    """To the page of the keystore, as it is."""
    client, url = signed_in(doctor), reverse("ehealth:connection", args=[doctor.uuid])
    return lambda body: client.post(url, body, content_type=f"multipart/form-data; boundary={BOUNDARY}")


@pytest.mark.parametrize(("size", "status"), [(300 * 1024, 422), (40 * 1024 * 1024, 413)])
def test_an_upload_of_any_size_needs_no_disk(
    doctor: User,
    signed_in: Callable[[User], Client],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    status: int,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "is not there"))
    url = reverse("ehealth:connection", args=[doctor.uuid])
    file = SimpleUploadedFile("trousseau.p12", b"\x30" * size)
    answer = signed_in(doctor).post(url, {"version": 0, "keystore": file, "keystore_password": "x"})
    assert answer.status_code == status


@pytest.mark.parametrize(
    "body",
    [
        b"".join(part(f"file{number}") for number in range(300)) + END,
        b"".join(part("keystore", b"\x30" * 1000) for _time in range(4)) + END,
        part("keystore", b"MIIB====MIIB\n" * 5000, "Content-Transfer-Encoding: base64") + END,
        part("keystore", b"M" * 4097, "Content-Transfer-Encoding: base64") + END,
        part("keystore", b"x", "Content-Type: multipart/mixed; boundary=b", "X-Long: " + "y" * 20_000) + END,
        part("keystore", part("keystore") + END) + END,
        part("keystore")[:-30],
        b"--" + b"-" * 100_000,
        b"",
        END * 1000,
    ],
    ids=[
        "300 parts", "repeated name", "base64 padded", "base64 cut", "long header", "nested", "cut",
        "no boundary", "empty", "ends",
    ],
)  # fmt: skip
def test_a_strange_envelope_is_answered(post: Post, body: bytes) -> None:
    assert post(body).status_code in (400, 422)


def test_too_many_fields_and_too_large_a_body_are_refused(
    doctor: User, signed_in: Callable[[User], Client]
) -> None:
    client, url = signed_in(doctor), reverse("practitioners:general", args=[doctor.uuid])
    bodies = {"&".join(f"f{number}=1" for number in range(401)): 400, "a=" + "b" * (1024 * 1024): 413}
    for body, status in bodies.items():
        answer = client.post(url, body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code == status
