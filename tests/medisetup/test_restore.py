"""A copy is made and restored by PostgreSQL's own programs: found whole, and nobody is registered twice."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import audit, audit_chain
from billing.bank import account
from ehealth.models import EdmgRegistration, EdmgRequest, Keystore, Mutuality
from medisetup.local import postgres
from tests.conftest import UNTRUNCATED
from tests.ehealth.conftest import Doctor, doctor, new_doctor, running, simulator
from tests.ehealth.test_edmg import IBAN, OTHER, accepted, ask, send_all

__all__ = ["doctor", "new_doctor", "running", "simulator"]
pytestmark = pytest.mark.django_db(transaction=True)
State = EdmgRegistration.State


def truncate_triggers(verb: str) -> None:
    with connection.cursor() as cursor:
        for table, trigger in UNTRUNCATED.items():
            cursor.execute(f"ALTER TABLE {table} {verb} TRIGGER {trigger}")


@pytest.fixture
def copies(tmp_path: Path) -> Iterator[Path]:
    """Where a copy goes; the triggers of the audit trail are all in force, as they are in production."""
    truncate_triggers("ENABLE")
    yield tmp_path / "copy"
    truncate_triggers("DISABLE")


def run(program: str, *arguments: str) -> None:
    place = (
        urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    )
    command = [str(postgres.find().programs / program), "-d", place.replace("postgres:", "postgresql:", 1)]
    connection.close()
    subprocess.run([*command, *arguments], check=True, timeout=120)


def make(copy: Path) -> None:
    run("pg_dump", "--format=custom", "--file", str(copy))


def restore(copy: Path) -> None:
    run("pg_restore", "--clean", "--if-exists", "--exit-on-error", "--single-transaction", str(copy))


def verified(*options: str) -> str:
    told = StringIO()
    call_command("verify_restore", *options, stdout=told)
    return told.getvalue()


@pytest.fixture
def three(new_doctor: Callable[[], Doctor]) -> list[Doctor]:
    """Three doctors, connected."""
    made = [new_doctor() for _ in range(3)]
    for one in made:
        one.connect(auto=True)
    return made


def test_after_an_older_copy_nobody_is_registered_twice(three: list[Doctor], copies: Path) -> None:
    for one in three:
        ask(one)
    references = set(EdmgRegistration.objects.values_list("reference", flat=True))
    make(copies)
    for one in three:
        assert set(send_all(one).values()) == {State.REGISTERED}
    restore(copies)
    assert set(EdmgRegistration.objects.values_list("state", flat=True)) == {State.QUEUED}
    told = verified("--doubt")
    assert told.count("may be behind: ") == 21 and "21 registrations keep their reference" in told
    # The platform refuses for a moment, and the owner asks again, with another account even.
    first = three[0]
    first.simulator.fault("soa", service="registration", value="SOA-01002", ssin=first.ssin, count=7)
    assert set(send_all(first).values()) == {State.NEEDS_ACTION}
    ask(first, accounts=dict.fromkeys(Mutuality.values, account(OTHER)))
    assert set(EdmgRegistration.objects.values_list("iban", flat=True)) == {IBAN}
    assert set(EdmgRegistration.objects.values_list("reference", flat=True)) == references
    for one in three:
        assert set(send_all(one).values()) == {State.REGISTERED}
        assert accepted(one) == dict.fromkeys(Mutuality.values, 1)
    assert verified().count("may be behind: ") == 0


def test_what_was_asked_after_the_copy_is_asked_again_and_known(three: list[Doctor], copies: Path) -> None:
    make(copies)
    for one in three:
        ask(one)
        send_all(one)
    restore(copies)
    assert not EdmgRequest.objects.exists()
    verified("--doubt")
    for one in three:
        ask(one)
        assert set(send_all(one).values()) == {State.ALREADY_REGISTERED}
        assert accepted(one) == dict.fromkeys(Mutuality.values, 1)


def test_a_copy_that_is_not_whole_is_named(
    three: list[Doctor], copies: Path, settings: Settings, tmp_path: Path
) -> None:
    settings.AUDIT_ANCHOR_FILE = str(tmp_path / "anchors")
    audit_chain.lengthen()
    with transaction.atomic():
        yesterday = timezone.now() - timedelta(days=1)
        audit.record("account:session:began", actor=three[0].user, subject=three[0].user, at=yesterday)
    make(copies)
    audit_chain.lengthen()
    audit_chain.write_anchor(now=timezone.now())
    restore(copies)
    assert "this copy is older: it lacks 1 events of the audit trail" in verified()
    keystore = Keystore.objects.latest("pk")
    Keystore.objects.filter(pk=keystore.pk).update(blob=bytes(keystore.chain))
    assert f"ehealth_keystore.blob: row {keystore.pk} cannot be opened" in refused()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditevent DISABLE TRIGGER audit_append_only")
        cursor.execute("UPDATE accounts_auditevent SET kind = 'x'")
    told = refused()
    assert "trigger switched off: audit_append_only" in told and "audit trail: edited" in told
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditevent ENABLE TRIGGER audit_append_only")
    settings.SEALING_KEYS = "k1:" + base64.b64encode(secrets.token_bytes(32)).decode()
    assert f"ehealth_keystore.key: row {keystore.pk} cannot be opened" in refused()


def refused() -> str:
    told = StringIO()
    with pytest.raises(CommandError, match="faults: this copy is not whole"):
        call_command("verify_restore", stdout=told)
    return told.getvalue()
