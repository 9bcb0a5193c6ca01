"""The eHealthBox of a person: whether to poll it, and the metadata of what came."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q

from accounts.models import User


class MailboxQuerySet(models.QuerySet["Mailbox"]):
    def due(self, now: datetime) -> MailboxQuerySet:
        return self.filter(auto=True, next_poll_at__lte=now, user__is_active=True)


class Mailbox(models.Model):
    """The eHealthBox of one person: whether to poll, when next, how it went."""

    user = models.OneToOneField(User, models.CASCADE, related_name="mailbox")
    # Null: not decided yet (R17).
    auto = models.BooleanField(null=True)
    next_poll_at = models.DateTimeField(null=True)
    polled_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    result_code = models.CharField(max_length=40, blank=True)
    standby = models.PositiveIntegerField(default=0)
    # Begin of the poll that runs now; null: none runs.
    reading_since = models.DateTimeField(null=True)

    objects: Any = MailboxQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["next_poll_at"], condition=Q(auto=True), name="mailbox_due")]

    def __str__(self) -> str:
        return str(self.pk)


class MailboxMessage(models.Model):
    """Metadata of one message; the content stays on the platform."""

    mailbox = models.ForeignKey(Mailbox, models.CASCADE, related_name="messages")
    message_id = models.CharField(max_length=13)
    sender_name = models.CharField(max_length=200)
    sender_id = models.CharField(max_length=20, blank=True)
    sender_quality = models.CharField(max_length=60, blank=True)
    title = models.CharField(max_length=400, blank=True)
    content_type = models.CharField(max_length=20, blank=True)
    important = models.BooleanField(default=False)
    encrypted = models.BooleanField(default=False)
    has_annex = models.BooleanField(default=False)
    size = models.BigIntegerField(default=0)
    published_on = models.DateField(null=True)
    expires_on = models.DateField(null=True)
    received_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailbox", "message_id"], name="message_once")]
        indexes = [models.Index(fields=["mailbox", "-published_on", "-id"], name="message_list")]

    def __str__(self) -> str:
        return self.message_id
