"""Background work of the accounts: mails that are due, and what has expired. Thin: the actions decide."""

from __future__ import annotations

import logging
from datetime import timedelta
from importlib import import_module

from celery import shared_task
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts import audit_chain, emails
from accounts.actions import licences
from accounts.models import KeyChallenge, Mail

logger = logging.getLogger(__name__)

MAILS_PER_SWEEP = 100
MAILS_KEPT = timedelta(days=30)


@shared_task
def send_mail(*, pk: int) -> None:
    """Send one mail, unless it was sent or is not due."""
    emails.deliver(pk=pk, now=timezone.now())


@shared_task
def send_due_mails() -> None:
    """Send what lost its message or failed before."""
    now = timezone.now()
    due = Mail.objects.all().due(now).order_by("next_attempt_at").values_list("pk", flat=True)
    for pk in due[:MAILS_PER_SWEEP]:
        emails.deliver(pk=pk, now=now)


@shared_task
def sweep_licences() -> None:
    """Expire what has ended, remind of what ends soon."""
    licences.sweep(now=timezone.now())


@shared_task
def lengthen_audit_chain() -> None:
    """Put new events of the audit trail into its chain."""
    audit_chain.lengthen()


@shared_task
def anchor_audit_chain() -> None:
    """Write the end of the chain down outside the database."""
    audit_chain.write_anchor(now=timezone.now())


@shared_task
def purge_expired() -> None:
    """Erase what no longer serves: ended sessions, spent challenges, records of mails sent or given up, old
    events.
    """
    now = timezone.now()
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    challenges, _ = KeyChallenge.objects.filter(expires_at__lt=now).delete()
    given_up = Q(sent_at=None, next_attempt_at=None, created_at__lt=now - MAILS_KEPT)
    mails, _ = Mail.objects.filter(Q(sent_at__lt=now - MAILS_KEPT) | given_up).delete()
    events = audit_chain.prune()
    logger.info("purged %s challenges, %s mails and %s events", challenges, mails, events)
