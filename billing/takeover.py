"""« Reprendre mes données d'un autre cabinet »: the same person's first account, proved, fills the second.

Nothing flows without the first account's login and password. One error for every failure: nobody learns
whether an account exists. Only the first account's own history says that it was read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import audit, emails, identifiers
from accounts.access import Forbidden
from accounts.actions.sections import section_version
from accounts.models import User
from billing.actions import save_financial
from billing.bank import BankAccount
from billing.models import FinancialSettings
from practitioners.actions import ADDRESS_FIELDS, save_addresses, save_general
from practitioners.models import Address, Practitioner
from practitioners.reference import HOUSE

GENERAL = (
    "profession", "civility", "title", "other_languages", "ssin", "nihii", "speciality", "training_status",
    "company_name",
)  # fmt: skip
SYSTEM = "takeover"


class NotProved(Exception):
    """Not the first account of the same person, whatever the reason."""


def take_over(*, user: User, first: User | None, by: User, now: datetime, most_addresses: int) -> User:
    """Copy identity, addresses and bank data of `first`, whose password was just proved, into `user`.

    `first` None: the proof failed; so does one whose password somebody else knows. Goes through the ordinary
    sections, as their owner; what the first account leaves empty stays as it is here. Raises `Forbidden`,
    `NotProved`, `NihiiTaken`.
    """
    if user.pk != by.pk:
        raise Forbidden(SYSTEM)
    if first is None or first.password_own_at is None:
        raise NotProved
    with transaction.atomic():
        User.objects.get_queryset().select_for_update().get(pk=user.pk)
        mine, theirs = _cards(user, first)
        _copy_general(user, first, mine, theirs, now)
        _copy_addresses(user, theirs, now, most_addresses)
        _copy_financial(user, mine, theirs, now)
        audit.record("billing:data:taken_over", actor=first, subject=first, at=now)
        emails.queue("data_taken_over", user=first, context={"when": now})
    return first


def note_refusal(*, login_of: User | None, now: datetime) -> None:
    """A try that failed is in the history of the account it was about, as at sign-in."""
    with transaction.atomic():
        audit.record("billing:data:refused", actor=None, system=SYSTEM, subject=login_of, at=now)


def _cards(user: User, first: User) -> tuple[Practitioner, Practitioner]:
    """Both caregivers, when they are the same person as far as their numbers are known."""
    if first.practice_id == user.practice_id:
        raise NotProved
    found = Practitioner.objects.filter(user__in=[user, first]).exclude(profession=HOUSE)
    cards = {card.user_id: card for card in found}
    if len(cards) != 2:
        raise NotProved
    mine, theirs = cards[user.pk], cards[first.pk]
    if _differ(mine.ssin, theirs.ssin) or _differ(_identity(mine), _identity(theirs)):
        raise NotProved
    return mine, theirs


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one != other


def _identity(card: Practitioner) -> str:
    return identifiers.nihii_identity(card.nihii) if card.nihii else ""


def _copy_general(user: User, first: User, mine: Practitioner, theirs: Practitioner, now: datetime) -> None:
    values = {name: getattr(theirs, name) or getattr(mine, name) for name in GENERAL}
    version = section_version(user, "practitioner/general")
    save_general(
        user=user, by=user, version=version, now=now, language=user.language, last_name=first.last_name,
        first_name=first.first_name or user.first_name, **values, **Practitioner.NO_HOUSE,
    )  # fmt: skip


def _copy_addresses(user: User, theirs: Practitioner, now: datetime, most: int) -> None:
    """Those that are here stay, and come first; one that is here already is not doubled."""
    kept = [_address(row, row.uuid) for row in _addresses(user.practitioner)]
    known = [{name: address[name] for name in ADDRESS_FIELDS} for address in kept]
    copies = [_address(row, None) for row in _addresses(theirs)]
    fresh = [copy for copy in copies if {name: copy[name] for name in ADDRESS_FIELDS} not in known]
    if fresh:
        version = section_version(user, "practitioner/addresses")
        save_addresses(user=user, by=user, version=version, now=now, addresses=[*kept, *fresh][:most])


def _addresses(card: Practitioner) -> list[Address]:
    return list(card.addresses.prefetch_related("telecoms").order_by("pk"))


def _address(row: Address, uuid: Any) -> dict[str, Any]:
    telecoms = [(telecom.type, telecom.value) for telecom in row.telecoms.order_by("pk")]
    return {name: getattr(row, name) for name in ADDRESS_FIELDS} | {"uuid": uuid, "telecoms": telecoms}


def _copy_financial(user: User, mine: Practitioner, theirs: Practitioner, now: datetime) -> None:
    """Own account and company; a supervisor is of one practice and stays there."""
    source = FinancialSettings.objects.filter(practitioner=theirs).first()
    if source is None:
        return
    here = FinancialSettings.objects.filter(practitioner=mine).select_related("supervisor").first()
    target = here or FinancialSettings(practitioner=mine)
    holder = source if source.iban else target
    account = BankAccount(holder.iban, holder.bic, holder.bic_source) if holder.iban else None
    save_financial(
        user=user, by=user, version=section_version(user, "billing/financial"), now=now,
        company_name=theirs.company_name or mine.company_name, bce=source.bce or target.bce,
        convention=source.convention or target.convention,
        convention_hours=source.convention_hours or target.convention_hours, supervisor=target.supervisor,
        account=account, assistants_account=None, shared_changed=False,
    )  # fmt: skip
