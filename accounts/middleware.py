"""Between the session and the pages: language, session limits, request facts, the gate to the first key."""

from __future__ import annotations

import ipaddress
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils import translation

from accounts.audit import RequestFacts, current_request
from accounts.models import PersonalKey

GetResponse = Callable[[HttpRequest], HttpResponse]
# Rewriting the session at each request would write a row per page.
SEEN_EVERY_SECONDS = 60
# Open without a live key; matched on the start of the path.
BEFORE_THE_KEY = ("/key/", "/signin/", "/language/", "/static/", "/help/", "/health/", "/invitations/", "/outbox/")


def client_address(request: HttpRequest) -> str:
    """The address as seen by the last trusted proxy, never the first value of a forgeable header."""
    count = settings.ALLAUTH_TRUSTED_PROXY_COUNT
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    if count and len(forwarded) >= count:
        return forwarded[-count]
    return request.META.get("REMOTE_ADDR", "")


def shortened(address: str) -> str:
    """/24 or /48 of an address: enough to recognise a place, not a person."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(ipaddress.ip_network(f"{ip}/{24 if ip.version == 4 else 48}", strict=False))


class LanguageMiddleware:
    """Cookie, then the person's own language, then the browser's."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        facts = RequestFacts(str(uuid.uuid4()), shortened(client_address(request)))
        reset = current_request.set(facts)
        try:
            with translation.override(self.language(request)):
                request.LANGUAGE_CODE = translation.get_language()
                response = self.get_response(request)
                response.headers.setdefault("Content-Language", translation.get_language())
                response.headers["X-Request-Id"] = facts.request_id
                return response
        finally:
            current_request.reset(reset)

    def language(self, request: HttpRequest) -> str:
        known = dict(settings.LANGUAGES)
        chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
        if chosen in known:
            return chosen
        if request.user.is_authenticated:
            return request.user.language
        return translation.get_language_from_request(request)


class SessionLimits:
    """Ends a session 30 minutes after its last page or 12 hours after sign-in, whichever comes first."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            now = int(time.time())
            began = request.session.setdefault("began_at", now)
            seen = request.session.setdefault("seen_at", now)
            idle, absolute = settings.SESSION_IDLE.total_seconds(), settings.SESSION_ABSOLUTE.total_seconds()
            if now - seen > idle or now - began > absolute:
                logout(request)
                request.session_expired = True
            elif now - seen > SEEN_EVERY_SECONDS:
                request.session["seen_at"] = now
        return self.get_response(request)


class KeyGate:
    """No page of the portal opens before the person has a live key (keys.md §8.1)."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated or request.path.startswith(BEFORE_THE_KEY):
            return self.get_response(request)
        target = self.missing(request)
        if target is None:
            return self.get_response(request)
        if request.headers.get("X-Requested-With") or request.headers.get("Sec-Fetch-Dest") == "empty":
            return JsonResponse({"code": "key_required"}, status=403)
        return redirect(target)

    def missing(self, request: HttpRequest) -> str | None:
        """The key page to send to, or None when nothing is missing."""
        key = PersonalKey.objects.live().filter(user=request.user).first()
        if key is None:
            return "accounts:key"
        if key.state == PersonalKey.State.PENDING and not request.session.get("backup_postponed"):
            return "accounts:key_backup"
        if settings.KEY_SESSION_PROOF == "required" and not request.session.get("key_proved_at"):
            return "accounts:key_session"
        return None
