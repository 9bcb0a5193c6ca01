"""Connected keystores and registrations, as rows."""

from __future__ import annotations

from datetime import timedelta

import factory
from django.utils import timezone

from ehealth.models import EdmgRegistration, EdmgRequest, Keystore, Mutuality
from tests.accounts.factories import UserFactory


class KeystoreFactory(factory.django.DjangoModelFactory):
    """An active keystore tested today, whose number is its owner's."""

    class Meta:
        model = Keystore

    user = factory.SubFactory(UserFactory)
    state = Keystore.State.ACTIVE
    sha256 = "0" * 64
    ssin = factory.LazyAttribute(lambda row: row.user.practitioner.ssin)
    holder_name = "CAMILLE PERSONNE"
    serial = factory.Sequence(str)
    issuer_name = "Simulation issuing CA"
    not_before = factory.LazyFunction(lambda: timezone.now() - timedelta(days=10))
    not_after = factory.LazyFunction(lambda: timezone.now() + timedelta(days=700))
    tested_at = factory.LazyFunction(timezone.now)


class EdmgRequestFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = EdmgRequest

    user = factory.SubFactory(UserFactory)
    conditions_version, conditions_language, same_account = "1", "fr", True
    accepted_at = factory.LazyFunction(timezone.now)


class EdmgRegistrationFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = EdmgRegistration

    request = factory.SubFactory(EdmgRequestFactory)
    user = factory.SelfAttribute("request.user")
    mutuality = factory.Iterator(Mutuality.values)
    state = EdmgRegistration.State.REGISTERED
    iban, bic = "BE67001000001187", "GEBABEBB"
    reference = factory.Sequence(lambda number: f"reference-{number}")
    queued_at = factory.LazyFunction(timezone.now)
