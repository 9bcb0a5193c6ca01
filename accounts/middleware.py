"""Between the session and the pages: language, session limits, request facts, the gate to the first key."""

from __future__ import annotations

import ipaddress
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from accounts import audit, devices, kept
from accounts.actions import factor
from accounts.models import PersonalKey
from accounts.origin import RequestFacts, current_request
from accounts.signed_request import SignedRequest, is_signed

GetResponse = Callable[[HttpRequest], HttpResponse]
# Rewriting the session at each request would write a row per page.
SEEN_EVERY_SECONDS = 60
# Open before one's own password and key; matched on the start of the path.
ALWAYS_OPEN = ("/signin/", "/language/", "/static/", "/help/", "/health/", "/invitations/", "/outbox/")
KEY_PAGES, FACTOR_PAGES = "/key/", "/factor/"


def client_address(request: HttpRequest) -> str:
    """The address as seen by the last trusted proxy, never the first value of a forgeable header."""
    count = settings.ALLAUTH_TRUSTED_PROXY_COUNT
    forwarded = [
        part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()
    ]
    if count and len(forwarded) >= count:
        return forwarded[-count]
    address: str = request.META.get("REMOTE_ADDR", "")
    return address


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


def asked_by_itself(request: HttpRequest) -> bool:
    """A page that looks for news (`refresh.js`): nobody sits in front of it for that."""
    return "X-Requested-With" in request.headers


class SessionLimits:
    """Ends a session 30 minutes after its last page or 12 hours after sign-in, whichever comes first.

    What was typed in a section's form meanwhile waits for the same person to sign in again.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if is_signed(request):
            now = int(time.time())
            began = request.session.setdefault("began_at", now)
            seen = request.session.setdefault("seen_at", now)
            idle, absolute = settings.SESSION_IDLE.total_seconds(), settings.SESSION_ABSOLUTE.total_seconds()
            if now - seen > idle or now - began > absolute:
                self.end(request)
            elif now - seen > SEEN_EVERY_SECONDS and not asked_by_itself(request):
                request.session["seen_at"] = now
                request.session["network"] = current_request.get().address
        return self.get_response(request)

    def end(self, request: SignedRequest) -> None:
        user = request.user
        with transaction.atomic():
            audit.record("account:session:ended", actor=user, subject=user, reason="limit")
        logout(request)
        request.session_ended_of = user

    def process_view(
        self, request: HttpRequest, view: Any, args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Runs after the check against forged requests, before the sign-in page is asked for."""
        owner = getattr(request, "session_ended_of", None)
        form = getattr(getattr(view, "view_class", None), "form_class", None)
        if owner is None:
            return None
        messages.info(request, _("Votre session a pris fin. Reconnectez-vous pour continuer."))
        if request.method == "POST" and form is not None and hasattr(form, "secret_fields"):
            kept.keep(request, owner=owner.uuid, secret=form.secret_fields())
        return None


class KnownDevice:
    """Leaves the cookie by which a browser is known again, where somebody was let in."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        devices.leave_cookie(request, response)
        return response


class Gate:
    """Three things come before every page of the portal: a password of one's own, the second factor of those
    who must have one, and a live key.

    A password that somebody else set is replaced first (rules 6.1); whoever must have a second factor sets
    it up, or gives a code, in this very session (security SR-15); then no page but the key pages opens
    before the person has a live key (keys.md §8.1).
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_signed(request) or request.path.startswith(ALWAYS_OPEN):
            return self.get_response(request)
        target = self.missing(request)
        if target is None:
            return self.get_response(request)
        if request.headers.get("X-Requested-With") or request.headers.get("Sec-Fetch-Dest") == "empty":
            return JsonResponse({"code": "key_required"}, status=403)
        return redirect(with_next(reverse(target), request))

    def missing(self, request: SignedRequest) -> str | None:
        """The page to send to, or None when nothing is missing."""
        user = request.user
        if user.password_own_at is None and user.has_usable_password():
            return "accounts:own_password"
        if request.path.startswith(FACTOR_PAGES):
            return None
        if not request.session.get("factor_at") and factor.is_required(user, timezone.now()):
            return "accounts:factor_prove" if factor.is_active(user) else "accounts:factor"
        return None if request.path.startswith(KEY_PAGES) else self.missing_key(request)

    def missing_key(self, request: SignedRequest) -> str | None:
        state = PersonalKey.objects.live().filter(user=request.user).values_list("state", flat=True).first()
        if state is None:
            return "accounts:key"
        if state == PersonalKey.State.PENDING and not request.session.get("backup_postponed"):
            return "accounts:key_backup"
        if settings.KEY_SESSION_PROOF == "required" and not request.session.get("key_proved_at"):
            return "accounts:key_session"
        return None


def with_next(url: str, request: HttpRequest) -> str:
    """The address of a page on the way, carrying where the person wanted to go."""
    if request.method != "GET" or request.path == "/":
        return url
    return f"{url}?{urlencode({'next': request.get_full_path()})}"
