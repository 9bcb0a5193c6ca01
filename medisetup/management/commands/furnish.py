"""A platform full of invented people, to look at and time the boards: `manage.py furnish`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from medisetup import furnishing


class Command(BaseCommand):
    help = "Fill an installation that is only looked at with invented practices and people."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--practices", type=int, default=200)
        parser.add_argument("--people", type=int, default=10_000)
        parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same platform")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.EHEALTH_ENVIRONMENT != "simulation":
            raise CommandError("furnish: only where the platform is the simulator")
        practices, people = options["practices"], options["people"]
        if not 0 < practices <= people <= 899_000:
            raise CommandError("furnish: at least one person per practice, 899,000 people at most")
        try:
            made = furnishing.furnish(
                practices=practices, people=people, seed=options["seed"], now=timezone.now()
            )
        except furnishing.AlreadyFurnished as error:
            raise CommandError("furnish: this installation is furnished already") from error
        self.stdout.write(furnishing.counted(made.items()))
