"""The table of rules 6.6: what each answer, or none, does to a registration."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from ehealth import verdicts
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
from ehealth.verdicts import Facts, State

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


def facts(*, attempts: int = 1, days: float = 0, previous: str = "", unknown: bool = False) -> Facts:
    return Facts(attempts, NOW - timedelta(days=days), previous, unknown, NOW)


def refused(*codes: str, location: str = "") -> Refused:
    return Refused(codes[0], [Detail(code, location=location, message="Texte") for code in codes])


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (refused("168"), State.ALREADY_REGISTERED),
        (refused("100"), State.REJECTED),
        (refused("111"), State.REJECTED),
        (refused("130"), State.REJECTED),
        (refused("140"), State.REJECTED),
        (refused("155"), State.REJECTED),
        (refused("999"), State.REJECTED),
        (refused("141"), State.RETRYING),
        (Faulted("SOA-01001", ""), State.RETRYING),
        (Faulted("SOA-01002", ""), State.NEEDS_ACTION),
        (Faulted("SOA-00001", ""), State.RETRYING),
        (Faulted("SOA-02001", ""), State.RETRYING),
        (Faulted("SOA-02002", ""), State.RETRYING),
        (Faulted("SOA-02002", "", retry=False), State.NEEDS_ACTION),
        (Faulted("SOA-01002", "", retry=True), State.RETRYING),
        (Faulted("SOA-03006", ""), State.NEEDS_ACTION),
        (Faulted("SOA-03007", ""), State.NEEDS_ACTION),
        (Faulted("what", ""), State.NEEDS_ACTION),
        (Unreachable("x"), State.RETRYING),
        (TimedOut(sent=False), State.RETRYING),
        (TimedOut(sent=True), State.RETRYING),
        (NotAuthentic("x"), State.RETRYING),
        (Malformed("x"), State.RETRYING),
        (ClockDiffers(130, sent=False), State.RETRYING),
    ],
)
def test_each_outcome_has_its_state(error: PlatformError, state: str) -> None:
    found = verdicts.of_error(error, facts())
    assert found.state == state
    assert (found.next_attempt_at is not None) == (state == State.RETRYING)


def test_a_success_keeps_its_start_date() -> None:
    answer = Answer("SUCCESS", date(2026, 3, 2), (), "", "", None)
    assert verdicts.of_answer(answer) == verdicts.Verdict(State.REGISTERED, start_date=date(2026, 3, 2))


@pytest.mark.parametrize(
    ("attempts", "minutes"), [(1, 1), (2, 5), (3, 15), (4, 60), (5, 360), (6, 360), (20, 360)]
)
def test_the_plan_waits_longer_each_time_spread_below_it(attempts: int, minutes: int) -> None:
    tries = [verdicts.of_error(Unreachable("x"), facts(attempts=attempts)) for _time in range(200)]
    waits = [found.next_attempt_at - NOW for found in tries if found.next_attempt_at]
    most, least = timedelta(minutes=minutes), timedelta(seconds=30)
    assert len(waits) == 200 and least <= min(waits) and max(waits) <= most
    assert max(waits) - min(waits) > (most - least) * 0.8


@pytest.mark.parametrize("error", [Unreachable("x", sent=True), Faulted("SOA-02002", ""), Malformed("x")])
def test_nothing_is_asked_before_the_platform_wants_it(error: PlatformError) -> None:
    error.retry_after = timedelta(hours=2)
    assert verdicts.of_error(error, facts()).next_attempt_at == NOW + timedelta(hours=2)
    late = verdicts.of_error(error, facts(attempts=9, days=6.95))
    assert late.state == State.NEEDS_ACTION


@pytest.mark.parametrize(
    ("days", "state"), [(6.7, State.RETRYING), (6.8, State.NEEDS_ACTION), (8, State.NEEDS_ACTION)]
)
def test_after_seven_days_it_is_the_owners_turn(days: float, state: str) -> None:
    assert verdicts.of_error(TimedOut(sent=True), facts(attempts=9, days=days)).state == state


@pytest.mark.parametrize(
    ("days", "state"), [(0, State.RETRYING), (12.9, State.RETRYING), (13, State.REJECTED)]
)
def test_an_unknown_doctor_is_tried_daily_for_fourteen_days(days: float, state: str) -> None:
    found = verdicts.of_error(refused("141"), facts(days=days))
    assert found.state == state
    assert found.next_attempt_at in (None, NOW + timedelta(days=1))


@pytest.mark.parametrize(
    ("error", "unknown"),
    [
        (TimedOut(sent=True), True),
        (Unreachable("x", sent=True), True),
        (NotAuthentic("x"), True),
        (Malformed("x"), True),
        (ClockDiffers(130, sent=True), True),
        (ClockDiffers(-130, sent=False), False),
        (TimedOut(sent=False), False),
        (Unreachable("x"), False),
        (Faulted("SOA-02002", ""), False),
    ],
)
def test_what_may_have_been_done_stays_unknown(error: PlatformError, unknown: bool) -> None:
    assert verdicts.of_error(error, facts()).outcome_unknown is unknown
    assert verdicts.of_error(error, facts(unknown=True)).outcome_unknown is True


def test_an_answer_of_the_mutuality_ends_the_doubt() -> None:
    assert not verdicts.of_error(refused("168"), facts(unknown=True)).outcome_unknown
    assert not verdicts.of_error(refused("111"), facts(unknown=True)).outcome_unknown


def test_a_refused_token_is_replaced_once() -> None:
    first = verdicts.of_error(Faulted("SOA-01001", ""), facts())
    again = verdicts.of_error(Faulted("SOA-01001", ""), facts(previous="SOA-01001"))
    assert (first.new_token, again.new_token) == (True, False)
    assert again.state == State.NEEDS_ACTION


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("/registrations/registrant/CareProvider/Nihii/Value", "nihii"),
        ("/registrations/registration/bankAccount/@iban", "account"),
        ("/registrations/registration/@serviceName", "service"),
        ("", ""),
        ("/elsewhere", ""),
    ],
)
def test_the_place_of_a_refusal_is_kept(location: str, place: str) -> None:
    assert verdicts.of_error(refused("111", location=location), facts()).place == place
