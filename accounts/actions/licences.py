"""Licences of physicians (rules 6.3): 45 provisional days once, then a year at a time, asked and paid.

Every change holds the licence's row; `now` says what day it is. The last valid day is `ends_on`; without one
no day is valid.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import audit, emails
from accounts.access import Capability, Forbidden, capabilities, require
from accounts.models import Licence, LicenceRequest, ProvisionalClaim, Role, User

MANAGERS = (Role.ADMIN, Role.USER_MANAGER)
PER_SWEEP = 500
SYSTEM = "licences"


class LicenceRefused(Exception):
    """Not possible in this state: nothing is done. Keys: no_licence, no_nihii, no_billing_address,
    already_requested, not_open, not_invoiced, not_paid, too_early.
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


# --- the provisional licence ------------------------------------------------------------------
def grant_provisional(*, user: User, by: User, now: datetime) -> Licence:
    """45 days from today (day 0); the licence the account has already, when it has one."""
    today = timezone.localdate(now)
    ends = today + timedelta(days=Licence.PROVISIONAL_DAYS)
    with transaction.atomic():
        licence, created = Licence.objects.get_or_create(
            user=user, defaults={"starts_on": today, "ends_on": ends}
        )
        if created:
            audit.record("account:licence:created", actor=by, subject=user, at=now, ends_on=ends)
    return licence


def claim_provisional(*, licence: Licence, numbers: Iterable[str], by: User, now: datetime) -> bool:
    """Bind the 45 days to these numbers: whoever is known already, in whatever practice, has what is left.

    True when the licence was shortened for that. With nothing left it is « à demander », for no day at all.
    Two at once wait for each other at the unique number.
    """
    with transaction.atomic():
        licence = Licence.objects.select_for_update().get(pk=licence.pk)
        starts, ends = _own_days(licence)
        claims = [
            ProvisionalClaim.objects.get_or_create(
                number=number, defaults={"licence": licence, "starts_on": starts, "ends_on": ends}
            )[0]
            for number in sorted(filter(None, numbers))
        ]
        first = min(claims, key=lambda claim: claim.ends_on, default=None)
        if first is None:
            return False
        # A number that comes later belongs to the same days.
        licence.claims.filter(ends_on__gt=first.ends_on).update(
            starts_on=first.starts_on, ends_on=first.ends_on
        )
        return first.licence_id != licence.pk and _shorten(licence, first.ends_on, by, now)


def _own_days(licence: Licence) -> tuple[date, date]:
    """The provisional days of the account itself, also when a year runs or none were left."""
    latest = licence.starts_on + timedelta(days=Licence.PROVISIONAL_DAYS)
    return licence.starts_on, min(licence.ends_on or licence.starts_on, latest)


def _shorten(licence: Licence, last: date, by: User, now: datetime) -> bool:
    """Let what is not yet over end on `last`; when that day has passed, nothing is left."""
    kinds, today, before = Licence.State, timezone.localdate(now), licence.ends_on
    if before is None or last >= before or licence.standing(today) in (kinds.ACTIVE, kinds.EXPIRED):
        return False
    licence.ends_on, licence.reminded_days = (last if last >= today else None), None
    none_left = licence.ends_on is None and licence.state == kinds.PROVISIONAL
    licence.state = kinds.TO_REQUEST if none_left else licence.state
    licence.save(update_fields=["state", "ends_on", "reminded_days"])
    audit.record(
        "account:licence:shortened", actor=by, subject=licence.user, at=now, ends_on=[before, licence.ends_on]
    )
    if none_left:
        _tell("licence_due", licence, today)
    return True


def had_provisional_before(licence: Licence, numbers: Iterable[str]) -> bool:
    """Whether the 45 days of these numbers began with another account; only their owner may read it."""
    known = ProvisionalClaim.objects.filter(number__in=list(filter(None, numbers)))
    return known.filter(starts_on__lt=licence.starts_on).exclude(licence=licence).exists()


# --- asking for a year ------------------------------------------------------------------------
def missing(*, user: User, nihii: str) -> list[str]:
    """What a request still needs: no_licence, no_nihii, no_billing_address."""
    needs = {
        "no_licence": Licence.objects.filter(user=user).exists(),
        "no_nihii": nihii,
        "no_billing_address": user.billing_address_id,
    }
    return [key for key, there in needs.items() if not there]


def may_request(actor: User, subject: User) -> bool:
    """The owner, and who has the right in the owner's practice."""
    if actor.pk == subject.pk:
        return True
    return actor.practice_id == subject.practice_id and Capability.REQUEST_LICENCE in capabilities(actor)


def request_year(*, user: User, by: User, nihii: str, now: datetime) -> LicenceRequest:
    """Send what the portal knows to its staff; nothing is typed. Raises `Forbidden`, `LicenceRefused`.

    A licence that runs for a year may be asked again in its last 60 days.
    """
    if not may_request(by, user):
        raise Forbidden(Capability.REQUEST_LICENCE)
    with transaction.atomic():
        licence = Licence.objects.select_for_update().filter(user=user).first()
        if keys := missing(user=user, nihii=nihii):
            raise LicenceRefused(keys[0])
        assert licence and user.billing_address  # noqa: S101 - said by `missing`
        if open_request(licence):
            raise LicenceRefused("already_requested")
        if not renewable(licence, timezone.localdate(now)):
            raise LicenceRefused("too_early")
        row = LicenceRequest.objects.create(
            licence=licence,
            requested_by=by,
            requested_at=now,
            name=user.get_full_name(),
            nihii=nihii,
            practice_name=user.practice.name,
            billing_address=str(user.billing_address),
            billing_email=user.billing_address.email,
        )
        _set_state(licence, Licence.State.REQUESTED)
        audit.record("account:licence:requested", actor=by, subject=user, at=now, nihii=nihii)
    return row


RENEWAL_DAYS = 60


def renewable(licence: Licence, today: date) -> bool:
    """A running year is asked anew near its end only; anything else at once."""
    left = licence.days_left(today)
    return licence.standing(today) != Licence.State.ACTIVE or left is None or left <= RENEWAL_DAYS


def open_request(licence: Licence) -> LicenceRequest | None:
    return LicenceRequest.objects.filter(licence=licence, activated_at=None).first()


def _set_state(licence: Licence, state: Licence.State) -> None:
    """The state follows the request, but a year that runs stays active until it ends."""
    if licence.state != Licence.State.ACTIVE:
        licence.state = state
        licence.save(update_fields=["state"])


# --- what staff does --------------------------------------------------------------------------
def _open(request: LicenceRequest, by: User) -> LicenceRequest:
    """The request, held with its licence. Raises `Forbidden`, `LicenceRefused`."""
    require(by, Capability.ACTIVATE_LICENCE)
    Licence.objects.select_for_update().get(pk=request.licence_id)
    row = LicenceRequest.objects.select_related("licence__user").filter(pk=request.pk).get()
    if row.activated_at:
        raise LicenceRefused("not_open")
    return row


def record_invoice(*, request: LicenceRequest, number: str, day: date, by: User, now: datetime) -> None:
    """The invoice that names this doctor; may be corrected until it is paid."""
    with transaction.atomic():
        row = _open(request, by)
        if row.paid_on:
            raise LicenceRefused("not_open")
        row.invoice_number, row.invoiced_on = number, day
        row.save(update_fields=["invoice_number", "invoiced_on"])
        _set_state(row.licence, Licence.State.INVOICED)
        audit.record(
            "account:licence:invoiced", actor=by, subject=row.licence.user, at=now, invoice=number, day=day
        )


def record_payment(*, request: LicenceRequest, day: date, by: User, now: datetime) -> None:
    """The invoice is paid. Raises `LicenceRefused` when there is none."""
    with transaction.atomic():
        row = _open(request, by)
        if row.invoiced_on is None:
            raise LicenceRefused("not_invoiced")
        row.paid_on = day
        row.save(update_fields=["paid_on"])
        audit.record("account:licence:paid", actor=by, subject=row.licence.user, at=now, day=day)


def activate(*, request: LicenceRequest, by: User, now: datetime) -> Licence:
    """A year from today, or from the end of the year that runs; a second click finds nothing to do.

    Raises `Forbidden`, `LicenceRefused`.
    """
    today = timezone.localdate(now)
    with transaction.atomic():
        row = _open(request, by)
        if row.paid_on is None:
            raise LicenceRefused("not_paid")
        licence = row.licence
        runs = licence.standing(today) == Licence.State.ACTIVE
        before = licence.ends_on
        licence.starts_on = licence.starts_on if runs else today
        licence.ends_on = year_from(before + timedelta(days=1) if runs and before else today)
        licence.state, licence.reminded_days = Licence.State.ACTIVE, None
        licence.save()
        row.activated_at = now
        row.save(update_fields=["activated_at"])
        audit.record(
            "account:licence:activated", actor=by, subject=licence.user, at=now,
            ends_on=[before, licence.ends_on],
        )  # fmt: skip
        _tell("licence_activated", licence, today)
    return licence


def year_from(first: date) -> date:
    """The last valid day of a year that begins on `first`."""
    try:
        return first.replace(year=first.year + 1) - timedelta(days=1)
    except ValueError:  # 29 February
        return date(first.year + 1, 2, 28)


# --- what time does ---------------------------------------------------------------------------
def sweep(*, now: datetime) -> tuple[int, int]:
    """Expire what has ended, remind of what ends soon; (expired, reminded). May run twice or at once:
    a row that another sweep holds is skipped, and what was told is on the row.
    """
    today = timezone.localdate(now)
    return _expire(today, now), _remind(today)


def _expire(today: date, now: datetime) -> int:
    with transaction.atomic():
        rows = Licence.objects.select_for_update(skip_locked=True, of=("self",)).to_expire(today)
        found = list(rows.select_related("user__practice").order_by("ends_on", "pk")[:PER_SWEEP])
        for licence in found:
            licence.state = Licence.State.EXPIRED
            licence.save(update_fields=["state"])
            audit.record(
                "account:licence:expired", actor=None, system=SYSTEM, subject=licence.user, at=now,
                ends_on=licence.ends_on,
            )  # fmt: skip
            if licence.user.is_active:
                _tell("licence_expired", licence, today)
    return len(found)


def _remind(today: date) -> int:
    with transaction.atomic():
        rows = Licence.objects.select_for_update(skip_locked=True, of=("self",)).to_remind(today)
        found = list(rows.select_related("user__practice").order_by("ends_on", "pk")[:PER_SWEEP])
        for licence in found:
            left = licence.days_left(today) or 0
            # After a pause of the sweep the nearest one alone is sent.
            licence.reminded_days = min(days for days in Licence.REMINDER_DAYS if left <= days)
            licence.save(update_fields=["reminded_days"])
            _tell("licence_reminder", licence, today)
    return len(found)


def _tell(kind: str, licence: Licence, today: date) -> None:
    """The owner and the practice's managers, each once, in the own language."""
    owner = licence.user
    managers = User.objects.of_practice(owner.practice_id).active().holding(*MANAGERS).exclude(pk=owner.pk)
    context = {
        "whose": owner.get_full_name(),
        "ends_on": licence.ends_on,
        "last_day": licence.ends_on == today,
        "requested": open_request(licence) is not None,
        "link": emails.link(reverse("billing:licence", args=[owner.uuid])),
    }
    for user in [owner, *managers]:
        emails.queue(kind, user=user, context=context)
