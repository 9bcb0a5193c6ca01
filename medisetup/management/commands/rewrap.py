"""All sealed values under the first key of SEALING_KEYS, so that the others can be retired."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import audit_chain
from medisetup import sealed

SHOWN = 10


class Command(BaseCommand):
    help = (
        "Wrap every sealed value under the first key of SEALING_KEYS. May be ended and run again at any "
        "time, beside a running portal; ends with 1 when a value cannot be opened."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        modes = parser.add_mutually_exclusive_group()
        modes.add_argument("--dry-run", action="store_true", help="open every value, change nothing")
        modes.add_argument(
            "--check", action="store_true", help="only name the values of other keys; 1 if any"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["check"]:
            self._check()
        else:
            self._rewrap(write=not options["dry_run"])

    def _rewrap(self, *, write: bool) -> None:
        lost = 0
        for column in sealed.COLUMNS:
            report = sealed.rewrap(column, write=write)
            done = "rewrapped" if write else "to rewrap"
            self.stdout.write(f"{column}: {report.sealed} sealed, {report.rewrapped} {done}")
            if report.unreadable:
                lost += len(report.unreadable)
                self.stdout.write(f"  cannot be opened: {shown(report.unreadable)}")
        if lost:
            raise CommandError(f"{lost} values cannot be opened with the keys of SEALING_KEYS")

    def _check(self) -> None:
        count = 0
        for column in sealed.COLUMNS:
            for name, keys in sorted(sealed.under_other_keys(column).items()):
                count += len(keys)
                self.stdout.write(f"{column}: {len(keys)} under {name or 'no key'}: {shown(keys)}")
        for name, codes in sorted(audit_chain.codes_by_key().items()):
            self.stdout.write(f"audit trail: {codes} codes of {name}, which verify_audit needs")
        if count:
            raise CommandError(f"{count} values are not under the first key: run rewrap")


def shown(keys: list[int]) -> str:
    """The first rows of a list, and that there are more."""
    return "rows " + ", ".join(map(str, keys[:SHOWN])) + (" …" if len(keys) > SHOWN else "")
