"""`manage.py up`: everything for a look, on this machine, until Ctrl-C."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from django.core.management.base import BaseCommand

from ehealth.simulator.faults import USUAL_SHARE
from medisetup.local import broker, catalogues, postgres
from medisetup.local.environment import Places, for_children
from medisetup.local.lock import Lock
from medisetup.local.process import Program, free_port, port_is_free
from medisetup.local.supervisor import Ended, Supervisor, speak
from medisetup.local.trouble import Trouble

PROJECT = Path(__file__).resolve().parents[3]
CELERY = ("-m", "celery", "-A", "medisetup")
QUIET = (
    "--without-gossip",
    "--without-mingle",
)  # no chatter between workers: a known crash after broker restarts
WORKER = (*CELERY, "worker", "-l", "INFO", "-Q", "interactive,poll", "--concurrency", "2", *QUIET)
BEAT = (*CELERY, "beat", "-l", "INFO", "-S", "celery.beat:Scheduler", "--pidfile=")


class Command(BaseCommand):
    help = "Démarre tout sur cette machine et l'arrête proprement avec Ctrl-C."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="port de la page (8000)")
        parser.add_argument("--fresh", action="store_true", help="efface d'abord les données de var/")
        parser.add_argument(
            "--faults",
            type=float,
            default=USUAL_SHARE,
            help=f"part des appels à la plate-forme simulée qui échouent, 0 à 1 ({USUAL_SHARE})",
        )
        parser.add_argument("--var", type=Path, default=PROJECT / "var", help="dossier des données (var/)")
        parser.add_argument(
            "--capture", type=Path, help="dossier qui reçoit chaque message échangé avec le simulateur"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            places, capture = Places(options["var"].absolute()), options["capture"]
            start = Start(places, options["port"], options["faults"], capture and capture.absolute())
            start.run(fresh=options["fresh"])
        except Trouble as trouble:
            sys.exit(f"\n{trouble}")


class Start:
    """One start: takes the lock, puts the children up in order, watches them."""

    def __init__(self, places: Places, port: int, faults: float, capture: Path | None = None) -> None:
        self.places = places
        self.capture = capture
        self.port = port
        self.faults = faults
        self.origin = f"http://localhost:{port}"
        self.environment: Mapping[str, str] = {}
        self.supervisor = Supervisor()

    def run(self, *, fresh: bool) -> None:
        """Until somebody asks for the end; `Trouble` when something prevents or ends the start."""
        lock = Lock(self.places.lock)
        try:
            with self.supervisor:
                lock.take(self.origin, self.supervisor.pause)
                self.supervisor.inherit = (lock.descriptor,)
                self._put_up(fresh=fresh)
                self.supervisor.watch()
        except Ended:
            speak(f"Tout est arrêté ; les données restent dans {self.places.var}.")
        finally:
            lock.release()

    def _put_up(self, *, fresh: bool) -> None:
        if not port_is_free(self.port):
            raise Trouble(
                f"Le port {self.port} est déjà pris : choisissez-en un autre avec --port.",
                f"Port {self.port} is taken: choose another one with --port.",
            )
        if fresh:
            self.places.empty()
        self.places.make()
        simulator = free_port()
        self.environment = for_children(
            self.places,
            given=os.environ,
            port=self.port,
            database=self._database(),
            broker=self._broker(),
            simulator=f"http://127.0.0.1:{simulator}",
            capture=str(self.capture or ""),
        )
        self._prepare()
        self._simulator(simulator)
        furnished = self._once("demo", "demo", told="Cabinet de démonstration")
        self._portal()
        token = self.places.simulator / "control-token"
        speak(
            f"\n{furnished}\n\n"
            f"Simulateur eHealth : http://127.0.0.1:{simulator}/control/   (jeton dans {token})\n"
            f"medisetup : {self.origin}/   (Ctrl-C pour arrêter)"
        )

    def _database(self) -> str:
        """The address of the database: the given one, or that of a server started here."""
        if given_outside("DATABASE_URL"):
            return ""
        password = self.places.secret("DATABASE_PASSWORD")
        server = postgres.server_in(self.places.var, port=free_port(), password=password)
        if not server.data.is_relative_to(self.places.var):
            speak(f"PostgreSQL garde ses données dans {server.data} : son compte ne peut pas entrer ici.")
        server.prepare()
        self.supervisor.start(server.program(self._log("postgres")))
        server.create_database()
        return server.url()

    def _broker(self) -> str:
        if given_outside("REDIS_URL"):
            return ""
        password = self.places.secret("BROKER_PASSWORD")
        server = broker.broker_in(self.places.var / "valkey", port=free_port(), password=password)
        server.prepare()
        self.supervisor.start(server.program(self._log("valkey")))
        return server.url()

    def _prepare(self) -> None:
        catalogues.compile_stale()
        self._once("migrate", "migrate", "--no-input", told="Base de données à jour")
        if self.environment["DEBUG"].lower() not in ("true", "1", "on", "yes"):
            self._once("collectstatic", "collectstatic", "--no-input", "--clear", told="Fichiers statiques")

    def _simulator(self, port: int) -> None:
        place = ("--port", str(port), "--data", str(self.places.simulator))
        command = ("-m", "ehealth.simulator", *place, "--faults", str(self.faults))
        address = f"http://127.0.0.1:{port}/health"
        self.supervisor.start(
            self._program("Simulateur eHealth", "simulator", *command, ready=lambda: answers(address))
        )

    def _portal(self) -> None:
        web = (
            "-m",
            "gunicorn",
            "-c",
            "python:medisetup.gunicorn",
            "-b",
            f"127.0.0.1:{self.port}",
            "medisetup.wsgi",
        )
        address = f"http://127.0.0.1:{self.port}/health/live/"
        programs = (
            self._program("Worker", "worker", *WORKER, ready=wrote(self._log("worker"), " ready.")),
            self._program("Beat", "beat", *BEAT, ready=wrote(self._log("beat"), "beat: Starting")),
            self._program("Web", "web", *web, ready=lambda: answers(address), restarts=False),
        )
        self.supervisor.start_together(programs)

    def _once(self, log: str, *command: str, told: str) -> str:
        return self.supervisor.run(self._program(told, log, "manage.py", *command))

    def _program(self, name: str, log: str, *command: str, **more: Any) -> Program:
        return Program(
            name=name,
            command=[sys.executable, *command],
            log=self._log(log),
            environment=self.environment,
            directory=PROJECT,
            **more,
        )

    def _log(self, name: str) -> Path:
        return self.places.logs / f"{name}.log"


def given_outside(name: str) -> bool:
    """Was this setting given to us, itself or as a file?"""
    return name in os.environ or f"{name}_FILE" in os.environ


def wrote(log: Path, wanted: str) -> Callable[[], bool]:
    """A question: was this written to the log since now?"""
    start = log.stat().st_size if log.exists() else 0

    def asked() -> bool:
        with log.open("rb") as file:
            file.seek(start)
            return wanted.encode() in file.read()

    return asked


def answers(address: str) -> bool:
    """Does the address answer 200? Never through a proxy of the environment."""
    try:
        with build_opener(ProxyHandler({})).open(Request(address), timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
