"""Polling the eHealthBoxes that are due: claimed in one statement, read by threads, written by one.

Threads never touch the database; no transaction is open during a call. A box is read page by page; between
two pages what came is stored and the tick is looked at again, so that unticking stops before the next call.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts import audit
from ehealth import custody, patience
from ehealth.actions import sessions
from ehealth.actions.endpoints import admitted
from ehealth.actions.exchanges import refuse_in_transaction, store_all
from ehealth.client import mailbox, sts
from ehealth.client.conversation import ExchangeFacts
from ehealth.client.errors import PlatformError, Unreachable
from ehealth.client.platform import Assertion, Identity, Platform
from ehealth.doorbell import ring_plain_on_commit
from ehealth.models import Keystore, Mailbox, MailboxMessage

# No call starts later than this after the claim: with the longest call the task still ends within its limit.
START_WITHIN_SECONDS = 12.0
LONGEST_WAIT = timedelta(hours=6)
NOT_AUTHENTICATED = "SOA-01001"
# The certificate is refused for good when the platform says so this often in succession.
REFUSALS = 3


@dataclass
class Box:
    """One claimed box with all that its thread needs. `live`: it has a token; `renew`: ask the STS first."""

    mailbox: Mailbox
    keystore: Keystore
    live: bool
    renew: bool
    start: int = 1
    seen: set[str] = field(default_factory=set)
    renewed: Assertion | None = None

    @property
    def next_start(self) -> int:
        return self.start + mailbox.PAGE


@dataclass
class Page:
    """What one round brought for one box."""

    box: Box
    messages: Sequence[mailbox.Message] = ()
    info: mailbox.BoxInfo | None = None
    error: PlatformError | None = None
    renewed: Assertion | None = None
    reached: bool = False
    facts: list[ExchangeFacts] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.messages) >= mailbox.PAGE


def poll_due(*, now: datetime) -> int:
    """Poll at most MAILBOX_BATCH due boxes; how many. Boxes not reached in time are due again at once.

    Rings for the next batch while boxes are due, so that beat's pace is no limit. While the breaker of the
    service is open, none; for its probe, one, and no ring.
    """
    refuse_in_transaction()
    latest = time.monotonic() + START_WITHIN_SECONDS
    try:
        admission = admitted("mailbox", now=now)
    except Unreachable:
        return 0
    known, may_renew = _with_sts(admission.platform, now)
    limit = 1 if admission.probing else settings.MAILBOX_BATCH
    boxes = _boxes(claim(now=now, limit=limit), now, may_renew=may_renew)
    count = len(boxes)
    with ThreadPoolExecutor(max_workers=settings.MAILBOX_THREADS) as pool:
        while boxes:
            pages = list(pool.map(lambda box: read(known, box, latest), boxes))
            _write(pages, now)
            boxes = _still_ticked([page.box for page in pages if page.is_full], now)
            going_on = [box.mailbox.pk for box in boxes]
            read_out = [page.box.mailbox.pk for page in pages if page.box.mailbox.pk not in going_on]
            Mailbox.objects.filter(pk__in=read_out).update(reading_since=None)
    if not admission.probing and _claimable(now).exists():
        ring_plain_on_commit("poll_due_mailboxes")
    return count


def _with_sts(known: Platform, now: datetime) -> tuple[Platform, bool]:
    """The platform with what may be called of the STS, and whether tokens may be renewed at all."""
    try:
        token_service = admitted("sts", now=now).platform.endpoints["sts"]
    except Unreachable:
        return known, False
    return replace(known, endpoints={**known.endpoints, "sts": token_service}), True


def _claimable(now: datetime) -> QuerySet[Mailbox]:
    """The boxes that are due and have a keystore to be read with."""
    usable = Keystore.objects.in_force().filter(
        Q(key__isnull=False) | Q(session__key__isnull=False),
        user=OuterRef("user"), stay_connected=True, not_after__gt=now,
    )  # fmt: skip
    due: QuerySet[Mailbox] = Mailbox.objects.all().due(now).filter(Exists(usable))
    return due


def claim(*, now: datetime, limit: int) -> list[int]:
    """Take at most `limit` due boxes and move their next time by the interval ± 20 %; no box goes to two."""
    due = _claimable(now).order_by("next_poll_at")
    chosen = due.select_for_update(skip_locked=True, of=("self",)).values("id")[:limit]
    with transaction.atomic(), connection.cursor() as cursor:
        inner, values = chosen.query.sql_with_params()
        parameters: list[Any] = [*values, now, now, settings.MAILBOX_INTERVAL]
        # Materialized: a plan that asked the inner query once per row would each time skip what it has locked
        # already, and take more than `limit`.
        cursor.execute(
            f"WITH chosen AS MATERIALIZED ({inner}) "  # noqa: S608
            f"UPDATE {Mailbox._meta.db_table} SET reading_since = %s, "
            "next_poll_at = %s + %s * (0.8 + 0.4 * random()) "
            "WHERE id IN (SELECT chosen.id FROM chosen) RETURNING id",
            parameters,
        )
        return [pk for (pk,) in cursor.fetchall()]


def _boxes(keys: Iterable[int], now: datetime, *, may_renew: bool = True) -> list[Box]:
    claimed = Mailbox.objects.filter(pk__in=list(keys)).order_by("pk")
    boxes = {found.user_id: found for found in claimed}
    keystores = (
        Keystore.objects.in_force().filter(user__in=boxes).select_related("user", "session").order_by("pk")
    )
    made = (_box(boxes[keystore.user_id], keystore, now, may_renew) for keystore in keystores)
    return [box for box in made if box]


def _box(found: Mailbox, keystore: Keystore, now: datetime, may_renew: bool) -> Box | None:
    live = sessions.has_live_session(keystore, now)
    renew = may_renew and (sessions.wants_renewal(keystore, now) or not live)
    if renew and (sessions.holder(keystore, now) is None or not sessions.lease(keystore, now)):
        renew = False
    return Box(found, keystore, live, renew) if live or renew else None


def read(known: Platform, box: Box, latest: float) -> Page:
    """In a thread: one page of the box, after a new token if one is needed. Every failure is in the page."""
    page = Page(box)
    try:
        identity = _identity(box)
        assertion = box.renewed or _token(known, box, identity, page, latest)
        if assertion and time.monotonic() < latest:
            page.reached = True
            _read_page(known, identity, assertion, page, latest)
    except PlatformError as error:
        page.reached, page.error = True, error
    return page


def _identity(box: Box) -> Identity:
    keystore = box.keystore
    return custody.identity(keystore if keystore.key else keystore.session, keystore.ssin)


def _token(known: Platform, box: Box, identity: Identity, page: Page, latest: float) -> Assertion | None:
    held = custody.assertion(box.keystore.session) if box.live else None
    if not box.renew:
        return held
    if held and time.monotonic() < latest:
        page.renewed = sessions.renew(known, identity, held, page.facts.append)
    if page.renewed is None and time.monotonic() < latest:
        page.renewed = sts.request_assertion(known, identity, now=timezone.now(), trace=page.facts.append)
    return page.renewed


def _read_page(known: Platform, identity: Identity, assertion: Assertion, page: Page, latest: float) -> None:
    box = page.box
    page.messages = mailbox.list_messages(
        known, identity, assertion,
        start=box.start, end=box.next_start - 1, now=timezone.now(), trace=page.facts.append,
    )  # fmt: skip
    wants_size = box.start == 1 and (page.is_full or box.mailbox.standby or box.mailbox.polled_at is None)
    if wants_size and time.monotonic() < latest:
        page.info = mailbox.box_info(known, identity, assertion, now=timezone.now(), trace=page.facts.append)


def _write(pages: list[Page], now: datetime) -> None:
    store_all([(page.box.keystore.user_id, facts) for page in pages for facts in page.facts])
    for page in pages:
        if page.box.renew:
            _keep(page, now)
    _store([page for page in pages if page.messages], now)
    _succeed([page for page in pages if page.reached and page.error is None], now)
    for page in pages:
        if page.error:
            _fail(page, page.error, now)
    missed = [page.box.mailbox.pk for page in pages if not page.reached]
    Mailbox.objects.filter(pk__in=missed, auto=True).update(next_poll_at=now)


def _keep(page: Page, now: datetime) -> None:
    box = page.box
    box.renew = False
    with transaction.atomic():
        if page.renewed and sessions.keep(box.keystore, page.renewed, now):
            box.renewed = page.renewed
    sessions.release(box.keystore)


def _store(pages: list[Page], now: datetime) -> None:
    """Each message once, however often it was listed; nothing for a box that was unticked meanwhile."""
    with transaction.atomic():
        wanted = Mailbox.objects.select_for_update().filter(pk__in=[page.box.mailbox.pk for page in pages])
        ticked = set(wanted.filter(auto=True).values_list("pk", flat=True))
        kept = [page for page in pages if page.box.mailbox.pk in ticked]
        known = _known(kept)
        new = {
            (page.box.mailbox.pk, message.message_id): _row(page.box.mailbox, message, now)
            for page in kept
            for message in page.messages
            if (page.box.mailbox.pk, message.message_id) not in known
        }
        MailboxMessage.objects.bulk_create(new.values(), ignore_conflicts=True)
        for page in kept:
            _note(page, sum(1 for owner, _identifier in new if owner == page.box.mailbox.pk), now)


def _known(pages: list[Page]) -> set[tuple[int, str]]:
    listed = [message.message_id for page in pages for message in page.messages]
    boxes = [page.box.mailbox.pk for page in pages]
    stored = MailboxMessage.objects.filter(mailbox__in=boxes, message_id__in=listed)
    return set(stored.values_list("mailbox_id", "message_id"))


def _note(page: Page, count: int, now: datetime) -> None:
    if count:
        audit.record(
            "ehealth:mailbox:fetched",
            actor=None, system=sessions.SYSTEM, subject=page.box.keystore.user, at=now, count=count,
        )  # fmt: skip


def _row(box: Mailbox, message: mailbox.Message, now: datetime) -> MailboxMessage:
    return MailboxMessage(
        mailbox=box,
        message_id=message.message_id,
        sender_name=message.sender_name[:200],
        sender_id=message.sender_id[:20],
        sender_quality=message.sender_quality[:60],
        title=message.title[:400],
        content_type=message.content_type[:20],
        important=message.important,
        encrypted=message.encrypted,
        has_annex=message.has_annex,
        size=message.size,
        published_on=message.published,
        expires_on=message.expires,
        received_at=now,
    )


def _succeed(pages: list[Page], now: datetime) -> None:
    keys = [page.box.mailbox.pk for page in pages]
    Mailbox.objects.filter(pk__in=keys).update(polled_at=now, failures=0, result_code="")
    for page in pages:
        if page.info and page.info.standby != page.box.mailbox.standby:
            Mailbox.objects.filter(pk=page.box.mailbox.pk).update(standby=page.info.standby)


def _fail(page: Page, error: PlatformError, now: datetime) -> None:
    """Wait up to twice as long each time; ask for a new token once; a refused certificate ends it."""
    box = page.box.mailbox
    failures = box.failures + 1
    if error.code == NOT_AUTHENTICATED:
        sessions.drop_assertion(keystore_id=page.box.keystore.pk)
        if failures >= REFUSALS and box.result_code == NOT_AUTHENTICATED:
            sessions.refuse(page.box.keystore, code=error.code, now=now)
            return
    plan = min(settings.MAILBOX_INTERVAL * 1.2 * 2 ** min(failures - 1, 10), LONGEST_WAIT)
    wait = patience.wait(plan, asked=error.retry_after, least=settings.MAILBOX_INTERVAL * 0.8)
    Mailbox.objects.filter(pk=box.pk).update(failures=failures, result_code=error.code[:40])
    Mailbox.objects.filter(pk=box.pk, auto=True).update(next_poll_at=now + wait)


def forget(*, now: datetime) -> int:
    """Erase the metadata of messages that the platform keeps no more; how many. Their titles may be about
    patients, and what has expired is never listed again.
    """
    over = MailboxMessage.objects.filter(expires_on__lt=timezone.localdate(now))
    count, _per_model = over.delete()
    return count


def _still_ticked(boxes: list[Box], now: datetime) -> list[Box]:
    """The boxes to read on: still ticked, the person still active, the keystore still in force."""
    keystores = Keystore.objects.in_force().filter(
        pk__in=[box.keystore.pk for box in boxes],
        stay_connected=True,  # false as soon as the box is unticked
        user__is_active=True,
        not_after__gt=now,
    )
    alive = set(keystores.values_list("pk", flat=True))
    going_on = [box for box in boxes if box.keystore.pk in alive]
    for box in going_on:
        box.start = box.next_start
    return going_on
