"""Saving the section « Utilisateur »: everything on the form in one transaction, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.access import Forbidden, billing_addresses, may_change_access
from accounts.actions import passwords, people
from accounts.actions.practices import create_address
from accounts.actions.sections import section_change
from accounts.models import BillingAddress, User

SECTION = "account"


class AddressGone(people.Refused):
    field = "billing_address"
    message = _("Cette adresse vient d'être supprimée. Choisissez-en une autre, ou créez-en une.")


def save_account(
    *,
    user: User,
    by: User,
    version: int,
    now: datetime,
    login: str,
    email: str,
    roles: Iterable[str],
    password: str,
    current_password: str,
    billing_address: BillingAddress | None,
    new_address: Mapping[str, str] | None,
    hub_region: str,
    sumehr_auto_send: bool | None,
    same_roof_search: bool,
) -> None:
    """Save the account of `user`. `billing_address` None: one is created from `new_address`; without that
    either, as when somebody pre-fills, the address stays as it is.

    Raises `StaleSection`; `people.Refused` (login, e-mail, roles, current password, `AddressGone`);
    `ValidationError` for the new password; `Forbidden` when somebody else sends a password or an address of
    another practice.
    """
    with transaction.atomic():
        people.lock_names()
        people.lock_practice(user)
        with section_change(user=user, section=SECTION, by=by, version=version, now=now) as change:
            # The row may have changed since the page was asked for: an account confirmed or closed meanwhile.
            user.refresh_from_db()
            _check_owner(user, by=by, login=login, email=email, password=password, current=current_password)
            people.change_login(user=user, login=login, by=by, now=now)
            _change_email(user, email, by=by, now=now)
            if by.pk != user.pk:
                people.set_roles(user=user, roles=roles, by=by, now=now)
            if password:
                passwords.change_password(user=user, password=password, now=now)
            address = billing_address or user.billing_address
            if new_address and not billing_address:
                address = create_address(by=by, values=new_address, now=now)
            if address and address.practice_id != by.practice_id:
                raise Forbidden(SECTION)
            if address and not billing_addresses(by).filter(pk=address.pk).exists():
                raise AddressGone
            values = {
                "billing_address": address,
                "hub_region": hub_region,
                "sumehr_auto_send": sumehr_auto_send,
                "same_roof_search": same_roof_search,
            }
            change.apply(user, values)


def _check_owner(user: User, *, by: User, login: str, email: str, password: str, current: str) -> None:
    renamed = login.strip() != user.login or email not in (user.email, passwords.pending_email(user))
    if by.pk != user.pk:
        if password or (renamed and not may_change_access(by, user)):
            raise Forbidden(SECTION)
    elif password or renamed:
        passwords.check_password(user=user, password=current)


def _change_email(user: User, email: str, *, by: User, now: datetime) -> None:
    """The address that already waits for its confirmation is no new change; the old one takes it back."""
    if email == passwords.pending_email(user):
        return
    if not passwords.change_email(user=user, email=email, by=by, now=now):
        passwords.forget_pending(user)
