"""A message from a person to that person's own box, followed until it is gone again: the proof that the
eHealthBox works both ways.

Only what bears the title of this very trip is touched: it holds 128 random bits, nobody else's can equal it.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ehealth.actions.exchanges import refuse_in_transaction
from ehealth.actions.sessions import Live
from ehealth.client import mailbox, publication
from ehealth.client.conversation import Trace
from ehealth.client.errors import PlatformError, Refused, TimedOut, Unreachable
from ehealth.client.mailbox import Acknowledgment, Folder
from ehealth.client.platform import Platform

# The whole trip ends within the limit of a task, what it leaves behind included.
STEPS_SECONDS, WHOLE_SECONDS = 20.0, 38.0
# The service takes a message before it delivers it.
PAUSES = (0.0, 0.5, 1.0, 2.0, 3.0)
# Where a message of this trip may lie.
FOLDERS: tuple[Folder, ...] = ("INBOX", "BININBOX", "SENTBOX")
NOT_DELIVERED, DIFFERENT, NOT_DELETED = "not_delivered", "content_differs", "not_deleted"


@dataclass(frozen=True)
class RoundTrip:
    """A trip that went well. `acknowledged`: what the platform keeps of it, None if it says nothing."""

    message_id: str
    milliseconds: int
    acknowledged: Acknowledgment | None


def run(*, known: Platform, live: Live, trace: Trace, now: datetime) -> RoundTrip:
    """Send a short test message to the person's own box, find it, read it, ask what became of it, put it in
    the bin and delete it.

    What was sent is deleted even when a step fails, but for a message that waits outside a full box.
    PlatformError: what failed, by the code of the platform or `not_delivered`, `content_differs`,
    `not_deleted`. `now` is the time of the start; no transaction may be open.
    """
    refuse_in_transaction()
    trip = _Trip(known, live, trace, now, title=f"Test medisetup {secrets.token_hex(16)}")
    try:
        message_id, acknowledged = trip.travel()
    finally:
        trip.limit = WHOLE_SECONDS
        is_clean = trip.clean()
    if not is_clean:
        raise Refused(NOT_DELETED)
    return RoundTrip(message_id, round(trip.elapsed() * 1000), acknowledged)


class _Trip:
    def __init__(self, known: Platform, live: Live, trace: Trace, now: datetime, *, title: str) -> None:
        self.known, self.live, self.trace, self.title = known, live, trace, title
        self.started, self.begun = now, time.monotonic()
        self.limit, self.has_left = STEPS_SECONDS, False

    def elapsed(self) -> float:
        return time.monotonic() - self.begun

    def now(self) -> datetime:
        return self.started + timedelta(seconds=self.elapsed())

    def within(self) -> Platform:
        """The platform, with no more time for a call than is left for the trip."""
        left = self.limit - self.elapsed()
        if left <= 0:
            raise TimedOut(sent=False)
        return replace(self.known, call_timeout=min(self.known.call_timeout, left))

    def travel(self) -> tuple[str, Acknowledgment | None]:
        """From sending to deleting in the inbox: the message's identifier and what became of it."""
        content = f"{self.title}\n".encode()
        self.send(content)
        message_id = self.arrived()
        found = mailbox.full_message(
            self.within(), self.live.identity, self.live.assertion,
            message_id=message_id, now=self.now(), trace=self.trace,
        )  # fmt: skip
        if found.content != content or found.title != self.title:
            raise Refused(DIFFERENT)
        rows = mailbox.acknowledgments(
            self.within(), self.live.identity, self.live.assertion,
            message_id=message_id, now=self.now(), trace=self.trace,
        )  # fmt: skip
        self.bin(message_id)
        return message_id, rows[0] if rows else None

    def send(self, content: bytes) -> None:
        self.has_left = True
        try:
            publication.send(
                self.within(), self.live.identity, self.live.assertion,
                title=self.title, content=content, now=self.now(), trace=self.trace,
            )  # fmt: skip
        except (Unreachable, TimedOut) as error:
            self.has_left = error.sent
            raise

    def arrived(self) -> str:
        """The identifier in the inbox, after a little patience."""
        for pause in PAUSES:
            time.sleep(pause)
            found = self.found_in("INBOX")
            if found:
                return found[0]
        raise Refused(NOT_DELIVERED)

    def bin(self, message_id: str) -> None:
        mailbox.move(
            self.within(), self.live.identity, self.live.assertion,
            source="INBOX", destination="BININBOX", message_ids=[message_id],
            now=self.now(), trace=self.trace,
        )  # fmt: skip
        self.delete("BININBOX", [message_id])

    def found_in(self, folder: Folder) -> list[str]:
        """Identifiers of what bears the title, among the newest hundred."""
        listed = mailbox.list_messages(
            self.within(), self.live.identity, self.live.assertion,
            source=folder, now=self.now(), trace=self.trace,
        )  # fmt: skip
        return [message.message_id for message in listed if message.title == self.title]

    def delete(self, folder: Folder, message_ids: list[str]) -> None:
        mailbox.delete(
            self.within(), self.live.identity, self.live.assertion,
            source=folder, message_ids=message_ids, now=self.now(), trace=self.trace,
        )  # fmt: skip

    def clean(self) -> bool:
        """Delete what is left of the trip, folder by folder; whether every folder is known to be clean."""
        folders = FOLDERS if self.has_left else ()
        unknown = [folder for folder in folders if not self.clean_folder(folder)]
        return not unknown

    def clean_folder(self, folder: Folder) -> bool:
        try:
            left = self.found_in(folder)
            if left:
                self.delete(folder, left)
        except PlatformError:
            return False
        return True
