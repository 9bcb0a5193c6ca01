"""The environment of a start on this machine: places under `var/`, secrets, settings for children."""

import base64
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from medisetup.local import postgres

SECRETS: dict[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(64),
    "SEALING_KEYS": lambda: "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
    "DATABASE_PASSWORD": lambda: secrets.token_hex(24),
    "BROKER_PASSWORD": lambda: secrets.token_hex(24),
}
FOR_CHILDREN = ("SECRET_KEY", "SEALING_KEYS")


@dataclass(frozen=True)
class Places:
    """Where a local start keeps its things: everything below the one ignored folder."""

    var: Path

    @property
    def secrets(self) -> Path:
        return self.var / "secrets"

    @property
    def logs(self) -> Path:
        return self.var / "log"

    @property
    def outbox(self) -> Path:
        return self.var / "outbox"

    @property
    def simulator(self) -> Path:
        return self.var / "simulator"

    @property
    def demo(self) -> Path:
        """Keystores and key files of the furnished practice; the settings derive it from the outbox."""
        return self.var / "demo"

    @property
    def lock(self) -> Path:
        return self.var / "up.lock"

    def make(self) -> None:
        self.var.mkdir(exist_ok=True, parents=True)
        for folder in (self.secrets, self.logs, self.outbox, self.simulator, self.demo):
            folder.mkdir(exist_ok=True, mode=0o700)

    def empty(self) -> None:
        """Forget everything a former start kept, also what lies outside for root; the lock file stays."""
        for path in self.var.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != self.lock:
                path.unlink()
        shutil.rmtree(postgres.outside_place(self.var), ignore_errors=True)

    def secret(self, name: str) -> str:
        """The secret of that name, made at first use and kept in a file only we may read."""
        path = self.secrets / name
        if not path.exists():
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(SECRETS[name]())
        return path.read_text()


def for_children(
    places: Places,
    *,
    given: Mapping[str, str],
    port: int,
    database: str,
    broker: str,
    simulator: str,
    capture: str = "",
) -> dict[str, str]:
    """What the settings read, for every child; what is given from outside wins over these values.

    An empty database or broker address means that it was given from outside.
    """
    local = {
        "DEMO": "true",
        "DEBUG": "false",
        "ADMIN_PATH": "support/",
        "PORTAL_ORIGIN": f"http://localhost:{port}",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "DATABASE_URL": database,
        "REDIS_URL": broker,
        "OUTBOX_DIR": str(places.outbox),
        "STATIC_ROOT": str(places.var / "static"),
        "EHEALTH_ENVIRONMENT": "simulation",
        "EHEALTH_BASE_URL": simulator,
        "EHEALTH_ISSUERS_FILE": str(places.simulator / "issuing-ca.pem"),
        "EHEALTH_STS_CERTIFICATES_FILE": str(places.simulator / "sts.pem"),
        "EHEALTH_CAPTURE_DIR": capture,
        "EHEALTH_LICENCE_NAME": "medisetup",
        # What the simulator expects of the software, by default.
        "EHEALTH_LICENCE_USERNAME": "simulation",
        "EHEALTH_LICENCE_PASSWORD": "simulation",
        "DJANGO_SETTINGS_MODULE": "medisetup.settings",
        "PYTHONUNBUFFERED": "1",
    }
    for name in FOR_CHILDREN:
        if name not in given and f"{name}_FILE" not in given:
            places.secret(name)
            local[f"{name}_FILE"] = str(places.secrets / name)
    return {**{name: value for name, value in local.items() if value}, **given}
