"""The portal as it runs for people: web, worker, beat, broker, database, simulator, each its own process.

Everything lies in a folder of this test run; nothing is shared with the other tests but the database server.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from django.conf import settings
from django.db import connections
from django.test import override_settings

from ehealth.configuration import platform
from medisetup.local import broker
from medisetup.local.environment import Places, for_children
from medisetup.local.process import Child, Program, free_port
from medisetup.management.commands.up import BEAT, PROJECT, WORKER, answers, wrote
from tests.platform import Simulator

OWN_HERE = ("DATABASE_URL", "REDIS_URL", "PORTAL_ORIGIN", "ALLOWED_HOSTS", "STATIC_ROOT", "OUTBOX_DIR")
WEB = ("-m", "gunicorn", "-c", "python:medisetup.gunicorn")
SWEEP_SECONDS = 2
PATIENCE = 45.0


class Portal:
    """Running processes, and a door for a test to the portal's database.

    `start` puts everything up; `stop` ends it and drops the database. `simulator` may be killed.
    """

    def __init__(self, folder: Path, unblocked: Callable[[], Any]) -> None:
        self.places = Places(folder)
        self.port = free_port()
        self.origin = f"http://localhost:{self.port}"
        self.children: dict[str, Child] = {}
        self.unblocked = unblocked
        self.database = f"journeys_{secrets.token_hex(6)}"
        self.password = secrets.token_hex(16)
        self.simulator: Simulator
        self.environment: Mapping[str, str] = {}

    def start(self) -> None:
        self.places.make()
        execute(f"CREATE DATABASE {self.database}")
        with ThreadPoolExecutor(2) as pool:
            simulator = pool.submit(Simulator.start, self.places.simulator)
            address = self._broker()
            self.simulator = simulator.result()
        self.environment = self._environment(address)
        self._prepare()
        web = (*WEB, "-b", f"127.0.0.1:{self.port}", "medisetup.wsgi")
        health = f"http://127.0.0.1:{self.port}/health/live/"
        self._launch("worker", *WORKER, ready=wrote(self.log("worker"), " ready."))
        self._launch("beat", *BEAT, ready=wrote(self.log("beat"), "beat: Starting"))
        self._launch("web", *web, ready=lambda: answers(health))
        for child in self.children.values():
            child.wait_ready()

    def stop(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(Child.stop, [child for name, child in self.children.items() if name != "broker"]))
        self.children["broker"].stop()
        self.simulator.stop()
        execute(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")

    def log(self, name: str) -> Path:
        return self.places.logs / f"{name}.log"

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Code under this works on the portal's own database, as a command beside the processes would.

        Tasks that it rings go nowhere: the sweeps of the running beat find the rows.
        """
        connection = connections["default"]
        names = {
            "PORTAL_ORIGIN": self.origin,
            "EHEALTH_BASE_URLS": [self.simulator.base_url],
            "EHEALTH_ISSUERS_FILE": self.environment["EHEALTH_ISSUERS_FILE"],
            "EHEALTH_STS_CERTIFICATES_FILE": self.environment["EHEALTH_STS_CERTIFICATES_FILE"],
            "PASSWORD_HASHERS": settings.PASSWORD_HASHERS[-2:],
        }
        with self.unblocked(), override_settings(**names):
            connection.close()
            before, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], self.database
            platform.cache_clear()
            try:
                yield
            finally:
                connection.close()
                connection.settings_dict["NAME"] = before
                platform.cache_clear()

    def outcome(self, question: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Ask the portal's database until the answer is true, and give the answer."""
        deadline = time.monotonic() + seconds
        while True:
            with self.inside():
                answer = question()
            if answer or time.monotonic() > deadline:
                assert answer, "it did not happen in time"
                return answer
            time.sleep(0.2)

    def _broker(self) -> str:
        server = broker.broker_in(
            self.places.var / "broker", port=free_port(), password=self.password, durable=False
        )
        server.prepare()
        self.children["broker"] = Child.start(server.program(self.log("broker")))
        self.children["broker"].wait_ready()
        return server.url()

    def _environment(self, address: str) -> dict[str, str]:
        """What `manage.py up` would give its children; secrets are those of this run: tests write rows."""
        given = {
            name: value
            for name, value in os.environ.items()
            if name not in OWN_HERE and not name.startswith(("EHEALTH_", "DJANGO_ALLOW", "PYTEST"))
        }
        made = for_children(
            self.places,
            given=given,
            port=self.port,
            database=database_url(self.database),
            broker=address,
            simulator=self.simulator.base_url,
        )
        return made | {"SWEEP_SECONDS": str(SWEEP_SECONDS)}

    def _prepare(self) -> None:
        for name, command in (
            ("migrate", ("migrate", "--no-input")),
            ("static", ("collectstatic", "--no-input")),
        ):
            self._launch(name, "manage.py", *command, ready=lambda: True)
        for name in ("migrate", "static"):
            child = self.children.pop(name)
            assert child.process.wait(120) == 0, child.last_lines(25)

    def _launch(self, name: str, *command: str, ready: Callable[[], bool]) -> None:
        program = Program(
            name=name,
            command=[sys.executable, *command],
            log=self.log(name),
            environment=self.environment,
            directory=PROJECT,
            ready=ready,
            ready_seconds=60.0,
        )
        self.children[name] = Child.start(program)


def database_url(name: str) -> str:
    """The address of another database of the tests' server."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    return urlunsplit(parts._replace(path=f"/{name}"))


def execute(statement: str) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]
