"""Starts what the tests stand on: PostgreSQL and Valkey in a temporary folder, and the settings' environment.

Loaded with `-p tests.services`. The work is done at import because pytest-django reads the settings before
any hook of ours runs. The controller of a parallel run starts the services; its workers inherit the
addresses. A DATABASE_URL or REDIS_URL given from outside is used as it is.
"""

import atexit
import base64
import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from medisetup.local import broker, catalogues, postgres
from medisetup.local.process import Child, free_port

ENVIRONMENT = {
    "PORTAL_ORIGIN": "http://localhost:8000",
    "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
    "ADMIN_PATH": "support/",
    "EHEALTH_ENVIRONMENT": "simulation",
    "EHEALTH_BASE_URL": "http://127.0.0.1:9",
    "EHEALTH_LICENCE_NAME": "medisetup",
    "EHEALTH_LICENCE_USERNAME": "simulation",
    "EHEALTH_LICENCE_PASSWORD": "simulation",
}


def start() -> None:
    """Start what is missing, put everything into the environment, end it with this process."""
    folder = Path(tempfile.mkdtemp(prefix="medisetup-tests-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    password = secrets.token_hex(16)
    if "DATABASE_URL" not in os.environ:
        os.environ["DATABASE_URL"] = start_database(folder, password)
    if "REDIS_URL" not in os.environ:
        os.environ["REDIS_URL"] = start_broker(folder, password)
    provide_settings(folder)
    catalogues.compile_stale()


def start_database(folder: Path, password: str) -> str:
    options = postgres.TEST_OPTIONS | {"max_connections": "200"}
    server = postgres.server_in(folder, port=free_port(), password=password, options=options)
    server.prepare()
    run(Child.start(server.program(folder / "postgres.log")))
    server.create_database()
    return server.url()


def start_broker(folder: Path, password: str) -> str:
    server = broker.broker_in(folder / "broker", port=free_port(), password=password, durable=False)
    server.prepare()
    run(Child.start(server.program(folder / "broker.log")))
    return server.url()


def run(child: Child) -> None:
    atexit.register(child.stop)
    child.wait_ready()


def provide_settings(folder: Path) -> None:
    """What the settings require and nobody gave: secrets are made for this run."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(64))
    os.environ.setdefault("SEALING_KEYS", "k1:" + base64.b64encode(secrets.token_bytes(32)).decode())
    os.environ.setdefault("STATIC_ROOT", str(folder / "static"))
    (folder / "static").mkdir(exist_ok=True)
    for name in ("EHEALTH_ISSUERS_FILE", "EHEALTH_STS_CERTIFICATES_FILE"):
        (folder / f"{name.lower()}.pem").touch()
        os.environ.setdefault(name, str(folder / f"{name.lower()}.pem"))


def use_own_broker_database(worker: str) -> None:
    """Each worker of a parallel run has a broker database of its own: gw0 → 1, gw1 → 2 …"""
    number = int(re.sub(r"\D", "", worker)) + 1
    os.environ["REDIS_URL"] = urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{number}").geturl()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Keep out pytest-playwright's own `base_url`: a method, of which pytest 9 warns; warnings are errors."""
    early_config.pluginmanager.set_blocked("playwright-base-url")


if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    use_own_broker_database(worker)
else:
    start()
