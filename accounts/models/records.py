"""What hangs on an account: billing addresses, licences, reviews of sections, audit, mails."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta
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
    version = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name}, {self.street} {self.number}, {self.postcode} {self.city}"


class LicenceQuerySet(models.QuerySet["Licence"]):
    def to_expire(self, today: date) -> LicenceQuerySet:
        """Past the last valid day, with nobody asked to prolong it."""
        return self.filter(state__in=[Licence.State.PROVISIONAL, Licence.State.ACTIVE], ends_on__lt=today)

    def to_remind(self, today: date) -> LicenceQuerySet:
        """Still valid, near the end, and not yet told of how near; of accounts in use."""
        told = Q(reminded_days=None)
        for days in Licence.REMINDER_DAYS:
            told |= Q(reminded_days__gt=days, ends_on__lte=today + timedelta(days=days))
        last = today + timedelta(days=max(Licence.REMINDER_DAYS))
        return self.filter(told, user__is_active=True, ends_on__gte=today, ends_on__lte=last)


class Licence(models.Model):
    """The licence of a physician: provisional for 45 days from its creation (day 0), then for a year.

    `ends_on` is the last valid day; null while no day is valid, since none of the person's 45 were left for
    this account. `state` is that of the term that runs; a request to renew leaves it.
    """

    class State(models.TextChoices):
        TO_REQUEST = "to_request", _("À demander")
        PROVISIONAL = "provisional", _("Provisoire")
        REQUESTED = "requested", _("Demandée")
        INVOICED = "invoiced", _("Facturée")
        ACTIVE = "active", _("Active")
        EXPIRED = "expired", _("Expirée")

    PROVISIONAL_DAYS = 45
    # From so many days before the end on, pages warn: day 30 of a provisional licence.
    WARNING_DAYS = 15
    REMINDER_DAYS = (15, 7, 1)

    user = models.OneToOneField(User, models.PROTECT, related_name="licence")
    state = models.CharField(max_length=12, choices=State.choices, default=State.PROVISIONAL)
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, help_text="last valid day; null: none")
    # The nearest end that was told of this term: one of REMINDER_DAYS.
    reminded_days = models.PositiveSmallIntegerField(null=True)

    objects: Any = LicenceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(ends_on__gte=F("starts_on")), name="licence_dates"),
            models.CheckConstraint(
                condition=Q(ends_on__isnull=False) & ~Q(state="to_request")
                | Q(ends_on=None, state__in=["to_request", "requested", "invoiced"]),
                name="licence_without_days_is_asked_for",
            ),
            models.CheckConstraint(
                condition=~Q(state="provisional")
                | Q(
                    ends_on__lte=models.ExpressionWrapper(
                        F("starts_on") + models.Value(45), output_field=models.DateField()
                    )
                ),
                name="licence_provisional_at_most_45_days",
            ),
        ]

    def __str__(self) -> str:
        return self.get_state_display()

    def days_left(self, today: date) -> int | None:
        """Until the last valid day; None where nothing counts down."""
        return None if self.ends_on is None else (self.ends_on - today).days

    def standing(self, today: date) -> State:
        """The state as it is today: past the last valid day everything has expired."""
        over = self.ends_on is not None and self.ends_on < today
        return Licence.State.EXPIRED if over else Licence.State(self.state)

    def is_ending(self, today: date) -> bool:
        left = self.days_left(today)
        return left is not None and 0 <= left <= self.WARNING_DAYS


class ProvisionalClaim(models.Model):
    """A national number (11 digits) or the identity of an INAMI number (8) that had its 45 days.

    Over all practices and for ever, so that nobody gets a second provisional licence by being created again.
    """

    number = models.CharField(max_length=11, unique=True)
    licence = models.ForeignKey(Licence, models.PROTECT, related_name="claims")
    starts_on = models.DateField()
    ends_on = models.DateField()

    def __str__(self) -> str:
        return str(self.licence)


class LicenceRequest(models.Model):
    """Somebody asked for a year: what was sent, then invoice, payment, activation, each by staff."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    licence = models.ForeignKey(Licence, models.PROTECT, related_name="requests")
    requested_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    # As they were when the request was sent: the invoice names them.
    name = models.CharField(max_length=180)
    nihii = models.CharField(max_length=11)
    practice_name = models.CharField(max_length=120)
    billing_address = models.CharField(max_length=400)
    billing_email = models.EmailField()
    # One invoice may name several doctors.
    invoice_number = models.CharField(max_length=40, blank=True)
    invoiced_on = models.DateField(null=True)
    paid_on = models.DateField(null=True)
    activated_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["licence"], condition=Q(activated_at=None), name="licence_one_open_request"
            ),
            models.CheckConstraint(
                condition=Q(invoiced_on=None, invoice_number="")
                | Q(invoiced_on__isnull=False) & ~Q(invoice_number=""),
                name="licence_invoice_complete",
            ),
            models.CheckConstraint(
                condition=Q(paid_on=None) | Q(invoiced_on__isnull=False), name="licence_paid_after_invoice"
            ),
            models.CheckConstraint(
                condition=Q(activated_at=None) | Q(paid_on__isnull=False), name="licence_active_after_payment"
            ),
        ]

    def __str__(self) -> str:
        return self.name


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

    The table refuses UPDATE and TRUNCATE by triggers, and DELETE but of what has passed its retention and is
    marked in `AuditPruned` (`append_only_audit`, `audit_untruncated`, `audit_retention`).
    """

    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=60)
    actor = models.UUIDField(null=True, help_text="null: a named system process")
    actor_name = models.CharField(max_length=180)
    practice = models.UUIDField(null=True)
    subject = models.UUIDField(null=True)
    subject_name = models.CharField(max_length=180, blank=True)
    request_id = models.CharField(max_length=36, blank=True)
    address = models.CharField(max_length=45, blank=True, help_text="shortened to /24 or /48")
    details = models.JSONField(default=dict)
    # Over all of the above, and the key it was made with (`accounts.audit_chain`).
    key_name = models.CharField(max_length=32, blank=True, editable=False)
    code = models.BinaryField(default=b"", editable=False)

    class Meta:
        # Journals are read newest first: of a practice, about a person, by an actor.
        indexes = [
            models.Index("practice", F("at").desc(), F("id").desc(), name="audit_practice"),
            models.Index("subject", F("at").desc(), F("id").desc(), name="audit_subject"),
            models.Index("actor", F("at").desc(), F("id").desc(), name="audit_actor"),
        ]

    def __str__(self) -> str:
        return self.kind


class AuditLink(models.Model):
    """The place of one event in the chain over all of them; append-only like the events. No foreign key: a
    removed event must leave its link behind.
    """

    position = models.BigIntegerField(primary_key=True)
    event = models.BigIntegerField(unique=True)
    key_name = models.CharField(max_length=32)
    code = models.BinaryField()

    def __str__(self) -> str:
        return str(self.position)


class AuditPruned(models.Model):
    """An event that was erased after its retention, signed; its link stays. Append-only like the links."""

    event = models.BigIntegerField(primary_key=True)
    key_name = models.CharField(max_length=32)
    code = models.BinaryField()

    def __str__(self) -> str:
        return str(self.event)


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
