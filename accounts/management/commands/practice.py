"""The first thing of a new installation: a practice whose administrator is invited."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone, translation

from accounts.actions.people import Refused
from accounts.actions.practices import open_practice
from accounts.models import Practice


class Command(BaseCommand):
    help = "Make a practice and invite its first administrator by mail."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the practice, 120 characters at most")
        parser.add_argument("email", help="of the administrator, who signs in with it")
        parser.add_argument("first_name")
        parser.add_argument("last_name")
        parser.add_argument("--type", choices=Practice.Type.values, default=Practice.Type.GROUP.value)
        parser.add_argument("--language", choices=[code for code, _ in settings.LANGUAGES], default="fr")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"].strip()
        if not 0 < len(name) <= 120:
            raise CommandError("practice: a name of 1 to 120 characters")
        about = {key: options[key] for key in ("type", "email", "first_name", "last_name", "language")}
        try:
            user = open_practice(name=name, now=timezone.now(), **about)
        except Refused as error:
            with translation.override(options["language"]):
                raise CommandError(f"practice: {error.message}") from error
        self.stdout.write(f"{name}: {user.login} is invited")
