"""What operations cost, as multiples of the least they could cost on this machine: `manage.py bench`."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.test.utils import override_settings
from django.utils import timezone

from medisetup.bench import measuring, report
from medisetup.bench.claim import claim
from medisetup.bench.measuring import Group, Measured, Wrong
from medisetup.bench.pages import pages
from medisetup.bench.readiness import readiness
from medisetup.bench.scratch import SMALLEST, Furnished, furnish, scratch
from medisetup.bench.signing import signing

# Mailboxes are changed by `claim`, which therefore comes last.
SIZED: dict[str, Callable[[Furnished], Group]] = {"pages": pages, "readiness": readiness, "claim": claim}
UNSIZED: dict[str, Callable[[], Group]] = {"sign": signing}
GROUPS = [*UNSIZED, *SIZED]
CAREFUL: dict[str, Any] = {"sizes": [1_000, 10_000], "rounds": 9, "cell": 0.15}
QUICK: dict[str, Any] = {"sizes": [200], "rounds": 3, "cell": 0.02}


def sizes(text: str) -> list[int]:
    """« 1000,10000 », smallest first."""
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError as error:
        raise ArgumentTypeError("numbers of people, parted by commas") from error
    if found[0] < SMALLEST or found[-1] > 899_000:
        raise ArgumentTypeError(f"from {SMALLEST} to 899,000 people")
    return found


class Command(BaseCommand):
    database = ""
    help = "Time the portal on a database of its own. It informs: no time makes it fail."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("group", nargs="*", help=f"of {', '.join(GROUPS)}; default: all")
        parser.add_argument("--sizes", type=sizes, help="numbers of people, default 1000,10000")
        parser.add_argument("--rounds", type=int, help="default 9")
        parser.add_argument("--cell", type=float, help="seconds per case and round, default 0.15")
        parser.add_argument("--quick", action="store_true", help="200 people, 3 short rounds")
        parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured there")
        parser.add_argument("--list", action="store_true", help="name the groups and end")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            self.stdout.write("\n".join(GROUPS))
            return
        self._refuse(options)
        chosen = QUICK if options["quick"] else CAREFUL
        how = {name: chosen[name] if options[name] is None else options[name] for name in chosen}
        found: list[Measured] = []
        groups = self._groups(options["group"] or GROUPS, how["sizes"])
        # Closed at once when a proof fails, so that the scratch database goes.
        with override_settings(DEBUG=False, ROOT_URLCONF="medisetup.bench.urls"), closing(groups):
            try:
                for group, size in groups:
                    found += self._measured(group, size, how, found)
            except Wrong as error:
                raise CommandError(f"bench: {error}", returncode=2) from error
        self.stdout.write(report.verdicts(report.ratios(found)))
        if options["json"]:
            options["json"].write_text(json.dumps(self._whole(found, how), indent=2) + "\n")

    def _refuse(self, options: dict[str, Any]) -> None:
        if settings.EHEALTH_ENVIRONMENT != "simulation":
            raise CommandError("bench: only where the platform is the simulator")
        if unknown := set(options["group"]) - set(GROUPS):
            raise CommandError(f"bench: no group {', '.join(sorted(unknown))}; --list names them")
        if options["rounds"] is not None and options["rounds"] < 1:
            raise CommandError("bench: --rounds: at least 1")
        if options["cell"] is not None and not 0 < options["cell"] <= 60:
            raise CommandError("bench: --cell: more than 0, at most 60 seconds")
        if options["json"] and not options["json"].parent.is_dir():
            raise CommandError(f"bench: --json: there is no folder {options['json'].parent}")

    def _groups(self, chosen: list[str], sizes: list[int]) -> Generator[tuple[Group, int | None], None, None]:
        """Those without a size, then each size in a database of its own."""
        for name in (name for name in UNSIZED if name in chosen):
            yield UNSIZED[name](), None
        sized = [name for name in SIZED if name in chosen]
        for size in sizes if sized else []:
            with scratch():
                people = furnish(size)
                self.database = f"PostgreSQL {connection.get_database_version()[0]}"
                for name in sized:
                    yield SIZED[name](people), size

    def _measured(
        self, group: Group, size: int | None, how: dict[str, Any], before: list[Measured]
    ) -> list[Measured]:
        measuring.prove(group)
        rows = measuring.measure(group, size=size, rounds=how["rounds"], cell=how["cell"])
        self.stdout.write(report.table(rows, [*before, *rows]))
        return rows

    def _whole(self, found: list[Measured], how: dict[str, Any]) -> dict[str, Any]:
        written = {"rounds": how["rounds"], "cell_s": how["cell"], "sizes": how["sizes"]}
        return report.as_json(found, written, self.database, timezone.now())
