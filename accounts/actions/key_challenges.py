"""Challenges of personal keys: issued to one session, burnt by their first use, and the proofs over them."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from accounts import audit
from accounts.keys import NO_BINDING, PURPOSES, KeyRefused, fingerprint, proof_message, verify_proof
from accounts.models import KeyChallenge, User

LIFE = timedelta(minutes=5)
OFFERED = PURPOSES - {"revoke"}
WITH_BINDING = frozenset({"rotate-old", "rotate-new", "action"})
_DIGEST = re.compile(r"[0-9a-f]{64}")


class KeyProblem(Exception):
    """An act on a key that is not done; `code` is the one shown to the person, `params` fill its sentence."""

    def __init__(self, code: str, **params: str) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


@dataclass(frozen=True, slots=True)
class Proof:
    """What a browser sends: the id of a challenge, the signature in base64."""

    challenge: str
    signature: str


def origin() -> str:
    """The origin that proofs name: scheme, host, port; no slash at the end."""
    portal: str = settings.PORTAL_ORIGIN
    return portal.rstrip("/")


def issue(*, user: User, session: str, purpose: str, binding: str, now: datetime) -> KeyChallenge:
    """A nonce that this session of this person may sign once for this purpose within five minutes.

    `session` is the session's key; only its hash is stored. Raises `KeyProblem` challenge_invalid for an
    unknown purpose or a binding that does not fit it.
    """
    fits = _DIGEST.fullmatch(binding) if purpose in WITH_BINDING else binding == NO_BINDING
    if purpose not in OFFERED or not fits:
        raise KeyProblem("challenge_invalid")
    return KeyChallenge.objects.create(
        id=secrets.token_urlsafe(24),
        user=user,
        session_hash=_hash(session),
        purpose=purpose,
        nonce=secrets.token_urlsafe(32),
        binding=binding,
        expires_at=now + LIFE,
    )


def consume(*, user: User, session: str, purpose: str, challenge: str, now: datetime) -> KeyChallenge:
    """Burn a challenge, whatever comes of the proof; raise `KeyProblem` challenge_invalid unless it was open.

    Runs before the transaction of the act, so that a failed act leaves it burnt.
    """
    mine = KeyChallenge.objects.filter(pk=challenge, user=user, session_hash=_hash(session), purpose=purpose)
    if not mine.filter(used_at=None, expires_at__gt=now).update(used_at=now):
        raise KeyProblem("challenge_invalid")
    return mine.get()


def verify(*, challenge: KeyChallenge, spki: bytes, signature: str, binding: str = NO_BINDING) -> None:
    """Raise `KeyRefused` bad_proof unless the key signed this challenge with this binding."""
    if challenge.binding != binding:
        raise KeyRefused("bad_proof")
    message = proof_message(
        purpose=challenge.purpose,
        origin=origin(),
        user=str(challenge.user.uuid),
        challenge=challenge.pk,
        nonce=challenge.nonce,
        fingerprint=fingerprint(spki),
        binding=binding,
    )
    verify_proof(spki, signature, message)


def verify_or_record(
    *, challenge: KeyChallenge, spki: bytes, signature: str, now: datetime, binding: str = NO_BINDING
) -> None:
    """As `verify`; a failure is written to the audit trail."""
    try:
        verify(challenge=challenge, spki=spki, signature=signature, binding=binding)
    except KeyRefused as refused:
        record_refusal(user=challenge.user, purpose=challenge.purpose, refused=refused, now=now)
        raise


def record_refusal(*, user: User, purpose: str, refused: KeyRefused, now: datetime) -> None:
    """Write a refused key or proof to the audit trail: why, never what was sent."""
    with transaction.atomic():
        audit.record(
            "account:key:proof_failed",
            actor=user,
            subject=user,
            at=now,
            purpose=purpose,
            reason=refused.code,
            weakness=refused.reason,
        )


def action_binding(*, kind: str, subject: object, fields: Iterable[tuple[str, str]]) -> str:
    """SHA-256 of the canonical action: JSON of kind, subject, and the form's fields in their order."""
    action = [kind, str(subject), [[name, value] for name, value in fields]]
    return hashlib.sha256(json.dumps(action, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def _hash(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()
