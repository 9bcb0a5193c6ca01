"""Starts the simulator: ``python -m ehealth.simulator --port 0 --data DIR``."""

import argparse
import fcntl
import json
import os
import random
import secrets
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import IO

from ehealth.simulator import control, mailbox, pki
from ehealth.simulator.faults import USUAL_SHARE, Faults
from ehealth.simulator.gateway import Licence, Simulation
from ehealth.simulator.server import PlatformServer
from ehealth.simulator.store import Store

REAL_PLATFORM = "ehealth.fgov.be"
HARMLESS = {"", "simulation", "development", "test"}


def real_settings(environment: dict[str, str]) -> list[str]:
    """Names of the variables that announce the real platform; the simulator does not start beside them."""
    found = []
    for name, value in sorted(environment.items()):
        if not name.startswith("EHEALTH_"):
            continue
        named = name == "EHEALTH_ENVIRONMENT" and value.strip().lower() not in HARMLESS
        if named or REAL_PLATFORM in value.lower():
            found.append(name)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ehealth.simulator", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder for keys, memory, port and token")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: loopback)")
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one, written to DIR/port")
    parser.add_argument("--latency", type=float, default=0, help="milliseconds before each answer")
    parser.add_argument(
        "--faults",
        type=float,
        default=USUAL_SHARE,
        help=f"share of calls that go wrong by chance, 0 to 1 (default: {USUAL_SHARE})",
    )
    parser.add_argument("--seed", type=int, help="makes chance repeatable")
    parser.add_argument("--licence-name", default="medisetup")
    parser.add_argument("--licence-username", default="simulation")
    parser.add_argument("--licence-password", default="simulation", help="of the software at MyCareNet")
    return parser


def _lock(data: Path) -> IO[str]:
    file = (data / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise SystemExit(f"another simulator runs on {data}") from None
    return file


def _write(path: Path, content: str) -> None:
    """Puts the file in place at once, readable by its owner alone."""
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    draft.replace(path)


def _token(data: Path) -> str:
    path = data / "control-token"
    if not path.exists():
        _write(path, secrets.token_urlsafe(32))
    return path.read_text().strip()


def _furnish(simulation: Simulation, data: Path) -> None:
    """Reads ``people.json``: {ssin: facts}; ``messages`` is how many a box gets when its owner is new."""
    path = data / "people.json"
    if not path.exists():
        return
    for ssin, facts in json.loads(path.read_text()).items():
        count = int(facts.pop("messages", 0))
        is_new = simulation.store.person(ssin) is None
        simulation.store.put_person(control.person_from({"ssin": ssin, **facts}))
        if is_new and count:
            mailbox.seed(simulation.store, ssin, count, simulation.now().date())


def _simulation(options: argparse.Namespace) -> Simulation:
    store = Store(options.data / "memory.sqlite3")
    simulation = Simulation(
        pki=pki.load_or_create(options.data),
        store=store,
        faults=Faults(store, options.faults, random.Random(options.seed)),  # noqa: S311 (chance, not a secret)
        licence=Licence(options.licence_name, options.licence_username, options.licence_password),
        latency=options.latency / 1000,
    )
    _furnish(simulation, options.data)
    return simulation


def main() -> int:
    """Serves until SIGTERM or SIGINT."""
    options = _parser().parse_args()
    announced = real_settings(dict(os.environ))
    if announced:
        sys.stderr.write(f"refusing to start beside settings of the real platform: {', '.join(announced)}\n")
        return 2
    options.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _lock(options.data):
        (options.data / "port").unlink(missing_ok=True)
        simulation = _simulation(options)
        with PlatformServer((options.host, options.port), simulation, _token(options.data)) as server:
            _serve(server, options.host, options.data)
        simulation.store.close()
    return 0


def _serve(server: PlatformServer, host: str, data: Path) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    port = server.server_port
    _write(data / "port", str(port))
    sys.stdout.write(f"simulator ready on http://{host}:{port}\n")
    sys.stdout.flush()
    server.serve_forever(poll_interval=0.1)
    (data / "port").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
