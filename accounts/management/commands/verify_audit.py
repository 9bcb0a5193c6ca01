"""Whether anybody has tampered with the audit trail."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import audit_chain

SHOWN = 20


class Command(BaseCommand):
    help = "Check every event of the audit trail and its chain; ends with 1 at a fault, naming the first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        default = Path(settings.AUDIT_ANCHOR_FILE) if settings.AUDIT_ANCHOR_FILE else None
        parser.add_argument("--anchors", type=Path, default=default, help="default: AUDIT_ANCHOR_FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        anchors, began = self._anchors(options["anchors"]), time.perf_counter()
        count, found = audit_chain.length(), 0
        for fault in audit_chain.faults(now=timezone.now(), anchors=anchors):
            found += 1
            if found <= SHOWN:
                self.stdout.write(f"{fault.why}: position {fault.position}, event {fault.event}")
        seconds = time.perf_counter() - began
        self.stdout.write(f"{count} events in the chain, {count / seconds:,.0f} a second")
        if found:
            raise CommandError(f"{found} faults")

    def _anchors(self, path: Path | None) -> list[audit_chain.Anchor]:
        if path is None:
            return []
        try:
            return audit_chain.read_anchors(path)
        except (OSError, ValueError) as error:
            raise CommandError(f"{path}: {error}") from error
