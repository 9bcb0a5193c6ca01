"""The calls that prove a keystore: a token, whose numbers agree, and a look at the box."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import User
from ehealth import custody
from ehealth.actions import sessions
from ehealth.actions.endpoints import admitted
from ehealth.actions.exchanges import exchanges
from ehealth.client import etk, mailbox, sts
from ehealth.client.conversation import Trace
from ehealth.client.errors import Faulted, PlatformError, Refused
from ehealth.client.platform import Assertion, Identity
from ehealth.models import Keystore


@dataclass(frozen=True)
class Result:
    """How a test ended. `code`: of the refusal, or a warning when it passed; `passing`: may go well later,
    but not before `retry_after`.
    """

    passed: bool
    code: str = ""
    passing: bool = False
    retry_after: timedelta = timedelta()
    standby: int = 0
    assertion: Assertion | None = field(default=None, repr=False)


def run(keystore: Keystore, now: datetime) -> Result:
    """Ask for a token, compare, look; every failure becomes a result. No transaction may be open."""
    source = sessions.holder(keystore, now)
    if source is None or not keystore.user.is_active:
        return Result(False, "session_ended")
    identity = custody.identity(source, keystore.ssin)
    with exchanges(keystore.user) as trace:
        try:
            known = admitted("sts", now=timezone.now()).platform
            assertion = sts.request_assertion(known, identity, now=timezone.now(), trace=trace)
        except PlatformError as error:
            return Result(False, error.code, is_passing(error), error.retry_after)
        code = disagreement(keystore.user, assertion.nihii)
        if code:
            return Result(False, code)
        warning, standby = _warnings(keystore, identity, assertion, trace)
    return Result(True, warning, standby=standby, assertion=assertion)


def is_passing(error: PlatformError) -> bool:
    """Whether the same question may be answered later: everything but a plain no."""
    if isinstance(error, Faulted):
        return error.retry
    return not isinstance(error, Refused)


def disagreement(user: User, certified: str | None) -> str:
    """Why the platform's view of this person cannot be used, or ''. An empty INAMI number agrees with any."""
    if not certified:
        return "not_a_physician"
    declared = user.practitioner.nihii if hasattr(user, "practitioner") else ""
    length = min(len(declared), len(certified))
    return "nihii_differs" if declared[:length] != certified[:length] else ""


def _warnings(keystore: Keystore, identity: Identity, assertion: Assertion, trace: Trace) -> tuple[str, int]:
    """Code of a warning or '', and how many messages wait outside the box."""
    try:
        known = admitted("mailbox", now=timezone.now()).platform
        box = mailbox.box_info(known, identity, assertion, now=timezone.now(), trace=trace)
    except PlatformError:
        return "mailbox_unreachable", 0
    published = None
    with suppress(PlatformError):
        known = admitted("etk", now=timezone.now()).platform
        published = etk.encryption_serial(known, keystore.ssin, now=timezone.now(), trace=trace)
    if not keystore.encryption_serials:
        return "no_encryption_key", box.standby
    differs = published is not None and published not in keystore.encryption_serials
    return "etk_differs" if differs else "", box.standby
