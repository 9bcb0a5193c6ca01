"""Background work of bringing people in. Thin: the actions decide, the row is the truth."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from practitioners import imports


@shared_task
def create_imported(*, pk: int) -> None:
    """Create the people of one import, unless they are created."""
    imports.create(pk=pk, now=timezone.now())


@shared_task
def invite_imported(*, pk: int) -> None:
    """Invite those of one import who were not yet."""
    imports.invite(pk=pk, now=timezone.now())


@shared_task
def sweep_imports() -> None:
    """Take up again what was interrupted."""
    imports.sweep(now=timezone.now())
