"""The keystore of a person and the session it opened."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User


class KeystoreQuerySet(models.QuerySet["Keystore"]):
    def in_force(self) -> KeystoreQuerySet:
        return self.filter(state=Keystore.State.ACTIVE)

    def due(self, now: datetime) -> KeystoreQuerySet:
        """Tests to run or to run again."""
        return self.filter(state=Keystore.State.TESTING, next_attempt_at__lte=now)


class Keystore(models.Model):
    """An eHealth keystore (PKCS#12) as its owner uploaded it, and what was read in it.

    `testing` → `active` | `refused`; an active one is `replaced` by the next that passes, or
    `disconnected` by its owner. The blob stays under the doctor's password, which is never kept.
    """

    class State(models.TextChoices):
        TESTING = "testing", _("Test en cours")
        ACTIVE = "active", _("Connecté")
        REFUSED = "refused", _("Refusé")
        REPLACED = "replaced", _("Remplacé")
        DISCONNECTED = "disconnected", _("Déconnecté")

    RENEWAL_WINDOW = timedelta(days=90)
    URGENT_WINDOW = timedelta(days=14)

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="keystores")
    state = models.CharField(max_length=12, choices=State.choices, default=State.TESTING)
    blob = models.BinaryField(null=True)
    sha256 = models.CharField(max_length=64)
    file_name = models.CharField(max_length=120, blank=True)
    ssin = models.CharField(max_length=11)
    holder_name = models.CharField(max_length=160)
    serial = models.CharField(max_length=64)
    issuer_name = models.CharField(max_length=160)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    # Serials of the certificates that open encrypted messages, to compare with the published one.
    encryption_serials = ArrayField(models.CharField(max_length=64), default=list)
    # Mode B (keys.md §16): the opened key stays, sealed, until unticked or the certificate ends.
    stay_connected = models.BooleanField(default=False)
    key = models.BinaryField(null=True)
    chain = models.BinaryField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    tested_at = models.DateTimeField(null=True)
    result_code = models.CharField(max_length=40, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    # Claims of the test that its worker did not bring to an end.
    lost_claims = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    # Days before its end of which the owner was told last; null: of none yet.
    reminded_days = models.PositiveSmallIntegerField(null=True)

    objects: Any = KeystoreQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user"], condition=Q(state="active"), name="keystore_one_active"),
            models.UniqueConstraint(
                fields=["user"], condition=Q(state="testing"), name="keystore_one_testing"
            ),
        ]

    def __str__(self) -> str:
        return self.serial


class PlatformSession(models.Model):
    """A SAML assertion, holder of key, and the key that holds it, both sealed until it ends.

    The key is here from the upload (the test needs it) until the assertion ends, and not longer.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    keystore = models.OneToOneField(Keystore, models.CASCADE, related_name="session")
    key = models.BinaryField(null=True)
    chain = models.BinaryField(null=True)
    assertion = models.BinaryField(null=True)
    nihii = models.CharField(max_length=11, blank=True, help_text="as certified by the platform")
    not_before = models.DateTimeField(null=True)
    not_on_or_after = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=20, blank=True)

    def __str__(self) -> str:
        return str(self.uuid)
