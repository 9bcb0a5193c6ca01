"""The Celery application; the beat table is in settings."""

import os

import django
from celery import Celery
from celery.signals import beat_init, celeryd_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "medisetup.settings")

# Celery has the stream of that name by then.
STDERR = 2

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
        os.write(STDERR, f"{unsafe}\n".encode())
        raise SystemExit(1) from unsafe
