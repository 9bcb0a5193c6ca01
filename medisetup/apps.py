"""The top app: readiness, home, people, the look."""

from django.apps import AppConfig


class MedisetupConfig(AppConfig):
    name = "medisetup"

    def ready(self) -> None:
        from medisetup import checks  # noqa: F401  registers the system checks
        from medisetup.celery import app  # noqa: F401  tasks published by the web process use this app
