"""Limits of our own actions, by purpose: tries of a password, mails sent again, codes asked for.

Counted in the database cache, so that they outlive a restart of the broker and hold over all processes.
"""

from __future__ import annotations

import hashlib
from math import ceil

from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts import audit
from accounts.models import User
from accounts.origin import current_request

# How long a reached limit of allauth is told once; ours have their own times.
NOTED_SECONDS = 15 * 60


def allow(purpose: str, key: object, limit: int, seconds: int, *, by: User | None = None) -> bool:
    """Whether `key` may act once more for `purpose`: at most `limit` times in any `seconds`. A limit
    that `by` reaches is noted in the audit trail.

    Each use takes one of `limit` places and frees it `seconds` later. Taking a place is one insert that
    the database makes unique, so parallel requests never share one. Meant for small limits (a query per
    place in use). Call it outside the transaction of the act: a rollback would give the place back.
    """
    digest = hashlib.sha256(f"{purpose}:{key}".encode()).hexdigest()
    if any(cache.add(f"throttle:{digest}:{place}", 1, seconds) for place in range(limit)):
        return True
    if by is not None:
        note(purpose, key, seconds, by=by)
    return False


def note(
    purpose: str, key: object, seconds: int, *, by: User | None = None, subject: User | None = None
) -> None:
    """Record that a limit was reached: once for `key` in `seconds`; a flood leaves one line (SR-82)."""
    if allow("noted", f"{purpose}:{key}", 1, seconds):
        with transaction.atomic():
            audit.record(
                "account:limit:reached",
                actor=by,
                system="" if by else "signin",
                subject=subject,
                limit=purpose,
            )


def forget(purpose: str, key: object, limit: int) -> None:
    """Free all places: the right password was given."""
    digest = hashlib.sha256(f"{purpose}:{key}".encode()).hexdigest()
    cache.delete_many([f"throttle:{digest}:{place}" for place in range(limit)])


def too_many(request: HttpRequest, exception: Exception | None = None, *, seconds: int = 0) -> HttpResponse:
    """The page of a reached limit (429); also the handler of allauth's limits, which come without `seconds`
    and are noted here.
    """
    if not seconds and request.resolver_match:
        person = request.user if request.user.is_authenticated else None
        key = person.pk if person else current_request.get().address
        note(request.resolver_match.url_name or "", key, NOTED_SECONDS, by=person)
    context = {"wait": ceil(seconds / 60) or None}
    response = render(request, "errors/429.html", context, status=429)
    if seconds:
        response.headers["Retry-After"] = str(seconds)
    return response
