"""Practices, users, their roles and invitations."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Practice(models.Model):
    """The tenant: people of one practice never see another's."""

    class Type(models.TextChoices):
        SOLO = "solo", _("Cabinet individuel")
        GROUP = "group", _("Cabinet de groupe")
        FLAT_RATE_HOUSE = "flat_rate_house", _("Maison médicale au forfait")
        FEE_FOR_SERVICE_HOUSE = "fee_for_service_house", _("Maison médicale à l'acte")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(_("Nom du cabinet"), max_length=120)
    type = models.CharField(_("Type"), max_length=24, choices=Type.choices, default=Type.GROUP)
    version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class HubRegion(models.TextChoices):
    """The hub where the person is registered as a professional; `none` is an answer (hubs of 3.3)."""

    RSW = "rsw", _("Réseau Santé Wallon (RSW)")
    RSB = "rsb", _("Réseau Santé Bruxellois (RSB)")
    VITALINK = "vitalink", _("Vitalink")
    COZO = "cozo", _("CoZo")
    VZN = "vzn", _("VZN (Louvain)")
    NONE = "none", _("Aucun hub")


class Role(models.TextChoices):
    ADMIN = "admin", _("Administrateur")
    USER_MANAGER = "user_manager", _("Gestionnaire des utilisateurs")
    PHYSICIAN = "physician", _("Médecin")
    PHYSICIAN_TRAINEE = "physician_trainee", _("Médecin assistant")
    PARAMEDICAL = "paramedical", _("Paramédical")
    RECEPTION = "reception", _("Accueillant(e)")
    SUPPORT = "support", _("Helpdesk")


class UserQuerySet(models.QuerySet["User"]):
    def active(self) -> UserQuerySet:
        return self.filter(is_active=True)

    def of_practice(self, practice_id: int | None) -> UserQuerySet:
        """People of one practice; nobody for staff without one."""
        return self.filter(practice=practice_id) if practice_id else self.none()

    def holding(self, *roles: str) -> UserQuerySet:
        return self.filter(
            models.Exists(RoleGrant.objects.filter(user=models.OuterRef("pk"), role__in=roles))
        )


class UserManager(BaseUserManager["User"]):
    """Finds people by their canonical login; creating them is `accounts.actions`."""

    def get_by_natural_key(self, username: str | None) -> User:
        from accounts.identifiers import Invalid, canonical_login

        try:
            return self.get(login_key=canonical_login(username or ""))
        except Invalid as error:
            raise self.model.DoesNotExist from error

    def get_queryset(self) -> UserQuerySet:
        return UserQuerySet(self.model, using=self._db)

    def active(self) -> UserQuerySet:
        return self.get_queryset().active()

    def of_practice(self, practice_id: int | None) -> UserQuerySet:
        return self.get_queryset().of_practice(practice_id)

    def holding(self, *roles: str) -> UserQuerySet:
        return self.get_queryset().holding(*roles)


class User(AbstractBaseUser):
    """An account. Names of the person live here once; the caregiver's facts in `Practitioner`.

    `login_key` and `email_key` are the canonical forms that the database keeps unique over all
    practices; `accounts.actions` alone writes them.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    practice = models.ForeignKey(Practice, models.PROTECT, related_name="users")
    login = models.CharField(_("Login"), max_length=150)
    login_key = models.CharField(max_length=150, unique=True)
    email = models.EmailField(_("E-mail"), max_length=254)
    email_key = models.CharField(max_length=254, unique=True)
    last_name = models.CharField(_("Nom"), max_length=80)
    first_name = models.CharField(_("Prénom"), max_length=80, blank=True)
    language = models.CharField(_("Langue"), max_length=2, choices=settings.LANGUAGES, default="fr")

    is_active = models.BooleanField(default=True)
    # Works for the portal, over all practices; given and taken by `manage.py staff` alone.
    is_staff = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey("self", models.PROTECT, null=True, related_name="+")
    activated_at = models.DateTimeField(null=True)
    deactivated_at = models.DateTimeField(null=True)
    # First seen ready, by an hourly look.
    ready_at = models.DateTimeField(null=True)
    # Set when the owner chose the password; null while somebody else's password is in force.
    password_own_at = models.DateTimeField(null=True)

    billing_address = models.ForeignKey(
        "accounts.BillingAddress", models.PROTECT, null=True, blank=True, related_name="users"
    )
    hub_region = models.CharField(_("Région HUBs"), max_length=12, choices=HubRegion.choices, blank=True)
    # Null: not decided yet.
    sumehr_auto_send = models.BooleanField(null=True)
    same_roof_search = models.BooleanField(default=False)

    objects = UserManager()
    USERNAME_FIELD = "login"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["email"]

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(login_key=""), name="user_login_key_filled"),
            models.CheckConstraint(
                condition=Q(is_active=True, deactivated_at=None) | Q(is_active=False),
                name="user_active_not_deactivated",
            ),
        ]
        indexes = [models.Index(fields=["practice", "last_name", "id"], name="user_list")]

    def __str__(self) -> str:
        return self.get_full_name()

    def get_full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    def get_short_name(self) -> str:
        return self.first_name or self.last_name

    @property
    def initials(self) -> str:
        """One or two capitals for the round button at the bottom left."""
        return (self.first_name[:1] + self.last_name[:1]).upper() or self.login[:1].upper()

    def roles(self) -> frozenset[str]:
        """Roles as the database has them now (one query; rights are never cached)."""
        return frozenset(self.role_grants.values_list("role", flat=True))


class RoleGrant(models.Model):
    user = models.ForeignKey(User, models.CASCADE, related_name="role_grants")
    role = models.CharField(max_length=20, choices=Role.choices)
    granted_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    granted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "role"], name="role_once")]

    def __str__(self) -> str:
        return self.get_role_display()


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self, now: datetime) -> InvitationQuerySet:
        """Invitations that still let somebody in."""
        return self.filter(used_at=None, revoked_at=None, expires_at__gt=now)


class Invitation(models.Model):
    """A single-use way in. The link's token is an HMAC over `uuid`; nothing here opens it."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="invitations")
    email_key = models.CharField(max_length=254)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects: Any = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=Q(used_at=None, revoked_at=None), name="invitation_one_open"
            )
        ]

    def __str__(self) -> str:
        return str(self.uuid)
