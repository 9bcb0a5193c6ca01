"""The audit trail: `record` writes one event in the caller's transaction, or the change fails.

A kind reads `subject:object:verb`. Details are masked here: numbers keep their last three characters.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from accounts import audit_chain
from accounts.models import AuditEvent, Practice, User
from accounts.origin import current_request

KINDS = frozenset(
    {
        "account:user:created",
        "account:user:activated",
        "account:user:deactivated",
        "account:user:reactivated",
        "account:session:began",
        "account:session:refused",
        "account:session:ended",
        "account:password:changed",
        "account:password:reset",
        "account:login:changed",
        "account:email:changed",
        "account:email:verified",
        "account:role:granted",
        "account:role:taken",
        "account:staff:granted",
        "account:staff:taken",
        "account:invitation:sent",
        "account:reminder:sent",
        "account:people:exported",
        "account:invitation:revoked",
        "account:practice:changed",
        "account:address:created",
        "account:address:changed",
        "account:address:removed",
        "account:licence:created",
        "account:licence:shortened",
        "account:licence:requested",
        "account:licence:invoiced",
        "account:licence:paid",
        "account:licence:activated",
        "account:licence:expired",
        "account:access:refused",
        "account:limit:reached",
        "account:journal:exported",
        "account:data:exported",
        "account:factor:activated",
        "account:factor:codes_renewed",
        "account:factor:code_used",
        "account:factor:refused",
        "account:factor:removed",
        "account:key:registered",
        "account:key:discarded",
        "account:key:backed_up",
        "account:key:imported",
        "account:key:proved",
        "account:key:proof_failed",
        "account:key:code_released",
        "account:key:prepared",
        "account:key:kept",
        "account:key:rotated",
        "account:key:lost_reported",
        "account:key:reset_asked",
        "account:key:reset_cancelled",
        "account:key:reset_done",
        "account:key:revoked",
        "section:account:saved",
        "section:practitioner/general:saved",
        "section:practitioner/addresses:saved",
        "section:billing/financial:saved",
        "section:ehealth/connection:saved",
        "section:ehealth/edmg:saved",
        "practitioner:practitioner:created",
        "practitioner:nihii:changed",
        "practitioner:import:confirmed",
        "practitioner:import:finished",
        "practitioner:import:failed",
        "billing:assistants_account:changed",
        "billing:training:ended",
        "billing:data:taken_over",
        "billing:data:refused",
        "ehealth:keystore:stored",
        "ehealth:keystore:refused",
        "ehealth:keystore:connected",
        "ehealth:keystore:replaced",
        "ehealth:keystore:disconnected",
        "ehealth:session:obtained",
        "ehealth:session:ended",
        "ehealth:edmg:requested",
        "ehealth:edmg:answered",
        "ehealth:account_change:begun",
        "ehealth:account_change:sent",
        "ehealth:account_change:confirmed",
        "ehealth:account_change:given_up",
        "ehealth:mailbox:switched",
        "ehealth:mailbox:fetched",
        "ehealth:check:finished",
        "ehealth:certificate:reminded",
        "platform:practice:read",
        "platform:person:read",
        "platform:row:read",
        "platform:list:read",
    }
)
MASKED = ("ssin", "nihii", "house_nihii", "house_contact_ssin", "iban", "assistants_shared_iban", "bce")
FORBIDDEN = ("password", "token", "code", "key", "assertion", "keystore")


class UnknownKind(ValueError):
    """Nobody may invent an event at the call site."""


def mask(name: str, value: Any) -> Any:
    """Numbers keep their last three characters; pairs (before, after) are masked one by one."""
    if isinstance(value, (list, tuple)):
        return [mask(name, item) for item in value]
    if not name.startswith(MASKED) or not value:
        return value if isinstance(value, (int, float, bool, dict)) or value is None else str(value)
    return "•••" + str(value)[-3:]


def record(
    kind: str,
    *,
    actor: User | None,
    subject: User | None = None,
    practice: Practice | None = None,
    system: str = "",
    at: datetime | None = None,
    **details: Any,
) -> AuditEvent:
    """Write one event. `actor` None needs the name of a system process; `practice`: where no person is meant.

    Raises `UnknownKind` for an unknown kind or a detail that names a secret, `RuntimeError` outside a
    transaction.
    """
    if kind not in KINDS or not (actor or system) or any(name in FORBIDDEN for name in details):
        raise UnknownKind(kind)
    if not connection.in_atomic_block:
        raise RuntimeError("an audit event belongs in the transaction of its change")
    facts = current_request.get()
    person = subject or actor
    event = AuditEvent(
        at=at or timezone.now(),
        kind=kind,
        actor=actor.uuid if actor else None,
        actor_name=actor.get_full_name() if actor else system,
        practice=practice.uuid if practice else person.practice.uuid if person else None,
        subject=subject.uuid if subject else None,
        subject_name=subject.get_full_name() if subject else "",
        request_id=facts.request_id,
        address=facts.address,
        details={name: mask(name, value) for name, value in details.items()},
    )
    audit_chain.sign(event)
    event.save(force_insert=True)
    return event
