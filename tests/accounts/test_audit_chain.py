"""The audit trail tells who tampered with it: every kind of change is found and named."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.utils import ProgrammingError
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import audit, audit_chain, tasks
from accounts.actions import people
from accounts.audit_chain import Fault
from accounts.models import AuditEvent, AuditLink, AuditPruned, User
from tests.accounts.factories import UserFactory
from tests.accounts.test_people import at_once
from tests.conftest import UNTRUNCATED

pytestmark = pytest.mark.django_db(transaction=True)
APPEND_ONLY = {
    "accounts_auditevent": "audit_append_only",
    "accounts_auditlink": "audit_link_append_only",
    "accounts_auditpruned": "audit_pruned_append_only",
}
YEAR = timedelta(days=365.25)


def note(user: User, **details: Any) -> AuditEvent:
    with transaction.atomic():
        return audit.record("account:role:granted", actor=user, subject=user, **details)


@pytest.fixture
def events() -> list[AuditEvent]:
    """Six events in the chain."""
    user = UserFactory(first_name="Élise \u202e", last_name="O'Hara \\ \"")
    made = [
        note(user, role="physician", number=n, empty=None, flag=True, ssin="75031498594") for n in range(6)
    ]
    audit_chain.lengthen()
    return made


def found(**how: Any) -> list[Fault]:
    return list(audit_chain.faults(now=timezone.now(), **how))


def tamper(sql: str, *values: Any) -> None:
    """As somebody with the rights of the database's owner could."""
    with connection.cursor() as cursor:
        for table, trigger in APPEND_ONLY.items():
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
        try:
            cursor.execute(sql, values)
        finally:
            for table, trigger in APPEND_ONLY.items():
                cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER {trigger}")


# --- a whole chain ---------------------------------------------------------------------------
def test_fifty_at_once_and_four_that_chain_make_one_sequence_without_gap() -> None:
    users = [UserFactory() for _ in range(10)]
    writers = [lambda user=user: note(user, role="reception") for user in users for _ in range(5)]
    chainers: list[Callable[[], Any]] = [audit_chain.lengthen] * 4
    results = at_once([*writers[:25], *chainers, *writers[25:], *chainers])
    assert not [result for result in results if isinstance(result, Exception)], results
    audit_chain.lengthen()
    positions = list(AuditLink.objects.order_by("position").values_list("position", flat=True))
    assert positions == list(range(1, AuditEvent.objects.count() + 1))
    assert set(AuditLink.objects.values_list("event", flat=True)) == set(
        AuditEvent.objects.values_list("pk", flat=True)
    )
    assert found() == []


def test_an_event_that_is_committed_late_is_chained_then(events: list[AuditEvent]) -> None:
    user, written, may_end = UserFactory(), Event(), Event()

    def slow() -> int:
        with transaction.atomic():
            made = audit.record("account:role:granted", actor=user, role="admin")
            written.set()
            assert may_end.wait(20)
        connection.close()
        return made.pk

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(slow)
        assert written.wait(20)
        quick = note(user, role="admin")
        assert audit_chain.lengthen() == 1
        may_end.set()
        late = waiting.result()
    assert late < quick.pk
    assert audit_chain.lengthen() == 1
    assert list(AuditLink.objects.order_by("position").values_list("event", flat=True))[-2:] == [
        quick.pk,
        late,
    ]
    assert found() == []


def test_an_event_of_long_ago_is_chained(events: list[AuditEvent]) -> None:
    with transaction.atomic():
        ago = timezone.now() - timedelta(days=30)
        audit.record("account:role:granted", actor=UserFactory(), at=ago, role="admin")
    assert audit_chain.lengthen() == 1
    assert found() == []


def test_details_are_signed_as_they_are_read_back() -> None:
    details = {
        "fraction": 0.5, "large": 1e20, "small": 1e-7, "whole": 10**25, "minus": -0.0,
        "empty": None, "flag": False, "list": [1.5, "x", None],
        "deep": {"b": [1, {"z": 0.1, "a": 2}], "a": 1}, "text": "é \u2028 \\ \" \x1f 🩺",
    }  # fmt: skip
    note(UserFactory(), **details)
    audit_chain.lengthen()
    assert found() == []


def test_what_an_older_key_made_counts_while_the_key_is_in_the_ring(
    events: list[AuditEvent], settings: Settings
) -> None:
    old = settings.SEALING_KEYS
    new = "k9:" + base64.b64encode(b"n" * 32).decode()
    settings.SEALING_KEYS = f"{new},{old}"
    after = note(UserFactory(), role="admin")
    audit_chain.lengthen()
    assert (events[0].key_name, after.key_name) == (old.partition(":")[0], "k9")
    assert found() == []


# --- every kind of change --------------------------------------------------------------------
CHANGES = {
    "at": "now()",
    "kind": "'account:role:taken'",
    "actor": "gen_random_uuid()",
    "actor_name": "'X'",
    "practice": "gen_random_uuid()",
    "subject": "NULL",
    "subject_name": "'X'",
    "request_id": "'x'",
    "address": "'10.0.0.0/24'",
    "details": """'{"role": "admin"}'""",
    "code": "'x'",
    "key_name": "'other'",
}
# What no action writes: the check names it like any other change.
ODD = {
    "at": ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'200000-01-01'"],
    "details": ["'[]'", "'null'", "'3'", """'{"role": "physician", "number": 2.0}'""",
                "(repeat('[', 3000) || repeat(']', 3000))::jsonb",
                "('[1' || repeat('0', 5000) || ']')::jsonb"],
    "code": ["''", "repeat('x', 100000)::bytea"], "key_name": ["''", "'é'"], "kind": ["''"],
}  # fmt: skip


def test_each_column_is_covered() -> None:
    columns = {field.name for field in AuditEvent._meta.fields}
    assert columns == {"id", *CHANGES} == {*audit_chain.COLUMNS, "code", "key_name"}


@pytest.mark.parametrize(
    ("column", "value"),
    [*CHANGES.items(), *((column, value) for column, values in ODD.items() for value in values)],
)
def test_an_edited_event_is_named(events: list[AuditEvent], column: str, value: str) -> None:
    edit = f"UPDATE accounts_auditevent SET {column} = {value} WHERE id = %s"  # noqa: S608
    tamper(edit, events[2].pk)
    assert found()[0] == Fault("edited", position_of(events[2]), events[2].pk)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        *((change, "moved") for change in ("code = 'x'", "code = ''", "key_name = ''", "key_name = 'é'")),
        *((f"event = {number}", "removed") for number in (0, -(2**63))),
        *((f"position = {number}", "gap") for number in (0, -5, 2**63 - 1)),
    ],
)
def test_an_edited_link_is_named(events: list[AuditEvent], change: str, why: str) -> None:
    tamper(f"UPDATE accounts_auditlink SET {change} WHERE event = %s", events[2].pk)  # noqa: S608
    assert found()[0].why == why


def test_columns_without_their_rules_hold_no_surprise(events: list[AuditEvent]) -> None:
    """The database's owner may even take the rules away."""
    with connection.cursor() as cursor:
        for table, column in (("auditevent", "details"), ("auditevent", "code"), ("auditlink", "code")):
            cursor.execute(f"ALTER TABLE accounts_{table} ALTER {column} DROP NOT NULL")
    try:
        tamper("UPDATE accounts_auditevent SET details = NULL WHERE id = %s", events[1].pk)
        tamper("UPDATE accounts_auditevent SET code = NULL WHERE id = %s", events[2].pk)
        tamper("UPDATE accounts_auditlink SET code = NULL WHERE event = %s", events[4].pk)
        why = [(fault.why, fault.event) for fault in found()]
        assert why[0] == ("edited", events[1].pk) and why[1] == ("edited", events[2].pk)
        assert ("moved", events[4].pk) in why
    finally:
        tamper("TRUNCATE accounts_auditevent, accounts_auditlink")
        with connection.cursor() as cursor:
            for table, column in (("auditevent", "details"), ("auditevent", "code"), ("auditlink", "code")):
                cursor.execute(f"ALTER TABLE accounts_{table} ALTER {column} SET NOT NULL")


def position_of(event: AuditEvent) -> int:
    return AuditLink.objects.get(event=event.pk).position


def test_a_removed_event_is_named(events: list[AuditEvent]) -> None:
    position = position_of(events[3])
    tamper("DELETE FROM accounts_auditevent WHERE id = %s", events[3].pk)
    assert found() == [Fault("removed", position, events[3].pk)]


def test_a_removed_event_with_its_link_leaves_a_gap(events: list[AuditEvent]) -> None:
    position = position_of(events[3])
    tamper("DELETE FROM accounts_auditevent WHERE id = %s", events[3].pk)
    tamper("DELETE FROM accounts_auditlink WHERE event = %s", events[3].pk)
    assert found()[0] == Fault("gap", position, None)
    tamper("UPDATE accounts_auditlink SET position = position - 1 WHERE position > %s", position)
    assert found()[0] == Fault("moved", position, events[4].pk)


def test_an_invented_event_is_named_in_the_chain_and_beside_it(events: list[AuditEvent]) -> None:
    copied = "at, kind, actor, actor_name, practice, subject, subject_name, request_id, address"
    sql = (
        f"INSERT INTO accounts_auditevent ({copied}, details, key_name, code) "  # noqa: S608
        f"SELECT {copied}, '{{}}', %s, code FROM accounts_auditevent WHERE id = %s RETURNING id"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, ["", events[0].pk])
        bare = cursor.fetchone()[0]
        cursor.execute(sql, [events[0].key_name, events[0].pk])
        signed = cursor.fetchone()[0]
    assert {fault.event for fault in found() if fault.why == "invented"} == {bare, signed}
    audit_chain.lengthen()
    assert Fault("edited", position_of(AuditEvent.objects.get(pk=signed)), signed) in found()


def test_a_copy_to_the_letter_is_invented(events: list[AuditEvent]) -> None:
    columns = ", ".join(field.column for field in AuditEvent._meta.fields if field.name != "id")
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO accounts_auditevent ({columns}) "  # noqa: S608
            f"SELECT {columns} FROM accounts_auditevent WHERE id = %s RETURNING id",
            [events[0].pk],
        )
        copy = cursor.fetchone()[0]
    assert found() == [Fault("invented", None, copy)]
    audit_chain.lengthen()
    assert found() == [Fault("edited", position_of(AuditEvent.objects.get(pk=copy)), copy)]


def test_two_that_changed_places_are_named(events: list[AuditEvent]) -> None:
    first, second = position_of(events[1]), position_of(events[4])
    tamper("UPDATE accounts_auditlink SET event = -event WHERE position IN (%s, %s)", first, second)
    tamper(
        "UPDATE accounts_auditlink SET event = CASE position WHEN %s THEN %s ELSE %s END WHERE event < 0",
        first, events[4].pk, events[1].pk,
    )  # fmt: skip
    assert found()[0] == Fault("moved", first, events[4].pk)


def test_a_cut_tail_is_known_by_the_anchor(
    events: list[AuditEvent], settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "anchors"
    settings.AUDIT_ANCHOR_FILE = str(file)
    anchor = audit_chain.write_anchor(now=timezone.now())
    assert anchor and audit_chain.read_anchors(file) == [anchor]
    assert found(anchors=[anchor]) == []
    tail = [events[4].pk, events[5].pk]
    tamper("DELETE FROM accounts_auditlink WHERE event = ANY(%s)", tail)
    tamper("DELETE FROM accounts_auditevent WHERE id = ANY(%s)", tail)
    assert found() == [], "nothing inside tells"
    assert found(anchors=[anchor]) == [Fault("cut", anchor.position, None)]


def test_another_chain_of_the_same_length_is_known_by_the_anchor(events: list[AuditEvent]) -> None:
    anchor = audit_chain.Anchor(AuditLink.objects.count(), "00" * 32)
    last = AuditLink.objects.latest("position")
    assert found(anchors=[anchor]) == [Fault("moved", last.position, last.event)]


def test_an_event_that_nobody_chains_is_told_after_ten_minutes(events: list[AuditEvent]) -> None:
    with transaction.atomic():
        ago = timezone.now() - timedelta(minutes=11)
        lost = audit.record("account:role:granted", actor=UserFactory(), at=ago, role="admin")
    note(UserFactory(), role="admin")
    assert found() == [Fault("unchained", None, lost.pk)]


def test_events_of_before_the_chain_are_no_fault() -> None:
    AuditEvent.objects.create(at=timezone.now(), kind="account:role:granted", actor=uuid4(), actor_name="X")
    note(UserFactory(), role="admin")
    audit_chain.lengthen()
    assert found() == []


# --- retention -------------------------------------------------------------------------------
def long_ago(kind: str, age: timedelta) -> int:
    with transaction.atomic():
        made = audit.record(kind, actor=UserFactory(), at=timezone.now() - age)
    return made.pk


def remove(number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_auditevent WHERE id = %s", [number])


@pytest.fixture
def aged(events: list[AuditEvent]) -> dict[str, int]:
    """Events of before and after the end of their retention, in the chain among others."""
    day = timedelta(days=2)
    made = {
        "due": long_ago("account:session:began", 2 * YEAR + day),
        "kept": long_ago("account:session:began", 2 * YEAR - day),
        "health": long_ago("ehealth:mailbox:fetched", 10 * YEAR - day),
        "read": long_ago("platform:person:read", 3 * YEAR),
        "due health": long_ago("ehealth:mailbox:fetched", 10 * YEAR + day),
    }
    note(UserFactory(), role="admin")
    audit_chain.lengthen()
    return made


def test_what_has_passed_its_retention_goes_and_the_chain_still_verifies(aged: dict[str, int]) -> None:
    before, anchor = AuditEvent.objects.count(), audit_chain.write_anchor(now=timezone.now())
    assert anchor
    tasks.purge_expired()
    gone = {aged["due"], aged["due health"]}
    assert set(AuditPruned.objects.values_list("pk", flat=True)) == gone
    assert AuditEvent.objects.count() == before - 2 == AuditLink.objects.count() - 2
    assert not AuditEvent.objects.filter(pk__in=gone).exists()
    note(UserFactory(), role="admin")
    audit_chain.lengthen()
    assert found(anchors=[anchor]) == [] and audit_chain.prune() == 0


def test_a_tampered_event_is_not_erased_with_its_fault(aged: dict[str, int]) -> None:
    tamper("UPDATE accounts_auditevent SET actor_name = 'X' WHERE id = %s", aged["due"])
    assert audit_chain.prune() == 1
    assert [(fault.why, fault.event) for fault in found()] == [("edited", aged["due"])]


def test_nothing_is_erased_before_it_is_in_the_chain() -> None:
    long_ago("account:session:began", 3 * YEAR)
    assert audit_chain.prune() == 0


@pytest.mark.parametrize("name", ["kept", "health", "read"])
def test_the_database_refuses_what_is_younger_even_with_a_mark(aged: dict[str, int], name: str) -> None:
    AuditPruned.objects.create(event=aged[name], key_name="k1", code=b"x")
    with pytest.raises(ProgrammingError, match="append-only"):
        remove(aged[name])


def test_the_database_refuses_without_a_mark_and_a_false_mark_is_named(aged: dict[str, int]) -> None:
    with pytest.raises(ProgrammingError, match="append-only"):
        remove(aged["due"])
    AuditPruned.objects.create(event=aged["due"], key_name=audit_chain.key_name(), code=b"x" * 32)
    remove(aged["due"])
    assert [(fault.why, fault.event) for fault in found()] == [("removed", aged["due"])]


@pytest.mark.parametrize(
    "change",
    ["DELETE FROM accounts_auditpruned", "UPDATE accounts_auditpruned SET event = event + 1000",
     "UPDATE accounts_auditpruned SET key_name = 'é'"],
)  # fmt: skip
def test_a_mark_that_is_changed_is_named(aged: dict[str, int], change: str) -> None:
    audit_chain.prune()
    with pytest.raises(ProgrammingError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(change)
    tamper(change)
    assert {fault.why for fault in found()} == {"removed"}


# --- the database refuses, and a change without its event does not happen ---------------------
@pytest.mark.parametrize("table", ["auditevent", "auditlink"])
@pytest.mark.parametrize("verb", ["UPDATE accounts_{} SET code = 'x'", "DELETE FROM accounts_{}"])
def test_the_database_refuses_change(events: list[AuditEvent], table: str, verb: str) -> None:
    with (
        pytest.raises(ProgrammingError, match=f"accounts_{table} is append-only"),
        connection.cursor() as cursor,
    ):
        cursor.execute(verb.format(table))


@pytest.mark.parametrize("table", UNTRUNCATED)
def test_the_database_refuses_to_empty_the_trail(events: list[AuditEvent], table: str) -> None:
    """With the trigger in force, as everywhere but in this test's database."""
    with (
        pytest.raises(ProgrammingError, match=f"{table} is append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER {UNTRUNCATED[table]}")
        cursor.execute(f"TRUNCATE {table}")
    assert AuditEvent.objects.count() == AuditLink.objects.count() == len(events)


@contextmanager
def no_more_events() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditevent ADD CONSTRAINT full_disk CHECK (id < 0) NOT VALID")
        try:
            yield
        finally:
            cursor.execute("ALTER TABLE accounts_auditevent DROP CONSTRAINT full_disk")


def test_what_cannot_be_written_down_is_not_done() -> None:
    manager = UserFactory(roles=["admin"])
    user = UserFactory(practice=manager.practice)
    with no_more_events(), pytest.raises(IntegrityError):
        people.deactivate(user=user, by=manager, now=timezone.now())
    user.refresh_from_db()
    assert user.is_active


# --- the command -----------------------------------------------------------------------------
def test_the_command_counts_and_names_the_first_fault(
    events: list[AuditEvent], settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("verify_audit")
    assert f"{AuditLink.objects.count()} events in the chain" in capsys.readouterr().out
    tamper("UPDATE accounts_auditevent SET subject_name = 'X' WHERE id = %s", events[1].pk)
    with pytest.raises(CommandError, match="1 faults"):
        call_command("verify_audit")
    position = position_of(events[1])
    assert capsys.readouterr().out.splitlines()[0] == f"edited: position {position}, event {events[1].pk}"
    broken = tmp_path / "anchors"
    broken.write_text(json.dumps({"position": 1}) + "\n")
    with pytest.raises(CommandError, match="without position or code"):
        call_command("verify_audit", anchors=broken)
