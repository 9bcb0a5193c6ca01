"""The personal key pair: public halves, challenges, resets, the block list (keys.md §7 and §19)."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models.people import User


class PersonalKeyQuerySet(models.QuerySet["PersonalKey"]):
    def live(self) -> PersonalKeyQuerySet:
        return self.filter(state__in=PersonalKey.LIVE)


class PersonalKey(models.Model):
    """One public key; the private half never reaches the server.

    `pending` → `active` → `superseded` | `revoked`; one live row per user, a fingerprint never twice.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("Sauvegarde à vérifier")
        ACTIVE = "active", _("Active")
        SUPERSEDED = "superseded", _("Remplacée")
        REVOKED = "revoked", _("Révoquée")

    class Protection(models.TextChoices):
        PORTAL = "portal", _("Code de fichier")
        PERSONAL = "personal", _("Phrase secrète personnelle")

    class Origin(models.TextChoices):
        GENERATED = "generated", _("Générée ici")
        IMPORTED = "imported", _("Importée")
        ICURE = "icure", _("Importée de Medispring")

    LIVE = ("pending", "active")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="personal_keys")
    fingerprint = models.CharField(max_length=64, unique=True)
    spki = models.BinaryField()
    algorithm = models.CharField(max_length=20, default="RSA-PSS-SHA256")
    bits = models.PositiveIntegerField()
    state = models.CharField(max_length=12, choices=State.choices, default=State.PENDING)
    protection = models.CharField(max_length=10, choices=Protection.choices)
    file_code = models.BinaryField(null=True)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.GENERATED)
    # Made, or possibly known, by somebody other than the owner; null once renewed or knowingly kept.
    prepared = models.BooleanField(default=False)
    kept_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    backup_at = models.DateTimeField(null=True)
    backup_reread_at = models.DateTimeField(null=True)
    second_backup_at = models.DateTimeField(null=True)
    last_proof_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=20, blank=True)
    ended_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    replaced_by = models.ForeignKey("self", models.PROTECT, null=True, related_name="+")

    objects: Any = PersonalKeyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=Q(state__in=["pending", "active"]), name="key_one_live"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, end_reason="") | Q(ended_at__isnull=False) & ~Q(end_reason=""),
                name="key_end_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(file_code=None) | Q(state__in=["pending", "active"], protection="portal"),
                name="key_code_only_live",
            ),
        ]

    def __str__(self) -> str:
        return self.fingerprint[:8]


class KeyChallenge(models.Model):
    """A nonce to sign: single use, five minutes, bound to user, session and purpose."""

    id = models.CharField(primary_key=True, max_length=43)
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    session_hash = models.CharField(max_length=64)
    purpose = models.CharField(max_length=12)
    nonce = models.CharField(max_length=43)
    binding = models.CharField(max_length=64, default="-")
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.purpose


class KeyReset(models.Model):
    """An administrator's reset of a lost key: opens after a delay that the owner can stop."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    subject = models.ForeignKey(User, models.CASCADE, related_name="key_resets")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300)
    created_at = models.DateTimeField(auto_now_add=True)
    opens_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subject"], condition=Q(used_at=None, cancelled_at=None), name="key_reset_one_open"
            )
        ]

    def __str__(self) -> str:
        return str(self.uuid)


class BlockedKey(models.Model):
    """Fingerprints that nobody may register: compromised."""

    fingerprint = models.CharField(max_length=64, unique=True)
    reason = models.CharField(max_length=20)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.fingerprint[:8]
