"""Limits of our own actions, by purpose: tries of a password, mails sent again, codes asked for.

Counted in the database cache, so that they outlive a restart of the broker and hold over all processes.
"""

from __future__ import annotations

import hashlib
from math import ceil

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def allow(purpose: str, key: object, limit: int, seconds: int) -> bool:
    """Whether `key` may act once more for `purpose`: at most `limit` times in any `seconds`.

    Each use takes one of `limit` places and frees it `seconds` later. Taking a place is one insert that
    the database makes unique, so parallel requests never share one. Meant for small limits (a query per
    place in use). Call it outside the transaction of the act: a rollback would give the place back.
    """
    digest = hashlib.sha256(f"{purpose}:{key}".encode()).hexdigest()
    return any(cache.add(f"throttle:{digest}:{place}", 1, seconds) for place in range(limit))


def forget(purpose: str, key: object, limit: int) -> None:
    """Free all places: the right password was given."""
    digest = hashlib.sha256(f"{purpose}:{key}".encode()).hexdigest()
    cache.delete_many([f"throttle:{digest}:{place}" for place in range(limit)])


def too_many(request: HttpRequest, exception: Exception | None = None, *, seconds: int = 0) -> HttpResponse:
    """The page of a reached limit (429); also the handler of allauth's limits."""
    context = {"wait": ceil(seconds / 60) or None}
    response = render(request, "errors/429.html", context, status=429)
    if seconds:
        response.headers["Retry-After"] = str(seconds)
    return response
