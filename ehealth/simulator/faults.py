"""Misbehaviour on purpose: what can be ordered, and what happens by chance."""

import math
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
    "busy": "HTTP status 503 and a Retry-After of VALUE, seconds or a date (default 3600), nothing is done",
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
    "wrapped-signature": "STS: a forged token stands in its place, the signed one is moved into VALUE "
    "(object, advice or beside; default object)",
    "expired-token": "STS: the token ended yesterday",
    "foreign-token": "STS: the token is about another person",
    "no-xades": "Registration: the answer has no XadesT",
    "deflate": "Registration: the Detail of the answer is deflated",
}
SERVICES = ("sts", "etk", "mailbox", "publication", "registration")
ONLY_AT = {
    "wrong-signature": "sts",
    "wrapped-signature": "sts",
    "expired-token": "sts",
    "foreign-token": "sts",
    "no-xades": "registration",
    "deflate": "registration",
}
"""Kinds that mean something to one service alone."""
MOVED_INTO = ("object", "advice", "beside")
BUSINESS = {
    "registration": ("100", "111", "130", "140", "141", "155", "168"),
    "mailbox": ("801", "802", "803", "804", "805", "810", "814", "816", "826"),
    "publication": ("801", "802", "803", "804", "805", "814", "816", "826"),
    "etk": ("400", "404", "500"),
}
"""Business codes that the services are known to answer; any other may be ordered too."""
USUAL_SHARE = 0.03
"""What goes wrong by chance where nobody says otherwise: clients must learn to try again."""
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
    if service not in ("", ONLY_AT.get(kind, service)):
        raise ValueError(f"{kind} is for the service {ONLY_AT[kind]}")
    if count < 1:
        raise ValueError("count must be at least 1")
    if value:
        _check_value(kind, value)


def _check_value(kind: str, value: str) -> None:
    if kind in {"delay", "drip", "hang-after-accept", "clock"}:
        seconds = float(value)
        if not math.isfinite(seconds) or (seconds < 0 and kind != "clock"):
            raise ValueError("seconds must be a number, and not below 0")
    if kind == "status" and not 200 <= int(value) <= 599:
        raise ValueError("an HTTP status lies between 200 and 599")
    if kind == "wrapped-signature" and value not in MOVED_INTO:
        raise ValueError(f"the signed token can be moved into {', '.join(MOVED_INTO)}")


def refuse_if_ordered(fault: Fault) -> None:
    """Raises the refusal that a ``soa`` order asks for."""
    if fault.kind == "soa":
        raise Refusal(fault.value, "ordered")
