"""The audit trail shows when somebody has tampered with it.

Each event carries a code over itself, made by `audit.record` with a key that the database does not hold: an
edited or invented event is known. A chain over all codes, made by a job, tells removal and reordering. It is
not made in `record`, for a lock held from there to the end of each action would put all actions in one row.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, Min, OuterRef, QuerySet

from accounts.models import AuditEvent, AuditLink
from accounts.sealing import CannotOpen, KeyRing, derive_key

logger = logging.getLogger(__name__)

COLUMNS = (
    "at", "kind", "actor", "actor_name", "practice", "subject", "subject_name", "request_id", "address",
    "details",
)  # fmt: skip
BATCH = 1_000
# A lock of its own for whoever makes the chain longer.
LOCK = 0x61756469
# How long before the last event in the chain another may have begun that was committed after it.
OVERLAP = timedelta(days=1)
UNCHAINED_AT_MOST = timedelta(minutes=10)


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@cache
def _key(ring: str, name: str) -> bytes:
    return derive_key(KeyRing.parse(ring).named(name), "audit")


def key_name() -> str:
    """Of the key that codes are made with now."""
    return KeyRing.parse(settings.SEALING_KEYS).first


def code(name: str, values: Mapping[str, Any]) -> bytes:
    """HMAC-SHA-256 over the columns of an event, with the audit key of that name; raises `CannotOpen`."""
    plain = [_plain(values[column]) for column in COLUMNS]
    return hmac.digest(_key(settings.SEALING_KEYS, name), _encode(plain).encode(), "sha256")


def _plain(value: Any) -> Any:
    """As it is read back from the database, in JSON."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value if value is None or isinstance(value, (str, dict)) else str(value)


def sign(event: AuditEvent) -> None:
    """Give a new event its code; the caller saves."""
    event.key_name = key_name()
    event.code = code(event.key_name, vars(event))


def link_code(name: str, before: bytes, position: int, of_event: bytes) -> bytes:
    """The chain up to this position."""
    text = before + position.to_bytes(8, "big") + of_event
    return hmac.digest(_key(settings.SEALING_KEYS, name), text, "sha256")


# --- making the chain longer -----------------------------------------------------------------
def lengthen() -> int:
    """Put every committed event that is not in the chain at its end; how many. Two at once never fork it."""
    count = 0
    while added := _one_batch():
        count += added
    return count


def _one_batch() -> int:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                return 0
        last = AuditLink.objects.order_by("-position").first()
        position, chain = (last.position, bytes(last.code)) if last else (0, b"")
        name, links = key_name(), []
        for pk, of_event in _outside(last).values_list("pk", "code")[:BATCH]:
            position += 1
            chain = link_code(name, chain, position, bytes(of_event))
            links.append(AuditLink(position=position, event=pk, key_name=name, code=chain))
        AuditLink.objects.bulk_create(links)
        return len(links)


def _outside(last: AuditLink | None = None) -> QuerySet[AuditEvent]:
    """Events with a code that are in no link, oldest first; given the last link, a search by time."""
    linked = AuditLink.objects.filter(event=OuterRef("pk"))
    events = AuditEvent.objects.exclude(key_name="").filter(~Exists(linked)).order_by("pk")
    if last is None:
        return events
    since = AuditEvent.objects.filter(pk=last.event).values_list("at", flat=True).first()
    return events.filter(at__gte=since - OVERLAP) if since else events


# --- checking it -----------------------------------------------------------------------------
@dataclass(frozen=True)
class Fault:
    """Where the trail is broken first. `why`: edited, removed, invented, moved, gap, cut, unchained."""

    why: str
    position: int | None
    event: int | None


@dataclass(frozen=True)
class Anchor:
    """The end of the chain at some moment, kept outside the database."""

    position: int
    code: str


def faults(*, now: datetime, anchors: list[Anchor] | None = None) -> Iterator[Fault]:
    """What is wrong, in the order of the chain; nothing for a whole one. Reads in batches."""
    kept = {anchor.position: anchor.code for anchor in anchors or ()}
    position, chain = 0, b""
    for link, event in _linked():
        position += 1
        if link["position"] != position:
            yield Fault("gap", position, None)
            position = link["position"]
        if event is None:
            yield Fault("removed", position, link["event"])
        elif not _genuine(event):
            yield Fault("edited", position, link["event"])
        made = bytes(event["code"]) if event else b""
        expected = link_code(link["key_name"], chain, position, made)
        chain = bytes(link["code"])
        wrong = expected != chain and event is not None
        if wrong or kept.pop(position, chain.hex()) != chain.hex():
            yield Fault("moved", position, link["event"])
    yield from (Fault("cut", lost, None) for lost in sorted(kept))
    yield from _beside_the_chain(now)


def _linked() -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    links = AuditLink.objects.order_by("position").values("position", "event", "key_name", "code")
    batch: list[dict[str, Any]] = []
    for link in links.iterator(chunk_size=BATCH):
        batch.append(link)
        if len(batch) == BATCH:
            yield from _with_events(batch)
            batch = []
    yield from _with_events(batch)


def _with_events(batch: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    wanted = AuditEvent.objects.filter(pk__in=[link["event"] for link in batch])
    found = {event["id"]: event for event in wanted.values("id", "key_name", "code", *COLUMNS)}
    return ((link, found.get(link["event"])) for link in batch)


def _genuine(event: Mapping[str, Any]) -> bool:
    try:
        return hmac.compare_digest(code(event["key_name"], event), bytes(event["code"]))
    except CannotOpen:
        return False


def _beside_the_chain(now: datetime) -> Iterator[Fault]:
    """Events in no link: invented ones, and ours that have waited too long."""
    for event in _outside().values("id", "key_name", "code", *COLUMNS).iterator(chunk_size=BATCH):
        if not _genuine(event):
            yield Fault("invented", None, event["id"])
        elif event["at"] < now - UNCHAINED_AT_MOST:
            yield Fault("unchained", None, event["id"])
    first = AuditEvent.objects.exclude(key_name="").aggregate(first=Min("pk"))["first"]
    if first is not None:
        without = AuditEvent.objects.filter(key_name="", pk__gt=first).order_by("pk")
        yield from (Fault("invented", None, pk) for pk in without.values_list("pk", flat=True))


def length() -> int:
    """How many events are in the chain."""
    return AuditLink.objects.count()


# --- its end, written down outside -----------------------------------------------------------
def write_anchor(*, now: datetime) -> Anchor | None:
    """The end of the chain into the log and, with AUDIT_ANCHOR_FILE, one line more of that file."""
    last = AuditLink.objects.order_by("-position").first()
    if last is None:
        return None
    anchor = Anchor(last.position, bytes(last.code).hex())
    logger.info("audit chain: position %s, code %s", anchor.position, anchor.code)
    if settings.AUDIT_ANCHOR_FILE:
        line = {"at": now.isoformat(), "position": anchor.position, "code": anchor.code}
        with Path(settings.AUDIT_ANCHOR_FILE).open("a") as file:
            file.write(json.dumps(line) + "\n")
    return anchor


def read_anchors(path: Path) -> list[Anchor]:
    """The lines of such a file; raises `ValueError` for one that cannot be read."""
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    try:
        return [Anchor(int(line["position"]), str(line["code"])) for line in lines]
    except (KeyError, TypeError) as error:
        raise ValueError("a line without position or code") from error
