"""Who works for the portal itself: sees all practices, activates licences, reads exchanges."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.actions.people import set_staff
from accounts.models import User


class Command(BaseCommand):
    help = "Give an account the rights of the portal's own staff, or take them away."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("login")
        parser.add_argument("--take-away", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = User.objects.get_by_natural_key(options["login"])
        except User.DoesNotExist as error:
            raise CommandError(f"nobody signs in as {options['login']}") from error
        changed = set_staff(user=user, staff=not options["take_away"], now=timezone.now())
        self.stdout.write("changed" if changed else "as it was")
