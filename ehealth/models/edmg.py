"""The eDMG registrations of a doctor, and what becomes of their accounts."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User


class EdmgRequest(models.Model):
    """The owner's consent: which text word for word, when, after which proof, for which accounts.

    Written once; `accounts` maps the code of each mutuality that was asked to its IBAN.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="edmg_requests")
    conditions_version = models.CharField(max_length=20)
    conditions_language = models.CharField(max_length=2)
    conditions_text = models.TextField(default="")
    same_account = models.BooleanField()
    accounts = models.JSONField(default=dict)
    # When the password was given that a request asks for; null: kept since later only.
    proved_at = models.DateTimeField(null=True)
    accepted_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.uuid)


class Mutuality(models.TextChoices):
    """The seven national codes that an eDMG registration goes to."""

    MC_CM = "100", _("Mutualités chrétiennes (MC)")
    NEUTRAL = "200", _("Mutualités neutres")
    SOLIDARIS = "300", _("Mutualités socialistes (Solidaris)")
    LIBERAL = "400", _("Mutualités libérales")
    MLOZ = "500", _("Mutualités libres")
    CAAMI = "600", _("Caisse auxiliaire d'assurance maladie-invalidité (CAAMI)")
    HR_RAIL = "900", _("Caisse des soins de santé de HR Rail")


class EdmgRegistrationQuerySet(models.QuerySet["EdmgRegistration"]):
    def due(self, now: datetime) -> EdmgRegistrationQuerySet:
        """Work to claim: queued or retrying and due, or sending whose lease ended (a worker died)."""
        states = EdmgRegistration.State
        return self.filter(
            Q(state__in=[states.QUEUED, states.RETRYING], next_attempt_at__lte=now)
            | Q(state=states.SENDING, lease_until__lt=now)
        )

    def done(self) -> EdmgRegistrationQuerySet:
        return self.filter(state__in=EdmgRegistration.DONE)


class EdmgRegistration(models.Model):
    """One doctor at one mutuality. `reference` is made once and sent in every retry of this attempt
    to register; `attempts` is the fence: only the attempt that claimed the row may write its result.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("En file d'attente")
        SENDING = "sending", _("Envoi en cours")
        REGISTERED = "registered", _("Inscrit")
        ALREADY_REGISTERED = "already_registered", _("Déjà inscrit")
        REJECTED = "rejected", _("Refusé")
        RETRYING = "retrying", _("Nouvel essai prévu")
        WAITING = "waiting", _("En attente de votre reconnexion")
        NEEDS_ACTION = "needs_action", _("Action nécessaire")

    DONE = ("registered", "already_registered")
    OPEN = ("queued", "sending", "retrying", "waiting")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="edmg_registrations")
    request = models.ForeignKey(EdmgRequest, models.PROTECT, related_name="registrations")
    mutuality = models.CharField(max_length=3, choices=Mutuality.choices)
    state = models.CharField(max_length=20, choices=State.choices, default=State.QUEUED)
    iban = models.CharField(max_length=34)
    bic = models.CharField(max_length=11)
    reference = models.CharField(max_length=40, unique=True)
    queued_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    # Claims in succession that ended without any answer written: the worker died (SR-99).
    lost_claims = models.PositiveIntegerField(default=0)
    # The last attempt may have reached the mutuality: repeat with the same reference only.
    outcome_unknown = models.BooleanField(default=False)
    result_code = models.CharField(max_length=40, blank=True)
    # Which part of the request the code is about: nihii, account, service, or nothing said.
    result_place = models.CharField(max_length=10, blank=True)
    result_message = models.CharField(max_length=400, blank=True)
    start_date = models.DateField(null=True)
    answered_at = models.DateTimeField(null=True)

    objects: Any = EdmgRegistrationQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "mutuality"], name="edmg_once_per_mutuality")]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state__in=["queued", "retrying", "sending"]),
                name="edmg_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.mutuality} {self.state}"


class AccountChange(models.Model):
    """A registered doctor's new bank account, told to each mutuality by letter (rules 6.7).

    One is open at a time; it ends when every mutuality has confirmed, or when it is given up or overtaken.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="account_changes")
    iban = models.CharField(max_length=34)
    bic = models.CharField(max_length=11)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=Q(ended_at=None), name="account_change_one_open"
            )
        ]

    def __str__(self) -> str:
        return str(self.uuid)


class AccountChangeTask(models.Model):
    """One mutuality to tell. Until it has confirmed, it pays on the account that was in force before."""

    change = models.ForeignKey(AccountChange, models.PROTECT, related_name="tasks")
    mutuality = models.CharField(max_length=3, choices=Mutuality.choices)
    old_iban = models.CharField(max_length=34)
    sent_on = models.DateField(null=True)
    confirmed_on = models.DateField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["change", "mutuality"], name="account_change_once_per_mutuality"),
            models.CheckConstraint(
                condition=Q(confirmed_on=None) | Q(confirmed_on__gte=models.F("sent_on")),
                name="account_change_confirmed_after_sent",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_on=None) | Q(sent_on__isnull=False),
                name="account_change_confirmed_needs_sent",
            ),
        ]

    def __str__(self) -> str:
        return self.mutuality
