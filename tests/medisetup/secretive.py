"""A doctor in whose every row stands something that nobody else may read, and what that is."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.identifiers import format_bce, format_nihii, format_ssin
from accounts.models import Mail, PersonalKey, User
from billing.bank import format_iban
from billing.models import AssistantsAccount
from ehealth.models import Exchange, PlatformSession
from practitioners import imports
from tests import cast
from tests.accounts.factories import BillingAddressFactory, PersonalKeyFactory, UserFactory
from tests.ehealth.factories import KeystoreFactory
from tests.practitioners.factories import AddressFactory

NISS, INAMI, BCE = "75031498594", "10002345003", "0100000169"
IBAN, NEW_IBAN, SHARED_IBAN = "BE67001000001187", "BE54001000002197", "BE71096123456769"
NUMBERS = {
    NISS, format_ssin(NISS), INAMI, format_nihii(INAMI), BCE, format_bce(BCE),
    *(written(iban) for iban in (IBAN, NEW_IBAN, SHARED_IBAN) for written in (str, format_iban)),
    "+32471223344", "0471223344", "cabinet.secret@example.be",
}  # fmt: skip
SEALED = {
    "sealed-blob", "sealed-key", "sealed-chain", "sealed-assertion", "sealed-content", "sealed-code",
    "spki-bytes", "f" * 64, "a" * 64, "b" * 64, "c" * 64, "keystore-of-the-doctor",
    "A message nobody else reads",
}  # fmt: skip


def doctor_with_secrets() -> User:
    """A row of every kind that support reads, each with something that must not be read."""
    user = cast.ready_doctor(ssin=NISS, nihii=INAMI, house_contact_ssin=NISS, house_nihii=INAMI)
    User.objects.get_queryset().filter(pk=user.pk).update(login=format_nihii(INAMI), login_key=INAMI)
    user.refresh_from_db()
    now, row = timezone.now(), user.practitioner
    telecoms = [("mobile", "+32471223344"), ("phone", "0471223344"), ("email", "cabinet.secret@example.be")]
    AddressFactory(practitioner=row, telecoms=telecoms)
    BillingAddressFactory(practice=user.practice, bce=BCE)
    AssistantsAccount.objects.create(
        practice=user.practice, iban=SHARED_IBAN, bic="BBRUBEBB", bic_source="derived"
    )
    PersonalKeyFactory(
        user=user, fingerprint="f" * 64, spki=b"spki-bytes", state="superseded", protection="portal",
        ended_at=now, end_reason="rotated",
    )  # fmt: skip
    PersonalKey.objects.filter(user=user, state="active").update(
        protection="portal", file_code=b"sealed-code"
    )
    keystore = KeystoreFactory(
        user=user, sha256="a" * 64, blob=b"sealed-blob", key=b"sealed-key", chain=b"sealed-chain",
        file_name=f"SSIN={NISS} keystore-of-the-doctor.p12", holder_name=f"SSIN={NISS}, CAMILLE", ssin=NISS,
    )  # fmt: skip
    PlatformSession.objects.create(
        keystore=keystore,
        key=b"sealed-key",
        chain=b"sealed-chain",
        assertion=b"sealed-assertion",
        nihii=INAMI,
    )
    cast.registrations(user, ("registered", "", ""))
    user.edmg_registrations.update(iban=IBAN, result_message=f"NISS {format_ssin(NISS)}")
    cast.begin_change(user)
    cast.licence_at(user, UserFactory(is_staff=True), "requested")
    cast.with_mailbox(user).mailbox.messages.update(title="A message nobody else reads")
    Mail.objects.create(
        user=user, kind="invitation", to="cabinet.secret@example.be", content=b"sealed-content"
    )
    happened(user, now)
    return user


def happened(user: User, now: Any) -> None:
    """Calls, checks, an address that fails; a change of login in the journal; a file of people."""
    other = cast.tested()
    user.platform_checks.set(other.platform_checks.all())
    Exchange.objects.filter(user=other).update(user=user, request_sha256="b" * 64, response_sha256="c" * 64)
    with transaction.atomic():
        audit.record("account:login:changed", actor=user, subject=user, login=["old", format_nihii(INAMI)])
    person = {
        "first_name": "Anne", "last_name": "Martin", "login": "anne@import.example", "language": "fr",
        "email": "anne@import.example", "profession": "persphysician", "roles": ["physician"], "ssin": NISS,
    }  # fmt: skip
    manager = UserFactory(practice=user.practice, roles=["user_manager"])
    imports.propose(by=manager, digest="f" * 64, people=[imports.Person(2, person)], now=now)
