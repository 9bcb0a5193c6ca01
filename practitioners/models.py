"""Who practises, and where; files of people to bring in."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Left
from django.utils.translation import gettext_lazy as _

from accounts.models import Practice, User


class Practitioner(models.Model):
    """The caregiver, or the flat-rate house as invoicing party, behind one account."""

    class Civility(models.TextChoices):
        DR = "dr", _("Docteur")
        PR = "pr", _("Professeur")
        MR = "mr", _("Monsieur")
        MRS = "mrs", _("Madame")
        NONE = "none", _("Aucune")

    class TrainingStatus(models.TextChoices):
        RECOGNISED = "recognised", _("Agréé")
        TRAINEE = "trainee", _("En formation (assistant)")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.OneToOneField(User, models.PROTECT, related_name="practitioner")
    practice = models.ForeignKey(Practice, models.PROTECT, related_name="practitioners")
    civility = models.CharField(_("Civilité"), max_length=6, choices=Civility.choices, blank=True)
    title = models.CharField(_("Titre"), max_length=60, blank=True)
    other_languages = ArrayField(models.CharField(max_length=2), default=list, blank=True)
    profession = models.CharField(_("Profession"), max_length=40)
    speciality = models.CharField(_("Spécialité"), max_length=40, blank=True)
    ssin = models.CharField(_("Numéro National"), max_length=11, blank=True)
    nihii = models.CharField(_("Numéro INAMI"), max_length=11, blank=True)
    company_name = models.CharField(_("Nom éventuel de société"), max_length=120, blank=True)
    training_status = models.CharField(max_length=10, choices=TrainingStatus.choices, blank=True)
    house_contact_ssin = models.CharField(max_length=11, blank=True)
    house_nihii = models.CharField(max_length=11, blank=True)
    house_contact = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    guard_post = models.CharField(_("Poste de garde"), max_length=120, blank=True)

    # What belongs to the account of a flat-rate house alone, empty.
    NO_HOUSE: dict[str, Any] = {"house_contact_ssin": "", "house_nihii": "", "house_contact": None}

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "practice", Left("nihii", 8), condition=~Q(nihii=""), name="nihii_once_per_practice"
            ),
        ]

    def __str__(self) -> str:
        return self.user.get_full_name()


class Address(models.Model):
    """One address; hubs read the telecoms of one work address (onboarding rules 3.2)."""

    class Type(models.TextChoices):
        WORK = "work", _("Lieu de travail")
        HOME = "home", _("Domicile")
        HQ = "hq", _("Siège social")
        OTHER = "other", _("Autre")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    practitioner = models.ForeignKey(Practitioner, models.CASCADE, related_name="addresses")
    type = models.CharField(_("Type"), max_length=6, choices=Type.choices, default=Type.WORK)
    description = models.CharField(_("Description"), max_length=80, blank=True)
    street = models.CharField(_("Rue"), max_length=100, blank=True)
    number = models.CharField(_("N°"), max_length=10, blank=True)
    box = models.CharField(_("Boîte"), max_length=10, blank=True)
    postcode = models.CharField(_("Code postal"), max_length=10, blank=True)
    city = models.CharField(_("Localité"), max_length=80, blank=True)
    country = models.CharField(_("Pays"), max_length=2, default="BE")

    IN_LINE = ("street", "number", "box", "postcode", "city")

    def __str__(self) -> str:
        return f"{self.get_type_display()}: {self.postcode} {self.city}"

    def in_line(self) -> str:
        """Where it is, in no language: « Rue de Fer 3, 5000 Namur »; with nothing else the country's code."""
        parts = ((self.street, self.number, self.box), (self.postcode, self.city))
        return ", ".join(filter(None, (" ".join(filter(None, part)) for part in parts))) or self.country


class Telecom(models.Model):
    class Type(models.TextChoices):
        MOBILE = "mobile", _("GSM")
        PHONE = "phone", _("Téléphone")
        EMAIL = "email", _("E-mail")
        FAX = "fax", _("Fax")
        WEB = "web", _("Site web")

    address = models.ForeignKey(Address, models.CASCADE, related_name="telecoms")
    type = models.CharField(_("Type"), max_length=6, choices=Type.choices)
    value = models.CharField(_("Valeur"), max_length=254)

    def __str__(self) -> str:
        return self.get_type_display()


class PeopleImportQuerySet(models.QuerySet["PeopleImport"]):
    def counted(self) -> PeopleImportQuerySet:
        """Files that made people, or are about to: none of them counts twice."""
        return self.filter(state__in=PeopleImport.COUNTED)

    def under_way(self) -> PeopleImportQuerySet:
        return self.filter(state__in=PeopleImport.UNDER_WAY)


class PeopleImport(models.Model):
    """A file of people. `content` holds the checked values, sealed, until they are created or refused."""

    class State(models.TextChoices):
        CHECKED = "checked"
        QUEUED = "queued"
        INVITING = "inviting"
        DONE = "done"
        FAILED = "failed"

    COUNTED = (State.QUEUED, State.INVITING, State.DONE)
    UNDER_WAY = (State.QUEUED, State.INVITING)

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    practice = models.ForeignKey(Practice, models.PROTECT, related_name="people_imports")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    count = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.CHECKED)
    content = models.BinaryField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    # Why it failed: the name of a refusal, and the line of the file it is about.
    refusal = models.CharField(max_length=40, blank=True)
    refused_line = models.PositiveIntegerField(null=True)
    checked_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    people = models.ManyToManyField(User, related_name="+")

    objects: Any = PeopleImportQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["practice", "digest"],
                condition=Q(state__in=["queued", "inviting", "done"]),
                name="people_file_once_per_practice",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["checked", "queued"], content__isnull=False)
                | Q(state__in=["inviting", "done", "failed"], content=None),
                name="people_file_erased_when_done",
            ),
        ]

    def __str__(self) -> str:
        return str(self.uuid)
