"""From the bytes of a request to the bytes of the answer: every check in its order, one call at a time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lxml import etree

from ehealth.simulator import soap, wsse
from ehealth.simulator.faults import NONE, Fault, Faults, refuse_if_ordered
from ehealth.simulator.pki import Pki
from ehealth.simulator.soap import Envelope, Refusal
from ehealth.simulator.store import Store
from ehealth.simulator.wsse import Caller


@dataclass(frozen=True)
class Licence:
    """What the college of mutualities gives to a software vendor."""

    name: str
    username: str
    password: str = field(repr=False)


@dataclass
class Simulation:
    """The platform that is simulated: its keys, memory and moods."""

    pki: Pki
    store: Store
    faults: Faults
    licence: Licence
    latency: float = 0.0
    """Seconds before every answer."""
    clock_offset: float = 0.0
    """Seconds by which the platform's clock is ahead."""
    last_answers: dict[str, bytes] = field(default_factory=dict)

    def now(self) -> datetime:
        """The platform's own time, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.clock_offset)


@dataclass(frozen=True)
class Call:
    """A request that was authenticated, authorised and valid, with how it must go wrong."""

    simulation: Simulation
    payload: etree._Element
    caller: Caller | None
    mutuality: str
    fault: Fault
    now: datetime

    @property
    def signer(self) -> Caller:
        """The caller of a service that has a security header."""
        if self.caller is None:
            raise Refusal("SOA-01001", "nobody signed the message")
        return self.caller


@dataclass(frozen=True)
class Operation:
    """What a service does for one kind of body: its name, its SOAPAction, its function."""

    name: str
    action: str
    handle: Callable[[Call], etree._Element | soap.WithParts]


def _nobody(payload: etree._Element) -> str:
    return ""


@dataclass(frozen=True)
class Service:
    """A path of the platform. ``profile``: "x509", "saml" or "" (no security header).

    ``mutuality`` and ``subject`` read from the body whom the call is for, so that faults can be aimed.
    """

    name: str
    profile: str
    operations: dict[str, Operation]
    mutuality: Callable[[etree._Element], str] = _nobody
    subject: Callable[[etree._Element], str] = _nobody


@dataclass(frozen=True)
class Answer:
    """What goes back. ``fault`` tells the server how to spoil the sending."""

    status: int
    body: bytes
    fault: Fault = NONE


@dataclass
class _Trace:
    operation: str = ""
    ssin: str = ""
    mutuality: str = ""
    fault: Fault = NONE


SILENT = {"outage", "status", "busy", "redirect", "garbage", "gzip-bomb"}
"""Faults after which nothing has been done."""


def answer(simulation: Simulation, service: Service, action: str | None, data: bytes) -> Answer:
    """The answer of ``service`` to one POST; ``action`` is the SOAPAction header as received."""
    trace = _Trace()
    time.sleep(simulation.latency)
    try:
        status, body = 200, _perform(simulation, service, action, data, trace)
        outcome = trace.fault.kind or "answered"
    except Refusal as refusal:
        status, body, outcome = 500, soap.fault(refusal), refusal.code
    now = simulation.now()
    simulation.store.note_call(now, service.name, trace.operation, trace.ssin, trace.mutuality, outcome)
    if trace.fault.kind == "replayed-answer":
        body = simulation.last_answers.get(service.name, body)
    elif status == 200:
        simulation.last_answers[service.name] = body
    return Answer(status, body, trace.fault)


def _perform(
    simulation: Simulation, service: Service, action: str | None, data: bytes, trace: _Trace
) -> bytes:
    envelope = soap.read(data)
    operation = _operation(service, envelope, action)
    trace.operation = operation.name
    now = simulation.now()
    caller = _authenticate(simulation, service, envelope, now)
    trace.ssin = caller.ssin if caller else service.subject(envelope.payload)
    trace.mutuality = service.mutuality(envelope.payload)
    trace.fault = simulation.faults.take(service.name, trace.ssin, trace.mutuality)
    if trace.fault.kind in SILENT:
        return b""
    if trace.fault.kind == "delay":
        time.sleep(trace.fault.seconds(30))
    refuse_if_ordered(trace.fault)
    if service.profile == "saml":
        _authorise(simulation, caller)
    soap.check_schema(envelope.root)
    if trace.fault.kind == "clock":
        now += timedelta(seconds=trace.fault.seconds(300))
    call = Call(simulation, envelope.payload, caller, trace.mutuality, trace.fault, now)
    return soap.envelope(operation.handle(call))


def _operation(service: Service, envelope: Envelope, action: str | None) -> Operation:
    operation = service.operations.get(str(envelope.payload.tag))
    if operation is None:
        raise Refusal("SOA-03005", f"{service.name} has no operation for this body")
    if action != f'"{operation.action}"':
        raise Refusal("SOA-03004", "the SOAPAction does not match the body")
    return operation


def _authenticate(
    simulation: Simulation, service: Service, envelope: Envelope, now: datetime
) -> Caller | None:
    if not service.profile:
        return None
    return wsse.verify(envelope, service.profile, pki=simulation.pki, store=simulation.store, now=now)


def _authorise(simulation: Simulation, caller: Caller | None) -> None:
    if caller is None or caller.claims.get(wsse.DOCTOR) != "true" or not caller.claims.get(wsse.NIHII11):
        raise Refusal("SOA-01002", "the token does not say that its holder is a doctor")
    person = simulation.store.person(caller.ssin)
    if person is not None and not person.authorised:
        raise Refusal("SOA-01002", "this person may not use the service")
