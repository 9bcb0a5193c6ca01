"""Background work of the finances. Thin: the action decides."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from billing import actions


@shared_task
def tell_of_lost_supervisors() -> None:
    """Tell trainees whose supervisor can no longer be one, and the supervisors."""
    actions.tell_of_lost_supervisors(now=timezone.now())
