"""Whether a restored copy of the database is whole, before the portal opens on it (security SR-130, 131)."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from accounts import audit_chain
from ehealth.actions import edmg
from medisetup import sealed
from medisetup.checks import lacking_migrations

SHOWN = 20
# What a restore may leave half done: rules not looked at, indexes not finished, triggers switched off.
HALF_DONE = {
    "constraint not validated": "SELECT conname FROM pg_constraint WHERE NOT convalidated",
    "index not valid": "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid",
    "trigger switched off": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'O'",
}


class Command(BaseCommand):
    help = (
        "Check a restored copy: migrations, constraints, audit trail, every sealed value. Names the eDMG "
        "registrations that the mutualities may know more about; with --doubt none of them gets a new "
        "reference before its outcome is known. Ends with 1 when something is wrong."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        default = Path(settings.AUDIT_ANCHOR_FILE) if settings.AUDIT_ANCHOR_FILE else None
        parser.add_argument("--anchors", type=Path, default=default, help="default: AUDIT_ANCHOR_FILE")
        parser.add_argument("--doubt", action="store_true", help="before workers start on an older copy")

    def handle(self, *args: Any, **options: Any) -> None:
        anchors = audit_chain.read_anchors(options["anchors"]) if options["anchors"] else []
        self._count(max((anchor.position for anchor in anchors), default=0))
        found: Counter[str] = Counter()
        for fault in faults(anchors):
            kind = fault.partition(":")[0]
            found[kind] += 1
            if found[kind] <= SHOWN:
                self.stdout.write(fault)
        self._registrations(doubt=options["doubt"])
        if found:
            raise CommandError(f"{found.total()} faults: this copy is not whole")

    def _count(self, anchored: int) -> None:
        for model in apps.get_models():
            if model.__module__.split(".")[0] in ("accounts", "practitioners", "billing", "ehealth"):
                self.stdout.write(f"{model._meta.db_table}: {model._base_manager.count()} rows")
        lost = anchored - audit_chain.length()
        if lost > 0:
            self.stdout.write(f"this copy is older: it lacks {lost} events of the audit trail, at least")

    def _registrations(self, *, doubt: bool) -> None:
        for row in edmg.behind().select_related("user").order_by("pk"):
            self.stdout.write(f"may be behind: {row.user.uuid} {row.mutuality} {row.state} {row.reference}")
        if doubt:
            self.stdout.write(
                f"{edmg.doubt()} registrations keep their reference until the mutuality answers"
            )


def faults(anchors: list[audit_chain.Anchor]) -> Iterator[str]:
    """What is wrong with this database, a sentence each.

    Anchors of after the copy say how much it lacks; that the copy lacks it is no fault.
    """
    yield from (f"migration not applied: {name}" for name in lacking_migrations())
    for told, query in HALF_DONE.items():
        with connection.cursor() as cursor:
            cursor.execute(query)
            yield from (f"{told}: {name}" for (name,) in cursor.fetchall())
    end = audit_chain.length()
    known = [anchor for anchor in anchors if anchor.position <= end]
    # No event waits too long for its place in the chain: until now nobody could give it one.
    for fault in audit_chain.faults(now=audit_chain.EPOCH, anchors=known):
        yield f"audit trail: {fault.why}, position {fault.position}, event {fault.event}"
    for column in sealed.COLUMNS:
        yield from (f"{column}: row {pk} cannot be opened" for pk in sealed.unreadable(column))
