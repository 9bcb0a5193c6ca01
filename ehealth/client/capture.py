"""Every message of every call, as files for other tools to judge; in the simulation only."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from ehealth.client.errors import Malformed
from ehealth.client.multipart import unpack
from ehealth.client.platform import Platform
from ehealth.client.transport import Reply

_COUNTER = ".counter"


@dataclass(frozen=True)
class Capture:
    """The two files of one call, `NNNNNN-service-operation-request.xml` and `…-response.xml`, numbered over
    all processes that write to the folder. An answer in parts is kept whole too, beside its envelope.
    """

    prefix: Path | None

    @classmethod
    def of(cls, platform: Platform, service: str, operation: str, request: bytes) -> Capture:
        """A capture that holds the request already; one that keeps nothing where there is no folder."""
        folder = platform.capture
        if folder is None:
            return cls(None)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        prefix = folder / f"{_next_number(folder):06d}-{service}-{operation}"
        _write(prefix, "request.xml", request)
        return cls(prefix)

    def keep(self, reply: Reply) -> None:
        """Keep the answer as it came, readable or not."""
        if self.prefix is None:
            return
        envelope = reply.body
        if reply.in_parts:
            head = f"Content-Type: {reply.content_type}\r\n\r\n".encode()
            _write(self.prefix, "response.mime", head + reply.body)
            envelope = _envelope(reply)
        _write(self.prefix, "response.xml", envelope)


def _envelope(reply: Reply) -> bytes:
    try:
        return unpack(reply.body, reply.content_type).root
    except Malformed:
        return reply.body


def _next_number(folder: Path) -> int:
    descriptor = os.open(folder / _COUNTER, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        number = int(file.read() or 0) + 1
        file.seek(0)
        file.write(b"%d" % number)
        file.flush()
    return number


def _write(prefix: Path, end: str, octets: bytes) -> None:
    descriptor = os.open(f"{prefix}-{end}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
