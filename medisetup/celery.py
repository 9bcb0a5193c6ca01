"""The Celery application; the beat table is in settings."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "medisetup.settings")

app = Celery("medisetup")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
