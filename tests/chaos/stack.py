"""Broker, simulator, worker and beat as `up` starts them, each to be killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from django.db import connection as database

from medisetup.local import broker
from medisetup.local.process import Child, Program, free_port
from medisetup.management.commands.up import BEAT, PROJECT, WORKER, wrote
from tests.platform import Simulator

LATENCY = 250
"""Milliseconds before each answer of the platform, so that kills land while calls are under way."""
CALL_SECONDS = 5
"""The client's own limit for one call, all told."""


class Stack:
    """`start` the parts, `kill` one by its name, `start` it again on what it left behind."""

    def __init__(self, folder: Path, *, sweep_seconds: int = 1) -> None:
        self.folder = folder
        self.broker = broker.broker_in(folder / "broker", port=free_port(), password="chaos")
        self.broker.prepare()
        self.simulator = Simulator.start(folder / "platform", latency=LATENCY)
        self.sweep_seconds = sweep_seconds
        self.children: dict[str, Child] = {}

    def start(self, name: str) -> None:
        """The named part, ready but for the worker and beat, which take up work when they can."""
        if name == "simulator":
            self.simulator.restart()
            return
        child = Child.start(self._program(name))
        self.children[name] = child
        if name == "broker":
            child.wait_ready()

    def start_all(self) -> None:
        """Everything but the simulator, which runs all the time; the broker starts empty."""
        self.start("broker")
        self.flush()
        for name in ("worker", "beat"):
            self.start(name)
        for name in ("worker", "beat"):
            self.children[name].wait_ready()

    def kill(self, name: str) -> None:
        """SIGKILL, to every process of the part; `child` is one process of the worker's pool."""
        if name == "simulator":
            self.simulator.kill()
        elif name == "child":
            self._kill_child()
        elif name in self.children:
            self.children[name].kill_group()
            self.children[name].process.wait()

    def end(self) -> None:
        """Worker, beat and broker at once; the simulator stays."""
        for name in ("worker", "beat", "broker"):
            self.kill(name)
        self.children.clear()

    def signal(self, name: str, number: signal.Signals) -> None:
        """To every process of the part."""
        os.killpg(self.children[name].process.pid, number)

    def flush(self) -> None:
        """Everything the broker holds is gone."""
        self.order("FLUSHALL")

    def order(self, line: str) -> None:
        """One command to the broker that answers OK."""
        with socket.create_connection(("127.0.0.1", self.broker.port), timeout=5) as talk:
            talk.sendall(f"AUTH {self.broker.password}\r\n{line}\r\n".encode())
            answer = b""
            while answer.count(b"+OK") < 2:
                part = talk.recv(100)
                assert part and b"-" not in part, answer + part
                answer += part

    def running(self, name: str) -> bool:
        return self.children[name].running

    def look_after(self) -> None:
        """Start again what ended by itself, as the supervisor of `up` and that of production do."""
        for name in [name for name in self.children if not self.running(name)]:
            self.start(name)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def _kill_child(self) -> None:
        """Nothing when there is none: the worker is down or just starting."""
        worker = self.children["worker"].process.pid
        with suppress(FileNotFoundError, IndexError, ProcessLookupError):
            pool = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
            os.kill(int(pool[0]), signal.SIGKILL)

    def _program(self, name: str) -> Program:
        log = self.folder / f"{name}.log"
        if name == "broker":
            return self.broker.program(log)
        command, sign = (WORKER, " ready.") if name.startswith("worker") else (BEAT, "beat: Starting")
        return self._celery(name, log, command, wrote(log, sign))

    def _celery(self, name: str, log: Path, command: tuple[str, ...], ready: Callable[[], bool]) -> Program:
        return Program(
            name=name,
            command=[sys.executable, *command, *(["-n", f"{name}@chaos"] if command is WORKER else [])],
            log=log,
            environment=self.environment(),
            directory=PROJECT,
            ready=ready,
            ready_seconds=90,
        )

    def environment(self) -> dict[str, str]:
        address = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database.settings_dict['NAME']}")
        outbox = self.folder / "outbox"
        outbox.mkdir(exist_ok=True)
        return os.environ | {
            "DJANGO_SETTINGS_MODULE": "medisetup.settings",
            "DATABASE_URL": address.geturl(),
            "REDIS_URL": self.broker.url(),
            "OUTBOX_DIR": str(outbox),
            "EHEALTH_BASE_URL": self.simulator.base_url,
            "EHEALTH_ISSUERS_FILE": str(self.simulator.data / "issuing-ca.pem"),
            "EHEALTH_STS_CERTIFICATES_FILE": str(self.simulator.data / "sts.pem"),
            "EHEALTH_TIMEOUTS": f"2,3,{CALL_SECONDS}",
            "SWEEP_SECONDS": str(self.sweep_seconds),
            "PYTHONUNBUFFERED": "1",
        }
