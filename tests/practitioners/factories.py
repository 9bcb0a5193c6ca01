"""Caregivers in every state that the checklist knows."""

from __future__ import annotations

import factory

from practitioners.models import Address, Practitioner, Telecom
from tests.accounts.factories import UserFactory


def nihii(sequence: int, code: str = "003") -> str:
    """A number of a physician whose check digits hold (modulo 97)."""
    body = 100000 + sequence % 899999
    return f"{body:06}{97 - body % 97:02}{code}"


def ssin(sequence: int) -> str:
    """A national number of somebody born on 14 March 1975, or later in the century when those run out."""
    year, serial = 60 + sequence // 998 % 30, sequence % 998 + 1
    body = int(f"{year:02}0314{serial:03}")
    return f"{body:09}{97 - body % 97:02}"


class PractitionerFactory(factory.django.DjangoModelFactory):
    """A recognised general practitioner whose general tab is complete."""

    class Meta:
        model = Practitioner

    class Params:
        trainee = factory.Trait(
            training_status=Practitioner.TrainingStatus.TRAINEE,
            nihii=factory.Sequence(lambda number: nihii(number + 400_000, "005")),
        )
        blank = factory.Trait(civility="", ssin="", nihii="", speciality="", training_status="")

    user = factory.SubFactory(UserFactory)
    practice = factory.SelfAttribute("user.practice")
    civility = Practitioner.Civility.DR
    profession = "persphysician"
    speciality = "general_practice"
    ssin = factory.Sequence(ssin)
    nihii = factory.Sequence(nihii)
    training_status = Practitioner.TrainingStatus.RECOGNISED


class AddressFactory(factory.django.DjangoModelFactory):
    """A complete workplace with an e-mail and a phone."""

    class Meta:
        model = Address
        skip_postgeneration_save = True

    practitioner = factory.SubFactory(PractitionerFactory)
    type = Address.Type.WORK
    street, number, postcode, city = "Rue de la Station", "12", "5000", "Namur"

    @factory.post_generation
    def telecoms(
        self: Address, create: bool, extracted: list[tuple[str, str]] | None, **_kwargs: object
    ) -> None:
        for kind, value in (
            extracted
            if extracted is not None
            else [("email", "cabinet@example.be"), ("phone", "+3281222222")]
        ):
            Telecom.objects.create(address=self, type=kind, value=value)
