"""Background work with the platform. Thin: a key in, an action called; the row decides what happens."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from ehealth.actions import calendar, checks, connection, edmg, exchanges, mailbox, sessions


@shared_task
def test_connection(*, pk: int) -> None:
    """Test one keystore, unless it was tested or is not due."""
    connection.test(keystore_pk=pk, now=timezone.now())


@shared_task
def register(*, pk: int) -> None:
    """Send one eDMG registration, unless it is done, taken or not due."""
    edmg.send(pk=pk, now=timezone.now())


@shared_task
def check(*, pk: int) -> None:
    """Try one capability that was asked for, unless it is tried already."""
    checks.run(pk=pk, now=timezone.now())


@shared_task
def sweep_registrations() -> None:
    """Ring for registrations that are due."""
    edmg.sweep(now=timezone.now())


@shared_task
def sweep_connections() -> None:
    """End what is over, keep what was ticked, ring for tests that are due."""
    now = timezone.now()
    sessions.end_expired(now=now)
    sessions.adopt_keys(now=now)
    connection.sweep(now=now)
    checks.sweep(now=now)


@shared_task
def remind_of_certificates() -> None:
    """Write to those whose certificate ends soon; forget exchanges of long ago and messages that are gone."""
    now = timezone.now()
    calendar.remind(now=now)
    exchanges.forget(now=now)
    mailbox.forget(now=now)


@shared_task
def poll_due_mailboxes() -> None:
    """Read the mailboxes that are due, in one batch."""
    mailbox.poll_due(now=timezone.now())
