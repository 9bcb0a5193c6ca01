"""Headers on every response: a strict policy and nothing cached of what a person sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from accounts import audit, throttle
from accounts.access import Forbidden, Unseen
from accounts.signed_request import SignedRequest, is_signed

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    ]
)
PERMISSIONS = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), interest-cohort=()"


class HeadersMiddleware:
    """Outermost, so that errors carry the headers too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        if not request.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store, private")
        return response


class ForbiddenMiddleware:
    """A missing capability answers 403, from whatever depth it was raised. It is noted, as is a page of
    somebody whom the actor does not see, which stays a 404 (security SR-82): once in a quarter of an hour for
    each person and page, so that whoever tries thousands of addresses leaves a line, not thousands.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        if isinstance(exception, (Forbidden, Unseen)) and is_signed(request):
            self.note(request, exception)
        if isinstance(exception, Forbidden):
            raise PermissionDenied from exception

    def note(self, request: SignedRequest, exception: Exception) -> None:
        match = request.resolver_match
        wanted = {"wanted": str(exception)} if isinstance(exception, Forbidden) else {}
        details: dict[str, Any] = {"page": match.view_name if match else "", **wanted}
        if throttle.allow("refused", f"{request.user.pk}:{details}", 1, throttle.NOTED_SECONDS):
            with transaction.atomic():
                audit.record("account:access:refused", actor=request.user, **details)
