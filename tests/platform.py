"""The running simulator for every test that needs the platform: a real process, on a real port."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ehealth.simulator.control import give

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "Trousseau-1"
"""Of the keystores, unless another is asked for."""
LICENCE = ("medisetup", "simulation", "simulation")
"""Package name, user name and password that the simulator expects by default."""


class Simulator:
    """One simulator over one folder; survives being killed and started again.

    ``Simulator.start(folder)`` gives one that answers. Use it as a context manager, or call ``stop()``.
    """

    def __init__(self, data: Path, options: dict[str, object], environment: dict[str, str]) -> None:
        self.data = data
        self.port = 0
        self._options = options
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(
        cls, data: Path, *, environment: dict[str, str] | None = None, **options: object
    ) -> "Simulator":
        """A new process on ``data``; ``options`` are those of the command (``latency=50``…).

        Nothing goes wrong by chance unless ``faults`` is given.
        """
        simulator = cls(Path(data), {"faults": 0} | options, environment or {})
        simulator._launch(port=0)
        return simulator

    @property
    def base_url(self) -> str:
        """Where the paths of the platform begin."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def issuing_ca(self) -> bytes:
        """PEM of the authority that issues doctors' certificates."""
        return (self.data / "issuing-ca.pem").read_bytes()

    @property
    def sts_certificate(self) -> bytes:
        """PEM of the certificate that signs tokens."""
        return (self.data / "sts.pem").read_bytes()

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> int:
        """Ends the process as a supervisor does (SIGTERM); its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """Ends the process without warning (SIGKILL)."""
        return self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Starts again on the same port with the same memory; stops first when still running."""
        self.stop()
        self._launch(port=self.port)

    def __enter__(self) -> "Simulator":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def control(self, path: str, order: dict[str, Any] | None = None) -> dict[str, Any]:
        """Gives the order at ``/control/<path>``, or asks when there is none."""
        return give(self.data, path, order)

    def add_person(self, ssin: str, **facts: Any) -> dict[str, Any]:
        """Puts somebody in the register, or changes the facts given (see ``store.Person``)."""
        return self.control("people", {"ssin": ssin, **facts})

    def add_messages(self, ssin: str, count: int = 1, **facts: Any) -> list[str]:
        """Puts messages in a box; ``title``, ``size``, ``box`` may be given. Gives their identifiers."""
        return list(self.control("messages", {"ssin": ssin, "count": count, **facts})["ids"])

    def keystore(self, ssin: str, kind: str = "rsa", password: str = PASSWORD, **facts: Any) -> bytes:
        """A PKCS#12 of that kind (``pki.KINDS``); ``publish=False`` keeps its encryption token to itself."""
        order = {"ssin": ssin, "kind": kind, "password": password, **facts}
        return base64.b64decode(self.control("keystores", order)["p12"])

    def fault(
        self,
        kind: str,
        *,
        service: str = "",
        value: object = "",
        ssin: str = "",
        mutuality: str = "",
        count: int = 1,
    ) -> None:
        """Orders a misbehaviour (``faults.KINDS``) for the next ``count`` calls that match."""
        self.control(
            "faults",
            {
                "kind": kind,
                "service": service,
                "value": str(value),
                "ssin": ssin,
                "mutuality": mutuality,
                "count": count,
            },
        )

    def clear_faults(self) -> None:
        """Cancels what was ordered and not yet used."""
        self.control("faults/clear", {})

    def accepted(self) -> dict[tuple[str, str], int]:
        """How many registrations were accepted, by (nihii, mutuality)."""
        rows = self.control("registrations")["registrations"]
        return {(row["nihii"], row["mutuality"]): row["count"] for row in rows}

    def calls(self, service: str = "", outcome: str = "") -> int:
        """How many calls were received, of one service and outcome or of all."""
        rows = self.control("calls")["calls"]
        return sum(
            row["count"]
            for row in rows
            if service in ("", row["service"]) and outcome in ("", row["outcome"])
        )

    def _launch(self, port: int) -> None:
        command = [sys.executable, "-m", "ehealth.simulator", "--data", str(self.data), "--port", str(port)]
        for name, value in self._options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        (self.data / "port").unlink(missing_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("EHEALTH_")}
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=inherited | self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.port = self._await_port()

    def _await_port(self) -> int:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if (self.data / "port").exists():
                self.control("settings")
                return int((self.data / "port").read_text())
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError("the simulator did not start")
            time.sleep(0.02)
        self.kill()
        raise RuntimeError("the simulator took too long to start")

    def _end(self, number: int) -> int:
        process = self._process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def write_people(data: Path, people: dict[str, dict[str, Any]]) -> None:
    """Writes the register that a simulator reads when it starts on ``data``."""
    data.mkdir(parents=True, exist_ok=True)
    (data / "people.json").write_text(json.dumps(people))
