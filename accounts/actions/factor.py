"""The second factor: a code by time (RFC 6238) from the telephone, or a recovery code (security SR-15).

The seed is sealed to its owner; recovery codes are kept as hashes. A time step and a recovery code are
accepted once: the row is locked while a code is judged.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any

from allauth.mfa.models import Authenticator
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP
from django.conf import settings
from django.db import transaction

from accounts import audit, emails
from accounts.actions.sessions import end_sessions
from accounts.models import Role, User
from accounts.sealing import sealer

SEED_BYTES, DIGITS, STEP_SECONDS = 20, 6, 30
CODES, CODE_BYTES = 10, 10
# After the first sign-in; whoever gives rights to others must have one then.
GRACE = timedelta(days=7)
# What RFC 6238 says and every app on a telephone uses.
HASH = SHA1()  # noqa: S303
Type = Authenticator.Type


class WrongCode(ValueError):
    """The code is not that of the seed just now."""


class AlreadyActive(Exception):
    """There is a factor; it must be removed first."""


def new_seed() -> bytes:
    """160 random bits for a new factor."""
    return secrets.token_bytes(SEED_BYTES)


def is_active(user: User) -> bool:
    return bool(Authenticator.objects.filter(user=user, type=Type.TOTP).exists())


def codes_left(user: User) -> int:
    row = Authenticator.objects.filter(user=user, type=Type.RECOVERY_CODES).first()
    return len(row.data["hashes"]) if row else 0


def is_required(user: User, now: datetime) -> bool:
    """At once of the portal's staff; seven days after the first sign-in of those who manage people.

    The demonstration asks nobody but staff.
    """
    if user.is_staff:
        return True
    settled = user.activated_at is not None and user.activated_at + GRACE <= now
    if settings.DEMO or not settled:
        return False
    return bool(user.roles() & {Role.ADMIN, Role.USER_MANAGER})


def activate(*, user: User, seed: bytes, code: str, now: datetime) -> list[str]:
    """Begin with a factor whose first code is right; all sessions end, the recovery codes come back.

    Raises `WrongCode`, `AlreadyActive`.
    """
    step = _step_of(seed, code, now, after=0)
    if step is None:
        raise WrongCode
    with transaction.atomic():
        _hold(user)
        if is_active(user):
            raise AlreadyActive
        sealed = base64.b64encode(sealer().seal(seed, **place(user))).decode()
        Authenticator.objects.create(user=user, type=Type.TOTP, data={"seed": sealed, "step": step})
        codes = _new_codes(user)
        end_sessions(user=user, by=user, now=now)
        audit.record("account:factor:activated", actor=user, subject=user, at=now)
        emails.queue("factor_activated", user=user, context={"when": now})
    return codes


def renew_codes(*, user: User, now: datetime) -> list[str]:
    """Ten new recovery codes; the older ones are void. Raises `WrongCode` without a factor."""
    with transaction.atomic():
        _hold(user)
        if not is_active(user):
            raise WrongCode
        codes = _new_codes(user)
        audit.record("account:factor:codes_renewed", actor=user, subject=user, at=now)
    return codes


def remove(*, user: User, by: User | None, now: datetime) -> bool:
    """Take the factor away with its recovery codes; all sessions end. `by` None: whoever runs the portal."""
    with transaction.atomic():
        _hold(user)
        found, _each = Authenticator.objects.filter(user=user).delete()
        if not found:
            return False
        end_sessions(user=user, by=by or user, now=now)
        system = "" if by else "installation"
        audit.record("account:factor:removed", actor=by, system=system, subject=user, at=now)
        emails.queue("factor_removed", user=user, context={"by": by, "when": now})
    return True


def verify(*, user: User, code: str, now: datetime) -> bool:
    """Whether the code is right and unused; it is used up by asking."""
    with transaction.atomic():
        rows = Authenticator.objects.select_for_update().filter(user=user).order_by("pk")
        held = {row.type: row for row in rows}
        totp, recovery = held.get(Type.TOTP), held.get(Type.RECOVERY_CODES)
        if totp and (_use_step(totp, user, code, now) or (recovery and _use_code(recovery, user, code, now))):
            return True
        audit.record("account:factor:refused", actor=None, system="signin", subject=user, at=now)
    return False


def _use_step(row: Authenticator, user: User, code: str, now: datetime) -> bool:
    seed = sealer().open(base64.b64decode(row.data["seed"]), **place(user))
    step = _step_of(seed, code, now, after=row.data["step"])
    if step is None:
        return False
    row.data["step"] = step
    row.save(update_fields=["data"])
    return True


def _step_of(seed: bytes, code: str, now: datetime, *, after: int) -> int | None:
    """The time step of a right code, one before to one after now, if later than the last accepted."""
    typed = "".join(code.split()).encode()
    current = int(now.timestamp()) // STEP_SECONDS
    clock = HOTP(seed, DIGITS, HASH)
    steps = (step for step in (current - 1, current, current + 1) if step > after)
    return next((step for step in steps if hmac.compare_digest(clock.generate(step), typed)), None)


def _use_code(row: Authenticator, user: User, code: str, now: datetime) -> bool:
    digest = _digest(code)
    if digest not in row.data["hashes"]:
        return False
    row.data["hashes"].remove(digest)
    row.save(update_fields=["data"])
    left = len(row.data["hashes"])
    audit.record("account:factor:code_used", actor=user, subject=user, at=now, count=left)
    emails.queue("factor_code_used", user=user, context={"when": now})
    return True


def _new_codes(user: User) -> list[str]:
    raw = [base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode() for _code in range(CODES)]
    hashes = {"hashes": [_digest(code) for code in raw]}
    Authenticator.objects.update_or_create(user=user, type=Type.RECOVERY_CODES, defaults={"data": hashes})
    return ["-".join(code[start : start + 4] for start in range(0, 16, 4)) for code in raw]


def _digest(code: str) -> str:
    """80 random bits need no slow hash."""
    plain = "".join(code.split()).replace("-", "").upper()
    return hashlib.sha256(plain.encode()).hexdigest()


def _hold(user: User) -> None:
    User.objects.get_queryset().select_for_update().get(pk=user.pk)


def place(user: User) -> dict[str, Any]:
    return {"table": "factor", "column": "seed", "row": user.uuid, "owner": user.uuid, "version": 1}
