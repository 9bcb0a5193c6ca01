"""One POST to the platform over urllib3: bounded in time and size, no redirect, no proxy, nothing but SOAP
1.1 back.
"""

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)  # fmt: skip

from ehealth.client import multipart
from ehealth.client.deadline import Deadline, watched
from ehealth.client.errors import Malformed, NotAuthentic, PlatformError, TimedOut, Unreachable
from ehealth.client.platform import Platform

_CHUNK = 64 * 1024
# Somebody in front of the platform says that it cannot be reached, or that we ask too often.
_GATEWAY_DOWN = frozenset({429, 502, 503, 504})
_LONGEST_RETRY_AFTER = timedelta(hours=6)
_CHARSETS = frozenset({"", "utf-8", "utf-16"})


@dataclass(frozen=True)
class Reply:
    """The unpacked body of an answer with HTTP status 200 or 500; its type is text/xml or one in parts.

    `retry_after`: how long the platform asks us to stay away. `ahead`: by how many seconds its clock is ahead
    of ours, as exactly as the time the call took lets one say.
    """

    status: int
    body: bytes
    content_type: str = "text/xml"
    retry_after: timedelta = timedelta()
    ahead: float = field(default=0.0, compare=False)

    @property
    def in_parts(self) -> bool:
        """Whether the envelope is the first of several parts."""
        return _kind(self.content_type) == multipart.KIND


class _Call(threading.local):
    """The call this thread is making, so that its connection can report to it."""

    deadline: Deadline | None = None
    sent = False


_call = _Call()


class _Watched(HTTPConnection):
    """What both kinds of connection add: a twin of the socket for the deadline, and the moment of sending."""

    twin: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()
        self.twin = made.dup()
        self._report()
        return made

    def send(self, data: Any) -> None:
        if getattr(self, "sock", None) is None:
            self.connect()
        self._report()
        _call.sent = True
        super().send(data)

    def close(self) -> None:
        if self.twin is not None:
            self.twin.close()
            self.twin = None
        super().close()

    def _report(self) -> None:
        if _call.deadline is not None and self.twin is not None:
            _call.deadline.hold(self.twin)


class _SafeConnection(_Watched, HTTPSConnection):
    pass


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Watched


class _SafePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SafeConnection


@lru_cache(maxsize=4)
def _pools(ca: Path | None, connections: int) -> urllib3.PoolManager:
    """Kept per process: a TLS context costs a hundred times a call on a kept connection."""
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    manager = urllib3.PoolManager(
        num_pools=8, maxsize=connections, block=True, ssl_context=context, retries=False
    )
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SafePool}
    return manager


os.register_at_fork(after_in_child=_pools.cache_clear)


def post(
    platform: Platform, address: str, action: str, body: bytes, *, seconds: float, in_parts: bool = False
) -> Reply:
    """Send a SOAP 1.1 message and return the answer, all within `seconds`; `in_parts`: it may come so.

    Unreachable, TimedOut, NotAuthentic (the server's certificate) or Malformed otherwise. The last two and a
    `sent` of the first two mean that the platform may have acted.
    """
    _call.deadline = deadline = watched(seconds)
    _call.sent = False
    try:
        return _exchange(platform, address, action, body, deadline, in_parts)
    except (HTTPError, OSError) as error:
        raise _translated(error, deadline) from error
    finally:
        deadline.close()
        _call.deadline = None


def _exchange(
    platform: Platform, address: str, action: str, body: bytes, deadline: Deadline, in_parts: bool
) -> Reply:
    headers = {
        "Content-Type": "text/xml; charset=UTF-8",
        "SOAPAction": f'"{action}"',
        "User-Agent": platform.user_agent,
        "Accept": f"text/xml, {multipart.KIND}" if in_parts else "text/xml",
        "Accept-Encoding": "gzip",
    }
    left, begun = deadline.remaining(), time.time()
    response = _pools(platform.tls_ca, platform.connections).request(
        "POST", address, body=body, headers=headers, redirect=False, retries=False, preload_content=False,
        pool_timeout=left,
        timeout=urllib3.Timeout(
            connect=min(platform.connect_timeout, left), read=min(platform.read_timeout, left)
        ),
    )  # fmt: skip
    with _closed_on_error(response):
        _check_time(deadline)
        ahead = _ahead(response.headers, (begun + time.time()) / 2)
        _check_head(response, in_parts)
        unpacked = _read(response, platform.max_content if in_parts else platform.max_response)
        _check_time(deadline)
    kind, asked = response.headers.get("Content-Type", ""), retry_after(response.headers)
    return Reply(response.status, unpacked, kind, asked, ahead)


def _ahead(headers: Mapping[str, str], moment: float) -> float:
    """How far `Date` is from a moment of ours; it tells whole seconds, half a one too few on average."""
    told = _http_date(headers.get("Date", ""))
    return told.timestamp() + 0.5 - moment if told else 0.0


def retry_after(headers: Mapping[str, str]) -> timedelta:
    """What `Retry-After` asks for, in seconds or as a date: six hours at most, nothing when unreadable."""
    told = headers.get("Retry-After", "").strip()
    if told.isascii() and told.isdigit():
        asked = timedelta(seconds=int(told[:9]))
    else:
        now = datetime.now(UTC)
        asked = (_http_date(told) or now) - now
    return min(max(asked, timedelta()), _LONGEST_RETRY_AFTER)


def _http_date(told: str) -> datetime | None:
    """A moment as HTTP writes it, always of Greenwich; None when it is unreadable."""
    try:
        return parsedate_to_datetime(told).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _check_time(deadline: Deadline) -> None:
    """A shut socket looks like the end of a head, or of a body without announced length."""
    if deadline.over():
        raise TimedOut(sent=True)


@contextlib.contextmanager
def _closed_on_error(response: urllib3.BaseHTTPResponse) -> Iterator[None]:
    """A connection whose answer was not read to its end must not serve another call."""
    try:
        yield
    except BaseException:
        response.close()
        raise


def _check_head(response: urllib3.BaseHTTPResponse, in_parts: bool) -> None:
    if response.status in _GATEWAY_DOWN:
        error = Unreachable(f"http status {response.status}", sent=True)
        error.retry_after = retry_after(response.headers)
        raise error
    if response.status not in (200, 500):
        raise Malformed(f"http status {response.status}")
    content_type = response.headers.get("Content-Type", "")
    if not (_is_xml(content_type) or (in_parts and _kind(content_type) == multipart.KIND)):
        raise Malformed("content type")
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("identity", "gzip"):
        raise Malformed("content encoding")


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _is_xml(content_type: str) -> bool:
    charset = content_type.partition(";")[2].strip().lower().removeprefix("charset=").strip('"')
    return _kind(content_type) == "text/xml" and charset in _CHARSETS


def _read(response: urllib3.BaseHTTPResponse, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    for part in response.stream(_CHUNK, decode_content=True):
        size += len(part)
        if size > limit:
            raise Malformed("too large")
        parts.append(part)
    return b"".join(parts)


def _translated(error: Exception, deadline: Deadline) -> PlatformError:
    """Which of our errors a failure of urllib3 or of the socket is; a passed deadline explains all others."""
    if deadline.over() or isinstance(error, ReadTimeoutError | TimeoutError):
        return TimedOut(sent=_call.sent)
    if isinstance(error, NewConnectionError) or not isinstance(
        error, ConnectTimeoutError | DecodeError | SSLError
    ):
        return Unreachable(type(error).__name__, sent=_call.sent)
    if isinstance(error, ConnectTimeoutError):
        return TimedOut(sent=False)
    if isinstance(error, DecodeError):
        return Malformed("compression")
    verdict = isinstance(error.args[0], ssl.SSLCertVerificationError) if error.args else False
    return NotAuthentic("certificate of the server") if verdict else Unreachable("tls", sent=_call.sent)
