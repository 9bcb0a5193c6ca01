"""The page without the database (security SR-105): in four languages, made without a query."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import translation

RETRY_AFTER = 30
# Connection lost, server going down or coming up, no connection left; other states are errors of a query.
LOST = ("08", "57P", "53300")


def database_is_lost(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, is that the database cannot be reached."""
    return any(_is_lost(one) for one in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_lost(error: BaseException) -> bool:
    if isinstance(error, InterfaceError):
        return True
    state = getattr(error.__cause__, "sqlstate", None)
    return isinstance(error, OperationalError) and (state is None or state.startswith(LOST))


def page(request: HttpRequest) -> HttpResponse:
    """503, in the language of the cookie or the browser first."""
    codes = [code for code, _name in settings.LANGUAGES]
    chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    first = chosen if chosen in codes else translation.get_language_from_request(request)
    with translation.override(first):
        html = render_to_string("errors/503.html", {"others": [code for code in codes if code != first]})
    headers = {"Retry-After": str(RETRY_AFTER), "Content-Language": first}
    return HttpResponse(html, status=503, headers=headers)
