"""Seven registrations while worker, broker and simulator are killed outright: none lost, none doubled.

Every process is real: PostgreSQL, a durable Valkey of our own, a Celery worker with two children and beat as
`up` starts them, the simulator over HTTP. The retry plan counts in minutes and a lease lasts 90 s; so that a
trial ends in seconds, due times of retries and leases of dead workers are moved to now in the database
(`trial.pass_time`), which is what the sweep would meet later. CHAOS_REAL_TIME=1 leaves them alone.

CHAOS_TRIALS (3) and CHAOS_SEED (random, printed) choose how many and which; CHAOS_SWEEP_SECONDS (1) how
often beat rings.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import time
from collections.abc import Callable

import pytest
from django.utils import timezone

from ehealth.actions import edmg
from ehealth.models import EdmgRegistration
from tests.chaos import trial
from tests.chaos.stack import Stack
from tests.chaos.trial import Trial, ask, finish, in_state, judge, wait_until
from tests.ehealth.conftest import Doctor

pytestmark = [pytest.mark.chaos, pytest.mark.django_db(transaction=True)]
State = EdmgRegistration.State
TRIALS = int(os.environ.get("CHAOS_TRIALS", "3"))
SEED = os.environ.get("CHAOS_SEED") or str(secrets.randbelow(1_000_000))
IN_ORDER = ["worker", "broker", "simulator"]
ANY = [*IN_ORDER, "child", "beat", "flush"]

NewDoctor = Callable[..., Doctor]


def test_kills_in_the_middle_of_seven_registrations_lose_and_double_nothing(
    stack: Stack, new_doctor: NewDoctor, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = [one_trial(stack, new_doctor, number, capsys) for number in range(TRIALS)]
    with capsys.disabled():
        print(f"\n{trial.figures(trials, SEED)}")  # noqa: T201
    assert not [str(done) for done in trials if done.lost or done.doubled]


def one_trial(stack: Stack, new_doctor: NewDoctor, number: int, capsys: pytest.CaptureFixture[str]) -> Trial:
    """Even: worker, then broker, then simulator. Odd: any order, other victims, sometimes all at once."""
    chance = random.Random(f"{SEED}:{number}")
    victims, name, auto = IN_ORDER, f"{SEED}:{number}", False
    if number % 2:
        victims = chance.sample(ANY, chance.randint(3, len(ANY)))
        if chance.random() < 0.3:
            name += " together"
            # A broker that is down cannot be emptied.
            victims.sort(key=lambda victim: victim != "flush")
        auto = chance.random() < 0.5
    doctor = new_doctor(auto=auto)
    if auto:
        trial.forget_session(doctor)
    done = trial.run(stack, doctor, name, victims, chance)
    with capsys.disabled():
        print(f"\n{done}", end="")  # noqa: T201
    for survivor in ("broker", "worker", "beat"):
        assert stack.running(survivor), f"{survivor} ended by itself:\n{stack.log(survivor)[-3000:]}"
    return done


def test_a_broker_that_forgets_everything_loses_nothing(stack: Stack, new_doctor: NewDoctor) -> None:
    doctor = new_doctor()
    references = ask(doctor)
    for _ in range(6):
        stack.flush()
        time.sleep(0.2)
    finish(stack, doctor)
    assert clean(doctor, references)
    second = new_doctor()
    references = ask(second)
    finish(stack, second)
    assert clean(second, references)


def test_with_the_broker_killed_a_request_is_stored_at_once_and_sent_when_it_is_back(
    stack: Stack, new_doctor: NewDoctor, caplog: pytest.LogCaptureFixture
) -> None:
    doctor, second = new_doctor(), new_doctor()
    stack.kill("broker")
    began = time.monotonic()
    references = ask(doctor)
    assert time.monotonic() - began < 3
    assert EdmgRegistration.objects.filter(user=doctor.user, state=State.QUEUED).count() == 7
    assert "waits for the sweep" in caplog.text
    stack.start("broker")
    caplog.clear()
    others = ask(second)
    assert "waits for the sweep" not in caplog.text
    finish(stack, doctor, second)
    assert clean(doctor, references) and clean(second, others)


@pytest.mark.parametrize("trouble", ["frozen", "full"])
def test_with_a_broker_that_takes_nothing_a_request_is_stored_soon(
    stack: Stack, new_doctor: NewDoctor, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Frozen: it takes the connection and says nothing, so the socket's limits count. Full: it refuses
    every write.
    """
    doctor = new_doctor()
    strike, heal = {
        "frozen": (
            lambda: stack.signal("broker", signal.SIGSTOP),
            lambda: stack.signal("broker", signal.SIGCONT),
        ),
        "full": (
            lambda: stack.order("CONFIG SET maxmemory 1"),
            lambda: stack.order("CONFIG SET maxmemory 0"),
        ),
    }[trouble]
    strike()
    began = time.monotonic()
    references = ask(doctor)
    seconds = time.monotonic() - began
    heal()
    assert seconds < 6
    assert "waits for the sweep" in caplog.text
    finish(stack, doctor)
    assert clean(doctor, references)


def test_a_worker_that_a_full_broker_ends_is_started_again_and_nothing_is_lost(
    stack: Stack, new_doctor: NewDoctor
) -> None:
    """Celery takes a message, may not note that it did, and ends; the message is gone, the row is not."""
    doctor = new_doctor()
    stack.signal("worker", signal.SIGSTOP)
    references = ask(doctor)
    stack.order("CONFIG SET maxmemory 1")
    stack.signal("worker", signal.SIGCONT)
    wait_until(lambda: not stack.running("worker"), 30)
    stack.order("CONFIG SET maxmemory 0")
    finish(stack, doctor)
    assert clean(doctor, references)


def test_a_worker_that_slept_past_its_lease_writes_nothing(stack: Stack, new_doctor: NewDoctor) -> None:
    doctor = new_doctor()
    references = ask(doctor)
    wait_until(lambda: in_state(doctor, State.SENDING), 60)
    stack.signal("worker", signal.SIGSTOP)
    asleep = EdmgRegistration.objects.filter(user=doctor.user, state=State.SENDING)
    held = dict(asleep.values_list("mutuality", "attempts"))
    trial.end_leases()
    try:
        stack.start("worker-2")
        finish(stack, doctor)
        finished = list(EdmgRegistration.objects.filter(user=doctor.user).order_by("pk").values())
        stack.signal("worker", signal.SIGCONT)
        time.sleep(trial.CALL_SECONDS / 2)
    finally:
        stack.signal("worker", signal.SIGCONT)
        stack.kill("worker-2")
    attempts = {row["mutuality"]: row["attempts"] for row in finished}
    assert held and all(attempts[code] > before for code, before in held.items())
    assert list(EdmgRegistration.objects.filter(user=doctor.user).order_by("pk").values()) == finished
    assert clean(doctor, references)


# What the count would say of a portal without its guards.


def test_the_count_shows_a_row_that_was_sent_twice(new_doctor: NewDoctor) -> None:
    """The guard is left out: after an attempt whose result got lost, a second with a new reference."""
    doctor = new_doctor()
    references = ask(doctor)
    row = EdmgRegistration.objects.get(user=doctor.user, mutuality="100")
    claim = edmg._claim(row.pk, timezone.now())
    assert claim and edmg._verdict(claim).state == State.REGISTERED
    EdmgRegistration.objects.filter(pk=row.pk).update(
        state=State.QUEUED, next_attempt_at=timezone.now(), reference="another"
    )
    edmg.send(pk=row.pk, now=timezone.now())
    done = Trial("control")
    judge(done, doctor, references)
    assert list(done.doubled) == ["100"] and done.calls == 2
    assert set(done.lost) == set(references) - {"100"}


def test_the_count_shows_a_result_that_was_written_twice(new_doctor: NewDoctor) -> None:
    """The fence is left out: two attempts of the same reference, both written."""
    doctor = new_doctor()
    references = ask(doctor)
    row = EdmgRegistration.objects.get(user=doctor.user, mutuality="100")
    for _ in range(2):
        EdmgRegistration.objects.filter(pk=row.pk).update(state=State.QUEUED, next_attempt_at=timezone.now())
        edmg.send(pk=row.pk, now=timezone.now())
    done = Trial("control")
    judge(done, doctor, references)
    assert done.doubled == {"100": "2 results written"} and done.calls == 2


def clean(doctor: Doctor, references: dict[str, str]) -> bool:
    done = Trial("")
    judge(done, doctor, references)
    assert not done.lost and not done.doubled, done
    return True
