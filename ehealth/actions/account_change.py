"""A new bank account for a doctor who is registered: a second registration would change nothing (code 168),
so each mutuality is told by letter and confirms (rules 6.7). Only the owner acts: it diverts money.
"""

from __future__ import annotations

from datetime import date, datetime

from django.db import transaction

from accounts import audit, emails
from accounts.access import Forbidden
from accounts.models import User
from billing.bank import BankAccount
from ehealth.models import AccountChange, AccountChangeTask, EdmgRegistration, Mutuality


class ChangeRefused(Exception):
    """Nothing is done. Keys: not_registered, under_way, same_account, no_change, letters_sent, not_sent,
    confirmed, before_sent.
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def open_change(user: User) -> AccountChange | None:
    return AccountChange.objects.filter(user=user, ended_at=None).first()


def accounts_in_force(user: User) -> dict[str, str]:
    """Mutuality → IBAN it pays on, for those where the doctor is registered; "" where nobody told it.

    Who was registered already (code 168) is paid on an account of before, which the portal never learnt.
    """
    told = AccountChangeTask.objects.filter(change__user=user, confirmed_on__isnull=False)
    known = set(told.values_list("mutuality", flat=True))
    rows = EdmgRegistration.objects.filter(user=user).done().order_by("mutuality")
    return {
        row.mutuality: row.iban
        if row.state != EdmgRegistration.State.ALREADY_REGISTERED or row.mutuality in known
        else ""
        for row in rows
    }


def obstacle(user: User) -> str:
    """Why no change can begin: not_registered, under_way, or ''."""
    rows = EdmgRegistration.objects.filter(user=user)
    if rows.filter(state__in=EdmgRegistration.OPEN).exists():
        return "under_way"
    return "" if rows.done().exists() else "not_registered"


def begin(*, user: User, by: User, account: BankAccount, now: datetime) -> AccountChange:
    """One task for each mutuality that pays on another account; a change that was open is overtaken.

    Raises `Forbidden`, `ChangeRefused`.
    """
    _only_owner(user, by)
    with transaction.atomic():
        _hold(user)
        if key := obstacle(user):
            raise ChangeRefused(key)
        told = {code: iban for code, iban in accounts_in_force(user).items() if iban != account.iban}
        if not told:
            raise ChangeRefused("same_account")
        AccountChange.objects.filter(user=user, ended_at=None).update(ended_at=now)
        change = AccountChange.objects.create(user=user, iban=account.iban, bic=account.bic, created_at=now)
        AccountChangeTask.objects.bulk_create(
            AccountChangeTask(change=change, mutuality=code, old_iban=iban) for code, iban in told.items()
        )
        audit.record(
            "ehealth:account_change:begun", actor=by, subject=user, at=now,
            iban=account.iban, iban_before=sorted(set(filter(None, told.values()))), mutualities=sorted(told),
        )  # fmt: skip
        emails.queue("edmg_account_changed", user=user, context={"by": by, "when": now})
    return change


def mark_sent(*, user: User, by: User, mutuality: str, day: date, now: datetime) -> None:
    """The letter has left. Raises `Forbidden`, `ChangeRefused`."""
    with transaction.atomic():
        task = _task(user, by, mutuality)
        if task.confirmed_on:
            raise ChangeRefused("confirmed")
        task.sent_on = day
        task.save(update_fields=["sent_on"])
        audit.record(
            "ehealth:account_change:sent", actor=by, subject=user, at=now, mutuality=mutuality, day=day
        )


def mark_confirmed(*, user: User, by: User, mutuality: str, day: date, now: datetime) -> bool:
    """The mutuality pays on the new account from now on. True when it was the last one.

    Raises `Forbidden`, `ChangeRefused`.
    """
    with transaction.atomic():
        task = _task(user, by, mutuality)
        if task.sent_on is None:
            raise ChangeRefused("not_sent")
        if task.confirmed_on:
            raise ChangeRefused("confirmed")
        if day < task.sent_on:
            raise ChangeRefused("before_sent")
        change = task.change
        task.confirmed_on = day
        task.save(update_fields=["confirmed_on"])
        EdmgRegistration.objects.filter(user=user, mutuality=mutuality).done().update(
            iban=change.iban, bic=change.bic
        )
        audit.record(
            "ehealth:account_change:confirmed", actor=by, subject=user, at=now,
            mutuality=mutuality, iban=[task.old_iban, change.iban],
        )  # fmt: skip
        last = not change.tasks.filter(confirmed_on=None).exists()
        if last:
            change.ended_at = now
            change.save(update_fields=["ended_at"])
    return last


def give_up(*, user: User, by: User, now: datetime) -> None:
    """Begun by mistake: possible while no letter has left. Raises `Forbidden`, `ChangeRefused`."""
    _only_owner(user, by)
    with transaction.atomic():
        _hold(user)
        change = open_change(user)
        if change is None:
            raise ChangeRefused("no_change")
        if change.tasks.filter(sent_on__isnull=False).exists():
            raise ChangeRefused("letters_sent")
        change.ended_at = now
        change.save(update_fields=["ended_at"])
        audit.record("ehealth:account_change:given_up", actor=by, subject=user, at=now, iban=change.iban)


def _only_owner(user: User, by: User) -> None:
    if user.pk != by.pk:
        raise Forbidden("account_change")


def _hold(user: User) -> None:
    User.objects.get_queryset().select_for_update().get(pk=user.pk)


def _task(user: User, by: User, mutuality: str) -> AccountChangeTask:
    """The task of the open change, held by the user's row."""
    _only_owner(user, by)
    _hold(user)
    tasks = AccountChangeTask.objects.filter(change__user=user, change__ended_at=None)
    task = tasks.select_related("change").filter(mutuality=mutuality).first()
    if task is None:
        raise ChangeRefused("no_change")
    return task


def open_tasks(user: User) -> list[str]:
    """Names of the mutualities that have not confirmed yet."""
    tasks = AccountChangeTask.objects.filter(change__user=user, change__ended_at=None, confirmed_on=None)
    return [
        str(Mutuality(code).label) for code in tasks.order_by("mutuality").values_list("mutuality", flat=True)
    ]
