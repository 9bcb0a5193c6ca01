"""The routes of the portal, and the floor beneath its pages."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.http import HttpResponse
from django.template import engines
from django.urls import path

from accounts.signed_request import SignedRequest
from medisetup.urls import urlpatterns as portal


@cache
def _template() -> Any:
    return engines["django"].from_string("<!doctype html><title>{{ login }}</title><p>{{ login }}</p>")


def floor(request: SignedRequest) -> HttpResponse:
    """The least that a page of somebody signed in costs: session, user, one small template."""
    return HttpResponse(_template().render({"login": request.user.login}))


urlpatterns = [path("bench/floor/", floor, name="bench_floor"), *portal]
