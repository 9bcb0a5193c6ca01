"""Signs of life: beat sends a message to each queue, the worker that takes it leaves a key in the broker.

The key soon expires: as long as it is there, beat, broker and a worker of that queue do their work (security
SR-104). `python -m medisetup.heartbeat QUEUE…` ends with 1 when none of these queues has one.
"""

from __future__ import annotations

import sys

from django.conf import settings
from redis import Redis

QUEUES = ("interactive", "poll")
SECONDS = 180


def _broker() -> Redis:
    return Redis.from_url(settings.CELERY_BROKER_URL, socket_timeout=2, socket_connect_timeout=2)


def leave(queue: str) -> None:
    """A worker of that queue works. Raises `redis.RedisError`."""
    with _broker() as broker:
        broker.set(_key(queue), "1", ex=SECONDS)


def heard() -> set[str]:
    """Queues with a sign of life in the last three minutes. Raises `redis.RedisError`."""
    with _broker() as broker:
        return {queue for queue in QUEUES if broker.exists(_key(queue))}


def _key(queue: str) -> str:
    return f"medisetup heartbeat {queue}"


if __name__ == "__main__":
    sys.exit(not heard() & set(sys.argv[1:]))
