"""Sessions of people: which are open, and their end. Whatever ends a session does it here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts import audit
from accounts.access import Capability, Forbidden, capabilities
from accounts.models import Session, User

AT_ONCE = 10


@dataclass(frozen=True)
class OpenSession:
    """One line of « Mes sessions ». `key` names the row; it opens nothing. `network` as in the journal."""

    key: str
    browser: str
    network: str
    began_at: datetime
    seen_at: datetime


def open_sessions(*, user: User, now: datetime) -> list[OpenSession]:
    """The person's sessions that still serve, the last used first."""
    rows = Session.objects.filter(user=user, expire_date__gt=now)
    found = [_opened(row.session_key, row.get_decoded()) for row in rows]
    return sorted(
        (
            session
            for session in found
            if now - session.seen_at <= settings.SESSION_IDLE
            and now - session.began_at <= settings.SESSION_ABSOLUTE
        ),
        key=lambda session: session.seen_at,
        reverse=True,
    )


def _opened(key: str, content: dict[str, Any]) -> OpenSession:
    began_at, seen_at = (
        datetime.fromtimestamp(content.get(name, 0), tz=UTC) for name in ("began_at", "seen_at")
    )
    return OpenSession(key, content.get("browser", ""), content.get("network", ""), began_at, seen_at)


def end_sessions(*, user: User, by: User, now: datetime, but: str = "") -> int:
    """End every session of the account at once, but the one whose row is `but`; how many there were."""
    rows = Session.objects.filter(user=user).exclude(session_key=but)
    count: int = rows.filter(expire_date__gt=now).count()
    rows.delete()
    if count:
        audit.record("account:session:ended", actor=by, subject=user, at=now, sessions=count)
    return count


def end_one(*, user: User, key: str, now: datetime) -> int:
    """End the one session of the person whose row is `key`; 0 when there is none."""
    with transaction.atomic():
        count, _tables = Session.objects.filter(user=user, session_key=key).delete()
        if count:
            audit.record("account:session:ended", actor=user, subject=user, at=now, sessions=count)
    return count


def end_others(*, user: User, but: str, now: datetime) -> int:
    """The person keeps the session whose row is `but` alone."""
    with transaction.atomic():
        return end_sessions(user=user, by=user, now=now, but=but)


def end_oldest(*, user: User, now: datetime) -> int:
    """Leave at most ten sessions: those unused for longest end. In the transaction of the sign-in, whose own
    row is stored; noting `last_login` has locked the person's row, so parallel ones wait for each other.
    """
    rows = Session.objects.filter(user=user).order_by("-expire_date").values_list("session_key", flat=True)
    count, _tables = Session.objects.filter(session_key__in=list(rows[AT_ONCE:])).delete()
    if count:
        audit.record("account:session:ended", actor=user, subject=user, at=now, sessions=count)
    return count


def close_sessions(*, user: User, by: User, now: datetime) -> int:
    """Sign somebody out everywhere: staff whomever, an administrator those of the own practice; how many
    sessions ended. Raises `Forbidden`.
    """
    can = capabilities(by)
    here = Capability.SIGN_OUT_COLLEAGUE in can and by.practice_id == user.practice_id
    if not here and Capability.END_SESSIONS not in can:
        raise Forbidden(Capability.END_SESSIONS)
    with transaction.atomic():
        return end_sessions(user=user, by=by, now=now)
