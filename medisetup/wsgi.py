"""The WSGI entry point: serves nothing when the start is unsafe."""

import os

from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "medisetup.settings")


def safe_application() -> WSGIHandler:
    made = get_wsgi_application()
    from medisetup import start

    start.refuse_unsafe()
    return made


application = safe_application()
