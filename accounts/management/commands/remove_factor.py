"""Somebody lost both telephone and recovery codes, and whoever runs the portal has made sure who it is."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.actions import factor
from accounts.models import User


class Command(BaseCommand):
    help = "Take away the second factor of an account; its owner is told and all its sessions end."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("login")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = User.objects.get_by_natural_key(options["login"])
        except User.DoesNotExist as error:
            raise CommandError(f"nobody signs in as {options['login']}") from error
        removed = factor.remove(user=user, by=None, now=timezone.now())
        self.stdout.write("removed" if removed else "there was none")
