"""Misbehaviour on purpose: what can be ordered, and what happens by chance."""

import random
from dataclasses import dataclass, field

from ehealth.simulator.soap import MESSAGES, Refusal
from ehealth.simulator.store import Store

KINDS = {
    "outage": "the connection is closed before anything is done",
    "delay": "everything is done, VALUE seconds late (default 30)",
    "soa": "SOAP fault with the code VALUE",
    "business": "the service's own answer carries the business code VALUE, nothing is done",
    "status": "HTTP status VALUE with an HTML page (default 503)",
    "redirect": "HTTP redirect to VALUE",
    "garbage": "bytes that are not XML",
    "gzip-bomb": "a small compressed body that becomes 200 MB",
    "clock": "the answer's times are VALUE seconds off (default 300)",
    "close-after-accept": "everything is done, then the connection is closed without an answer",
    "hang-after-accept": "everything is done, then silence for VALUE seconds (default 120)",
    "truncated": "everything is done, half of the answer is sent",
    "drip": "everything is done, one byte of the answer every VALUE seconds (default 1)",
    "replayed-answer": "everything is done, but the service's previous answer is sent",
    "wrong-signature": "STS: the signature of the token does not hold",
    "expired-token": "STS: the token ended yesterday",
    "foreign-token": "STS: the token is about another person",
    "no-xades": "Registration: the answer has no XadesT",
    "deflate": "Registration: the Detail of the answer is deflated",
}
SERVICES = ("sts", "etk", "mailbox", "publication", "registration")
BY_CHANCE = (("delay", "2"), ("outage", ""), ("soa", "SOA-02002"), ("close-after-accept", ""))


@dataclass(frozen=True)
class Fault:
    """One misbehaviour; ``value`` as in :data:`KINDS`."""

    kind: str
    value: str = ""

    def seconds(self, default: float) -> float:
        """The value as a number of seconds."""
        return float(self.value) if self.value else default


NONE = Fault("")


@dataclass
class Faults:
    """Decides how a call goes wrong: orders first, then chance for ``share`` of the calls (0 to 1)."""

    store: Store
    share: float = 0.0
    chance: random.Random = field(default_factory=random.Random)

    def take(self, service: str, ssin: str, mutuality: str) -> Fault:
        """The misbehaviour for this call, used up by asking; :data:`NONE` when it goes well."""
        ordered = self.store.take_fault(service, ssin, mutuality)
        if ordered:
            return Fault(*ordered)
        if self.share and self.chance.random() < self.share:
            return Fault(*self.chance.choice(BY_CHANCE))
        return NONE


def check_order(service: str, kind: str, value: str, count: int) -> None:
    """Raises ``ValueError`` for an order that makes no sense."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind}: one of {', '.join(KINDS)}")
    if service and service not in SERVICES:
        raise ValueError(f"unknown service {service}: one of {', '.join(SERVICES)}")
    if kind == "soa" and value not in MESSAGES:
        raise ValueError(f"unknown code {value}: one of {', '.join(MESSAGES)}")
    if kind in {"redirect", "business"} and not value:
        raise ValueError(f"{kind} needs a value")
    if kind in {"delay", "drip", "hang-after-accept", "clock"} and value:
        float(value)
    if kind == "status" and value and not 200 <= int(value) <= 599:
        raise ValueError("an HTTP status lies between 200 and 599")
    if count < 1:
        raise ValueError("count must be at least 1")


def refuse_if_ordered(fault: Fault) -> None:
    """Raises the refusal that a ``soa`` order asks for."""
    if fault.kind == "soa":
        raise Refusal(fault.value, "ordered")
