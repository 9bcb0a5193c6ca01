"""`docs/security.md` and `docs/threats.md` say what is there (security SR-144, SR-148, SR-149)."""

from __future__ import annotations

import ast
import dataclasses
import re
from datetime import timedelta
from functools import cache

import pytest
from django.conf import settings
from django.db import connection

from accounts import devices, keys, sealing
from accounts.access import MATRIX, STAFF, Capability
from accounts.actions import factor, invitations
from accounts.hashing import Argon2
from accounts.models import Role
from ehealth import keystore, keystore_child
from ehealth.client import wsse
from ehealth.client.platform import Platform
from medisetup import gunicorn
from tests.register import PAGE, TESTS, Line, lines

ROOT = TESTS.parent
THREATS = (ROOT / "docs/threats.md").read_text()
LINES = lines()


def named(entry: Line) -> str:
    return f"SR-{entry.number}"


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_requirement_is_there_once_and_in_order() -> None:
    assert [entry.number for entry in LINES] == list(range(1, 151))
    assert PAGE.read_text().partition("\n## ")[0].count("\n| ") == 150 + 1, "a line that is not read"


@pytest.mark.parametrize("entry", LINES, ids=named)
def test_a_line_has_modules_that_exist_and_tests_or_a_reason(entry: Line) -> None:
    assert entry.asks and entry.modules and (entry.tests or entry.left)
    assert [path for path in entry.modules if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("entry", LINES, ids=named)
def test_every_named_test_exists(entry: Line) -> None:
    for file, names in entry.tests.items():
        assert (TESTS / file).is_file(), file
        assert set(names) - functions(file) == set(), file


def test_how_much_is_held_is_told() -> None:
    held = sum(not entry.left for entry in LINES)
    partly = sum(bool(entry.left and entry.tests) for entry in LINES)
    print(f"\n{held} held, {partly} with something left, {150 - held - partly} without a test")  # noqa: T201
    assert held >= 75


# --- what stands below the table ------------------------------------------------------------
def part(title: str) -> str:
    return PAGE.read_text().partition(f"## {title}")[2].partition("\n## ")[0]


def test_the_algorithms_are_those_of_the_code() -> None:
    rounds = re.search(r"ROUNDS = ([\d_]+)", (ROOT / "static/js/keys/file.js").read_text())
    assert rounds
    for told in (
        f"Argon2id, {Argon2.memory_cost // 1024} MiB, {Argon2.time_cost} passes",
        f"a key of {sealing.KEY_LENGTH} bytes for each value",
        f"nonces of {sealing.NONCE_LENGTH} bytes",
        f"of {factor.CODE_BYTES * 8} bits",
        f"{settings.PASSWORD_RESET_TIMEOUT // 60} minutes (reset)",
        f"{invitations.VALID_FOR // timedelta(hours=1)} hours (invitation)",
        f"{devices.KNOWN_FOR // 86400} days (device)",
        f"seed of {factor.SEED_BYTES * 8} bits",
        f"RSA {keys.SMALLEST_NEW_KEY} bits, e = {keys.EXPONENT}",
        f"{keys.SMALLEST_IMPORTED_KEY} bits for an imported one",
        f"PBKDF2-SHA-256 with {int(rounds[1])} rounds",
        f"valid {wsse.LIFETIME.seconds} seconds",
        f"RSA of {keystore.SMALLEST_RSA} bits, curves of {keystore.SMALLEST_CURVE} bits at least",
    ):
        assert told in part("Algorithms and keys"), told


def in_force(setting: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {setting}")
        return str(cursor.fetchone()[0]).removesuffix("s")


@pytest.mark.django_db
def test_the_limits_of_waiting_are_those_in_force() -> None:
    broker = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    of_database = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    platform = {field.name: field.default for field in dataclasses.fields(Platform)}
    called = (platform[f"{name}_timeout"] for name in ("connect", "read", "call"))
    task = (settings.CELERY_TASK_SOFT_TIME_LIMIT, settings.CELERY_TASK_TIME_LIMIT)
    request = (gunicorn.timeout, gunicorn.keepalive)
    opened = (keystore_child.CPU_SECONDS, keystore.WALL_SECONDS, keystore.QUEUE_SECONDS)
    found = {
        "a connection to the database": f"{settings.DATABASES['default']['OPTIONS']['connect_timeout']}",
        "a statement; a lock; an idle transaction": "; ".join(map(in_force, of_database)),
        "the broker: connect, answer": f"{broker['socket_connect_timeout']}, {broker['socket_timeout']}",
        "a mail server": f"{settings.EMAIL_TIMEOUT}",
        "the platform: connect, read, whole call": ", ".join(f"{limit:g}" for limit in called),
        "a task: asked to end, killed": ", ".join(map(str, task)),
        "a request in the web; the next one on a kept connection": "; ".join(map(str, request)),
        "a keystore: processor, clock, its turn": ", ".join(f"{limit:g}" for limit in opened),
    }
    told = re.findall(r"^\| (.+) \| ([\d;, ]+) \|$", part("Limits of waiting"), flags=re.M)
    assert dict(told) == found


# --- the threats ------------------------------------------------------------------------------
def test_every_module_that_the_threats_name_exists() -> None:
    paths = re.findall(r"`([\w/]+(?:\.\w+|/))`", THREATS)
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_confidentiality_list_is_the_table_of_rights() -> None:
    """What each role of the list may do about colleagues is what `accounts.access` says."""
    told = {
        who: set(re.findall(r"`(\w+)`", rights))
        for who, rights in re.findall(r"^\| `(\w+)` \| (.*?) \|", THREATS, flags=re.M)
    }
    wanted = {str(role): set(map(str, MATRIX.get(role, ()))) for role in Role.values}
    assert told == wanted | {"is_staff": set(map(str, STAFF))}
    assert set().union(*told.values()) == {str(right) for right in Capability}
