"""A lost key: its owner reports it, an administrator asks for a reset, the owner uses or stops it.

A reset opens after a day, because a reset is how somebody with a stolen password would get in; a key whose
backup was never proven protects nothing yet, and its reset opens at once. Nobody but the owner makes a key.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from accounts import audit, emails
from accounts.access import Capability, Forbidden, require
from accounts.actions.key_challenges import KeyProblem, Proof, action_binding, consume, verify_or_record
from accounts.actions.keys import lock, require_live, revoke
from accounts.actions.sessions import end_sessions
from accounts.models import AuditEvent, KeyReset, PersonalKey, Role, User

DELAY = timedelta(hours=24)
LIFE = timedelta(hours=72)
SHORTEST_REASON = 10
# A mail address replaced more recently than this still gets the notice.
ADDRESS_MEMORY = timedelta(days=30)


def open_reset(user: User, now: datetime) -> KeyReset | None:
    """The reset that waits or may be used; None when there is none, or its time has passed."""
    return KeyReset.objects.filter(subject=user, used_at=None, cancelled_at=None, ends_at__gt=now).first()


def administrators(user: User) -> QuerySet[User]:
    """Who may reset this person's key: active administrators of the practice, but for the person."""
    people = User.objects.of_practice(user.practice_id).active().holding(Role.ADMIN).exclude(pk=user.pk)
    return people.filter(activated_at__isnull=False).order_by("last_name", "pk")


def report_lost(*, user: User, now: datetime) -> int:
    """Tell the practice's administrators; how many were told."""
    told = list(administrators(user))
    with transaction.atomic():
        lock(user)
        require_live(user)
        audit.record("account:key:lost_reported", actor=user, subject=user, at=now, told=len(told))
        for administrator in told:
            emails.queue("key_lost", user=administrator, context={"by": user, "when": now})
    return len(told)


def check_may_reset(*, by: User, subject: User) -> None:
    """Raise `Forbidden` unless `by` administers the subject's practice and is somebody else."""
    require(by, Capability.RESET_KEY)
    if by.practice_id != subject.practice_id or by.pk == subject.pk:
        raise Forbidden(Capability.RESET_KEY)


def ask(*, subject: User, by: User, session: str, proof: Proof, reason: str, now: datetime) -> KeyReset:
    """Ask for a reset, signed with the administrator's own key; the owner is told at once.

    `reason` is signed as typed. Raises `Forbidden`; `KeyProblem` challenge_invalid, reason_short,
    key_required (the administrator or the subject has no key), reset_open; `KeyRefused` bad_proof.
    """
    check_may_reset(by=by, subject=subject)
    challenge = consume(user=by, session=session, purpose="action", challenge=proof.challenge, now=now)
    own = require_live(by)
    binding = action_binding(kind="key-reset", subject=subject.uuid, fields=[("reason", reason)])
    spki, signature = bytes(own.spki), proof.signature
    verify_or_record(challenge=challenge, spki=spki, signature=signature, binding=binding, now=now)
    if len(reason.strip()) < SHORTEST_REASON:
        raise KeyProblem("reason_short")
    return _store(subject, by, reason.strip(), now)


def _store(subject: User, by: User, reason: str, now: datetime) -> KeyReset:
    with transaction.atomic():
        lock(subject)
        key = require_live(subject)
        if open_reset(subject, now):
            raise KeyProblem("reset_open")
        # One whose time has passed makes room.
        KeyReset.objects.filter(subject=subject, used_at=None, cancelled_at=None).update(cancelled_at=now)
        opens = now if key.state == PersonalKey.State.PENDING else now + DELAY
        reset = KeyReset.objects.create(
            subject=subject, by=by, reason=reason, opens_at=opens, ends_at=opens + LIFE
        )
        audit.record(
            "account:key:reset_asked", actor=by, subject=subject, at=now,
            reason=reason, opens_at=opens.isoformat(),
        )  # fmt: skip
        for address in {subject.email, *_former_addresses(subject, now)}:
            emails.queue("key_reset_asked", user=subject, to=address, context={"by": by, "when": now})
    return reset


def _former_addresses(user: User, now: datetime) -> list[str]:
    changes = AuditEvent.objects.filter(
        subject=user.uuid, kind="account:email:changed", at__gt=now - ADDRESS_MEMORY
    )
    return [event.details["email"][0] for event in changes if event.details.get("email")]


def cancel(*, subject: User, by: User, now: datetime) -> None:
    """Stop a reset: its owner (all sessions end: a stranger may be in one), or an administrator.

    Raises `Forbidden` for anybody else; nothing happens when none is open.
    """
    if by.pk != subject.pk:
        check_may_reset(by=by, subject=subject)
    with transaction.atomic():
        lock(subject)
        reset = open_reset(subject, now)
        if reset is None:
            return
        reset.cancelled_at = now
        reset.save(update_fields=["cancelled_at"])
        if by.pk == subject.pk:
            end_sessions(user=subject, by=by, now=now)
        audit.record("account:key:reset_cancelled", actor=by, subject=subject, at=now)
        emails.queue("key_reset_cancelled", user=subject, context={"by": by, "when": now})


def use(*, user: User, now: datetime) -> None:
    """The owner gives up the lost key: it is revoked, its code destroyed, all sessions end.

    Raises `KeyProblem` reset_closed before its time, after it, or without one.
    """
    with transaction.atomic():
        lock(user)
        reset = open_reset(user, now)
        if reset is None or reset.opens_at > now:
            raise KeyProblem("reset_closed")
        reset.used_at = now
        reset.save(update_fields=["used_at"])
        revoke(user=user, by=reset.by, reason="lost", notice="key_reset_done", now=now)
        audit.record("account:key:reset_done", actor=user, subject=user, at=now, asked_by=str(reset.by.uuid))
