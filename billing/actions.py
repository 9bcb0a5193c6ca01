"""Saving the financial settings; which account pays a trainee; a supervisor who can no longer be one; the end
of training.
"""

from __future__ import annotations

from datetime import date, datetime

from django.db import IntegrityError, transaction

from accounts import audit, emails, identifiers
from accounts.access import Forbidden
from accounts.actions.sections import Change, section_change
from accounts.models import Role, SectionReview, User
from accounts.models.people import UserQuerySet
from billing.bank import BankAccount
from billing.models import AssistantsAccount, FinancialSettings, able_to_supervise
from practitioners.actions import IdentityFixed, NihiiTaken, follow_licence
from practitioners.models import Practitioner

ACCOUNT_FIELDS = ("iban", "bic", "bic_source")
PER_SWEEP = 500
MANAGERS = (Role.ADMIN, Role.USER_MANAGER)
OWN_AND_EMPTY = {
    "bce": "",
    "convention": "",
    "convention_hours": "",
    "supervisor": None,
    "supervisor_lost_at": None,
    **dict.fromkeys(ACCOUNT_FIELDS, ""),
}


class NotInTraining(Exception):
    """The training has ended already, or there was none."""


def save_financial(
    *,
    user: User,
    by: User,
    version: int,
    now: datetime,
    company_name: str,
    bce: str,
    convention: str,
    convention_hours: str,
    supervisor: Practitioner | None,
    account: BankAccount | None,
    assistants_account: BankAccount | None,
    shared_changed: bool,
) -> None:
    """The tab « Données financières ».

    A trainee keeps no account and no BCE of their own (rules 4.3). `shared_changed` False leaves the
    shared account alone. Raises `StaleSection`, and `Forbidden` when somebody else replaces or removes an
    account that its owner gave or confirmed (rules 4.6).
    """
    with section_change(user=user, section="billing/financial", by=by, version=version, now=now) as change:
        practitioner = Practitioner.objects.select_for_update().get(user=user)
        trainee = practitioner.training_status == Practitioner.TrainingStatus.TRAINEE
        row = FinancialSettings.objects.select_for_update().filter(practitioner=practitioner).first()
        row = row or FinancialSettings(practitioner=practitioner)
        if by.pk != user.pk and not trainee and row.iban not in ("", account.iban if account else ""):
            _refuse_if_owners(user)
        change.apply(practitioner, {"company_name": company_name})
        change.apply(
            row,
            {
                "bce": "" if trainee else bce,
                "convention": convention,
                "convention_hours": convention_hours,
                "supervisor": supervisor if trainee else None,
                **columns(None if trainee else account),
            },
        )
        if change.fields.get("iban", ("", ""))[0]:
            emails.queue("iban_changed", user=user, context={"by": by, "when": now})
        if shared_changed and not trainee:
            _share(user=user, by=by, now=now, account=assistants_account)


def _refuse_if_owners(user: User) -> None:
    if not SectionReview.objects.get(user=user, section="billing/financial").to_review():
        raise Forbidden("iban")


def columns(account: BankAccount | None) -> dict[str, str]:
    return {name: getattr(account, name) if account else "" for name in ACCOUNT_FIELDS}


def _share(*, user: User, by: User, now: datetime, account: BankAccount | None) -> None:
    """The practice's account for its trainees; managers are told when it changes."""
    row = AssistantsAccount.objects.select_for_update().filter(practice=user.practice).first()
    before = row.iban if row else ""
    if (before, row.bic if row else "") == ((account.iban, account.bic) if account else ("", "")):
        return
    if account is None:
        AssistantsAccount.objects.filter(practice=user.practice).delete()
    else:
        Change().apply(row or AssistantsAccount(practice=user.practice), columns(account))
    audit.record(
        "billing:assistants_account:changed",
        actor=by,
        subject=user,
        at=now,
        iban=[before, account.iban if account else ""],
    )
    for manager in managers_of(user).exclude(pk=by.pk):
        emails.queue("assistants_account_changed", user=manager, context={"by": by, "when": now})


def paying_account(practitioner: Practitioner) -> tuple[str, str]:
    """(IBAN, BIC) that eFact pays: for a trainee the shared account, else the supervisor's, never the own."""
    row = (
        FinancialSettings.objects.filter(practitioner=practitioner)
        .select_related("supervisor__financial")
        .first()
    )
    if practitioner.training_status != Practitioner.TrainingStatus.TRAINEE:
        return (row.iban, row.bic) if row else ("", "")
    shared = AssistantsAccount.objects.filter(practice=practitioner.practice).first()
    if shared:
        return shared.iban, shared.bic
    theirs = (
        FinancialSettings.objects.filter(practitioner=row.supervisor).first()
        if row and row.supervisor
        else None
    )
    return (theirs.iban, theirs.bic) if theirs else ("", "")


def supervisor_of(trainee: Practitioner) -> Practitioner | None:
    """Who lends account and BCE, as long as that person can."""
    return (
        Practitioner.objects.filter(able_to_supervise(), trainees__practitioner=trainee)
        .select_related("user")
        .first()
    )


def must_complete(supervisor: Practitioner) -> bool:
    """Whether trainees wait for this supervisor's own financial data."""
    row = FinancialSettings.objects.filter(practitioner=supervisor).first()
    return row is None or not all(getattr(row, name) for name in FinancialSettings.NEEDED)


def bce_of(practitioner: Practitioner) -> str:
    """The practitioner's own enterprise number, or ''."""
    rows = FinancialSettings.objects.filter(practitioner=practitioner)
    return rows.values_list("bce", flat=True).first() or ""


def tell_of_lost_supervisors(*, now: datetime) -> int:
    """Tell trainee and supervisor, once, that the latter can no longer be one (rules 4.3). How many trainees.

    Whatever made it so (account closed, new status, new profession) is found here, not where it happened.
    """
    able = able_to_supervise("supervisor__")
    FinancialSettings.objects.filter(able, supervisor_lost_at__isnull=False).update(supervisor_lost_at=None)
    lost = FinancialSettings.objects.filter(
        ~able,
        supervisor__isnull=False,
        supervisor_lost_at=None,
        practitioner__user__is_active=True,
        practitioner__training_status=Practitioner.TrainingStatus.TRAINEE,
    )
    with transaction.atomic():
        rows = list(
            lost.select_for_update(skip_locked=True, of=("self",))
            .select_related("practitioner__user", "supervisor__user")
            .order_by("pk")[:PER_SWEEP]
        )
        for row in rows:
            emails.queue("supervisor_lost", user=row.practitioner.user)
        for senior in {row.supervisor.user for row in rows if row.supervisor}:
            emails.queue("trainees_lost", user=senior)
        FinancialSettings.objects.filter(pk__in=[row.pk for row in rows]).update(supervisor_lost_at=now)
    return len(rows)


def end_training(
    *,
    user: User,
    by: User,
    versions: tuple[int, int],
    nihii: str,
    speciality: str,
    recognised_on: date,
    now: datetime,
) -> None:
    """A trainee is recognised: number, status and speciality; finances become own and empty (rules 4.4).

    `versions`: of the general and the financial section. The licence stays as it is. Raises
    `NotInTraining`, `IdentityFixed`, `NihiiTaken`, `StaleSection`.
    """
    sections = ("practitioner/general", "billing/financial")
    opened = [
        section_change(user=user, section=section, by=by, version=version, now=now)
        for section, version in zip(sections, versions, strict=True)
    ]
    try:
        with opened[0] as general, opened[1] as financial:
            row = Practitioner.objects.select_for_update().get(user=user)
            old = _check_training(row, nihii)
            recognised = Practitioner.TrainingStatus.RECOGNISED
            general.apply(row, {"nihii": nihii, "speciality": speciality, "training_status": recognised})
            settings = FinancialSettings.objects.select_for_update().filter(practitioner=row).first()
            if settings:
                financial.apply(settings, OWN_AND_EMPTY)
            follow_licence(row, by=by, now=now)
            audit.record(
                "billing:training:ended", actor=by, subject=user, at=now,
                nihii=[old, nihii], recognised_on=recognised_on, edmg_again=edmg_again(old),
            )  # fmt: skip
            _tell_of_ended_training(user, by, now)
    except IntegrityError as error:
        if "nihii_once_per_practice" in str(error):
            raise NihiiTaken from error
        raise


def _check_training(row: Practitioner, nihii: str) -> str:
    """The number before, when this one may follow it."""
    if row.training_status != Practitioner.TrainingStatus.TRAINEE:
        raise NotInTraining
    if row.nihii and identifiers.nihii_identity(row.nihii) != identifiers.nihii_identity(nihii):
        raise IdentityFixed
    return row.nihii


def edmg_again(old_nihii: str) -> bool:
    """Whether the eDMG could not be asked with the number of the training (codes 001 to 008 can)."""
    return not old_nihii or not identifiers.nihii_may_register_edmg(old_nihii)


def _tell_of_ended_training(user: User, by: User, now: datetime) -> None:
    context = {"by": by, "when": now, "whose": user.get_full_name()}
    emails.queue("training_ended", user=user, context=context | {"own": True})
    for manager in managers_of(user).exclude(pk__in=[user.pk, by.pk]):
        emails.queue("training_ended", user=manager, context=context)


def managers_of(user: User) -> UserQuerySet:
    return User.objects.of_practice(user.practice_id).active().holding(*MANAGERS)
