"""A new sealing key takes over: every sealed value, killed in the middle, beside other writers."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.db.models import BinaryField
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import audit, emails
from accounts.actions import factor, keys
from accounts.models import Mail, PersonalKey, User
from accounts.sealing import sealer
from ehealth import custody
from ehealth.models import Keystore, PlatformSession
from medisetup import sealed
from practitioners import imports
from tests import cast
from tests.accounts.factories import UserFactory
from tests.ehealth.factories import KeystoreFactory

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
# Bytes that are no secret: public keys, and codes made with a key that is not stored.
OPEN = {
    "accounts_personalkey.spki",
    "accounts_auditevent.code",
    "accounts_auditlink.code",
    "accounts_auditpruned.code",
}


def key(name: str) -> str:
    return f"{name}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


K1, K2 = key("k1"), key("k2")


@pytest.fixture
def old(settings: Settings) -> str:
    """The key of before, alone in the ring."""
    settings.SEALING_KEYS = K1
    return K1


def one_of_each() -> User:
    """A value in every sealed column."""
    user: User = cast.ready_doctor()
    live = PersonalKey.objects.live().get(user=user)
    live.file_code = sealer().seal(b"code", **keys.place(live))
    PersonalKey.objects.filter(pk=live.pk).update(protection="portal", file_code=live.file_code)
    seed = base64.b64encode(sealer().seal(b"seed", **factor.place(user))).decode()
    Authenticator.objects.create(user=user, type="totp", data={"seed": seed, "step": 7})
    Authenticator.objects.create(user=user, type="recovery_codes", data={"hashes": []})
    Keystore.objects.filter(user=user).delete()
    keystore = KeystoreFactory.build(user=user)
    session = PlatformSession(keystore=keystore, not_on_or_after=timezone.now() + timedelta(hours=5))
    custody.seal(keystore, "blob", b"file")
    custody.seal_identity(keystore, b"key", [b"chain"])
    keystore.save()
    custody.seal_identity(session, b"key", [b"chain"])
    custody.seal(session, "assertion", b"assertion")
    session.keystore = keystore
    session.save()
    with transaction.atomic():
        emails.queue("key_lost", user=user, ring_now=False)
        audit.record("account:key:backed_up", actor=user, subject=user)
        manager = UserFactory(practice=user.practice, roles=["user_manager"])
        person = imports.Person(2, {"first_name": "Anne"})
        imports.propose(by=manager, digest="f" * 64, people=[person], now=timezone.now())
    return user


def opened() -> dict[str, list[bytes]]:
    """What each column holds, opened."""
    return {
        str(column): [sealer().open(bytes(row.sealed), **column.place(row)) for row in column.rows()]
        for column in sealed.COLUMNS
    }


def rewrapped(*options: str) -> str:
    told = StringIO()
    call_command("rewrap", *options, stdout=told)
    return told.getvalue()


def test_every_column_of_bytes_is_known_to_be_sealed_or_not() -> None:
    found = {
        f"{model._meta.db_table}.{field.column}"
        for model in apps.get_models()
        for field in model._meta.local_fields
        if isinstance(field, BinaryField)
    }
    listed = {str(column) for column in sealed.COLUMNS}
    assert found == OPEN | (listed - {"mfa_authenticator.data"})


def test_all_values_open_under_the_new_key_alone_afterwards(old: str, settings: Settings) -> None:
    one_of_each()
    before = opened()
    assert all(before.values())
    settings.SEALING_KEYS = f"{K2},{K1}"
    with pytest.raises(CommandError, match="not under the first key"):
        rewrapped("--check")
    dry = rewrapped("--dry-run")
    assert "accounts_mail.content: 1 sealed, 1 to rewrap" in dry
    assert all(sealed.under_other_keys(column).keys() == {"k1"} for column in sealed.COLUMNS)
    assert "ehealth_platformsession.assertion: 1 sealed, 1 rewrapped" in rewrapped()
    rewrapped("--check")
    assert "accounts_mail.content: 1 sealed, 0 rewrapped" in rewrapped()
    settings.SEALING_KEYS = K2
    assert opened() == before
    assert Authenticator.objects.get(type="totp").data["step"] == 7


def test_a_value_that_no_key_opens_is_named_and_the_others_go_on(old: str, settings: Settings) -> None:
    one_of_each()
    strange = Keystore.objects.get()
    Keystore.objects.filter(pk=strange.pk).update(blob=bytes(strange.chain))
    settings.SEALING_KEYS = f"{K2},{K1}"
    told = StringIO()
    with pytest.raises(CommandError, match="1 values cannot be opened"):
        call_command("rewrap", stdout=told)
    assert f"cannot be opened: rows {strange.pk}" in told.getvalue()
    left = {str(column): sealed.under_other_keys(column) for column in sealed.COLUMNS}
    assert {name for name, found in left.items() if found} == {"ehealth_keystore.blob"}


def test_the_deployment_check_names_what_each_key_is_needed_for(old: str, settings: Settings) -> None:
    def found() -> set[tuple[str, bool]]:
        told = checks.run_checks(tags=["database"], include_deployment_checks=True, databases=["default"])
        return {(str(one.id), "accounts_mail" in one.msg) for one in told}

    one_of_each()
    assert found() == set()
    settings.SEALING_KEYS = f"{K2},{K1}"
    assert ("medisetup.W101", True) in found()
    settings.SEALING_KEYS = K2
    assert {("medisetup.E101", True), ("medisetup.W102", False)} <= found()


def test_a_change_beside_it_wins_and_is_rewrapped_too(old: str, settings: Settings) -> None:
    """A process that still seals with the old key writes a row just as it is rewrapped."""
    one_of_each()
    keystore = Keystore.objects.select_related("user").get()
    custody.seal(keystore, "blob", b"newer file")
    settings.SEALING_KEYS = f"{K2},{K1}"
    column = next(column for column in sealed.COLUMNS if str(column) == "ehealth_keystore.blob")
    reports: list[sealed.Report] = []

    def work() -> None:
        try:
            reports.append(sealed.rewrap(column))
        finally:
            connections.close_all()

    worker = threading.Thread(target=work)
    with transaction.atomic():
        Keystore.objects.filter(pk=keystore.pk).update(blob=keystore.blob)
        worker.start()
        time.sleep(1)  # it has read the older value and waits for the row
    worker.join(30)
    assert (reports[0].sealed, reports[0].rewrapped, reports[0].unreadable) == (1, 1, [])
    keystore.refresh_from_db()
    settings.SEALING_KEYS = K2
    assert custody.unseal(keystore, "blob") == b"newer file"


def test_an_accepted_code_is_not_forgotten_by_a_rewrap_beside_it(old: str, settings: Settings) -> None:
    one_of_each()
    column = next(column for column in sealed.COLUMNS if str(column) == "mfa_authenticator.data")
    row = column.rows().get()
    settings.SEALING_KEYS = f"{K2},{K1}"
    new = sealer().rewrap(bytes(row.sealed), **column.place(row))
    Authenticator.objects.filter(pk=row.pk).update(data=row.data | {"step": 99})
    assert column.replace(row.pk, bytes(row.sealed), new)
    assert Authenticator.objects.get(pk=row.pk).data["step"] == 99
    assert not column.replace(row.pk, bytes(row.sealed), new)


def test_killed_in_the_middle_it_goes_on_where_it_stopped(old: str, settings: Settings) -> None:
    user = UserFactory()
    mails = [Mail(user=user, kind="reminder", to=user.email) for _ in range(2_000)]
    for number, mail in enumerate(mails):
        mail.content = sealer().seal(str(number).encode(), **emails.place(mail))
    Mail.objects.bulk_create(mails)
    settings.SEALING_KEYS = ring = f"{K2},{K1}"
    column = next(column for column in sealed.COLUMNS if str(column) == "accounts_mail.content")

    def done() -> int:
        return len(mails) - sum(map(len, sealed.under_other_keys(column).values()))

    process = subprocess.Popen([sys.executable, "manage.py", "rewrap"], cwd=ROOT, env=environment(ring))
    deadline = time.monotonic() + 60
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    assert 0 < done() < len(mails)
    rewrapped()
    settings.SEALING_KEYS = K2
    assert {bytes(one) for one in opened()[str(column)]} == {str(n).encode() for n in range(len(mails))}


def environment(ring: str) -> dict[str, str]:
    """For a process of its own on the database of this test."""
    name: Any = connection.settings_dict["NAME"]
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    return os.environ | {"DATABASE_URL": database, "SEALING_KEYS": ring}
