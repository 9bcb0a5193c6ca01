"""What hangs on an account: billing addresses, licences, reviews of sections, audit, mails."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from accounts.models.people import Practice, User


class BillingAddress(models.Model):
    """Where the licence invoice goes; of the practice, used by any number of users."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    practice = models.ForeignKey(Practice, models.PROTECT, related_name="billing_addresses")
    name = models.CharField(_("Nom ou société"), max_length=120)
    bce = models.CharField(_("BCE"), max_length=10, blank=True)
    street = models.CharField(_("Rue"), max_length=100)
    number = models.CharField(_("N°"), max_length=10)
    box = models.CharField(_("Boîte"), max_length=10, blank=True)
    postcode = models.CharField(_("Code postal"), max_length=10)
    city = models.CharField(_("Localité"), max_length=80)
    country = models.CharField(_("Pays"), max_length=2, default="BE")
    email = models.EmailField(_("E-mail de facturation"))

    def __str__(self) -> str:
        return f"{self.name}, {self.street} {self.number}, {self.postcode} {self.city}"


class Licence(models.Model):
    """The licence of a physician: provisional for 45 days from its creation (day 0), then for a year."""

    class State(models.TextChoices):
        PROVISIONAL = "provisional", _("Provisoire")
        REQUESTED = "requested", _("Demandée")
        INVOICED = "invoiced", _("Facturée")
        ACTIVE = "active", _("Active")
        EXPIRED = "expired", _("Expirée")

    PROVISIONAL_DAYS = 45

    user = models.OneToOneField(User, models.PROTECT, related_name="licence")
    state = models.CharField(max_length=12, choices=State.choices, default=State.PROVISIONAL)
    starts_on = models.DateField()
    ends_on = models.DateField(help_text="last valid day")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(ends_on__gte=F("starts_on")), name="licence_dates")]

    def __str__(self) -> str:
        return self.get_state_display()

    def days_left(self, today: date) -> int:
        return (self.ends_on - today).days


class SectionReview(models.Model):
    """One section of one person: its version and who still has to look at it.

    `version` counts saves (the form carries it; a stale one is refused). `prefilled_by` is the last
    person other than the owner who wrote it; it is « à vérifier » until `confirmed_at`.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="section_reviews")
    section = models.CharField(max_length=40)
    version = models.PositiveIntegerField(default=0)
    prefilled_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    prefilled_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "section"], name="section_once")]

    def __str__(self) -> str:
        return self.section

    def to_review(self) -> bool:
        return self.prefilled_at is not None and self.confirmed_at is None


class AuditEvent(models.Model):
    """One act; written in the same transaction as the change. No foreign keys: nothing cascades.

    The table refuses UPDATE and DELETE by a trigger (migration `append_only_audit`).
    """

    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=60)
    actor = models.UUIDField(null=True, help_text="null: a named system process")
    actor_name = models.CharField(max_length=180)
    practice = models.UUIDField(null=True, db_index=True)
    subject = models.UUIDField(null=True, db_index=True)
    subject_name = models.CharField(max_length=180, blank=True)
    request_id = models.CharField(max_length=36, blank=True)
    address = models.CharField(max_length=45, blank=True, help_text="shortened to /24 or /48")
    details = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.kind


class MailQuerySet(models.QuerySet["Mail"]):
    def due(self, now: datetime) -> MailQuerySet:
        return self.filter(sent_at=None, next_attempt_at__lte=now)


class Mail(models.Model):
    """A mail to send. Subject and bodies are sealed while they wait and erased once sent."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="+")
    kind = models.CharField(max_length=40)
    to = models.EmailField()
    content = models.BinaryField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, db_index=True)
    sent_at = models.DateTimeField(null=True)

    objects: Any = MailQuerySet.as_manager()

    def __str__(self) -> str:
        return self.kind
