"""Everything that can go wrong with a call, as a closed set: callers need to know no other exception."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_LONGEST = 2_000
RETRYABLE = frozenset({"SOA-00001", "SOA-02001", "SOA-02002"})


def clean(text: str) -> str:
    """Foreign text fit to store and show: no control or direction characters, at most 2,000 characters."""
    return _CONTROLS.sub(" ", text).strip()[:_LONGEST]


@dataclass(frozen=True)
class Detail:
    """One reason of a refusal: code, who says so, XPath into the request, words as sent, their language."""

    code: str
    source: str = ""
    location: str = ""
    message: str = ""
    language: str = ""


class PlatformError(Exception):
    """Base of the set. `code` is short, stable, and safe to store: it never holds a name or a number of a
    person. `retry_after`: how long the platform asks us to stay away, six hours at most.
    """

    retry_after = timedelta()

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(f"{code}: {text}" if text else code)
        self.code = code


class Unreachable(PlatformError):
    """No connection, or it broke; `sent` tells whether the platform may have seen the request."""

    def __init__(self, reason: str = "", *, sent: bool = False) -> None:
        super().__init__("unreachable", reason)
        self.sent = sent


class TimedOut(PlatformError):
    """A limit of time passed; with `sent` the result is unknown."""

    def __init__(self, sent: bool) -> None:
        super().__init__("timed_out", "after sending" if sent else "before sending")
        self.sent = sent


class Faulted(PlatformError):
    """A SOAP fault. `retry`: the platform's own word when it gives one, else whether the code is a passing
    one.
    """

    def __init__(self, code: str, message: str, retry: bool | None = None) -> None:
        super().__init__(clean(code)[:100])
        self.message = clean(message)
        self.stated_retry = retry
        self.retry = self.code in RETRYABLE if retry is None else retry


class Refused(PlatformError):
    """The service understood and said no: a business code such as 168 or 802, with its details."""

    def __init__(self, code: str, details: Sequence[Detail] = ()) -> None:
        super().__init__(clean(code)[:100])
        self.details = tuple(details)


class NotAuthentic(PlatformError):
    """An answer that does not prove its origin or is not the answer to our question."""

    def __init__(self, reason: str) -> None:
        super().__init__("not_authentic", reason)
        self.reason = reason


class Malformed(PlatformError):
    """An answer that is not what the contract says: size, type, XML, schema, values."""

    def __init__(self, reason: str) -> None:
        super().__init__("malformed", reason)
        self.reason = reason


class ClockDiffers(PlatformError):
    """The platform's clock and ours are too far apart for what it refused, or for what we did not believe;
    with `sent` the result is unknown.
    """

    def __init__(self, seconds: float, *, sent: bool) -> None:
        super().__init__("clock", f"{seconds:+.0f} s")
        self.sent = sent
