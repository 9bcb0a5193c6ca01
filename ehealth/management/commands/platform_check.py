"""The checks of « Tester ma configuration », for an operator: what works for one person, and why not."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone, translation

from accounts.models import User
from ehealth import words
from ehealth.actions import checks
from ehealth.models import Exchange, PlatformCheck

MARKS = {"passed": "ok", "warning": "!!", "failed": "no"}


class Command(BaseCommand):
    help = "Try what the platform does for one person: one line a capability; exit status 1 if one fails."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("login")
        parser.add_argument(
            "--send", action="store_true", help="also send a test message to the person's own box"
        )
        parser.add_argument("--language", default="en", choices=("fr", "nl", "de", "en"))

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = User.objects.get_by_natural_key(options["login"])
        except User.DoesNotExist as error:
            raise CommandError(f"nobody signs in as {options['login']}") from error
        names = [*checks.HARMLESS, *([PlatformCheck.Capability.ROUND_TRIP] if options["send"] else [])]
        with translation.override(options["language"]):
            states = [self._try(user, name) for name in names]
        if PlatformCheck.State.FAILED in states:
            sys.exit(1)

    def _try(self, user: User, capability: str) -> str:
        """One line for the capability, one for each exchange it took; its state."""
        began = timezone.now()
        outcome = checks.attempt(user, capability, began)
        said = words.check(capability, outcome.code)
        label = PlatformCheck.Capability(capability).label
        code = f" [{outcome.code}]" if outcome.code else ""
        sentence = f"{said.reason} {said.step}".strip()
        self.stdout.write(f"{MARKS[str(outcome.state)]}  {label}: {sentence}{code}")
        for row in Exchange.objects.filter(user=user, started_at__gte=began).order_by("pk"):
            facts = f"{row.service} {row.operation} {row.host} {row.code} {row.milliseconds} ms"
            self.stdout.write(f"      {facts} {row.reference}".rstrip())
        return str(outcome.state)
