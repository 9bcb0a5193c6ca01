"""What meets the platform: keystore, session, registrations, mailbox, exchanges.

Secrets are sealed (`accounts.sealing`), bound to table, column, row and owner. States move by the
actions of `ehealth.actions`; the row is the truth, the broker only rings the bell.
"""

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


class EdmgRequest(models.Model):
    """The owner's consent: which text, when, with which accounts it was sent."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="edmg_requests")
    conditions_version = models.CharField(max_length=20)
    conditions_language = models.CharField(max_length=2)
    same_account = models.BooleanField()
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
