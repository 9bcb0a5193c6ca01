"""Whether the process lives, and whether the portal is ready (security SR-125).

Strangers get a word and no more; what is not in order stands in the log.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET
from redis import RedisError

from accounts import audit_chain
from accounts.sealing import ring
from medisetup import heartbeat
from medisetup.checks import lacking_migrations

logger = logging.getLogger(__name__)

LIMIT = 2.0
ROOM = 256 * 1024 * 1024
# One look at a time, in a thread: a database that swallows a connection must not hold up the answer.
_looks = ThreadPoolExecutor(max_workers=1, thread_name_prefix="health")


def database_is_new_enough() -> bool:
    return not lacking_migrations()


def key_opens() -> bool:
    """The ring has the key with which this database was written last; any key does for an empty one."""
    return bool(ring().keys) and audit_chain.newest_is_genuine()


def workers_work() -> bool:
    return heartbeat.heard() == set(heartbeat.QUEUES)


def disk_has_room(place: str = str(settings.BASE_DIR)) -> bool:
    return shutil.disk_usage(place).free >= ROOM


CHECKS: tuple[Callable[[], bool], ...] = (database_is_new_enough, key_opens, workers_work, disk_has_room)


def first_fault() -> str:
    """Name of the first check that fails, or ''."""
    try:
        return next((check.__name__ for check in CHECKS if not _holds(check)), "")
    finally:
        connection.close()


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except (DatabaseError, RedisError, OSError, ValueError):
        return False


@login_not_required
@require_GET
def live(request: HttpRequest) -> JsonResponse:
    """The process answers; nothing else is looked at."""
    return JsonResponse({"status": "ok"})


@login_not_required
@require_GET
def ready(request: HttpRequest) -> JsonResponse:
    """200 when everything that a page needs is there, 503 otherwise; within two seconds."""
    look = _looks.submit(first_fault)
    done, _late = wait([look], timeout=LIMIT)
    fault = look.result() if done else "no answer in time"
    look.cancel()
    if fault:
        logger.warning("not ready: %s", fault)
    return JsonResponse({"status": "unavailable" if fault else "ok"}, status=503 if fault else 200)
