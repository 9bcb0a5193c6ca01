"""What an answer, or none, of a mutuality means for a registration: the table of rules 6.6, without database.

Business codes are final but 141 (a new number is not known everywhere yet: daily for 14 days) and 168
(registered already: success). Faults that pass, time-outs and broken connections follow the plan for 7 days,
each wait somewhere below the plan's (`ehealth.patience`).
An answer that is not authentic or not readable proves nothing: the outcome stays unknown and the same
reference is sent again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from ehealth import patience
from ehealth.client.errors import (
    ClockDiffers,
    Detail,
    Faulted,
    Malformed,
    NotAuthentic,
    PlatformError,
    Refused,
    TimedOut,
    Unreachable,
)
from ehealth.client.registration import Answer
from ehealth.models import EdmgRegistration

State = EdmgRegistration.State

PLAN = [timedelta(minutes=m) for m in (1, 5, 15, 60)]
PLAN_AFTERWARDS = timedelta(hours=6)
GIVEN_UP_AFTER = timedelta(days=7)
UNKNOWN_DOCTOR_WAIT = timedelta(days=1)
UNKNOWN_DOCTOR_FOR = timedelta(days=14)
NEW_TOKEN_WAIT = timedelta(seconds=5)
PLACES = {"bankaccount": "account", "nihii": "nihii", "servicename": "service"}
ALREADY, UNKNOWN_DOCTOR = "168", "141"
NOT_AUTHENTICATED = "SOA-01001"
# Rejections that may end by themselves: the owner may ask again without changing anything.
WORTH_ASKING_AGAIN = ("140", UNKNOWN_DOCTOR)


@dataclass(frozen=True)
class Facts:
    """What the rules look at: tries so far (this one included), since when, what the try before said."""

    attempts: int
    queued_at: datetime
    previous_code: str
    outcome_unknown: bool
    now: datetime


@dataclass(frozen=True)
class Verdict:
    """The next state of the row; `next_attempt_at` for retrying only; `new_token`: drop the one in use."""

    state: str
    code: str = ""
    message: str = ""
    place: str = ""
    next_attempt_at: datetime | None = None
    outcome_unknown: bool = False
    start_date: date | None = None
    new_token: bool = False


def of_answer(answer: Answer) -> Verdict:
    return Verdict(State.REGISTERED, start_date=answer.start_date)


def of_error(error: PlatformError, facts: Facts) -> Verdict:
    """Never a success but for code 168."""
    if isinstance(error, Refused):
        return _refused(error, facts)
    if isinstance(error, Faulted):
        return _faulted(error, facts)
    unknown = facts.outcome_unknown or isinstance(error, NotAuthentic | Malformed)
    if isinstance(error, Unreachable | TimedOut | ClockDiffers):
        unknown = unknown or error.sent
    return later(error, facts, unknown=unknown)


def _refused(error: Refused, facts: Facts) -> Verdict:
    deciding = next((detail for detail in error.details if detail.code == error.code), Detail(error.code))
    message, place = deciding.message[:400], place_of(deciding.location)
    if error.code == ALREADY:
        return Verdict(State.ALREADY_REGISTERED, error.code, message, place)
    if (
        error.code == UNKNOWN_DOCTOR
        and facts.now + UNKNOWN_DOCTOR_WAIT < facts.queued_at + UNKNOWN_DOCTOR_FOR
    ):
        return Verdict(State.RETRYING, error.code, message, place, facts.now + UNKNOWN_DOCTOR_WAIT)
    return Verdict(State.REJECTED, error.code[:40], message, place)


def place_of(location: str) -> str:
    """The part of the request that an XPath of an answer points at, or ''."""
    return next((place for sign, place in PLACES.items() if sign in location.lower()), "")


def _faulted(error: Faulted, facts: Facts) -> Verdict:
    message, unknown = error.message[:400], facts.outcome_unknown
    if error.code == NOT_AUTHENTICATED and facts.previous_code != NOT_AUTHENTICATED:
        again = soon(error.code, facts.now + NEW_TOKEN_WAIT, unknown=unknown)
        return replace(again, message=message, new_token=True)
    if error.retry and error.code != NOT_AUTHENTICATED:
        return later(error, facts, unknown=unknown, message=message)
    return Verdict(State.NEEDS_ACTION, error.code[:40], message, outcome_unknown=unknown)


def soon(code: str, at: datetime, *, unknown: bool) -> Verdict:
    """Again in a moment, outside the plan."""
    return Verdict(State.RETRYING, code, next_attempt_at=at, outcome_unknown=unknown)


def later(error: PlatformError, facts: Facts, *, unknown: bool, message: str = "") -> Verdict:
    """The next try: at the latest when the plan says so, but not before the platform asked for it; or the
    owner's turn when seven days have passed.
    """
    code, step = error.code[:40], facts.attempts - 1
    plan = PLAN[step] if step < len(PLAN) else PLAN_AFTERWARDS
    if facts.now + max(plan, error.retry_after) >= facts.queued_at + GIVEN_UP_AFTER:
        return Verdict(State.NEEDS_ACTION, code, message, outcome_unknown=unknown)
    at = facts.now + patience.wait(plan, asked=error.retry_after)
    return Verdict(State.RETRYING, code, message, next_attempt_at=at, outcome_unknown=unknown)
