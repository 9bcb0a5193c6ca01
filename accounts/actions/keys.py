"""Personal keys: registered, backed up, proven, renewed, given up. Only public halves come here.

Acts with a proof first burn their challenge, then judge the key, then check the signature, then write in one
transaction under the lock of the owner's row. Refusals are `KeyProblem` or the pure module's `KeyRefused`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.formats import date_format
from django.utils.timezone import localtime

from accounts import audit, emails
from accounts.access import Forbidden
from accounts.actions.key_challenges import (
    KeyProblem,
    Proof,
    consume,
    record_refusal,
    verify,
    verify_or_record,
)
from accounts.actions.sessions import end_sessions
from accounts.keys import (
    SMALLEST_IMPORTED_KEY,
    SMALLEST_NEW_KEY,
    KeyRefused,
    PublicKey,
    display_fingerprint,
    parse_public_key,
)
from accounts.models import BlockedKey, KeyChallenge, PersonalKey, User
from accounts.sealing import sealer

State, Origin, Protection = PersonalKey.State, PersonalKey.Origin, PersonalKey.Protection
REVOCATIONS = ("compromised", "left", "other")

_SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE = re.compile(rf"[{_SYMBOLS}]{{5}}(-[{_SYMBOLS}]{{5}}){{4}}")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """How the file of a pair is protected: by a code the portal keeps, or by the owner's own phrase."""

    protection: str
    code: str = ""

    def check(self) -> None:
        """Raise `KeyProblem` code_mistyped unless there is a code exactly when the portal keeps it."""
        kept = self.protection == Protection.PORTAL
        if is_file_code(self.code) if kept else not self.code:
            return
        raise KeyProblem("code_mistyped")


def is_file_code(text: str) -> bool:
    """Whether it is a file code as printed: five groups of five, the last symbol checks the others."""
    if not _CODE.fullmatch(text):
        return False
    symbols = text.replace("-", "")
    return symbols[-1] == _SYMBOLS[hashlib.sha256(symbols[:-1].encode()).digest()[0] >> 3]


def live_key(user: User) -> PersonalKey | None:
    """The person's pending or active key."""
    key: PersonalKey | None = PersonalKey.objects.live().filter(user=user).first()
    return key


def require_live(user: User) -> PersonalKey:
    """The live key; raises `KeyProblem` key_required without one."""
    key = live_key(user)
    if key is None:
        raise KeyProblem("key_required")
    return key


def lock(user: User) -> User:
    """Hold the owner's row; raises `Forbidden` for a closed account."""
    owner: User | None = User.objects.get_queryset().select_for_update().filter(pk=user.pk).first()
    if owner is None or not owner.is_active:
        raise Forbidden("closed account")
    return owner


# --- registration ----------------------------------------------------------------------------
def register(
    *,
    user: User,
    session: str,
    proof: Proof,
    public_key: str,
    file: KeyFile,
    origin: str,
    prepared: bool,
    now: datetime,
) -> PersonalKey:
    """Register a pair made or opened in the owner's browser. `public_key`: base64 SubjectPublicKeyInfo.

    `prepared`: the person says that the account is somebody else's. Raises `KeyProblem`
    challenge_invalid, code_mistyped, key_exists, key_in_use; `KeyRefused`; `Forbidden`.
    """
    challenge = consume(user=user, session=session, purpose="register", challenge=proof.challenge, now=now)
    minimum = SMALLEST_NEW_KEY if origin == Origin.GENERATED else SMALLEST_IMPORTED_KEY
    key = _judge(challenge, public_key, minimum, now)
    file.check()
    verify_or_record(challenge=challenge, spki=key.spki, signature=proof.signature, now=now)
    known = prepared or origin == Origin.ICURE
    return register_key(user=user, key=key, file=file, origin=origin, prepared=known, now=now)


def _judge(challenge: KeyChallenge, text: str, minimum: int, now: datetime) -> PublicKey:
    try:
        return parse_public_key(text, minimum=minimum)
    except KeyRefused as refused:
        record_refusal(user=challenge.user, purpose=challenge.purpose, refused=refused, now=now)
        raise


def register_key(
    *, user: User, key: PublicKey, file: KeyFile, origin: str, prepared: bool = False, now: datetime
) -> PersonalKey:
    """Store a judged and proven key as pending; tell the owner. Raises as `register`."""
    with transaction.atomic():
        lock(user)
        if live_key(user):
            raise KeyProblem("key_exists")
        row = _add(user, key, file, origin=origin, prepared=prepared)
        details: dict[str, Any] = {
            "fingerprint": key.fingerprint,
            "bits": key.bits,
            "origin": origin,
            "by_portal": bool(file.code),
        }
        audit.record("account:key:registered", actor=user, subject=user, at=now, **details)
        if prepared:
            audit.record("account:key:prepared", actor=user, subject=user, at=now)
        _tell("key_prepared" if prepared else "key_registered", user=user, by=user, now=now)
    return row


def _add(user: User, key: PublicKey, file: KeyFile, *, origin: str, prepared: bool) -> PersonalKey:
    """A new pending row; the unique index decides between two writers of one key."""
    if _is_known(key.fingerprint):
        raise KeyProblem("key_in_use")
    row = PersonalKey(
        user=user,
        fingerprint=key.fingerprint,
        spki=key.spki,
        bits=key.bits,
        protection=file.protection,
        origin=origin,
        prepared=prepared,
    )
    if file.code:
        row.file_code = sealer().seal(file.code.encode(), **place(row))
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise KeyProblem("key_in_use") from None
    return row


def _is_known(fingerprint: str) -> bool:
    of_key = {"fingerprint": fingerprint}
    known: bool = PersonalKey.objects.filter(**of_key).exists()
    return known or BlockedKey.objects.filter(**of_key).exists()


def place(row: PersonalKey) -> dict[str, Any]:
    place = {"table": "accounts_personalkey", "column": "file_code", "row": row.uuid}
    return place | {"owner": row.user.uuid, "version": 1}


def _tell(kind: str, *, user: User, by: User, now: datetime, to: str | None = None) -> None:
    emails.queue(kind, user=user, to=to, context={"by": by, "when": now})


# --- backup and use --------------------------------------------------------------------------
def prove_backup(
    *, user: User, session: str, proof: Proof, second: bool = False, now: datetime
) -> PersonalKey:
    """The saved file, read again, gave the proof: the backup counts (`second`: that on another medium)."""
    _prove(user=user, session=session, purpose="backup", proof=proof, now=now)
    confirm = confirm_second_backup if second else confirm_backup
    return confirm(user=user, now=now)


def confirm_backup(*, user: User, now: datetime) -> PersonalKey:
    """Pending becomes active; an active key notes that its file was read again. Raises `KeyProblem`."""
    with transaction.atomic():
        lock(user)
        key = require_live(user)
        key.state = State.ACTIVE
        key.backup_at = key.backup_at or now
        key.backup_reread_at = now
        key.save(update_fields=["state", "backup_at", "backup_reread_at"])
        audit.record("account:key:backed_up", actor=user, subject=user, at=now, copies=1)
    return key


def confirm_second_backup(*, user: User, now: datetime) -> PersonalKey:
    """A copy on another medium was read. Raises `KeyProblem` key_required before the first backup."""
    with transaction.atomic():
        lock(user)
        key = require_live(user)
        if key.state != State.ACTIVE:
            raise KeyProblem("key_required")
        key.second_backup_at = key.backup_reread_at = now
        key.save(update_fields=["second_backup_at", "backup_reread_at"])
        audit.record("account:key:backed_up", actor=user, subject=user, at=now, copies=2)
    return key


def prove_session(
    *, user: User, session: str, purpose: str, proof: Proof, public_key: str = "", browser: str, now: datetime
) -> PersonalKey:
    """The key signs for a session: from the device (`session`) or from its file on a new one (`import`).

    With `public_key` a foreign key is named: `KeyProblem` key_superseded or key_mismatch. Else a key that was
    the person's own before gives key_superseded, any other `KeyRefused` bad_proof.
    """
    if public_key:
        _check_same(user, require_live(user), public_key)
    key = _prove(user=user, session=session, purpose=purpose, proof=proof, now=now)
    imported = purpose == "import"
    with transaction.atomic():
        lock(user)
        PersonalKey.objects.filter(pk=key.pk).update(last_proof_at=now)
        kind = "account:key:imported" if imported else "account:key:proved"
        audit.record(kind, actor=user, subject=user, at=now, browser=browser)
        if imported and key.prepared:
            # The creator handed over login, password and file: the Gate now asks for an own password.
            User.objects.get_queryset().filter(pk=user.pk).update(password_own_at=None)
        if imported:
            _tell("key_imported", user=user, by=user, now=now)
    return key


def _check_same(user: User, live: PersonalKey, public_key: str) -> None:
    found = parse_public_key(public_key, minimum=SMALLEST_IMPORTED_KEY).fingerprint
    if found == live.fingerprint:
        return
    _refuse_ended(PersonalKey.objects.filter(user=user, fingerprint=found).first())
    named = {"found": display_fingerprint(found), "expected": display_fingerprint(live.fingerprint)}
    raise KeyProblem("key_mismatch", **named)


def _refuse_ended(ended: PersonalKey | None) -> None:
    if ended is not None and ended.ended_at:
        date = date_format(localtime(ended.ended_at), "DATE_FORMAT")
        raise KeyProblem("key_superseded", date=date)


def _prove(*, user: User, session: str, purpose: str, proof: Proof, now: datetime) -> PersonalKey:
    challenge = consume(user=user, session=session, purpose=purpose, challenge=proof.challenge, now=now)
    key = require_live(user)
    try:
        verify_or_record(challenge=challenge, spki=bytes(key.spki), signature=proof.signature, now=now)
    except KeyRefused:
        for ended in PersonalKey.objects.filter(user=user, ended_at__isnull=False):
            if _signed_by(ended, challenge, proof):
                _refuse_ended(ended)
        raise
    return key


def _signed_by(key: PersonalKey, challenge: KeyChallenge, proof: Proof) -> bool:
    try:
        verify(challenge=challenge, spki=bytes(key.spki), signature=proof.signature)
    except KeyRefused:
        return False
    return True


def release_code(*, user: User, now: datetime) -> str:
    """The kept code of the live key's file; audited, the owner is told. Raises `KeyProblem` code_missing."""
    with transaction.atomic():
        lock(user)
        key = require_live(user)
        if key.file_code is None:
            raise KeyProblem("code_missing")
        audit.record("account:key:code_released", actor=user, subject=user, at=now)
        _tell("key_code_released", user=user, by=user, now=now)
        return sealer().open(bytes(key.file_code), **place(key)).decode()


# --- renewing and giving up ------------------------------------------------------------------
def rotate(
    *, user: User, session: str, old: Proof, new: Proof, public_key: str, file: KeyFile, now: datetime
) -> PersonalKey:
    """Replace the live key by a new pair; each key signs for the other. All sessions end, also the caller's.

    The view gives the calling browser a new session. Raises as `register`.
    """
    was = consume(user=user, session=session, purpose="rotate-old", challenge=old.challenge, now=now)
    will = consume(user=user, session=session, purpose="rotate-new", challenge=new.challenge, now=now)
    key = _judge(will, public_key, SMALLEST_NEW_KEY, now)
    file.check()
    live = require_live(user)
    spki, other = bytes(live.spki), key.fingerprint
    verify_or_record(challenge=was, spki=spki, signature=old.signature, binding=other, now=now)
    spki, other = key.spki, live.fingerprint
    verify_or_record(challenge=will, spki=spki, signature=new.signature, binding=other, now=now)
    return _replace(user, live, key, file, now)


def _replace(user: User, old: PersonalKey, key: PublicKey, file: KeyFile, now: datetime) -> PersonalKey:
    with transaction.atomic():
        lock(user)
        if not PersonalKey.objects.live().filter(pk=old.pk).exists():
            raise KeyProblem("challenge_invalid")
        _end(old, state=State.SUPERSEDED, reason="rotated", by=user, now=now)
        row = _add(user, key, file, origin=Origin.GENERATED, prepared=False)
        PersonalKey.objects.filter(pk=old.pk).update(replaced_by=row)
        end_sessions(user=user, by=user, now=now)
        prints = [old.fingerprint, row.fingerprint]
        audit.record("account:key:rotated", actor=user, subject=user, at=now, fingerprint=prints)
        _tell("key_rotated", user=user, by=user, now=now)
    return row


def _end(key: PersonalKey, *, state: str, reason: str, by: User, now: datetime) -> None:
    key.state, key.end_reason, key.ended_at, key.ended_by, key.file_code = state, reason, now, by, None
    key.save(update_fields=["state", "end_reason", "ended_at", "ended_by", "file_code"])


def discard(*, user: User, now: datetime) -> None:
    """Give up a pair whose backup was never proven. Raises `KeyProblem` key_exists for an active one."""
    with transaction.atomic():
        lock(user)
        key = require_live(user)
        if key.state != State.PENDING:
            raise KeyProblem("key_exists")
        _end(key, state=State.REVOKED, reason="discarded", by=user, now=now)
        audit.record("account:key:discarded", actor=user, subject=user, at=now, fingerprint=key.fingerprint)
        _tell("key_revoked", user=user, by=user, now=now)


def keep(*, user: User, now: datetime) -> None:
    """The owner knows that somebody else made the key, and keeps it."""
    with transaction.atomic():
        lock(user)
        key = require_live(user)
        if not key.prepared:
            return
        key.prepared, key.kept_at = False, now
        key.save(update_fields=["prepared", "kept_at"])
        audit.record("account:key:kept", actor=user, subject=user, at=now, fingerprint=key.fingerprint)


def revoke(*, user: User, by: User, reason: str, notice: str = "key_revoked", now: datetime) -> None:
    """End the live key at once (`reason`: one of `REVOCATIONS`, or lost); all sessions end.

    A compromised key is blocked for every account. Raises `KeyProblem` key_required.
    """
    with transaction.atomic():
        lock(user)
        key = require_live(user)
        _end(key, state=State.REVOKED, reason=reason, by=by, now=now)
        if reason == "compromised":
            BlockedKey.objects.get_or_create(fingerprint=key.fingerprint, defaults={"reason": reason})
        end_sessions(user=user, by=by, now=now)
        audit.record(
            "account:key:revoked", actor=by, subject=user, at=now, fingerprint=key.fingerprint, reason=reason
        )
        _tell(notice, user=user, by=by, now=now)
