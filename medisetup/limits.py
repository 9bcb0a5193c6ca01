"""How large a request may be: decided from its head, before anything of it is read (security SR-38)."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from medisetup.views import bad_request

LENGTH = re.compile("[0-9]{1,18}")
# More than a file of people may have (`accounts.uploads`), so that one a little too large is refused
# by its form, which says what to do.
LARGEST_OF_PATH = {"/people/import/": 5 * 1024 * 1024}


class BodyLimits:
    """413 for a body announced as too large, 400 for one of unknown length, which no browser sends.

    Behind the language, for the page is in the person's; before whatever looks into a form.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "HTTP_TRANSFER_ENCODING" in request.META:
            return bad_request(request)
        length = request.META.get("CONTENT_LENGTH") or "0"
        largest = LARGEST_OF_PATH.get(request.path, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if not LENGTH.fullmatch(length) or int(length) > largest:
            return render(request, "errors/413.html", {"largest": largest}, status=413)
        return self.get_response(request)
