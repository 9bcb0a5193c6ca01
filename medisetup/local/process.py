"""One child process: started in a session of its own, ended with its whole group, never left behind."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medisetup.local.trouble import Trouble

STOP_SECONDS = 10.0
TICK_SECONDS = 0.03
LOG_LIMIT = 5_000_000
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Account:
    """The system account a child runs under when it may not run under ours."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Program:
    """How one child is started, known to be ready, and ended.

    `ready` is asked again and again until it is true; it raises nothing. `death_signal` is what the kernel
    sends the child when this process is killed outright (Linux).
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] | None = None
    directory: Path | None = None
    account: Account | None = None
    ready: Callable[[], bool] = field(default=lambda: True)
    ready_seconds: float = 90.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = STOP_SECONDS
    death_signal: signal.Signals = signal.SIGKILL
    restarts: bool = True


class Child:
    """A running program. Make it with `Child.start`; end it with `stop`, which never raises."""

    def __init__(self, program: Program, process: "subprocess.Popen[bytes]", log_start: int) -> None:
        self.program = program
        self.process = process
        self.log_start = log_start
        self.started = time.monotonic()

    @classmethod
    def start(cls, program: Program, *, keep_open: Sequence[int] = ()) -> "Child":
        """Start the program, its output appended to its log; `keep_open` are descriptors it inherits."""
        log_start = open_log(program.log)
        with program.log.open("ab") as log:
            process = subprocess.Popen(
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if program.environment is None else dict(program.environment),
                cwd=program.directory,
                start_new_session=True,
                pass_fds=tuple(keep_open),
                preexec_fn=tie_to_parent(program.death_signal),
                **as_account(program.account),
            )
        return cls(program, process, log_start)

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def last_lines(self, count: int = 15) -> str:
        """The end of what this run of the program wrote."""
        with self.program.log.open("rb") as log:
            log.seek(self.log_start)
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-count:])

    def wait_ready(self, pause: Callable[[], None] | None = None) -> float:
        """Wait until the program is ready and return the seconds it took; `Trouble` when it dies or dawdles.

        `pause` is called between two looks (default: a short sleep); it may raise to give up.
        """
        while not self.program.ready():
            if not self.running:
                raise self._trouble("s'est arrêté au démarrage", "stopped while starting")
            if time.monotonic() - self.started > self.program.ready_seconds:
                raise self._trouble("ne répond pas", "does not answer")
            (pause or tick)()
        return time.monotonic() - self.started

    def stop(self) -> None:
        """Ask the program to end, wait, then kill what is left of its group."""
        if self.running:
            self.process.send_signal(self.program.stop_signal)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(self.program.stop_seconds)
        self.kill_group()
        self.process.wait()

    def kill_group(self) -> None:
        """End every process of the group at once; the group's number is that of its first process."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _trouble(self, french: str, english: str) -> Trouble:
        name, log, lines = self.program.name, self.program.log, self.last_lines()
        return Trouble(f"{name} {french} ({log}) :\n{lines}\n", f"{name} {english}, see the lines above.")


def tick() -> None:
    """The pause between two looks at a condition."""
    time.sleep(TICK_SECONDS)


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """May a server be bound to this loopback port?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def accepts(port: int) -> bool:
    """Does somebody listen on this loopback port?"""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def open_log(path: Path) -> int:
    """Create the log for us alone, set a large one aside, and return where the next line will start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".old.log"))
    os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    return path.stat().st_size


def as_account(account: Account | None) -> dict[str, Any]:
    """The arguments of Popen that change the account."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def tie_to_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    """What a child runs before its program: be sent the signal when the parent is gone (Linux only).

    It runs after the change of account, which would clear the wish.
    """
    if LIBC is None:
        return None
    libc, parent = LIBC, os.getpid()

    def tie() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie
