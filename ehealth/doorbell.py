"""Rings the workers after a commit. The row is the truth: when the broker is down, the sweep finds it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)
# A person waits for the answer: one more try at once, then the sweep's turn (SR-91).
QUICK = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}


def ring(task: str, keys: Iterable[int]) -> bool:
    """Send one message per primary key; stop at the first that fails. False: the broker did not answer."""
    return _send(task, ({"pk": pk} for pk in keys))


def _send(task: str, messages: Iterable[dict[str, int]]) -> bool:
    try:
        with current_app.producer_or_acquire() as producer:
            producer.connection.transport_options |= QUICK
            for kwargs in messages:
                name = f"ehealth.tasks.{task}"
                current_app.send_task(name, kwargs=kwargs, producer=producer, retry=False)
    except (OperationalError, OSError):
        logger.warning("broker unreachable, %s waits for the sweep", task)
        return False
    return True


def ring_on_commit(task: str, keys: Iterable[int]) -> None:
    transaction.on_commit(partial(ring, task, list(keys)))


def ring_plain_on_commit(task: str) -> None:
    """One message, for a task that finds by itself what is due."""
    transaction.on_commit(partial(_send, task, [{}]))
