"""The keystore of a person: stored, tested by a worker, in force, replaced, disconnected.

The password lives in the request that brings it and nowhere else. The file is opened in a bounded
child process; the platform is called by workers only.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

from accounts import audit, emails, throttle
from accounts.access import Forbidden
from accounts.actions.sections import section_change
from accounts.models import User
from ehealth import custody, patience
from ehealth.actions import sessions, trial
from ehealth.actions.edmg import resume_waiting
from ehealth.client.errors import clean
from ehealth.client.platform import Assertion
from ehealth.configuration import platform
from ehealth.doorbell import ring, ring_on_commit
from ehealth.keystore import KeystoreRefused, Opened, look, open_keystore
from ehealth.models import Keystore, Mailbox, PlatformSession
from practitioners.models import Practitioner

SECTION = "ehealth/connection"
TRIES, TRIES_SECONDS = 5, 15 * 60
TEST_LEASE = timedelta(seconds=90)
# A test whose worker died so often is given up.
LOST_CLAIMS = 3
TEST_WAITS = [timedelta(seconds=s) for s in (10, 30, 60, 300, 900)]
TEST_WAIT_AFTERWARDS = timedelta(hours=1)
# The key of an untested keystore is not held longer than a session would be.
TEST_GIVEN_UP = timedelta(hours=24)
PER_SWEEP = 500
HELD = (Keystore.State.ACTIVE, Keystore.State.TESTING)


class TooManyTries(Exception):
    """Five wrong passwords in a quarter of an hour."""


class NoNationalNumber(Exception):
    """The owner's number is not known yet, so nobody can tell whose keystore it is."""


class NothingToReopen(Exception):
    """No stored file: choose it again."""


def store(
    *,
    user: User,
    by: User,
    data: bytes,
    password: str,
    file_name: str,
    auto: bool,
    version: int,
    now: datetime,
) -> Keystore:
    """Open the file, seal what is kept, ask for a test; the keystore in force stays until the test passed.

    `auto`: the doctor ticked « récupération automatique », the opened key stays sealed until unticked.
    Raises Forbidden, KeystoreRefused, TooManyTries, NoNationalNumber, StaleSection.
    """
    opened = _open(user, by, data, password, now)
    with section_change(user=user, section=SECTION, by=by, version=version, now=now) as change:
        keystore = _put_to_test(user, opened, data, _plain_name(file_name), auto, now)
        _decide(user, auto, now)
        change.fields["serial"] = ("", opened.serial)
        change.fields["healthbox_auto"] = ("", auto)
        audit.record(
            "ehealth:keystore:stored", actor=by, subject=user, at=now, serial=opened.serial, again=False
        )
        emails.queue("keystore_stored", user=user)
    return keystore


def reconnect(*, user: User, by: User, password: str, now: datetime) -> Keystore:
    """Open the stored file again with its password, and test it like a new one.

    Raises NothingToReopen, else as `store`.
    """
    if user.pk != by.pk:
        raise Forbidden(SECTION)
    source = Keystore.objects.in_force().select_related("user").filter(user=user, blob__isnull=False).first()
    if source is None:
        raise NothingToReopen
    data = custody.unseal(source, "blob")
    opened = _open(user, by, data, password, now)
    with transaction.atomic():
        User.objects.get_queryset().select_for_update().get(pk=user.pk)
        keystore = _put_to_test(user, opened, data, source.file_name, source.stay_connected, now)
        audit.record(
            "ehealth:keystore:stored", actor=by, subject=user, at=now, serial=opened.serial, again=True
        )
    return keystore


def _open(user: User, by: User, data: bytes, password: str, now: datetime) -> Opened:
    if user.pk != by.pk:
        raise Forbidden(SECTION)
    practitioner = Practitioner.objects.filter(user=user).first()
    if practitioner is None or not practitioner.ssin:
        raise NoNationalNumber
    look(data)
    if not throttle.allow("keystore", user.pk, TRIES, TRIES_SECONDS, by=by):
        raise TooManyTries
    known = platform()
    try:
        opened = open_keystore(
            data,
            password.encode(),
            ssin=practitioner.ssin,
            now=now,
            issuers=known.issuers,
            environment=known.environment,
        )
    except KeystoreRefused as refused:
        with transaction.atomic():
            audit.record("ehealth:keystore:refused", actor=by, subject=user, at=now, reason=refused.code)
        raise
    throttle.forget("keystore", user.pk, TRIES)
    return opened


def _plain_name(file_name: str) -> str:
    return clean(PurePosixPath(file_name.replace("\\", "/")).name)[:120]


def _put_to_test(
    user: User, opened: Opened, data: bytes, file_name: str, stay: bool, now: datetime
) -> Keystore:
    """A new row in test in the place of an older one; the caller holds the user's row."""
    for older in Keystore.objects.filter(user=user, state=Keystore.State.TESTING):
        _leave(older, Keystore.State.REPLACED, reason="replaced", now=now, by=user)
    keystore = Keystore(
        user=user,
        sha256=opened.sha256,
        file_name=file_name,
        ssin=opened.ssin,
        holder_name=clean(opened.holder_name)[:160],
        serial=opened.serial,
        issuer_name=clean(opened.issuer_name)[:160],
        not_before=opened.not_before,
        not_after=opened.not_after,
        encryption_serials=list(opened.encryption_serials),
        stay_connected=stay,
        next_attempt_at=now,
    )
    custody.seal(keystore, "blob", data)
    if stay:
        custody.seal_identity(keystore, opened.key_der, opened.chain_der)
    keystore.save()
    session = PlatformSession(keystore=keystore)
    if not stay:
        custody.seal_identity(session, opened.key_der, opened.chain_der)
    session.save()
    ring_on_commit("test_connection", [keystore.pk])
    return keystore


def _leave(keystore: Keystore, state: str, *, reason: str, now: datetime, by: User | None) -> None:
    """Out of force or test: nothing secret stays; facts and dates do. In the caller's transaction."""
    Keystore.objects.filter(pk=keystore.pk).update(
        state=state, blob=None, key=None, chain=None, ended_at=now, next_attempt_at=None
    )
    session = PlatformSession.objects.select_related("keystore__user").filter(keystore=keystore).first()
    if session:
        sessions.end(session, reason=reason, now=now, by=by)


def test(*, keystore_pk: int, now: datetime) -> None:
    """Ask the platform for a token with a keystore in test; it is in force only if everything agrees.

    Safe to run twice or late: one claim wins, and only the last claim may write its result.
    """
    keystore = _claim(keystore_pk, now)
    if keystore is None:
        return
    if keystore.lost_claims > LOST_CLAIMS:
        _refuse(keystore, "test_lost", now)
        return
    result = trial.run(keystore, now)
    if result.assertion:
        _enter_into_force(keystore, result.assertion, result, now)
    elif result.passing and now < keystore.created_at + TEST_GIVEN_UP:
        _try_later(keystore, result, now)
    else:
        _refuse(keystore, "gave_up" if result.passing else result.code, now)


def _claim(keystore_pk: int, now: datetime) -> Keystore | None:
    due = Keystore.objects.all().due(now).filter(pk=keystore_pk)
    claim = {"attempts": F("attempts") + 1, "lost_claims": F("lost_claims") + 1}
    if not due.update(next_attempt_at=now + TEST_LEASE, **claim):
        return None
    claimed: Keystore = Keystore.objects.select_related("user__practitioner", "session").get(pk=keystore_pk)
    return claimed


def _mine(keystore: Keystore) -> QuerySet[Keystore]:
    """The row, while this claim is the last one (fencing)."""
    rows: QuerySet[Keystore] = Keystore.objects.filter(
        pk=keystore.pk, state=Keystore.State.TESTING, attempts=keystore.attempts
    )
    return rows


def _enter_into_force(keystore: Keystore, assertion: Assertion, result: trial.Result, now: datetime) -> None:
    user = keystore.user
    with transaction.atomic():
        User.objects.get_queryset().select_for_update().get(pk=user.pk)
        if not _mine(keystore).exists() or not sessions.keep(keystore, assertion, now):
            return
        for older in Keystore.objects.in_force().filter(user=user):
            _leave(older, Keystore.State.REPLACED, reason="replaced", now=now, by=None)
            _note("ehealth:keystore:replaced", user, now, serial=older.serial)
        _mine(keystore).update(
            state=Keystore.State.ACTIVE, result_code=result.code, tested_at=now, next_attempt_at=None
        )
        Mailbox.objects.filter(user=user, auto=True).update(
            next_poll_at=now, failures=0, result_code="", standby=result.standby
        )
        resume_waiting(user=user, now=now)
        _note("ehealth:keystore:connected", user, now, serial=keystore.serial)


def _note(kind: str, user: User, now: datetime, **details: Any) -> None:
    audit.record(kind, actor=None, system=sessions.SYSTEM, subject=user, at=now, **details)


def _try_later(keystore: Keystore, result: trial.Result, now: datetime) -> None:
    waits = TEST_WAITS[keystore.attempts - 1 : keystore.attempts]
    wait = patience.wait(waits[0] if waits else TEST_WAIT_AFTERWARDS, asked=result.retry_after)
    _mine(keystore).update(result_code=result.code[:40], next_attempt_at=now + wait, lost_claims=0)


def _refuse(keystore: Keystore, code: str, now: datetime) -> None:
    with transaction.atomic():
        if not _mine(keystore).select_for_update().exists():
            return
        Keystore.objects.filter(pk=keystore.pk).update(result_code=code[:40], tested_at=now)
        _leave(keystore, Keystore.State.REFUSED, reason="refused", now=now, by=None)
        _note("ehealth:keystore:refused", keystore.user, now, reason=code)


def retry_test(*, user: User, by: User, now: datetime) -> bool:
    """The owner does not want to wait for the next try. False when nothing is in test."""
    if user.pk != by.pk:
        raise Forbidden(SECTION)
    waiting = Keystore.objects.filter(user=user, state=Keystore.State.TESTING, next_attempt_at__gt=now)
    keys = list(waiting.exclude(result_code="").values_list("pk", flat=True))
    Keystore.objects.filter(pk__in=keys, state=Keystore.State.TESTING).update(next_attempt_at=now)
    return bool(keys) and ring("test_connection", keys)


def sweep(*, now: datetime) -> None:
    """Ring for tests that are due: messages lost, workers that died, the next try."""
    due = Keystore.objects.all().due(now).order_by("next_attempt_at").values_list("pk", flat=True)
    ring("test_connection", list(due[:PER_SWEEP]))


def disconnect(*, user: User, by: User, now: datetime) -> None:
    """Forget the keystore: file, key and session are erased at once; facts and dates stay."""
    if user.pk != by.pk:
        raise Forbidden(SECTION)
    with transaction.atomic():
        User.objects.get_queryset().select_for_update().get(pk=user.pk)
        for keystore in Keystore.objects.filter(user=user, state__in=HELD):
            _leave(keystore, Keystore.State.DISCONNECTED, reason="disconnected", now=now, by=by)
            audit.record(
                "ehealth:keystore:disconnected", actor=by, subject=user, at=now, serial=keystore.serial
            )
            emails.queue("keystore_disconnected", user=user)
        Mailbox.objects.filter(user=user).update(next_poll_at=None)


def set_auto(*, user: User, by: User, auto: bool, now: datetime) -> None:
    """« Récupération automatique des messages healthbox ». Unticked: polling stops, the key is destroyed."""
    if user.pk != by.pk:
        raise Forbidden(SECTION)
    with transaction.atomic():
        User.objects.get_queryset().select_for_update().get(pk=user.pk)
        _decide(user, auto, now)


def _decide(user: User, auto: bool, now: datetime) -> None:
    """Write the decision; the caller holds the user's row."""
    mailbox, _created = Mailbox.objects.get_or_create(user=user)
    if mailbox.auto != auto:
        mailbox.auto = auto
        mailbox.next_poll_at = now if auto else None
        mailbox.failures, mailbox.result_code = 0, ""
        mailbox.save()
        audit.record("ehealth:mailbox:switched", actor=user, subject=user, at=now, auto=auto)
    held = Keystore.objects.filter(user=user, state__in=HELD)
    if auto:
        held.update(stay_connected=True)
        return
    for keystore in held.filter(stay_connected=True).select_related("session__keystore__user"):
        kept = bool(keystore.key)
        Keystore.objects.filter(pk=keystore.pk).update(stay_connected=False, key=None, chain=None)
        if kept and sessions.session_of(keystore):
            sessions.end(keystore.session, reason="unticked", now=now, by=user)


def certificate_state(not_after: datetime | None, now: datetime) -> str:
    """none, valid, renewable (90 days or less), urgent (14 days or less) or expired."""
    if not_after is None:
        return "none"
    if not_after <= now:
        return "expired"
    if not_after - now <= Keystore.URGENT_WINDOW:
        return "urgent"
    return "renewable" if not_after - now <= Keystore.RENEWAL_WINDOW else "valid"
