"""A practice: opened with its first administrator, who invites everybody else; name and type; the billing
addresses that its people choose from.

Whatever may take an address away holds the practice's row, as the save of an account does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.access import Capability, Forbidden, billing_addresses, require
from accounts.actions.people import create_user, hold_practice
from accounts.actions.sections import Change, Stale
from accounts.models import BillingAddress, Practice, Role, User

PARTS = ("name", "bce", "street", "number", "box", "postcode", "city", "country", "email")


class AddressInUse(Exception):
    """Somebody's licence is invoiced there; `users` are all of them, closed accounts included."""

    def __init__(self, users: list[User]) -> None:
        super().__init__(len(users))
        self.users = users


def open_practice(
    *, name: str, type: str, email: str, first_name: str, last_name: str, language: str, now: datetime
) -> User:
    """The administrator, invited by mail, whose login is the address; both are made or neither.

    `type`: one of `Practice.Type`; `language`: a code of LANGUAGES. For the installation itself. Raises
    `InvalidLogin`, `LoginTaken`, `InvalidEmail`, `EmailTaken`.
    """
    with transaction.atomic():
        practice = Practice.objects.create(name=name, type=type)
        return create_user(
            practice=practice, login=email, email=email, first_name=first_name, last_name=last_name,
            language=language, roles=[Role.ADMIN], by=None, now=now,
        )  # fmt: skip


def change_practice(*, by: User, version: int, now: datetime, name: str, type: str) -> Practice:
    """Name and type of the practice of `by`. Raises `Forbidden`, `Stale`."""
    require(by, Capability.EDIT_PRACTICE)
    with transaction.atomic():
        practice = hold_practice(by)
        change = _save(practice, version, {"name": name, "type": type})
        audit.record("account:practice:changed", actor=by, practice=practice, at=now, **change.details())
    return practice


def _save(row: Practice | BillingAddress, version: int, values: Mapping[str, Any]) -> Change:
    """Write `values` on a row that is held, and count its version. Raises `Stale`."""
    if row.version != version:
        raise Stale(row.version)
    change = Change()
    change.apply(row, values)
    row.version += 1
    row.save(update_fields=["version"])
    return change


# --- billing addresses ------------------------------------------------------------------------
def create_address(*, by: User, values: Mapping[str, str], now: datetime) -> BillingAddress:
    """Add a billing address to the practice of `by`, as anybody may; the very same is not added twice."""
    with transaction.atomic():
        hold_practice(by)
        known = billing_addresses(by).filter(**values).first()
        if known:
            return known
        address = BillingAddress.objects.create(practice=by.practice, **values)
        audit.record("account:address:created", actor=by, subject=by, at=now, name=address.name)
    return address


def change_address(*, address: BillingAddress, by: User, version: int, now: datetime, **values: str) -> None:
    """Correct an address, for everybody who chose it. Raises `Forbidden`, `Stale`, and
    `BillingAddress.DoesNotExist` when it was removed meanwhile.
    """
    _require_manager(by, address)
    with transaction.atomic():
        row = BillingAddress.objects.select_for_update().get(pk=address.pk)
        change = _save(row, version, values)
        audit.record("account:address:changed", actor=by, practice=row.practice, at=now, **change.details())


def remove_address(*, address: BillingAddress, by: User, now: datetime) -> None:
    """Remove an address that nobody chose; one that is gone already is no error.

    Raises `Forbidden`, `AddressInUse`.
    """
    _require_manager(by, address)
    with transaction.atomic():
        practice = hold_practice(by)
        row = BillingAddress.objects.select_for_update().filter(pk=address.pk).first()
        if row is None:
            return
        if users := users_of(row):
            raise AddressInUse(users)
        was: dict[str, Any] = {name: [value, None] for name in PARTS if (value := getattr(row, name))}
        row.delete()
        audit.record("account:address:removed", actor=by, practice=practice, at=now, **was)


def users_of(address: BillingAddress) -> list[User]:
    """Whose licence is invoiced there, closed accounts included, by name."""
    return list(address.users.order_by("last_name", "first_name", "pk"))


def _require_manager(by: User, address: BillingAddress) -> None:
    require(by, Capability.MANAGE_BILLING_ADDRESSES)
    if address.practice_id != by.practice_id:
        raise Forbidden(Capability.MANAGE_BILLING_ADDRESSES)
