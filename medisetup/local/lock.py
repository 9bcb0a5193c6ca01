"""One start at a time for one data folder, also while the children of a killed start are still ending."""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from medisetup.local.process import tick
from medisetup.local.trouble import Trouble

REMNANT_SECONDS = 20.0


class Lock:
    """Held through an open descriptor that the children inherit: free only when the last of them is gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = -1
        self.held = False

    def take(self, address: str, pause: Callable[[], None] = tick) -> None:
        """Take the lock and note who holds it; `Trouble` when another start runs."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + REMNANT_SECONDS
        while not self._taken():
            if self._holder_lives() or time.monotonic() > deadline:
                raise self._trouble()
            pause()
        self.held = True
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{os.getpid()}\n{address}\n".encode(), 0)

    def release(self) -> None:
        """Let go; the note of another holder is left alone."""
        if self.held:
            os.ftruncate(self.descriptor, 0)
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.held, self.descriptor = False, -1

    def _taken(self) -> bool:
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _note(self) -> tuple[str, str]:
        lines = [*self.path.read_text().splitlines(), "", ""]
        return lines[0], lines[1]

    def _holder_lives(self) -> bool:
        """A dead holder's children end by themselves within seconds; a living one stays."""
        try:
            os.kill(int(self._note()[0]), 0)
        except (ProcessLookupError, ValueError):
            return False
        except PermissionError:
            return True
        return True

    def _trouble(self) -> Trouble:
        pid, address = self._note()
        return Trouble(
            f"medisetup est déjà démarré depuis ce dossier (processus {pid}) : {address}\n"
            "Arrêtez-le d'abord (Ctrl-C dans sa fenêtre).",
            "medisetup already runs from this folder: stop it first (Ctrl-C in its window).",
        )
