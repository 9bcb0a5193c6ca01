"""The breaker (SR-102): an address that failed ten times in a minute is left alone, but for one try a minute.

Only failures of transport count: a fault or a refusal means that somebody is there. The rows of `Endpoint`
are the truth for all processes; failures are counted from the `Exchange` rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.db.models import Q

from ehealth.client.conversation import ExchangeFacts
from ehealth.client.errors import Unreachable
from ehealth.client.platform import Platform
from ehealth.configuration import addresses, platform
from ehealth.models import Endpoint, Exchange

FAILURES, WINDOW = 10, timedelta(seconds=60)
PROBE_EVERY = timedelta(seconds=60)
TRANSPORT = ("unreachable", "timed_out")


@dataclass(frozen=True)
class Admitted:
    """The platform with the addresses that may be called now; `probing`: one of them is being tried again."""

    platform: Platform
    probing: bool


def admitted(*services: str, now: datetime) -> Admitted:
    """What may be called of these services. Unreachable, and no call, when a service has no address left."""
    known = platform()
    shut = list(Endpoint.objects.all().open().filter(service__in=services).order_by("pk"))
    if not shut:
        return Admitted(known, False)
    probed = {endpoint.pk for endpoint in shut if _win_probe(endpoint, now)}
    closed = {(endpoint.service, endpoint.host) for endpoint in shut if endpoint.pk not in probed}
    endpoints = dict(known.endpoints)
    for service in services:
        addresses = tuple(
            address for address in endpoints[service] if (service, urlsplit(address).netloc) not in closed
        )
        if not addresses:
            raise Unreachable("left alone for now")
        endpoints[service] = addresses
    return Admitted(replace(known, endpoints=endpoints), bool(probed))


def _win_probe(endpoint: Endpoint, now: datetime) -> bool:
    """One process a minute may try."""
    due = Endpoint.objects.all().open().filter(pk=endpoint.pk, probe_at__lte=now)
    return bool(due.update(probe_at=now + PROBE_EVERY))


def note(gathered: Iterable[ExchangeFacts], now: datetime) -> None:
    """Open what failed too often, close what answers again. Called with every batch of exchanges stored."""
    failed: set[tuple[str, str]] = set()
    reached: set[tuple[str, str]] = set()
    for facts in gathered:
        (failed if facts.code in TRANSPORT else reached).add((facts.service, facts.host))
    for service, host in failed - reached:
        _open_if_often(service, host, now)
    if reached:
        answering = Q(pk=None)
        for service, host in reached:
            answering |= Q(service=service, host=host)
        Endpoint.objects.all().open().filter(answering).update(opened_at=None, probe_at=None)


def _open_if_often(service: str, host: str, now: datetime) -> None:
    recent = Exchange.objects.filter(service=service, host=host, started_at__gt=now - WINDOW)
    if recent.filter(code__in=TRANSPORT).count() < FAILURES:
        return
    endpoint, _created = Endpoint.objects.get_or_create(service=service, host=host)
    Endpoint.objects.filter(pk=endpoint.pk, opened_at=None).update(opened_at=now, probe_at=now + PROBE_EVERY)


def down_since(*services: str) -> datetime | None:
    """Since when none of the addresses of one of these services answers; None when all have one."""
    shut: dict[str, dict[str, datetime]] = {}
    rows = Endpoint.objects.all().open().filter(service__in=services)
    for endpoint in rows:
        if endpoint.opened_at:
            shut.setdefault(endpoint.service, {})[endpoint.host] = endpoint.opened_at
    known = addresses()
    since = [
        max(hosts.values())
        for service, hosts in shut.items()
        if {urlsplit(address).netloc for address in known[service]} <= hosts.keys()
    ]
    return min(since) if since else None
