"""The Celery application; the beat table is in settings."""

import os
import sys

import django
from celery import Celery
from celery.signals import beat_init, celeryd_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "medisetup.settings")

app = Celery("medisetup")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@celeryd_init.connect
@beat_init.connect
def refuse_unsafe(**_kwargs: object) -> None:
    """Ends workers and beat before they begin; of a signal's receiver only `SystemExit` gets through."""
    django.setup()
    from medisetup import start

    try:
        start.refuse_unsafe()
    except start.UnsafeStart as unsafe:
        sys.__stderr__.write(f"{unsafe}\n")
        raise SystemExit(1) from unsafe
