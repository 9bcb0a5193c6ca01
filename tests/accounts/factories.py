"""Practices and people; a factory makes a valid thing."""

from __future__ import annotations

import hashlib
from typing import Any

import factory
from allauth.account.models import EmailAddress
from django.utils import timezone

from accounts.identifiers import canonical_login
from accounts.models import BillingAddress, PersonalKey, Practice, RoleGrant, User

PASSWORD = "Cabinet#2026"


class PracticeFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Practice

    name = factory.Sequence(lambda number: f"Cabinet {number}")


class BillingAddressFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = BillingAddress

    practice = factory.SubFactory(PracticeFactory)
    name = factory.Sequence(lambda number: f"Société {number}")
    street, number, postcode, city = "Rue Neuve", "1", "4000", "Liège"
    email = "factures@example.be"


class UserFactory(factory.django.DjangoModelFactory):
    """An activated person with an own password, a verified address and, unless `key=False`, a proven key."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    class Params:
        invited = factory.Trait(activated_at=None, password_own_at=None)

    practice = factory.SubFactory(PracticeFactory)
    login = factory.Sequence(lambda number: f"personne{number}@example.be")
    login_key = factory.LazyAttribute(lambda user: canonical_login(user.login))
    email = factory.LazyAttribute(
        lambda user: user.login if "@" in user.login else f"{user.login}@example.be"
    )
    email_key = factory.LazyAttribute(lambda user: user.email.casefold())
    first_name = "Camille"
    last_name = factory.Sequence(lambda number: f"Personne{number}")
    activated_at = factory.LazyFunction(timezone.now)
    password_own_at = factory.LazyFunction(timezone.now)

    @factory.post_generation
    def password(self: User, create: bool, extracted: str | None, **_kwargs: Any) -> None:
        self.set_password(extracted or PASSWORD)
        self.save()

    @factory.post_generation
    def roles(self: User, create: bool, extracted: list[str] | None, **_kwargs: Any) -> None:
        RoleGrant.objects.bulk_create(RoleGrant(user=self, role=role) for role in extracted or ["physician"])

    @factory.post_generation
    def verified(self: User, create: bool, extracted: bool | None, **_kwargs: Any) -> None:
        EmailAddress.objects.create(
            user=self, email=self.email, verified=extracted is not False, primary=True
        )

    @factory.post_generation
    def key(self: User, create: bool, extracted: bool | None, **_kwargs: Any) -> None:
        if extracted is not False:
            PersonalKeyFactory(user=self)


class PersonalKeyFactory(factory.django.DjangoModelFactory):
    """A proven key; its public half is a placeholder (see `keypairs` for real ones)."""

    class Meta:
        model = PersonalKey

    user = factory.SubFactory(UserFactory, key=False)
    fingerprint = factory.LazyAttribute(lambda key: hashlib.sha256(str(key.user.uuid).encode()).hexdigest())
    spki = b"placeholder"
    bits = 3072
    state = PersonalKey.State.ACTIVE
    protection = PersonalKey.Protection.PERSONAL
    backup_at = factory.LazyFunction(timezone.now)
    backup_reread_at = factory.LazyFunction(timezone.now)
