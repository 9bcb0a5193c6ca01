"""The audit trail shows when somebody has tampered with it.

Each event carries a code over itself, made by `audit.record` with a key that the database does not hold: an
edited or invented event is known. A chain over all codes, made by a job, tells removal and reordering. It is
not made in `record`, for a lock held from there to the end of each action would put all actions in one row.
An event that has passed its retention leaves a signed mark and its link, so that the chain goes on from it.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Exists, Max, OuterRef

from accounts.models import AuditEvent, AuditLink, AuditPruned
from accounts.sealing import KeyRing, derive_key

logger = logging.getLogger(__name__)

# What a code is over, as the database writes it: text, which holds whatever somebody may have put there.
COLUMNS = {
    "id": "e.id", "at": "extract(epoch FROM e.at)::text", "kind": "e.kind", "actor": "e.actor::text",
    "actor_name": "e.actor_name", "practice": "e.practice::text", "subject": "e.subject::text",
    "subject_name": "e.subject_name", "request_id": "e.request_id", "address": "e.address",
    "details": "e.details::text",
}  # fmt: skip
_EVENT = ", ".join([*COLUMNS.values(), "e.key_name", "e.code"])
_CHAIN = f"""
SELECT l.position, l.event, l.key_name, l.code, p.key_name, p.code, {_EVENT}
FROM accounts_auditlink l LEFT JOIN accounts_auditevent e ON e.id = l.event
LEFT JOIN accounts_auditpruned p ON p.event = l.event
WHERE l.position > %s ORDER BY l.position LIMIT %s"""  # noqa: S608 the columns above
_OUTSIDE = f"""
SELECT {_EVENT}, e.at < %s FROM accounts_auditevent e
WHERE e.id > %s AND NOT EXISTS (SELECT FROM accounts_auditlink l WHERE l.event = e.id)
ORDER BY e.id LIMIT %s"""  # noqa: S608 the columns above
_NEWEST = f"SELECT {_EVENT} FROM accounts_auditevent e WHERE e.key_name <> '' ORDER BY e.id DESC LIMIT 1"  # noqa: S608
# Retention is the database's own: `audit_kept`, which its trigger asks too (migration `audit_retention`).
_PAST = f"""
SELECT e.id, l.position, l.code, {_EVENT}
FROM accounts_auditevent e JOIN accounts_auditlink l ON l.event = e.id
WHERE e.at < now() - audit_kept('') AND e.at < now() - audit_kept(e.kind) AND e.id > %s
ORDER BY e.id LIMIT %s"""  # noqa: S608 the columns above
_BEFORE_ALL = -(2**63)
BATCH = 5_000
# A lock of its own for whoever makes the chain longer.
LOCK = 0x61756469
PRUNED_AT_ONCE = 10_000
# How many later events may be in the chain before one that was begun earlier is committed.
LATE = 100_000
UNCHAINED_AT_MOST = timedelta(minutes=10)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@cache
def _key(ring: str, name: str) -> bytes:
    return derive_key(KeyRing.parse(ring).named(name), "audit")


def key_name() -> str:
    """Of the key that codes are made with now."""
    return KeyRing.parse(settings.SEALING_KEYS).first


def _code(name: str, plain: list[Any]) -> bytes:
    return hmac.digest(_key(settings.SEALING_KEYS, name), _encode(plain).encode(), "sha256")


def sign(event: AuditEvent) -> None:
    """Give a new event its number and its code, an HMAC-SHA-256 over all its columns; the caller saves.

    The number is in the code, or a copy of an event would pass for another. Fractions in the details become
    text, which is read back as it was written.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('accounts_auditevent', 'id'))")
        event.pk = cursor.fetchone()[0]
    event.details = json.loads(json.dumps(event.details), parse_float=str)
    event.key_name = key_name()
    event.code = _code(event.key_name, [_as_read(getattr(event, column)) for column in COLUMNS])


def _as_read(value: Any) -> Any:
    if isinstance(value, datetime):
        since = value - EPOCH
        return f"{since.days * 86_400 + since.seconds}.{since.microseconds:06}"
    return value if value is None or isinstance(value, (int, str, dict)) else str(value)


def link_code(name: str, before: bytes, position: int, of_event: bytes) -> bytes:
    """The chain up to this position; raises `CannotOpen` for a key that the ring lacks."""
    return hmac.digest(_key(settings.SEALING_KEYS, name), b"%b%d %b" % (before, position, of_event), "sha256")


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
        newest = AuditLink.objects.aggregate(newest=Max("event"))["newest"] or 0
        linked = AuditLink.objects.filter(event=OuterRef("pk"))
        outside = AuditEvent.objects.filter(~Exists(linked), pk__gt=newest - LATE).exclude(key_name="")
        name, links = key_name(), []
        for pk, of_event in outside.order_by("pk").values_list("pk", "code")[:BATCH]:
            position += 1
            chain = link_code(name, chain, position, bytes(of_event))
            links.append(AuditLink(position=position, event=pk, key_name=name, code=chain))
        AuditLink.objects.bulk_create(links)
        return len(links)


# --- erasing what has passed its retention ---------------------------------------------------
def mark_code(name: str, position: int, event: int, link: bytes) -> bytes:
    """That we erased this event at this place; raises `CannotOpen` for a key that the ring lacks."""
    plain = b"pruned %d %d %b" % (position, event, link)
    return hmac.digest(_key(settings.SEALING_KEYS, name), plain, "sha256")


def prune() -> int:
    """Erase events of the chain that have passed their retention by the database's clock, at most
    PRUNED_AT_ONCE; how many. One that was tampered with stays, or its fault would go with it.
    """
    name, marks = key_name(), []
    for number, position, link, *event in islice(_rows(_PAST), PRUNED_AT_ONCE):
        if _genuine(event):
            code = mark_code(name, position, number, bytes(link))
            marks.append(AuditPruned(event=number, key_name=name, code=code))
    with transaction.atomic():
        AuditPruned.objects.bulk_create(marks)
        AuditEvent.objects.filter(pk__in=[mark.event for mark in marks]).delete()
    return len(marks)


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
    for place, number, name, after, marked_by, mark, *event in _rows(_CHAIN):
        position += 1
        if place != position:
            yield Fault("gap", position, None)
            position = place
        there = event[0] is not None
        if not there and not _matches(mark_code, mark, marked_by, place, number, bytes(after or b"")):
            yield Fault("removed", position, number)
        elif there and not _genuine(event):
            yield Fault("edited", position, number)
        follows = not there or _matches(link_code, after, name, chain, position, bytes(event[-1] or b""))
        chain = bytes(after or b"")
        if not follows or kept.pop(position, chain.hex()) != chain.hex():
            yield Fault("moved", position, number)
    yield from (Fault("cut", lost, None) for lost in sorted(kept))
    yield from _beside_the_chain(now)


def _rows(query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
    """All rows of a query that goes on after the value of its first column."""
    last, full = _BEFORE_ALL, True
    while full:
        with connection.cursor() as cursor:
            cursor.execute(query, [*values, last, BATCH])
            rows = cursor.fetchall()
        yield from rows
        full = len(rows) == BATCH
        last = rows[-1][0] if rows else last


def _genuine(event: list[Any]) -> bool:
    """Whether an event, as the database writes it, is the one that was signed."""
    *plain, details, name, code = event
    try:
        return hmac.compare_digest(_code(name, [*plain, json.loads(details)]), bytes(code))
    except (TypeError, ValueError, RecursionError):
        return False


def _matches(made: Callable[..., bytes], code: bytes | None, *made_of: Any) -> bool:
    """Whether a stored code, or none, is the one that our key makes."""
    try:
        return code is not None and hmac.compare_digest(made(*made_of), bytes(code))
    except ValueError:
        return False


def _beside_the_chain(now: datetime) -> Iterator[Fault]:
    """Events in no link: invented ones, and ours that have waited too long; none of before the first code."""
    first = AuditEvent.objects.exclude(key_name="").order_by("pk").values_list("pk", flat=True).first()
    for *event, late in _rows(_OUTSIDE, now - UNCHAINED_AT_MOST):
        number, name = event[0], event[-2]
        if name == "" and (first is None or number < first):
            continue
        if not _genuine(event):
            yield Fault("invented", None, number)
        elif late:
            yield Fault("unchained", None, number)


def newest_is_genuine() -> bool:
    """Whether the event written last carries the code that our key makes; True when there is none."""
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST)
        event = cursor.fetchone()
    return event is None or _genuine(list(event))


def codes_by_key() -> dict[str, int]:
    """How many codes of events, of the chain and of marks each key has made."""
    counts: Counter[str] = Counter()
    for rows in (AuditEvent.objects.exclude(key_name=""), AuditLink.objects.all(), AuditPruned.objects.all()):
        counts.update(dict(rows.values_list("key_name").annotate(Count("pk")).order_by()))
    return dict(counts)


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
