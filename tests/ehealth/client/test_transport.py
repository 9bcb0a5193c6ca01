"""Servers that misbehave: each ends with the right error, in time, and the next call is served."""

import gzip
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ehealth.client.errors import Malformed, NotAuthentic, PlatformError, TimedOut, Unreachable
from ehealth.client.transport import Reply, post
from tests.ehealth.client import parties
from tests.ehealth.client.servers import XML, answering, misbehaving

LIMIT = 1.5
MARGIN = 3.0
Behaviour = Callable[[socket.socket, threading.Event], None]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def ask(address: str, **changes: object) -> Reply:
    return post(parties.platform(address, **changes), address, "urn:a", b"<a/>", seconds=LIMIT)


def says(content: bytes) -> Behaviour:
    def behave(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    return behave


def drips(start: bytes, piece: bytes) -> Behaviour:
    """Never silent for as long as the read time-out, never finished."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        while not over.wait(0.05):
            connection.sendall(piece)

    return behave


def silent(_connection: socket.socket, over: threading.Event) -> None:
    over.wait(20)


def resets(connection: socket.socket, _over: threading.Event) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def with_body(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return HEAD + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


GZIP = b"Content-Encoding: gzip"
BOMB = gzip.compress(b"<a>" + b"0" * 50_000_000 + b"</a>")
CASES: dict[str, tuple[Behaviour, type[PlatformError]]] = {
    "says nothing": (silent, TimedOut),
    "drips its head": (drips(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), TimedOut),
    "drips its status line": (drips(b"", b"H"), TimedOut),
    "drips a sized body": (drips(HEAD + b"Content-Length: 100000\r\n\r\n", b"<"), TimedOut),
    "drips a body without end": (drips(HEAD + b"\r\n", b"<"), TimedOut),
    "drips chunks": (drips(CHUNKED, b"1\r\n<\r\n"), TimedOut),
    "drips interim answers": (drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), TimedOut),
    "closes at once": (says(b""), Unreachable),
    "resets": (resets, Unreachable),
    "stops in the middle of the body": (says(HEAD + b"Content-Length: 500\r\n\r\n<a>"), Unreachable),
    "stops in the middle of a chunk": (says(CHUNKED + b"ff\r\n<a>"), Unreachable),
    "speaks no HTTP": (says(b"SSH-2.0-OpenSSH_9.2\r\n"), Unreachable),
    "redirects": (
        says(b"HTTP/1.1 302 Found\r\nContent-Type: text/xml\r\nLocation: http://127.0.0.1:9/\r\n\r\n"),
        Malformed,
    ),
    "redirects, keeping the method": (
        says(b"HTTP/1.1 307 X\r\nContent-Type: text/xml\r\nLocation: /x\r\n\r\n"),
        Malformed,
    ),
    "is not found": (says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), Malformed),
    "is in maintenance": (says(b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n"), Unreachable),
    "answers in HTML": (says(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html/>"), Malformed),
    "gives no type": (says(b"HTTP/1.1 200 OK\r\n\r\n<a/>"), Malformed),
    "answers in latin 1": (
        says(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=l1\r\n\r\n<a/>"),
        Malformed,
    ),
    "sends a bomb": (says(with_body(BOMB, GZIP)), Malformed),
    "sends too much": (says(with_body(b"0" * 1_100_000)), Malformed),
    "packs twice": (says(with_body(gzip.compress(BOMB), b"Content-Encoding: gzip, gzip")), Malformed),
    "packs otherwise": (says(with_body(b"<a/>", b"Content-Encoding: br")), Malformed),
    "packs badly": (says(with_body(b"<a/>", GZIP)), Malformed),
}


@pytest.mark.parametrize("case", CASES)
def test_a_misbehaving_server_ends_the_call_in_time_with_the_right_error(case: str) -> None:
    behave, expected = CASES[case]
    begun = time.monotonic()
    with misbehaving(behave) as address, pytest.raises(expected) as caught:
        ask(address)
    assert time.monotonic() - begun < LIMIT + MARGIN
    assert type(caught.value) is expected
    assert getattr(caught.value, "sent", True) is True


@pytest.mark.parametrize("packing", [b"gzip, gzip", b"br", b"deflate"])
def test_only_the_packing_that_was_offered_is_unpacked(packing: bytes) -> None:
    answer = with_body(gzip.compress(b"<a/>"), b"Content-Encoding: " + packing)
    with misbehaving(says(answer)) as address, pytest.raises(Malformed, match="content encoding"):
        ask(address)


def test_nobody_listening_means_that_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Unreachable) as caught:
        ask(f"http://127.0.0.1:{port}/")
    assert caught.value.sent is False


def test_a_connection_struck_by_its_deadline_serves_no_other_call() -> None:
    with (
        misbehaving(drips(HEAD + b"Content-Length: 100000\r\n\r\n", b"<")) as address,
        pytest.raises(TimedOut),
    ):
        ask(address)
    with answering(lambda _body: (200, XML, b"<a/>")) as (address, _):
        for _ in range(3):
            assert ask(address) == Reply(200, b"<a/>", XML["Content-Type"])


def test_a_packed_answer_is_unpacked_and_the_request_says_who_asks_for_what() -> None:
    packed = gzip.compress(b"<a/>")
    with answering(lambda _body: (500, XML | {"Content-Encoding": "gzip"}, packed)) as (address, seen):
        assert ask(address) == Reply(500, b"<a/>", XML["Content-Type"])
    headers = seen.headers[0]
    assert headers["SOAPAction"] == '"urn:a"'
    assert headers["Content-Type"] == "text/xml; charset=UTF-8"
    assert headers["User-Agent"] == "medisetup/test"


def test_the_environments_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with answering(lambda _body: (200, XML, b"<a/>")) as (address, _):
        assert ask(address).status == 200


def test_an_address_that_is_not_https_is_for_the_simulator_alone() -> None:
    for environment, test in (("acceptance", True), ("production", False)):
        with pytest.raises(ValueError, match="not an address"):
            parties.platform("http://127.0.0.1/", environment=environment, is_test=test)
    for address in ("ftp://a/", "https://", "https://user@a/", "https://a/?b"):
        with pytest.raises(ValueError, match="not an address"):
            parties.platform(address)


def authority(folder: Path, name: str) -> Path:
    """A server certificate for 127.0.0.1 that is its own authority; key and certificate in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(parties.NOW - timedelta(days=1))
        .not_valid_after(parties.NOW + timedelta(days=1))
        .add_extension(host, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + secret)
    return file


def over_tls(context: ssl.SSLContext) -> Behaviour:
    def behave(connection: socket.socket, _over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as safe:
            received = b""
            while not received.endswith(b"<a/>"):
                received += safe.recv(65536)
            safe.sendall(with_body(b"<a/>"))

    return behave


@pytest.fixture
def server_context(tmp_path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority(tmp_path, "ours"))
    return context


def test_only_the_configured_authority_proves_the_server(
    tmp_path: Path, server_context: ssl.SSLContext
) -> None:
    with misbehaving(over_tls(server_context), peek=True) as address:
        safe = address.replace("http:", "https:")
        assert ask(safe, tls_ca=tmp_path / "ours.pem").body == b"<a/>"
        for stranger in (authority(tmp_path, "other"), None):
            with pytest.raises(NotAuthentic):
                ask(safe, tls_ca=stranger)


def test_a_server_that_drips_its_handshake_is_left_in_time(tmp_path: Path) -> None:
    file = authority(tmp_path, "ours")
    record = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"
    begun = time.monotonic()
    with misbehaving(drips(record, b"\x00")) as address, pytest.raises(TimedOut) as caught:
        ask(address.replace("http:", "https:"), tls_ca=file)
    assert time.monotonic() - begun < LIMIT + MARGIN
    assert caught.value.sent is False


# --- when to come back -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("told", "seconds"),
    [("0", 0), ("90", 90), ("21600", 21_600), ("999999999999", 21_600), ("-5", 0), ("", 0), ("soon", 0),
     ("\u0663", 0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Fri, 31 Dec 9999 23:59:59 GMT", 21_600),
     ("Fri, 99 Dec 9999 23:59:59 GMT", 0)],
)  # fmt: skip
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_the_time_that_the_platform_asks_for_is_kept(status: int, told: str, seconds: int) -> None:
    headers = {"Retry-After": told.encode().decode("latin-1")}
    with (
        answering(lambda _: (status, XML | headers, b"")) as (address, _seen),
        pytest.raises(Unreachable) as caught,
    ):
        ask(address)
    assert caught.value.retry_after == timedelta(seconds=seconds)


def test_a_date_to_come_back_at_is_counted_from_now() -> None:
    then = datetime.now(UTC) + timedelta(minutes=40)
    headers = {"Retry-After": format_datetime(then, usegmt=True)}
    with (
        answering(lambda _: (503, XML | headers, b"")) as (address, _seen),
        pytest.raises(Unreachable) as caught,
    ):
        ask(address)
    assert timedelta(minutes=39, seconds=50) < caught.value.retry_after <= timedelta(minutes=40)
