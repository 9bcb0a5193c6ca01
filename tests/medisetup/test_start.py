"""What must not start does not: each unsafe setting alone, and the entry points as processes."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from medisetup import start

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
WEB = (sys.executable, "-c", "import medisetup.wsgi")
CELERY = (sys.executable, "-m", "celery", "-A", "medisetup")
GUNICORN = (
    sys.executable,
    "-m",
    "gunicorn",
    "-c",
    "python:medisetup.gunicorn",
    "-b",
    "127.0.0.1:0",
    "medisetup.wsgi",
)
WORKER, BEAT = (
    (*CELERY, "worker", "--pool", "solo"),
    (*CELERY, "beat", "--scheduler", "celery.beat:Scheduler", "--pidfile="),
)
IN_ORDER = base64.b64encode(bytes(range(32))).decode()
SAFE = {
    "SECRET_KEY": secrets.token_urlsafe(64),
    "PORTAL_ORIGIN": "https://portail.be",
    "SECURE": True,
    "ALLOWED_HOSTS": ["portail.be"],
    "EHEALTH_ENVIRONMENT": "production",
    "EHEALTH_BASE_URLS": ["https://services.ehealth.fgov.be"],
}
NOWHERE = "postgres://nobody:none@127.0.0.1:9/none"


@pytest.fixture
def production(tmp_path: Path, db: None) -> dict[str, str]:
    """A safe environment on the database of this run."""
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    (tmp_path / "anchors.pem").touch()
    return {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "medisetup.settings",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "SEALING_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "PORTAL_ORIGIN": "https://portail.cabinet.be",
        "ALLOWED_HOSTS": "portail.cabinet.be",
        "TRUSTED_PROXY_COUNT": "1",
        "STATIC_ROOT": str(tmp_path),
        "DATABASE_URL": database.geturl(),
        "REDIS_URL": os.environ["REDIS_URL"],
        "EHEALTH_ISSUERS_FILE": str(tmp_path / "anchors.pem"),
        "EHEALTH_STS_CERTIFICATES_FILE": str(tmp_path / "anchors.pem"),
        "EHEALTH_LICENCE_NAME": "medisetup",
        "EHEALTH_LICENCE_USERNAME": "user",
        "EHEALTH_LICENCE_PASSWORD": "password",
    }


@pytest.fixture
def older_database(production: dict[str, str]) -> Iterator[dict[str, str]]:
    """The same, with a database that no migration has seen."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as line:
        line.execute("CREATE DATABASE unmigrated")
        address = urlsplit(os.environ["DATABASE_URL"])._replace(path="/unmigrated").geturl()
        yield production | {"DATABASE_URL": address}
        line.execute("DROP DATABASE unmigrated WITH (FORCE)")


def started(command: tuple[str, ...], environment: dict[str, str]) -> tuple[int, str]:
    """Exit status and what was said; a process that goes on for long was let in."""
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"SEALING_KEYS": "k1:c2hvcnQ="}, "SEALING_KEYS: give one or more"),
        ({"SEALING_KEYS": ""}, "SEALING_KEYS: give one or more"),
        ({"SEALING_KEYS": f"k1:{IN_ORDER}"}, "SEALING_KEYS: give one or more"),
        ({"SECRET_KEY": "k7Qz2mXp"}, "SECRET_KEY: 50 random characters"),
        ({"SECRET_KEY": "changeme-" + secrets.token_urlsafe(64)}, "SECRET_KEY: 50 random characters"),
        ({"SECRET_KEY": "django-insecure-" + secrets.token_urlsafe(64)}, "SECRET_KEY: 50 random characters"),
        ({"SECRET_KEY": "ab" * 40}, "SECRET_KEY: 50 random characters"),
        ({"SECRET_KEY_FALLBACKS": ["short"]}, "SECRET_KEY: 50 random characters"),
        ({"ALLOWED_HOSTS": ["*"]}, "ALLOWED_HOSTS: name the hosts"),
        ({"ALLOWED_HOSTS": ["portail.be", ".cabinet.be"]}, "ALLOWED_HOSTS: name the hosts"),
        ({"ALLOWED_HOSTS": []}, "ALLOWED_HOSTS: name the hosts"),
        ({"PORTAL_ORIGIN": "http://portail.be", "SECURE": False}, "PORTAL_ORIGIN: https"),
        ({"DEBUG": True}, "DEBUG, DEMO and the simulator are for this machine only"),
        ({"DEMO": True}, "DEBUG, DEMO and the simulator are for this machine only"),
        ({"EHEALTH_ENVIRONMENT": "simulation"}, "DEBUG, DEMO and the simulator are for this machine only"),
        ({"EHEALTH_ENVIRONMENT": "test"}, "EHEALTH_ENVIRONMENT: simulation, acceptance or production"),
        ({"EHEALTH_BASE_URLS": ["http://services.ehealth.fgov.be"]}, "EHEALTH_BASE_URL: https"),
        ({"EHEALTH_BASE_URLS": ["https://localhost:8100"]}, "EHEALTH_BASE_URL: https"),
        ({"EHEALTH_BASE_URLS": ["https://simulator:8100"]}, "EHEALTH_BASE_URL: https"),
        ({"EHEALTH_BASE_URLS": ["https://192.0.2.7"]}, "EHEALTH_BASE_URL: https"),
        ({"EHEALTH_CAPTURE_DIR": "/tmp/capture"}, "EHEALTH_CAPTURE_DIR: only with"),
        ({"KEY_SESSION_PROOF": "maybe"}, "KEY_SESSION_PROOF: required, warn or off"),
        ({"ADMIN_PATH": "people/"}, "ADMIN_PATH: the portal's own pages"),
        ({"EMAIL_HOST": "mail.cabinet.be"}, "EMAIL_URL: smtp+tls:// or smtp+ssl://"),
    ],
)
def test_each_unsafe_setting_alone_is_the_one_reason(
    settings: Settings, changed: dict[str, object], reason: str
) -> None:
    for name, value in (SAFE | changed).items():
        setattr(settings, name, value)
    with pytest.raises(start.UnsafeStart) as refused:
        start.refuse_unsafe()
    first, *reasons = str(refused.value).splitlines()
    assert first == "refuses to start" and len(reasons) == 1 and reasons[0].startswith(reason)


def test_the_web_starts_in_production_and_the_deployment_check_is_clean(production: dict[str, str]) -> None:
    assert started(WEB, production) == (0, "")
    check = (
        sys.executable,
        "manage.py",
        "check",
        "--deploy",
        "--database",
        "default",
        "--fail-level",
        "WARNING",
    )
    status, said = started(check, production)
    assert status == 0, said


@pytest.mark.parametrize("secure", ["EMAIL_USE_TLS", "EMAIL_USE_SSL"])
def test_a_mail_server_elsewhere_is_spoken_to_under_tls(settings: Settings, secure: str) -> None:
    for name, value in (SAFE | {"EMAIL_HOST": "mail.cabinet.be", secure: True}).items():
        setattr(settings, name, value)
    start.refuse_unsafe()


def test_the_web_leaves_no_core_file(production: dict[str, str]) -> None:
    """Keystores are opened for it, and sessions unsealed (SR-76)."""
    show = "import medisetup.wsgi, resource; print(resource.getrlimit(resource.RLIMIT_CORE))"
    assert started((sys.executable, "-c", show), production) == (0, "(0, 0)\n")


def test_a_database_that_is_down_does_not_keep_the_web_from_starting(production: dict[str, str]) -> None:
    status, said = started(WEB, production | {"DATABASE_URL": NOWHERE})
    assert status == 0 and "the database does not answer" in said


@pytest.mark.parametrize("command", [WEB, GUNICORN, WORKER, BEAT])
def test_nothing_starts_on_an_older_database(
    older_database: dict[str, str], command: tuple[str, ...]
) -> None:
    status, said = started(command, older_database)
    assert status != 0 and "the database lacks migrations (account." in said


@pytest.mark.parametrize("command", [GUNICORN, WORKER, BEAT])
def test_no_entry_point_starts_unsafely(production: dict[str, str], command: tuple[str, ...]) -> None:
    status, said = started(command, production | {"ALLOWED_HOSTS": "*"})
    assert status != 0 and "refuses to start\nALLOWED_HOSTS: name the hosts" in said


@pytest.mark.parametrize("missing", ["SECRET_KEY", "SEALING_KEYS", "DATABASE_URL"])
def test_a_missing_secret_is_named(production: dict[str, str], missing: str) -> None:
    del production[missing]
    status, said = started(WEB, production)
    assert status == 1 and f"Set the {missing} environment variable" in said


@pytest.mark.parametrize("command", ["makemigrations", "check", "migrate"])
def test_a_command_without_settings_names_the_first_that_is_missing(command: str) -> None:
    told = subprocess.run(
        [sys.executable, "manage.py", command], cwd=ROOT, env={}, capture_output=True, text=True, check=False
    )
    assert told.returncode == 1
    assert told.stderr == "Set the SECRET_KEY environment variable\n"
