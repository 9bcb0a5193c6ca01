#!/usr/bin/env python3
"""Runs the project's commands; `up` works before any setting exists."""

import os
import sys

OLD_PYTHON = """medisetup demande Python 3.11 ou plus récent ; ceci est Python %d.%d.
medisetup needs Python 3.11 or later; this is Python %d.%d.
"""
NO_PACKAGES = """Un paquet manque (%s). Utilisez l'environnement virtuel du projet :
A package is missing (%s). Use the project's virtual environment:
    python3 -m venv .venv
    .venv/bin/pip install --require-hashes -r requirements/local.txt
    .venv/bin/python manage.py up
"""


def refuse_old_python() -> None:
    """Written for any Python 3: an old one must be able to read this file."""
    if sys.version_info < (3, 11):  # noqa: UP036  somebody may run it with the wrong one
        version = sys.version_info[:2]
        sys.exit(OLD_PYTHON % (version + version))


def name_missing_setting() -> None:
    """End with the setting that is missing: a command of Django's own goes on without, into another error."""
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    try:
        settings.INSTALLED_APPS  # noqa: B018  reads them all
    except ImproperlyConfigured as wrong:
        sys.exit(str(wrong))


def main() -> None:
    """Run the command named by the arguments."""
    refuse_old_python()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "medisetup.settings")
    try:
        from django.core.management import execute_from_command_line
    except ModuleNotFoundError as missing:
        sys.exit(NO_PACKAGES % (missing.name, missing.name))
    if sys.argv[1:2] == ["up"]:
        from medisetup.management.commands.up import Command

        Command().run_from_argv(sys.argv)
    else:
        name_missing_setting()
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
