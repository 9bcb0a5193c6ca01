"""A question and its answer: address after address, each try recorded, the answer judged before use."""

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import urlsplit

from ehealth.client import names
from ehealth.client.capture import Capture
from ehealth.client.contracts import check_envelope
from ehealth.client.errors import (
    ClockDiffers,
    Faulted,
    Malformed,
    NotAuthentic,
    PlatformError,
    TimedOut,
    Unreachable,
)
from ehealth.client.multipart import Attachments, unpack
from ehealth.client.platform import Platform
from ehealth.client.transport import Reply, post
from ehealth.client.xml import Element, ids_are_unique, parse, text_of

logger = logging.getLogger(__name__)

T = TypeVar("T")
# Seconds between the platform's clock and ours that are told, and that explain a refusal (SR-63).
CLOCK_WARNING, CLOCK_FAULT = 30.0, 120.0
_SWITCH = frozenset({"SOA-01001", "SOA-01002", "SOA-02001", "SOA-02002"})
_SOAP = f"{{{names.SOAP}}}"
_PARTS = ("Envelope", "Header", "Body")


@dataclass(frozen=True)
class ExchangeFacts:
    """What may be kept of one HTTP call. `code`: OK, or that of the error; digests in hexadecimal, empty if
    none.
    """

    service: str
    operation: str
    host: str
    reference: str
    http_status: int | None
    code: str
    started: datetime
    milliseconds: int
    request_sha256: str
    response_sha256: str


Trace = Callable[[ExchangeFacts], None]


@dataclass(frozen=True)
class Question:
    """One call to make. `build` writes a new signed message for the instant it is sent; `answer` is its
    root's tag; `in_parts`: the answer may be one in parts.
    """

    service: str
    operation: str
    action: str
    answer: str
    build: Callable[[datetime], bytes]
    reference: str = ""
    in_parts: bool = False


@dataclass(frozen=True)
class Received:
    """An answer that keeps to the contract: the element of the body, the octets of the envelope it was read
    from, and the parts that element may refer to.
    """

    element: Element
    octets: bytes
    attachments: Attachments = field(repr=False)


def ask(
    platform: Platform,
    question: Question,
    read: Callable[[Received], T],
    *,
    now: datetime,
    trace: Trace | None,
) -> T:
    """What `read` makes of the answer, or the error of the last address tried; all within the time of one
    call.

    Another address of the service is tried when the platform was not reached, or answered with a code that
    says this address cannot serve us; a stated Retry of false ends it. `now` is the time of the first try.
    """
    begun = time.monotonic()
    addresses = platform.endpoints[question.service]
    for position, address in enumerate(addresses, start=1):
        moment = now + timedelta(seconds=time.monotonic() - begun)
        left = platform.call_timeout - (time.monotonic() - begun)
        try:
            return _Try(platform, question, address, moment, trace).run(read, left)
        except PlatformError as error:
            if position == len(addresses) or not _another_may_help(error) or _spent(platform, begun):
                raise
    raise AssertionError("a platform has at least one address per service")


def _spent(platform: Platform, begun: float) -> bool:
    return time.monotonic() - begun >= platform.call_timeout


def _another_may_help(error: PlatformError) -> bool:
    if isinstance(error, Faulted):
        return error.code in _SWITCH if error.stated_retry is None else error.stated_retry
    return isinstance(error, Unreachable | TimedOut)


def _clock_explains(error: PlatformError, reply: Reply) -> bool:
    """Whether a no that is not a passing one, or a token we do not believe, comes with a clock far off."""
    refused = isinstance(error, Faulted) and not error.retry
    return abs(reply.ahead) > CLOCK_FAULT and (refused or isinstance(error, NotAuthentic))


@dataclass(frozen=True)
class _Try:
    platform: Platform
    question: Question
    address: str
    moment: datetime
    trace: Trace | None

    def run(self, read: Callable[[Received], T], seconds: float) -> T:
        request = self.question.build(self.moment)
        facts = self._facts(request)
        begun = time.monotonic()
        reply: Reply | None = None
        code = "interrupted"
        try:
            capture = Capture.of(self.platform, self.question.service, self.question.operation, request)
            reply = post(
                self.platform, self.address, self.question.action, request,
                seconds=seconds, in_parts=self.question.in_parts,
            )  # fmt: skip
            capture.keep(reply)
            if abs(reply.ahead) > CLOCK_WARNING:
                logger.warning("clock: that of %s is %+.0f s from ours", facts.host, reply.ahead)
            result = _whole(reply, self.question.answer, read)
            code = "OK"
            return result
        except PlatformError as error:
            code = error.code
            if reply:
                error.retry_after = reply.retry_after
                if _clock_explains(error, reply):
                    code = "clock"
                    raise ClockDiffers(reply.ahead, sent=isinstance(error, NotAuthentic)) from error
            raise
        finally:
            self._record(facts, reply, code, time.monotonic() - begun)

    def _facts(self, request: bytes) -> ExchangeFacts:
        question = self.question
        return ExchangeFacts(
            service=question.service, operation=question.operation, reference=question.reference,
            host=urlsplit(self.address).netloc, http_status=None, code="",
            started=self.moment, milliseconds=0,
            request_sha256=hashlib.sha256(request).hexdigest(), response_sha256="",
        )  # fmt: skip

    def _record(self, facts: ExchangeFacts, reply: Reply | None, code: str, seconds: float) -> None:
        if self.trace is None:
            return
        self.trace(
            replace(
                facts,
                http_status=reply.status if reply else None,
                code=code,
                milliseconds=round(seconds * 1000),
                response_sha256=hashlib.sha256(reply.body).hexdigest() if reply else "",
            )
        )


def _whole(reply: Reply, answer: str, read: Callable[[Received], T]) -> T:
    """What is read of an answer, all of which must have been of use."""
    found = received(reply, answer)
    result = read(found)
    found.attachments.refuse_left()
    return result


def received(reply: Reply, answer: str) -> Received:
    """The content of a body: SOAP in order, identifiers unique, no fault, valid, and the element that was
    due.

    Faulted for a fault, whatever the HTTP status; NotAuthentic for doubled parts or identifiers; else
    Malformed.
    """
    package = unpack(reply.body, reply.content_type) if reply.in_parts else None
    octets = package.root if package else reply.body
    envelope = parse(octets)
    body = _body(envelope)
    if not ids_are_unique(envelope):
        raise NotAuthentic("identifiers")
    element = body[0]
    if element.tag == f"{_SOAP}Fault":
        raise _fault(element)
    if reply.status != 200:
        raise Malformed("http status without a fault")
    attachments = Attachments(package.attachments if package else {})
    attachments.include(envelope)
    check_envelope(envelope)
    if element.tag != answer:
        raise Malformed("another answer")
    return Received(element, octets, attachments)


def _body(envelope: Element) -> Element:
    shape = [child.tag for child in envelope]
    known = ([f"{_SOAP}Body"], [f"{_SOAP}Header", f"{_SOAP}Body"])
    if envelope.tag != f"{_SOAP}Envelope" or shape not in known:
        raise Malformed("not SOAP 1.1")
    if any(sum(1 for _ in envelope.iter(f"{_SOAP}{part}")) > 1 for part in _PARTS):
        raise NotAuthentic("doubled parts")
    headers = envelope[0] if len(shape) == 2 else ()
    if sum(child.tag == f"{{{names.WSSE}}}Security" for child in headers) > 1:
        raise NotAuthentic("doubled security header")
    body = envelope[-1]
    if len(body) != 1:
        raise Malformed("not exactly one element in the body")
    return body


def _fault(fault: Element) -> Faulted:
    """The detail decides where there is one; else the local name of the fault code, all that WS-Trust has."""
    for kind in ("SystemError", "BusinessError"):
        detail = fault.find(f"detail/{{{names.ERR}}}{kind}")
        if detail is not None:
            stated = {"true": True, "1": True, "false": False, "0": False}.get(text_of(detail, "Retry"))
            return Faulted(text_of(detail, "Code"), text_of(detail, "Message"), stated)
    return Faulted(text_of(fault, "faultcode").rpartition(":")[2] or "fault", text_of(fault, "faultstring"))
