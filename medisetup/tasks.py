"""Background work over all apps. Thin: the board decides."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from medisetup import heartbeat, platform_board


@shared_task
def note_ready() -> None:
    """Write down who became ready since the last time."""
    platform_board.note_ready(now=timezone.now())


@shared_task
def leave_heartbeat(*, queue: str) -> None:
    """Show that a worker of that queue works."""
    heartbeat.leave(queue)
