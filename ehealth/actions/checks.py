"""« Tester ma configuration »: one question per capability, asked by the owner, tried by a worker.

A capability is a function of `TRIES`: it makes its calls and says how they ended. Nothing is changed by a
try; the portal's state moves by the other actions only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts import audit
from accounts.access import Forbidden
from accounts.models import User
from ehealth.actions import edmg, round_trip, sessions, trial
from ehealth.actions.endpoints import admitted
from ehealth.actions.exchanges import exchanges
from ehealth.actions.sessions import Live
from ehealth.client import etk, mailbox, sts
from ehealth.client.conversation import Trace
from ehealth.client.errors import PlatformError
from ehealth.doorbell import ring, ring_on_commit
from ehealth.models import Keystore, PlatformCheck

SECTION = "ehealth/checks"
State, Capability = PlatformCheck.State, PlatformCheck.Capability
LEASE = timedelta(seconds=90)
# A try ends with an outcome or with its worker: so many claims without an outcome, and it is given up.
LOST_CLAIMS = 3
# A box this full soon keeps messages waiting outside.
NEARLY_FULL = 0.9
PER_SWEEP = 500


@dataclass(frozen=True)
class Outcome:
    """How a try ended; `code` has its words in `ehealth.words`, empty when all is well."""

    state: str
    code: str = ""


@dataclass(frozen=True)
class Subject:
    """Whose configuration is tried, with what may be used for it."""

    user: User
    keystore: Keystore
    live: Live
    trace: Trace


def ask(*, user: User, by: User, capabilities: Iterable[str], now: datetime) -> int:
    """Ask for tries; how many were added to the queue. One under way is not asked a second time."""
    if user.pk != by.pk:
        raise Forbidden(SECTION)
    with transaction.atomic():
        User.objects.get_queryset().select_for_update().get(pk=user.pk)
        keys = [key for name in capabilities if (key := _queue(user, Capability(name), now))]
        ring_on_commit("check", keys)
    return len(keys)


def _queue(user: User, capability: str, now: datetime) -> int | None:
    check, _created = PlatformCheck.objects.get_or_create(
        user=user, capability=capability, defaults={"asked_at": now}
    )
    lapsed = check.lease_until is not None and check.lease_until < now
    if not _created and check.state in PlatformCheck.UNDER_WAY and not lapsed:
        return None
    PlatformCheck.objects.filter(pk=check.pk).update(
        state=State.QUEUED, asked_at=now, lease_until=None, attempts=0
    )
    return int(check.pk)


def run(*, pk: int, now: datetime) -> None:
    """Try one that is due. Safe to run twice or late: one claim wins, only it may write its outcome."""
    due = PlatformCheck.objects.all().due(now).filter(pk=pk)
    if not due.update(state=State.RUNNING, attempts=F("attempts") + 1, lease_until=now + LEASE):
        return
    check = PlatformCheck.objects.select_related("user__practitioner").get(pk=pk)
    lost = check.attempts > LOST_CLAIMS
    outcome = Outcome(State.FAILED, "worker_lost") if lost else attempt(check.user, check.capability, now)
    mine = PlatformCheck.objects.filter(pk=pk, state=State.RUNNING, attempts=check.attempts)
    with transaction.atomic():
        written = mine.update(
            state=outcome.state, code=outcome.code[:40], lease_until=None, finished_at=timezone.now()
        )
        if written:
            audit.record(
                "ehealth:check:finished", actor=None, system=sessions.SYSTEM, subject=check.user, at=now,
                capability=check.capability, state=str(outcome.state), reason=outcome.code,
            )  # fmt: skip


def attempt(user: User, capability: str, now: datetime) -> Outcome:
    """Try one capability now; every failure becomes an outcome. No transaction may be open."""
    if capability == Capability.EDMG and (missing := edmg.missing(user=user, now=now)):
        return Outcome(State.FAILED, f"needs_{missing[0]}")
    try:
        keystore = sessions.usable_keystore(user, now)
        if keystore is None:
            return Outcome(State.FAILED, "no_keystore")
        live = sessions.ensure_session(user=user, now=now)
        if live is None:
            return Outcome(State.FAILED, "session_over")
        with exchanges(user) as trace:
            return TRIES[capability](Subject(user, keystore, live, trace))
    except sessions.RenewalUnderway:
        return Outcome(State.FAILED, "session_busy")
    except PlatformError as error:
        return Outcome(State.FAILED, error.code)


def _token(subject: Subject) -> Outcome:
    """The STS still knows the certificate, and certifies the number that was typed."""
    known = admitted("sts", now=timezone.now()).platform
    token = sts.renew_assertion(
        known, subject.live.identity, subject.live.assertion, now=timezone.now(), trace=subject.trace
    )
    return _unless(trial.disagreement(subject.user, token.nihii))


def _unless(code: str) -> Outcome:
    return Outcome(State.FAILED, code) if code else Outcome(State.PASSED)


def _etk(subject: Subject) -> Outcome:
    """The key that others seal with is in the keystore."""
    known = admitted("etk", now=timezone.now()).platform
    published = etk.encryption_serial(known, subject.keystore.ssin, now=timezone.now(), trace=subject.trace)
    if published is None:
        return Outcome(State.FAILED, "etk_absent")
    if published not in subject.keystore.encryption_serials:
        return Outcome(State.WARNING, "etk_differs")
    return Outcome(State.PASSED)


def _mailbox(subject: Subject) -> Outcome:
    """The box answers, lists, and has room."""
    known = admitted("mailbox", now=timezone.now()).platform
    identity, assertion = subject.live.identity, subject.live.assertion
    box = mailbox.box_info(known, identity, assertion, now=timezone.now(), trace=subject.trace)
    mailbox.list_messages(known, identity, assertion, now=timezone.now(), trace=subject.trace)
    if box.standby:
        return Outcome(State.WARNING, "mailbox_full")
    nearly = box.max_size and box.current_size >= NEARLY_FULL * box.max_size
    return Outcome(State.WARNING, "mailbox_nearly_full") if nearly else Outcome(State.PASSED)


def _edmg(subject: Subject) -> Outcome:
    """Everything a request needs is there, and the platform certifies the same number."""
    return _unless(trial.disagreement(subject.user, subject.live.nihii))


def _round_trip(subject: Subject) -> Outcome:
    """A message to oneself arrives, is read, acknowledged and deleted."""
    known = admitted("mailbox", "publication", now=timezone.now()).platform
    round_trip.run(known=known, live=subject.live, trace=subject.trace, now=timezone.now())
    return Outcome(State.PASSED)


TRIES: dict[str, Callable[[Subject], Outcome]] = {
    Capability.TOKEN: _token,
    Capability.ETK: _etk,
    Capability.MAILBOX: _mailbox,
    Capability.EDMG: _edmg,
    Capability.ROUND_TRIP: _round_trip,
}


# What « Tout tester » asks: a message to oneself is sent on its own button only.
HARMLESS = (Capability.TOKEN, Capability.ETK, Capability.MAILBOX, Capability.EDMG)


def sweep(*, now: datetime) -> None:
    """Ring for tries whose message was lost or whose worker died."""
    lapsed = Q(state=State.RUNNING) | Q(asked_at__lt=now - timedelta(seconds=30))
    due = PlatformCheck.objects.all().due(now).filter(lapsed).order_by("asked_at")
    ring("check", list(due.values_list("pk", flat=True)[:PER_SWEEP]))
