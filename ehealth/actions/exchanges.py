"""Every call to the platform leaves a row of references, codes, times and digests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from accounts.models import User
from ehealth.actions import endpoints
from ehealth.client.conversation import ExchangeFacts, Trace
from ehealth.models import Exchange

KEPT = timedelta(days=400)


class CallInsideTransaction(RuntimeError):
    """A lock would be held for as long as the platform takes (SR-96)."""


def refuse_in_transaction() -> None:
    if connection.in_atomic_block:
        raise CallInsideTransaction


@contextmanager
def exchanges(user: User) -> Iterator[Trace]:
    """The trace to hand to the client; what it gathered is stored at the end, whatever the outcome."""
    refuse_in_transaction()
    gathered: list[ExchangeFacts] = []
    try:
        yield gathered.append
    finally:
        store(user.pk, gathered)


def store(user_id: int, gathered: Iterable[ExchangeFacts]) -> None:
    store_all([(user_id, facts) for facts in gathered])


def store_all(gathered: Sequence[tuple[int, ExchangeFacts]]) -> None:
    """Keep what was exchanged for several people, and tell the breakers."""
    Exchange.objects.bulk_create([row(user_id, facts) for user_id, facts in gathered])
    endpoints.note([facts for _user_id, facts in gathered], timezone.now())


def forget(*, now: datetime) -> int:
    """Erase exchanges older than KEPT; how many."""
    count, _per_model = Exchange.objects.filter(started_at__lt=now - KEPT).delete()
    return count


def row(user_id: int, facts: ExchangeFacts) -> Exchange:
    """The unsaved row of one call."""
    return Exchange(
        user_id=user_id,
        service=facts.service,
        operation=facts.operation,
        host=facts.host,
        reference=facts.reference,
        http_status=facts.http_status,
        code=facts.code[:40],
        started_at=facts.started,
        milliseconds=facts.milliseconds,
        request_sha256=facts.request_sha256,
        response_sha256=facts.response_sha256,
    )
