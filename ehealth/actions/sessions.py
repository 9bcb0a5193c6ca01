"""The session with the platform: a sealed assertion and the key that holds it, obtained, used, ended.

Runs in workers. One request to the STS is in flight per keystore: `Keystore.next_attempt_at` is the lease.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import audit
from accounts.models import User
from ehealth import custody
from ehealth.actions.endpoints import admitted
from ehealth.actions.exchanges import exchanges
from ehealth.client import sts
from ehealth.client.conversation import Trace
from ehealth.client.errors import Faulted, PlatformError
from ehealth.client.platform import Assertion, Identity, Platform
from ehealth.models import Keystore, Mailbox, PlatformSession

LEASE = timedelta(seconds=90)
PER_SWEEP = 500
SYSTEM = "ehealth-worker"


class RenewalUnderway(Exception):
    """Another worker is asking for the token of this keystore: come back in a moment."""


@dataclass(frozen=True)
class Live:
    """What a call to a business service needs. `nihii`: as the platform certified it."""

    keystore_id: int
    nihii: str
    identity: Identity = field(repr=False)
    assertion: Assertion = field(repr=False)


def ensure_session(*, user: User, now: datetime) -> Live | None:
    """A session to use now, renewed when less than half of it is left and the doctor stays connected.

    None: the doctor must reconnect. `PlatformError` when the platform gave no token, `RenewalUnderway` when
    somebody else is asking for it; neither when a live one is there to go on with.
    """
    keystore = usable_keystore(user, now)
    if keystore is None:
        return None
    live = stored(keystore, now)
    if live and not wants_renewal(keystore, now):
        return live
    if holder(keystore, now) is None:
        return live
    return _renewed(keystore, live, now)


def usable_keystore(user: User, now: datetime) -> Keystore | None:
    """The keystore in force of an active person, with its session, unless its certificate has ended."""
    keystores = Keystore.objects.in_force().filter(user=user, user__is_active=True, not_after__gt=now)
    found: Keystore | None = keystores.select_related("user__practitioner", "session").first()
    return found


def session_of(keystore: Keystore) -> PlatformSession | None:
    return getattr(keystore, "session", None)


def has_live_session(keystore: Keystore, now: datetime) -> bool:
    """Whether a call could be made now, without unsealing anything."""
    session = session_of(keystore)
    if session is None or session.assertion is None or not (keystore.key or session.key):
        return False
    return session.not_on_or_after is not None and session.not_on_or_after > now


def stored(keystore: Keystore, now: datetime) -> Live | None:
    session = session_of(keystore)
    if session is None or not has_live_session(keystore, now):
        return None
    identity = custody.identity(keystore if keystore.key else session, keystore.ssin)
    return Live(keystore.pk, session.nihii, identity, custody.assertion(session))


def wants_renewal(keystore: Keystore, now: datetime) -> bool:
    """Less than half of the life is left, and the key is there to ask for more."""
    session = session_of(keystore)
    if keystore.key is None or session is None or not (session.not_before and session.not_on_or_after):
        return False
    life: timedelta = session.not_on_or_after - session.not_before
    return session.not_on_or_after - now < life / 2


def holder(keystore: Keystore, now: datetime) -> Keystore | PlatformSession | None:
    """The row whose key may ask for a token: the keystore's own, or the session's while it has not ended."""
    if keystore.key:
        return keystore
    session = session_of(keystore)
    if session is None or session.key is None or session.assertion:
        return None
    return session if session.not_on_or_after is None or session.not_on_or_after > now else None


def _renewed(keystore: Keystore, live: Live | None, now: datetime) -> Live | None:
    if not lease(keystore, now):
        if live is None:
            raise RenewalUnderway
        return live
    try:
        assertion = obtain(keystore, live, now)
    except PlatformError:
        if live is None:
            raise
        return live
    finally:
        release(keystore)
    with transaction.atomic():
        if keep(keystore, assertion, now):
            return stored(keystore, now)
    return None


def lease(keystore: Keystore, now: datetime) -> bool:
    """Become the one who asks the STS for this keystore."""
    free = Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
    active = Keystore.objects.in_force().filter(free, pk=keystore.pk)
    return bool(active.update(next_attempt_at=now + LEASE) == 1)


def release(keystore: Keystore) -> None:
    Keystore.objects.in_force().filter(pk=keystore.pk).update(next_attempt_at=None)


def obtain(keystore: Keystore, live: Live | None, now: datetime) -> Assertion:
    """A new token from the STS, in the place of the one in use if there is one; PlatformError otherwise."""
    source = holder(keystore, now)
    if source is None:
        raise RenewalUnderway
    with exchanges(keystore.user) as trace:
        identity = custody.identity(source, keystore.ssin)
        known = admitted("sts", now=timezone.now()).platform
        renewed = renew(known, identity, live.assertion, trace) if live else None
        return renewed or sts.request_assertion(known, identity, now=timezone.now(), trace=trace)


def renew(known: Platform, identity: Identity, held: Assertion, trace: Trace) -> Assertion | None:
    """The successor of a token; None when the platform faults the question: a new one may still be given."""
    try:
        return sts.renew_assertion(known, identity, held, now=timezone.now(), trace=trace)
    except Faulted:
        return None


def keep(keystore: Keystore, assertion: Assertion, now: datetime) -> bool:
    """Store the token until it or the certificate ends. False when the keystore left force meanwhile.

    In the caller's transaction. Having got a token is a passed connection test.
    """
    locked = Keystore.objects.select_for_update().filter(pk=keystore.pk, state=keystore.state).first()
    if locked is None:
        return False
    session, _created = PlatformSession.objects.select_for_update().get_or_create(keystore=locked)
    if locked.key is None and session.key is None:
        return False
    session.nihii = assertion.nihii or ""
    session.not_before = assertion.not_before
    session.not_on_or_after = min(assertion.not_on_or_after, locked.not_after)
    session.ended_at, session.end_reason = None, ""
    custody.seal(session, "assertion", assertion.xml)
    session.save()
    Keystore.objects.filter(pk=locked.pk).update(tested_at=now)
    keystore.session = session
    until = session.not_on_or_after.isoformat()
    audit.record(
        "ehealth:session:obtained", actor=None, system=SYSTEM, subject=keystore.user, at=now, until=until
    )
    return True


def drop_assertion(*, keystore_id: int) -> None:
    """The platform no longer takes it: the next use asks for a new one, once, with the key still held."""
    PlatformSession.objects.filter(keystore=keystore_id).update(assertion=None)


def end(session: PlatformSession, *, reason: str, now: datetime, by: User | None = None) -> bool:
    """Erase assertion and key, keep dates and reason. In the caller's transaction; False if it had ended."""
    open_session = PlatformSession.objects.filter(pk=session.pk, ended_at=None)
    if not open_session.update(key=None, chain=None, assertion=None, ended_at=now, end_reason=reason):
        return False
    user = session.keystore.user
    audit.record("ehealth:session:ended", actor=by, system=SYSTEM, subject=user, at=now, reason=reason)
    return True


def end_expired(*, now: datetime) -> int:
    """End what is over: token or certificate ended, or the person was deactivated. How many ended."""
    over = Q(not_on_or_after__lte=now) | Q(keystore__not_after__lte=now) | Q(keystore__user__is_active=False)
    lapsed = (
        PlatformSession.objects.filter(over, ended_at=None).select_related("keystore__user").order_by("pk")
    )
    ended = 0
    for session in lapsed[:PER_SWEEP]:
        with transaction.atomic():
            ended += end(session, reason=_reason(session, now), now=now)
    useless = Q(not_after__lte=now) | Q(user__is_active=False)
    Keystore.objects.filter(useless, key__isnull=False).update(key=None, chain=None)
    return ended


def _reason(session: PlatformSession, now: datetime) -> str:
    if not session.keystore.user.is_active:
        return "deactivated"
    return "certificate" if session.keystore.not_after <= now else "expired"


def adopt_keys(*, now: datetime) -> int:
    """Where the doctor ticked « récupération automatique » during a session, keep that session's key too."""
    ticked = Keystore.objects.in_force().filter(
        stay_connected=True, key=None, not_after__gt=now, user__is_active=True, session__key__isnull=False
    )
    adopted = 0
    for keystore in ticked.select_related("user", "session").order_by("pk")[:PER_SWEEP]:
        custody.move_identity(keystore.session, keystore)
        still = Keystore.objects.in_force().filter(
            pk=keystore.pk, stay_connected=True, session__key__isnull=False
        )
        adopted += still.update(key=keystore.key, chain=keystore.chain)
    return adopted


def refuse(keystore: Keystore, *, code: str, now: datetime) -> None:
    """The platform refuses the certificate for good: destroy the key, stop polling, show the reason."""
    with transaction.atomic():
        changed = (
            Keystore.objects.in_force()
            .filter(pk=keystore.pk)
            .update(
                state=Keystore.State.REFUSED,
                result_code=code[:40],
                key=None,
                chain=None,
                blob=None,
                ended_at=now,
            )
        )
        if not changed:
            return
        Mailbox.objects.filter(user=keystore.user).update(next_poll_at=None)
        session = PlatformSession.objects.select_related("keystore__user").filter(keystore=keystore).first()
        if session:
            end(session, reason="refused", now=now)
        audit.record(
            "ehealth:keystore:refused", actor=None, system=SYSTEM, subject=keystore.user, at=now, reason=code
        )
