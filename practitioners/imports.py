"""Bringing in many people from one file: checked, confirmed, then created by a worker, all or nothing.

The row is the truth: creating is one transaction that takes the row and moves it on, so that a worker that
dies leaves it where it was. Invitations follow in jobs, each person's once.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from kombu.exceptions import OperationalError

from accounts import audit
from accounts.access import Capability, Forbidden, require
from accounts.actions import invitations
from accounts.actions.people import Refused
from accounts.models import Practice, User
from accounts.sealing import sealer
from practitioners.actions import (
    ADDRESS_FIELDS,
    IdentityFixed,
    NihiiTaken,
    create_person,
    save_addresses,
    save_general,
)
from practitioners.models import Address, PeopleImport

logger = logging.getLogger(__name__)

State = PeopleImport.State
PERSON = ("login", "email", "last_name", "first_name", "language", "profession", "roles")
GENERAL = ("ssin", "nihii", "speciality", "training_status")
EMPTY_GENERAL: dict[str, Any] = {
    "civility": "", "title": "", "other_languages": [], "company_name": "",
    "house_contact_ssin": "", "house_nihii": "", "house_contact": None,
}  # fmt: skip
MOST_ATTEMPTS = 5
PER_JOB = 100
PER_SWEEP = 100
# A message is given this long before the sweep rings again; a preview, to be confirmed.
PATIENCE = timedelta(seconds=30)
PREVIEW_KEPT = timedelta(hours=1)


class AlreadyImported(Exception):
    """The practice has had these people from the very same file."""

    def __init__(self, earlier: PeopleImport) -> None:
        super().__init__(str(earlier.uuid))
        self.earlier = earlier


class LineRefused(Exception):
    """One person could not be created; nobody was."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line, self.reason = line, reason


@dataclass(frozen=True)
class Person:
    """A checked line: the fields of « Nouvel utilisateur », numbers and telephone, canonical."""

    line: int
    values: dict[str, Any]


# --- before ----------------------------------------------------------------------------------
def earlier(practice: Practice, digest: str) -> PeopleImport | None:
    """The import of this very file that made people of this practice, or is about to."""
    known = PeopleImport.objects.filter(practice=practice, digest=digest).counted().select_related("by")
    found: PeopleImport | None = known.first()
    return found


def propose(*, by: User, digest: str, people: Sequence[Person], now: datetime) -> PeopleImport:
    """Keep checked people, sealed, until confirmed; an older proposal of the same person goes.

    Raises `Forbidden` and `AlreadyImported`.
    """
    require(by, Capability.CREATE_USER)
    with transaction.atomic():
        if before := earlier(by.practice, digest):
            raise AlreadyImported(before)
        PeopleImport.objects.filter(by=by, state=State.CHECKED).delete()
        row = PeopleImport(practice=by.practice, by=by, digest=digest, count=len(people), checked_at=now)
        row.content = sealer().seal(json.dumps([asdict(one) for one in people]).encode(), **place(row))
        row.save()
    return row


def people_of(row: PeopleImport) -> list[Person]:
    """The checked people of an import that is not created yet."""
    content = json.loads(sealer().open(bytes(row.content), **place(row))) if row.content else []
    return [Person(**one) for one in content]


def place(row: PeopleImport) -> dict[str, Any]:
    return {
        "table": "peopleimport", "column": "content", "row": row.uuid, "owner": row.practice.uuid,
        "version": 1,
    }  # fmt: skip


def confirm(*, row: PeopleImport, by: User, now: datetime) -> bool:
    """« Importer »: commit the wish and ring a worker. False when it was confirmed before.

    Raises `Forbidden` and `AlreadyImported`.
    """
    require(by, Capability.CREATE_USER)
    if row.by_id != by.pk:
        raise Forbidden(Capability.CREATE_USER)
    try:
        with transaction.atomic():
            mine = PeopleImport.objects.filter(pk=row.pk, state=State.CHECKED)
            if not mine.update(state=State.QUEUED, confirmed_at=now):
                return False
            audit.record(
                "practitioner:import:confirmed", actor=by, practice=row.practice, at=now, count=row.count
            )
            transaction.on_commit(lambda: ring("create_imported", row.pk))
    except IntegrityError as error:
        before = earlier(row.practice, row.digest)
        if before is None:
            raise
        raise AlreadyImported(before) from error
    return True


# --- creating --------------------------------------------------------------------------------
def create(*, pk: int, now: datetime) -> None:
    """Create all people of a confirmed import, or none. Safe to run twice or late."""
    if not _count_attempt(pk, now):
        return
    try:
        with transaction.atomic():
            if row := _take(pk):
                _create_all(row, now)
    except LineRefused as refused:
        _fail(pk, reason=refused.reason, line=refused.line, now=now)
    except Forbidden:
        _fail(pk, reason="Forbidden", line=None, now=now)


def _take(pk: int) -> PeopleImport | None:
    """The row, held; None when it is done, or another worker has it."""
    rows = PeopleImport.objects.select_for_update(skip_locked=True, of=("self",))
    row: PeopleImport | None = rows.select_related("practice", "by").filter(pk=pk, state=State.QUEUED).first()
    return row


def _count_attempt(pk: int, now: datetime) -> bool:
    """Committed before the work: a file that kills its worker is given up in the end."""
    with transaction.atomic():
        row = _take(pk)
        if row is None:
            return False
        row.attempts += 1
        row.save(update_fields=["attempts"])
    if row.attempts > MOST_ATTEMPTS:
        _fail(pk, reason="interrupted", line=None, now=now)
        return False
    return True


def _create_all(row: PeopleImport, now: datetime) -> None:
    if not row.by.is_active:
        raise Forbidden(Capability.CREATE_USER)
    row.people.set([_create_one(row, one, now) for one in people_of(row)])
    row.state, row.content = State.INVITING, None
    row.save(update_fields=["state", "content"])
    audit.record("practitioner:import:finished", actor=row.by, practice=row.practice, at=now, count=row.count)
    transaction.on_commit(lambda: ring("invite_imported", row.pk))


def _create_one(row: PeopleImport, one: Person, now: datetime) -> User:
    try:
        user = create_person(
            practice=row.practice, by=row.by, now=now, invite=False,
            **{name: one.values[name] for name in PERSON},
        )  # fmt: skip
        _prefill(user, one.values, by=row.by, now=now)
    except (Refused, NihiiTaken, IdentityFixed) as refused:
        raise LineRefused(one.line, type(refused).__name__) from refused
    return user


def _prefill(user: User, values: dict[str, Any], *, by: User, now: datetime) -> None:
    """Numbers and telephone through the sections they belong to: the owner reviews them."""
    general = {name: values[name] for name in GENERAL}
    if general["ssin"] or general["nihii"]:
        known = {name: values[name] for name in ("last_name", "first_name", "language", "profession")}
        save_general(user=user, by=by, version=0, now=now, **EMPTY_GENERAL, **general, **known)
    if values["telecom"]:
        workplace = dict.fromkeys(ADDRESS_FIELDS, "") | {"type": Address.Type.WORK, "country": "BE"}
        telecoms = [tuple(values["telecom"])]
        save_addresses(
            user=user, by=by, version=0, now=now,
            addresses=[{"uuid": None, "telecoms": telecoms, **workplace}],
        )  # fmt: skip


def _fail(pk: int, *, reason: str, line: int | None, now: datetime) -> None:
    with transaction.atomic():
        if row := _take(pk):
            row.state, row.content, row.finished_at = State.FAILED, None, now
            row.refusal, row.refused_line = reason, line
            row.save(update_fields=["state", "content", "finished_at", "refusal", "refused_line"])
            audit.record(
                "practitioner:import:failed", actor=row.by, practice=row.practice, at=now, reason=reason
            )


# --- inviting --------------------------------------------------------------------------------
def invite(*, pk: int, now: datetime) -> None:
    """Invite those of an import who never were; the last one ends it. Safe to run twice or late."""
    row = PeopleImport.objects.select_related("by").filter(pk=pk, state=State.INVITING).first()
    if row is None:
        return
    waiting = row.people.filter(is_active=True, activated_at=None, invitations=None).order_by("pk")
    found = list(waiting.values_list("pk", flat=True)[: PER_JOB + 1])
    for user_pk in found[:PER_JOB]:
        _invite_once(user_pk, by=row.by, now=now)
    if len(found) > PER_JOB:
        ring("invite_imported", pk)
    else:
        PeopleImport.objects.filter(pk=pk, state=State.INVITING).update(state=State.DONE, finished_at=now)


def _invite_once(pk: int, *, by: User, now: datetime) -> None:
    with transaction.atomic():
        user = User.objects.get_queryset().select_for_update().get(pk=pk)
        if not user.is_active or user.activated_at or user.invitations.exists():
            return
        invitations.send(user=user, by=by, now=now)


# --- background ------------------------------------------------------------------------------
def sweep(*, now: datetime) -> None:
    """Ring for imports whose message was lost or whose worker died; forget proposals nobody confirmed."""
    due = PeopleImport.objects.under_way().filter(confirmed_at__lt=now - PATIENCE).order_by("pk")
    jobs: dict[str, str] = {State.QUEUED: "create_imported", State.INVITING: "invite_imported"}
    for pk, state in due.values_list("pk", "state")[:PER_SWEEP]:
        ring(jobs[state], pk)
    PeopleImport.objects.filter(state=State.CHECKED, checked_at__lt=now - PREVIEW_KEPT).delete()


def ring(job: str, pk: int) -> None:
    """Tell the workers; with the broker down the sweep does."""
    from practitioners import tasks

    try:
        getattr(tasks, job).delay(pk=pk)
    except OperationalError:
        logger.warning("broker unreachable, import %s waits for the sweep", pk)
