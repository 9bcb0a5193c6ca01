"""Financial settings of recognised doctors."""

from __future__ import annotations

import factory

from billing.models import FinancialSettings
from tests.practitioners.factories import PractitionerFactory


class FinancialFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = FinancialSettings

    practitioner = factory.SubFactory(PractitionerFactory)
    bce, convention = "0100000169", "conventioned"
    iban, bic, bic_source = "BE67001000001187", "GEBABEBB", "derived"
