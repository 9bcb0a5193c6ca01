"""A message to oneself and back: every operation of the eHealthBox, tried on nothing but our own message."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass

from django.utils import timezone

from ehealth.actions.sessions import Live
from ehealth.client import mailbox, publication
from ehealth.client.conversation import Trace
from ehealth.client.errors import Malformed, NotAuthentic, PlatformError
from ehealth.client.mailbox import Box
from ehealth.client.platform import Platform

TITLE = "medisetup : test"
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
BINS: dict[Box, Box] = {"INBOX": "BININBOX", "SENTBOX": "BINSENTBOX"}


@dataclass
class _Trip:
    """One test message: how it is known, and where it lies by now."""

    known: Platform
    live: Live
    trace: Trace
    mark: str

    @property
    def title(self) -> str:
        return f"{TITLE} {self.mark}"

    @property
    def content(self) -> bytes:
        return f"Message de test {self.mark}".encode()


def run(*, known: Platform, live: Live, trace: Trace) -> None:
    """Send, find, read, look at the receipt, move to the bin and delete; PlatformError when a step fails.

    What was sent is deleted even then. No other message is opened or moved. No transaction may be open.
    """
    trip = _Trip(known, live, trace, "".join(secrets.choice(ALPHABET) for _ in range(13)))
    publication.send_to_oneself(
        known, live.identity, live.assertion,
        publication_id=trip.mark, title=trip.title, content=trip.content, now=timezone.now(), trace=trace,
    )  # fmt: skip
    try:
        _read(trip, _find(trip, "INBOX"))
        _see_receipt(trip, _find(trip, "SENTBOX"))
    except PlatformError:
        for box in BINS:
            with suppress(PlatformError):
                _clear(trip, box)
        raise
    for box in BINS:
        _clear(trip, box)


def _find(trip: _Trip, box: Box) -> str:
    listed = mailbox.list_messages(
        trip.known, trip.live.identity, trip.live.assertion, source=box, now=timezone.now(), trace=trip.trace
    )
    found = [message.message_id for message in listed if message.title == trip.title]
    if len(found) != 1:
        raise Malformed("our message is not in the box")
    return found[0]


def _read(trip: _Trip, identifier: str) -> None:
    read = mailbox.full_message(
        trip.known, trip.live.identity, trip.live.assertion,
        message_id=identifier, now=timezone.now(), trace=trip.trace,
    )  # fmt: skip
    if (read.title, read.content) != (trip.title, trip.content):
        raise NotAuthentic("another content")


def _see_receipt(trip: _Trip, identifier: str) -> None:
    rows = mailbox.acknowledgments(
        trip.known, trip.live.identity, trip.live.assertion,
        message_id=identifier, now=timezone.now(), trace=trip.trace,
    )  # fmt: skip
    if not any(row.published for row in rows):
        raise Malformed("no receipt")


def _clear(trip: _Trip, box: Box) -> None:
    """To the bin, then out of it."""
    identity, assertion, now = trip.live.identity, trip.live.assertion, timezone.now()
    ids = [_find(trip, box)]
    mailbox.move(
        trip.known, identity, assertion,
        source=box, destination=BINS[box], message_ids=ids, now=now, trace=trip.trace,
    )  # fmt: skip
    mailbox.delete(
        trip.known, identity, assertion,
        source=BINS[box], message_ids=ids, now=timezone.now(), trace=trip.trace,
    )  # fmt: skip
