"""Bank accounts and financial settings."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import Practice
from practitioners.models import Practitioner
from practitioners.reference import PHYSICIAN


class BicSource(models.TextChoices):
    DERIVED = "derived", _("Calculé automatiquement")
    MANUAL = "manual", _("Complété à la main")


def account_complete(prefix: str = "") -> Q:
    """IBAN and BIC come together or not at all."""
    iban, bic, source = f"{prefix}iban", f"{prefix}bic", f"{prefix}bic_source"
    empty = Q(**{iban: "", bic: "", source: ""})
    return empty | ~Q(**{iban: ""}) & ~Q(**{bic: ""}) & ~Q(**{source: ""})


def able_to_supervise(prefix: str = "") -> Q:
    """Active recognised physicians (rules 4.3), as a condition on practitioners or, by `prefix`, on what
    leads to one.
    """
    return Q(
        **{
            f"{prefix}user__is_active": True,
            f"{prefix}profession": PHYSICIAN,
            f"{prefix}training_status": Practitioner.TrainingStatus.RECOGNISED,
        }
    )


class FinancialSettings(models.Model):
    """What eFact and eAttest need of one practitioner; a trainee's account is the supervisor's."""

    class Convention(models.TextChoices):
        CONVENTIONED = "conventioned", _("Conventionné")
        PARTIALLY = "partially", _("Partiellement conventionné")
        NON_CONVENTIONED = "non_conventioned", _("Non conventionné")

    # Text columns that hold something once a recognised physician's data is complete.
    NEEDED = ("bce", "iban", "bic", "convention")

    practitioner = models.OneToOneField(Practitioner, models.CASCADE, related_name="financial")
    bce = models.CharField(_("BCE (sans le BE)"), max_length=10, blank=True)
    convention = models.CharField(_("Convention"), max_length=16, choices=Convention.choices, blank=True)
    # Days and hours during which the agreed fees do not apply; only for `partially`.
    convention_hours = models.CharField(max_length=300, blank=True)
    iban = models.CharField("IBAN", max_length=34, blank=True)
    bic = models.CharField("BIC", max_length=11, blank=True)
    bic_source = models.CharField(max_length=8, choices=BicSource.choices, blank=True)
    supervisor = models.ForeignKey(
        Practitioner, models.PROTECT, null=True, blank=True, related_name="trainees"
    )
    # When both were told that the supervisor can no longer be one.
    supervisor_lost_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=account_complete(), name="financial_account_complete"),
            models.CheckConstraint(
                condition=Q(supervisor=None) | ~Q(supervisor=models.F("practitioner")),
                name="supervisor_not_oneself",
            ),
        ]

    def __str__(self) -> str:
        return str(self.practitioner)


class AssistantsAccount(models.Model):
    """« Compte bancaire partagé des assistants »: for all trainees of all doctors of the practice."""

    practice = models.OneToOneField(Practice, models.CASCADE, related_name="assistants_account")
    iban = models.CharField("IBAN", max_length=34)
    bic = models.CharField("BIC", max_length=11)
    bic_source = models.CharField(max_length=8, choices=BicSource.choices)

    def __str__(self) -> str:
        return str(self.practice)
