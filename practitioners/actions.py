"""Saving who practises and where; creating a person with everything that belongs to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts import audit, emails, identifiers
from accounts.access import Capability, capabilities
from accounts.actions import licences
from accounts.actions.people import create_user, hold_practice
from accounts.actions.practices import change_practice
from accounts.actions.sections import Change, begin_prefilled, section_change, section_version
from accounts.models import Practice, User
from practitioners.models import Address, Practitioner, Telecom
from practitioners.reference import HOUSE, professions

PERSON_FIELDS = ("last_name", "first_name", "language")
GENERAL = "practitioner/general"
ADDRESS_FIELDS = ("type", "description", "street", "number", "box", "postcode", "city", "country")


class NihiiTaken(Exception):
    """Another account of this practice has the same INAMI number (first 8 digits; rules 2.2)."""


class IdentityFixed(Exception):
    """The first 8 digits of an INAMI number never change in a career: an administrator alone corrects them,
    and says why (rules 2.2).
    """


def create_person(
    *,
    practice: Practice,
    by: User,
    now: datetime,
    login: str,
    email: str,
    last_name: str,
    first_name: str,
    language: str,
    profession: str,
    roles: Sequence[str],
    invite: bool = True,
) -> User:
    """An account with its caregiver, provisional licence and, unless a job does, invitation; all or nothing.
    Its owner checks names, language and profession in the general section (rules 4.5).

    Raises what `accounts.actions.people.create_user` raises.
    """
    with transaction.atomic():
        user = create_user(
            practice=practice,
            login=login,
            email=email,
            last_name=last_name,
            first_name=first_name,
            language=language,
            roles=roles,
            by=by,
            now=now,
            invite=invite,
        )
        Practitioner.objects.create(user=user, practice=practice, profession=profession)
        begin_prefilled(user=user, section="practitioner/general", by=by, now=now)
        audit.record(
            "practitioner:practitioner:created", actor=by, subject=user, at=now, profession=profession
        )
        if professions()[profession].paid_licence:
            licences.grant_provisional(user=user, by=by, now=now)
    return user


@transaction.atomic
def save_general(
    *, user: User, by: User, version: int, now: datetime, nihii_reason: str = "", **values: Any
) -> None:
    """« Modifier l'intervenant », first tab. `values` are the form's fields, canonical; `nihii_reason`: why
    the INAMI number becomes another person's.

    What belongs to a house is kept in a flat-rate house only (rules 4.2), as the practice is now. Raises
    `NihiiTaken`, `IdentityFixed`, `StaleSection`.
    """
    person = {name: values.pop(name) for name in PERSON_FIELDS}
    if values.get("profession") == HOUSE and hold_practice(user).type != Practice.Type.FLAT_RATE_HOUSE:
        values |= Practitioner.NO_HOUSE
    try:
        with section_change(user=user, section=GENERAL, by=by, version=version, now=now) as change:
            row = Practitioner.objects.select_for_update().filter(user=user).first()
            row = row or Practitioner(user=user, practice=user.practice)
            _note_identity(row, values["nihii"], reason=nihii_reason, by=by, now=now)
            change.apply(user, person)
            change.apply(row, values)
            follow_licence(row, by=by, now=now)
    except IntegrityError as error:
        if "nihii_once_per_practice" in str(error):
            raise NihiiTaken from error
        raise


def names_another(old: str, nihii: str) -> bool:
    """Whether a stored INAMI number would become another person's, or nobody's."""
    return bool(old) and (not nihii or identifiers.nihii_identity(old) != identifiers.nihii_identity(nihii))


def may_correct_identity(by: User) -> bool:
    return Capability.ASSIGN_ADMIN in capabilities(by)


def _note_identity(row: Practitioner, nihii: str, *, reason: str, by: User, now: datetime) -> None:
    """A new competence code is a normal step of a career; another person's number is told to its owner."""
    old = row.nihii
    if not old or old == nihii:
        return
    why: dict[str, Any] = {}
    if names_another(old, nihii):
        if not (reason and may_correct_identity(by)):
            raise IdentityFixed
        why = {"reason": reason}
        emails.queue("nihii_replaced", user=row.user, context={"by": by, "when": now, **why})
    audit.record("practitioner:nihii:changed", actor=by, subject=row.user, at=now, nihii=[old, nihii], **why)


def follow_licence(row: Practitioner, *, by: User, now: datetime) -> None:
    """Whoever becomes a physician gets the 45 days, unless the person of these numbers has had them."""
    if not professions()[row.profession].paid_licence:
        return
    licence = licences.grant_provisional(user=row.user, by=by, now=now)
    identity = identifiers.nihii_identity(row.nihii) if row.nihii else ""
    licences.claim_provisional(licence=licence, numbers=[row.ssin, identity], by=by, now=now)


def save_practice(*, by: User, version: int, now: datetime, name: str, type: str) -> None:
    """« Modifier le cabinet ». Outside the flat rate there is no house: what its accounts hold of one is
    emptied, for their owners to check, and readiness asks another profession. Raises `Forbidden`, `Stale`.
    """
    with transaction.atomic():
        practice = change_practice(by=by, version=version, now=now, name=name, type=type)
        if type != Practice.Type.FLAT_RATE_HOUSE:
            for row in houses(practice):
                _empty_house(row, by=by, now=now)


def houses(practice: Practice) -> list[Practitioner]:
    """The accounts that stand for the practice as a flat-rate house, closed ones included."""
    rows = Practitioner.objects.filter(practice=practice, profession=HOUSE)
    return list(rows.select_related("user").order_by("user__last_name", "user_id"))


def _empty_house(row: Practitioner, *, by: User, now: datetime) -> None:
    if all(getattr(row, name) == empty for name, empty in Practitioner.NO_HOUSE.items()):
        return
    # Held, so that no other save of the section comes in between.
    User.objects.get_queryset().select_for_update().get(pk=row.user_id)
    version = section_version(row.user, GENERAL)
    with section_change(user=row.user, section=GENERAL, by=by, version=version, now=now) as change:
        change.apply(row, Practitioner.NO_HOUSE)


def save_addresses(
    *,
    user: User,
    by: User,
    version: int,
    now: datetime,
    addresses: Sequence[dict[str, Any]],
    removed: Collection[UUID] = (),
) -> None:
    """« Modifier l'intervenant », second tab: all that the page showed, at once and in its order.

    Each address: the fields of `Address`, `uuid` or None when new, `telecoms`: list of (type, value).
    `removed`: those to delete. An address that is in neither stays as it is. Raises `StaleSection`.

    The audit names each by its number on the page: `address 2` has it in one line before and after,
    `address 2 type` and the like what the line does not say.
    """
    with section_change(
        user=user, section="practitioner/addresses", by=by, version=version, now=now
    ) as change:
        practitioner = Practitioner.objects.select_for_update().get(user=user)
        stored = {address.uuid: address for address in practitioner.addresses.order_by("pk")}
        numbers = {uuid: number for number, uuid in enumerate(stored, start=1)}
        following = count(len(stored) + 1)
        for item in addresses:
            name = f"address {numbers.get(item['uuid']) or next(following)}"
            change.fields |= _save_address(practitioner, stored.get(item["uuid"]), item, name)
        for uuid in [uuid for uuid in stored if uuid in removed]:
            change.fields[f"address {numbers[uuid]}"] = (stored[uuid].in_line(), None)
            stored[uuid].delete()


def _save_address(
    practitioner: Practitioner, row: Address | None, item: dict[str, Any], name: str
) -> dict[str, tuple[Any, Any]]:
    """What changed, under this name; nothing when the very same is stored."""
    address = row or Address(practitioner=practitioner)
    line = row.in_line() if row else None
    own = Change()
    own.apply(address, {name: item[name] for name in ADDRESS_FIELDS})
    before = list(address.telecoms.order_by("pk").values_list("type", "value"))
    if before != item["telecoms"]:
        address.telecoms.all().delete()
        Telecom.objects.bulk_create(
            Telecom(address=address, type=kind, value=value) for kind, value in item["telecoms"]
        )
        own.fields["contacts"] = (_values(before), _values(item["telecoms"]))
    if row and not own.fields:
        return {}
    beyond = {part: pair for part, pair in own.fields.items() if part not in Address.IN_LINE}
    return {name: (line, address.in_line())} | {f"{name} {part}": pair for part, pair in beyond.items()}


def _values(telecoms: Iterable[tuple[str, str]]) -> str:
    return ", ".join(value for _kind, value in telecoms)
