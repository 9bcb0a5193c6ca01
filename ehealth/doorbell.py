"""Rings the workers after a commit. The row is the truth: when the broker is down, the sweep finds it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)


def ring(task: str, keys: Iterable[int]) -> bool:
    """Send one message per primary key; stop at the first that fails. False: the broker did not answer."""
    try:
        for pk in keys:
            current_app.send_task(f"ehealth.tasks.{task}", kwargs={"pk": pk}, retry=False)
    except (OperationalError, OSError):
        logger.warning("broker unreachable, %s waits for the sweep", task)
        return False
    return True


def ring_on_commit(task: str, keys: Iterable[int]) -> None:
    transaction.on_commit(partial(ring, task, list(keys)))
