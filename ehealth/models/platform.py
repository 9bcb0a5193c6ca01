"""How the platform answers: each call, each address, each check asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User


class Exchange(models.Model):
    """One call to the platform: references, codes, times, digests; no content, no secret."""

    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="+")
    service = models.CharField(max_length=20)
    operation = models.CharField(max_length=40)
    host = models.CharField(max_length=120)
    reference = models.CharField(max_length=60, blank=True)
    http_status = models.PositiveIntegerField(null=True)
    code = models.CharField(max_length=40, blank=True)
    started_at = models.DateTimeField()
    milliseconds = models.PositiveIntegerField()
    request_sha256 = models.CharField(max_length=64, blank=True)
    response_sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["user", "-started_at", "-id"], name="exchange_of_user"),
            models.Index(fields=["service", "host", "started_at"], name="exchange_of_endpoint"),
            models.Index(fields=["-started_at", "-id"], name="exchange_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.code}"


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def open(self) -> EndpointQuerySet:
        """Addresses that are left alone for the time being."""
        return self.filter(opened_at__isnull=False)


class Endpoint(models.Model):
    """The breaker of one address of one service (SR-102), shared by all processes.

    Open from `opened_at` on: only the caller that moves `probe_at` may try it, once a minute. A call that
    comes through closes it. Rows are made the first time an address fails.
    """

    service = models.CharField(max_length=20)
    host = models.CharField(max_length=120)
    opened_at = models.DateTimeField(null=True)
    probe_at = models.DateTimeField(null=True)

    objects: Any = EndpointQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["service", "host"], name="endpoint_once")]

    def __str__(self) -> str:
        return f"{self.service} {self.host}"


class PlatformCheckQuerySet(models.QuerySet["PlatformCheck"]):
    def due(self, now: datetime) -> PlatformCheckQuerySet:
        """Asked and not taken, or taken by a worker that died."""
        states = PlatformCheck.State
        return self.filter(Q(state=states.QUEUED) | Q(state=states.RUNNING, lease_until__lt=now))


class PlatformCheck(models.Model):
    """« Tester ma configuration »: the last try of one capability by one person, and how it ended."""

    class Capability(models.TextChoices):
        TOKEN = "token", _("Session eHealth")
        ETK = "etk", _("Clé de chiffrement publiée")
        MAILBOX = "mailbox", _("eHealthBox")
        EDMG = "edmg", _("Conditions de l'eDMG")
        ROUND_TRIP = "round_trip", _("Message à moi-même")

    class State(models.TextChoices):
        QUEUED = "queued", _("En file d'attente")
        RUNNING = "running", _("En cours")
        PASSED = "passed", _("Réussi")
        WARNING = "warning", _("Réussi, avec une remarque")
        FAILED = "failed", _("Échec")

    UNDER_WAY = (State.QUEUED, State.RUNNING)

    user = models.ForeignKey(User, models.CASCADE, related_name="platform_checks")
    capability = models.CharField(max_length=12, choices=Capability.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    code = models.CharField(max_length=40, blank=True)
    asked_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects: Any = PlatformCheckQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "capability"], name="check_once")]

    def __str__(self) -> str:
        return f"{self.capability} {self.state}"
