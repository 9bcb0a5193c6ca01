"""One doctor asks for seven registrations while processes are killed; then everything is counted."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

from accounts.actions.sections import section_version
from accounts.models import AuditEvent
from billing.bank import account
from ehealth import conditions
from ehealth.actions import edmg
from ehealth.models import EdmgRegistration, Keystore, Mutuality, PlatformSession
from tests.chaos.stack import CALL_SECONDS, Stack
from tests.ehealth.conftest import Doctor

IBAN = "BE67001000001187"
State = EdmgRegistration.State
REAL_TIME = bool(os.environ.get("CHAOS_REAL_TIME"))
RECOVERY_SECONDS = 400 if REAL_TIME else 90
# An attempt that was claimed longer ago has either written its result or died.
ALIVE = timedelta(seconds=CALL_SECONDS + 4)


@dataclass
class Trial:
    """What happened. `lost`, `doubled`: mutualities, with the reason; both must be empty."""

    name: str
    killed: list[str] = field(default_factory=list)
    in_the_middle: int = 0
    seconds: float = 0.0
    calls: int = 0
    lost: dict[str, str] = field(default_factory=dict)
    doubled: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.name}: {' '.join(self.killed)} | {self.in_the_middle} in the middle of a call | "
            f"done {self.seconds:.1f} s after the last restart | {self.calls} calls | "
            f"lost {self.lost or 0}, doubled {self.doubled or 0}"
        )


def ask(doctor: Doctor) -> dict[str, str]:
    """Seven registrations requested; code of the mutuality → reference that must go there, once."""
    rows = edmg.request(
        user=doctor.user,
        by=doctor.user,
        accounts=dict.fromkeys(Mutuality.values, account(IBAN)),
        same_account=True,
        conditions_version=conditions.VERSION,
        language="fr",
        proved_at=timezone.now(),
        version=section_version(doctor.user, edmg.SECTION),
        now=timezone.now(),
    )
    return {row.mutuality: row.reference for row in rows}


def run(stack: Stack, doctor: Doctor, name: str, victims: list[str], chance: random.Random) -> Trial:
    """Kill the victims one after the other, each while a registration is being sent if any is left to send.

    A name that ends in "together": all within a second or so, started again in any order.
    """
    trial = Trial(name)
    references = ask(doctor)
    together = name.endswith("together")
    dead: set[tuple[int, int]] = set()
    for victim in victims:
        if not together:
            wait_until(lambda: being_sent(doctor) - dead or is_over(doctor), 60, strict=False)
        time.sleep(chance.uniform(0, 0.4))
        under_way = being_sent(doctor) - dead
        trial.in_the_middle += bool(under_way)
        _strike(stack, victim)
        trial.killed.append(victim)
        if victim == "worker":
            dead.update(being_sent(doctor))
        if not together:
            time.sleep(chance.uniform(0, 0.8))
            _raise_again(stack, victim)
    if together:
        time.sleep(chance.uniform(0, 1))
        for victim in chance.sample(victims, len(victims)):
            _raise_again(stack, victim)
    began = time.monotonic()
    wait_until(lambda: pass_time() or is_over(doctor), RECOVERY_SECONDS, strict=False)
    trial.seconds = time.monotonic() - began
    judge(trial, doctor, references)
    return trial


def _strike(stack: Stack, victim: str) -> None:
    if victim == "flush":
        stack.flush()
        return
    stack.kill(victim)
    if victim == "worker" and not REAL_TIME:
        end_leases()


def _raise_again(stack: Stack, victim: str) -> None:
    if victim not in ("flush", "child"):
        stack.start(victim)


def end_leases() -> None:
    """No worker lives, so no attempt does: as if the time of every lease had passed."""
    before = timezone.now() - timedelta(seconds=1)
    EdmgRegistration.objects.filter(state=State.SENDING).update(lease_until=before)
    Keystore.objects.in_force().filter(next_attempt_at__isnull=False).update(next_attempt_at=before)


def pass_time() -> None:
    """What the sweep would meet minutes later: due times of retries come, leases of the dead end."""
    if REAL_TIME:
        return
    now = timezone.now()
    EdmgRegistration.objects.filter(state=State.RETRYING, next_attempt_at__gt=now).update(next_attempt_at=now)
    dead = EdmgRegistration.objects.filter(
        state=State.SENDING, lease_until__lt=now + edmg.LEASE - ALIVE, lease_until__gt=now
    )
    dead.update(lease_until=now - timedelta(seconds=1))
    tokens = Keystore.objects.in_force().filter(
        next_attempt_at__lt=now + edmg.LEASE - ALIVE, next_attempt_at__gt=now
    )
    tokens.update(next_attempt_at=now)


def judge(trial: Trial, doctor: Doctor, references: dict[str, str]) -> None:
    """Lost: not registered on either side. Doubled: accepted or noted more than once, or under a second
    reference.

    The simulator answers a reference it knows with its first result and any other with 168, so that a
    doctor who starts with no registration ends with `already_registered` only when a second one was sent.
    """
    rows = {row.mutuality: row for row in EdmgRegistration.objects.filter(user=doctor.user)}
    there = {
        row["mutuality"]: row
        for row in doctor.simulator.control("registrations")["registrations"]
        if row["nihii"] == doctor.nihii
    }
    for code, reference in references.items():
        row, accepted = rows[code], there.get(code)
        if row.state not in EdmgRegistration.DONE:
            trial.lost[code] = f"{row.state} {row.result_code} after {row.attempts} attempts"
        elif accepted is None:
            trial.lost[code] = "never accepted"
        elif accepted["count"] != 1:
            trial.doubled[code] = f"accepted {accepted['count']} times"
        elif not accepted["reference"] == row.reference == reference:
            trial.doubled[code] = "sent under more than one reference"
        elif row.state == State.ALREADY_REGISTERED:
            trial.doubled[code] = "refused as a second registration"
        elif successes(doctor, code) != 1:
            trial.doubled[code] = f"{successes(doctor, code)} results written"
    trial.calls = sum(
        row["count"]
        for row in doctor.simulator.control("calls")["calls"]
        if row["service"] == "registration" and row["ssin"] == doctor.ssin
    )


def successes(doctor: Doctor, code: str) -> int:
    """How many attempts wrote that they succeeded."""
    answered = AuditEvent.objects.filter(kind="ehealth:edmg:answered", subject=doctor.user.uuid)
    return int(
        answered.filter(details__mutuality=code, details__state__in=list(EdmgRegistration.DONE)).count()
    )


def forget_session(doctor: Doctor) -> None:
    """The platform's token is gone; with a kept key the worker must ask for a new one first."""
    PlatformSession.objects.filter(keystore__user=doctor.user).update(assertion=None)


def being_sent(doctor: Doctor) -> set[tuple[int, int]]:
    """Row and number of each attempt that has no result yet, of living and dead workers."""
    rows = EdmgRegistration.objects.filter(user=doctor.user, state=State.SENDING)
    return set(rows.values_list("pk", "attempts"))


def in_state(doctor: Doctor, *states: str) -> bool:
    return bool(EdmgRegistration.objects.filter(user=doctor.user, state__in=states).exists())


def is_over(doctor: Doctor) -> bool:
    return not in_state(doctor, *EdmgRegistration.OPEN)


def wait_until(done: Callable[[], object], seconds: float, *, strict: bool = True) -> bool:
    """Look again and again; `strict` fails when it never comes."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            assert not strict, "it never came"
            return False
        time.sleep(0.02)
    return True


def finish(stack: Stack, *doctors: Doctor) -> None:
    """Wait until everything was answered, as a supervisor and the hours after would see to it.

    A call that a busy machine makes too slow is tried again minutes later, so time has to pass here too.
    """

    def over() -> bool:
        stack.look_after()
        pass_time()
        return all(map(is_over, doctors))

    if not wait_until(over, RECOVERY_SECONDS, strict=False):
        rows = EdmgRegistration.objects.filter(user__in=[doctor.user for doctor in doctors])
        facts = rows.values_list(
            "mutuality", "state", "result_code", "attempts", "next_attempt_at", "lease_until"
        )
        raise AssertionError("\n".join(["it never came", *map(str, facts)]))


def figures(trials: list[Trial], seed: str) -> str:
    """The line to quote."""
    seconds = sorted(trial.seconds for trial in trials)
    kills = sum(len(trial.killed) for trial in trials)
    return (
        f"seed {seed}: {len(trials)} trials, {kills} kills, "
        f"{sum(trial.in_the_middle for trial in trials)} of them during a call; "
        f"lost {sum(len(trial.lost) for trial in trials)}, "
        f"doubled {sum(len(trial.doubled) for trial in trials)}; "
        f"recovery median {statistics.median(seconds):.1f} s, worst {seconds[-1]:.1f} s"
    )
