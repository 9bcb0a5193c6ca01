"""The eDMG registrations of a doctor: asked once, sent to seven mutualities, each with its own state."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from accounts import audit
from accounts.access import Forbidden
from accounts.actions.sections import section_change
from accounts.identifiers import nihii_may_register_edmg
from accounts.models import User
from billing.bank import BankAccount
from ehealth import conditions, verdicts
from ehealth.actions import sessions
from ehealth.actions.endpoints import admitted
from ehealth.actions.exchanges import exchanges
from ehealth.actions.sessions import Live
from ehealth.client import registration
from ehealth.client.errors import PlatformError
from ehealth.doorbell import ring, ring_on_commit
from ehealth.models import EdmgRegistration, EdmgRequest, Keystore, Mutuality
from ehealth.verdicts import Facts, State, Verdict
from practitioners.models import Practitioner
from practitioners.reference import PHYSICIAN

SECTION = "ehealth/edmg"
# Longer than the hard time limit of a task, so that a lapsed lease means a dead worker.
LEASE = timedelta(seconds=90)
LOST_CLAIMS = 3
SESSION_BUSY_WAIT = timedelta(seconds=10)
PER_SWEEP = 500


class PrerequisitesMissing(Exception):
    """What must be filled in first: keys of `missing`."""

    def __init__(self, keys: list[str]) -> None:
        super().__init__(", ".join(keys))
        self.keys = keys


class AccountMissing(Exception):
    """A mutuality without an account."""


@dataclass(frozen=True)
class Claim:
    """A row that this attempt alone may write: number of the attempt and reference are the fence."""

    row: EdmgRegistration
    now: datetime

    @property
    def facts(self) -> Facts:
        row = self.row
        return Facts(row.attempts, row.queued_at, row.result_code, row.outcome_unknown, self.now)


def missing(*, user: User, now: datetime) -> list[str]:
    """What a request still needs, in order: profession, names, ssin, nihii, nihii_gp, connection."""
    practitioner = Practitioner.objects.filter(user=user).first()
    if practitioner is None or practitioner.profession != PHYSICIAN:
        return ["profession"]
    connected = Keystore.objects.in_force().filter(user=user, not_after__gt=now).exists()
    eligible = not practitioner.nihii or nihii_may_register_edmg(practitioner.nihii)
    needs = {
        "names": user.first_name and user.last_name,
        "ssin": practitioner.ssin,
        "nihii": practitioner.nihii,
        "nihii_gp": eligible,
        "connection": connected,
    }
    return [key for key, there in needs.items() if not there]


def request(
    *,
    user: User,
    by: User,
    accounts: Mapping[str, BankAccount],
    same_account: bool,
    conditions_version: str,
    language: str,
    proved_at: datetime,
    version: int,
    now: datetime,
) -> list[EdmgRegistration]:
    """Queue a registration at every mutuality that has none in progress or done; the rows that were queued.

    `accounts`: code of each such mutuality → account. The consent is kept: text, its version and
    language, accounts, time, and when the password was given for it.
    Raises Forbidden, PrerequisitesMissing, AccountMissing, StaleSection.
    """
    if user.pk != by.pk:
        raise Forbidden(SECTION)
    with section_change(user=user, section=SECTION, by=by, version=version, now=now) as change:
        if keys := missing(user=user, now=now):
            raise PrerequisitesMissing(keys)
        wanted = requestable(user=user)
        if not set(wanted) <= set(accounts):
            raise AccountMissing
        consent = EdmgRequest.objects.create(
            user=user,
            conditions_version=conditions_version,
            conditions_language=language,
            conditions_text=conditions.text(language),
            same_account=same_account,
            accounts={code: accounts[code].iban for code in wanted},
            proved_at=proved_at,
            accepted_at=now,
        )
        queued = [_queue(consent, code, accounts[code], now) for code in wanted]
        change.fields |= {f"iban_{row.mutuality}": ("", row.iban) for row in queued}
        audit.record(
            "ehealth:edmg:requested", actor=by, subject=user, at=now,
            conditions=conditions_version, language=language, mutualities=[row.mutuality for row in queued],
        )  # fmt: skip
        ring_on_commit("register", [row.pk for row in queued])
    return queued


def requestable(*, user: User) -> list[str]:
    """Codes of the mutualities where no registration is in progress or done."""
    settled = EdmgRegistration.objects.filter(user=user).exclude(
        state__in=[State.REJECTED, State.NEEDS_ACTION]
    )
    taken = set(settled.values_list("mutuality", flat=True))
    return [code for code in Mutuality.values if code not in taken]


def accounts_held(*, user: User) -> dict[str, str]:
    """Mutuality → IBAN, where nobody knows whether it took that account: asked again, it is the same one."""
    rows = EdmgRegistration.objects.filter(user=user, outcome_unknown=True)
    return dict(rows.values_list("mutuality", "iban"))


def _queue(consent: EdmgRequest, code: str, account: BankAccount, now: datetime) -> EdmgRegistration:
    """A new row, or a refused one again. The caller holds the user's row.

    As long as the mutuality may have taken the account it was told, no other goes out under that reference.
    """
    row = EdmgRegistration.objects.filter(user=consent.user, mutuality=code).first()
    row = row or EdmgRegistration(user=consent.user, mutuality=code)
    row.request = consent
    if not row.outcome_unknown:
        row.iban, row.bic = account.iban, account.bic
    _again(row, now)
    row.save()
    return row


def _again(row: EdmgRegistration, now: datetime) -> None:
    """Back into the queue. As long as the mutuality may have acted, the reference stays the same (SR-95)."""
    if not row.outcome_unknown:
        row.reference, row.attempts = uuid.uuid4().hex, 0
    row.state = State.QUEUED
    row.queued_at = row.next_attempt_at = now
    row.lease_until, row.lost_claims = None, 0
    row.result_code = row.result_place = row.result_message = ""


def send(*, pk: int, now: datetime) -> None:
    """Send one registration that is due. Safe to run twice or late: one claim wins, only it may write."""
    claim = _claim(pk, now)
    if claim is None:
        return
    _settle(claim, _verdict(claim))


def _claim(pk: int, now: datetime) -> Claim | None:
    due = EdmgRegistration.objects.all().due(now)
    row = due.filter(pk=pk).select_related("user__practitioner").first()
    if row is None:
        return None
    mine = due.filter(pk=pk, attempts=row.attempts, reference=row.reference, state=row.state)
    died = row.state == State.SENDING
    row.outcome_unknown = row.outcome_unknown or died
    if died and row.lost_claims >= LOST_CLAIMS:
        _give_up(row, mine, now)
        return None
    claimed = mine.update(
        state=State.SENDING,
        attempts=F("attempts") + 1,
        lost_claims=F("lost_claims") + 1,
        lease_until=now + LEASE,
        next_attempt_at=None,
        outcome_unknown=row.outcome_unknown,
    )
    row.attempts += 1
    return Claim(row, now) if claimed else None


def _give_up(row: EdmgRegistration, mine: QuerySet[EdmgRegistration], now: datetime) -> None:
    """The worker died at it again and again: others go on, the owner is asked."""
    with transaction.atomic():
        verdict = Verdict(State.NEEDS_ACTION, "worker_lost", outcome_unknown=True)
        if mine.update(state=verdict.state, result_code=verdict.code, lease_until=None, outcome_unknown=True):
            _note(row, verdict, now)


def _verdict(claim: Claim) -> Verdict:
    facts = claim.facts
    try:
        live = sessions.ensure_session(user=claim.row.user, now=claim.now)
    except sessions.RenewalUnderway:
        at = claim.now + SESSION_BUSY_WAIT
        return verdicts.soon("session_busy", at, unknown=facts.outcome_unknown)
    except PlatformError as error:
        return verdicts.later(error, facts, unknown=facts.outcome_unknown)
    if live is None:
        return Verdict(State.WAITING, outcome_unknown=facts.outcome_unknown)
    nihii = claim.row.user.practitioner.nihii
    if live.nihii and live.nihii != nihii:
        return Verdict(State.NEEDS_ACTION, "nihii_differs", outcome_unknown=facts.outcome_unknown)
    return _call(claim, live, nihii)


def _call(claim: Claim, live: Live, nihii: str) -> Verdict:
    row, user = claim.row, claim.row.user
    wanted = registration.Registration(
        nihii=nihii,
        ssin=live.identity.ssin,
        first_name=user.first_name,
        last_name=user.last_name,
        mutuality=row.mutuality,
        iban=row.iban,
        bic=row.bic,
        reference=row.reference,
        start_date=timezone.localdate(claim.now),
    )
    try:
        with exchanges(user) as trace:
            known = admitted("registration", now=timezone.now()).platform
            answer = registration.register(
                known, live.identity, live.assertion, request=wanted, now=timezone.now(), trace=trace
            )
    except PlatformError as error:
        verdict = verdicts.of_error(error, claim.facts)
        if verdict.new_token:
            sessions.drop_assertion(keystore_id=live.keystore_id)
        return verdict
    return verdicts.of_answer(answer)


def _settle(claim: Claim, verdict: Verdict) -> bool:
    """Write the result, unless a newer attempt has taken over."""
    row = claim.row
    with transaction.atomic():
        mine = EdmgRegistration.objects.filter(
            pk=row.pk, state=State.SENDING, attempts=row.attempts, reference=row.reference
        )
        written = mine.update(
            state=verdict.state,
            next_attempt_at=verdict.next_attempt_at,
            lease_until=None,
            lost_claims=0,
            outcome_unknown=verdict.outcome_unknown,
            result_code=verdict.code,
            result_place=verdict.place,
            result_message=verdict.message,
            start_date=verdict.start_date,
            answered_at=claim.now,
        )
        if written:
            _note(row, verdict, claim.now)
    return bool(written)


def _note(row: EdmgRegistration, verdict: Verdict, now: datetime) -> None:
    audit.record(
        "ehealth:edmg:answered", actor=None, system=sessions.SYSTEM, subject=row.user, at=now,
        mutuality=row.mutuality, state=str(verdict.state), reason=verdict.code, attempt=row.attempts,
    )  # fmt: skip


def resume_waiting(*, user: User, now: datetime) -> int:
    """A session is there again: queue what waited for it. In the caller's transaction."""
    keys = list(_resume(Q(user=user), now))
    ring_on_commit("register", keys)
    return len(keys)


def _resume(which: Q, now: datetime) -> list[int]:
    waiting = EdmgRegistration.objects.select_for_update(skip_locked=True, of=("self",))
    keys = list(
        waiting.filter(which, state=State.WAITING).order_by("pk").values_list("pk", flat=True)[:PER_SWEEP]
    )
    EdmgRegistration.objects.filter(pk__in=keys).update(
        state=State.QUEUED, queued_at=now, next_attempt_at=now
    )
    return keys


def sweep(*, now: datetime) -> int:
    """Ring for rows that are due, in fair order over practices; wake rows whose doctor is connected again."""
    connected = Keystore.objects.in_force().filter(
        Q(key__isnull=False) | Q(session__assertion__isnull=False, session__not_on_or_after__gt=now),
        user=OuterRef("user"), not_after__gt=now, user__is_active=True,
    )  # fmt: skip
    with transaction.atomic():
        _resume(Q(Exists(connected)), now)
    turn = Window(RowNumber(), partition_by=F("user__practice"), order_by=F("queued_at").asc())
    due = EdmgRegistration.objects.all().due(now).filter(user__is_active=True)
    keys = list(due.annotate(turn=turn).order_by("turn", "pk").values_list("pk", flat=True)[:PER_SWEEP])
    ring("register", keys)
    return len(keys)


def behind() -> QuerySet[EdmgRegistration]:
    """Registrations on their way when a copy was made: the mutuality may know more than the copy."""
    return EdmgRegistration.objects.filter(state__in=EdmgRegistration.OPEN, outcome_unknown=False)


def doubt() -> int:
    """After a copy was restored: no open registration gets a new reference before its outcome is known."""
    return behind().update(outcome_unknown=True)


def may_retry(row: EdmgRegistration) -> bool:
    """Whether the owner can do something by asking again without changing anything."""
    if row.state == State.REJECTED:
        return row.result_code in verdicts.WORTH_ASKING_AGAIN
    return row.state in (State.RETRYING, State.NEEDS_ACTION)


def retry_now(*, user: User, by: User, now: datetime) -> int:
    """The owner does not want to wait: every row that `may_retry` is due at once. How many."""
    if user.pk != by.pk:
        raise Forbidden(SECTION)
    with transaction.atomic():
        rows = EdmgRegistration.objects.select_for_update(of=("self",)).filter(user=user)
        again = [row for row in rows.order_by("mutuality") if may_retry(row)]
        for row in again:
            _retry(row, now)
        ring_on_commit("register", [row.pk for row in again])
    return len(again)


def _retry(row: EdmgRegistration, now: datetime) -> None:
    if row.state == State.RETRYING:
        row.next_attempt_at = now
    else:
        _again(row, now)
    row.save()
