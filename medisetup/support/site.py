"""The one admin site of the portal: its routes, its door, its kinds of rows in groups."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, URLResolver, include, path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from accounts import access
from accounts.access import Capability, Forbidden
from accounts.signed_request import is_signed
from medisetup.support import doings, files, people, wire
from medisetup.support.rows import Pages

View = Callable[..., HttpResponse]
GROUPS: list[tuple[str | Promise, Pages]] = [
    (_("Cabinets et personnes"), people.PAGES),
    (_("Dossiers et licences"), files.PAGES),
    (_("eHealth"), wire.PAGES),
    (_("Suivi"), doings.PAGES),
]


class SupportSite(admin.AdminSite):
    """For who may see the platform; signing in, out and the password are the portal's own pages."""

    def has_permission(self, request: HttpRequest) -> bool:
        """As on the pages of the portal's staff. The second factor was asked for before any page."""
        return is_signed(request) and Capability.SEE_PLATFORM in access.capabilities(request.user)

    def admin_view(self, view: View, cacheable: bool = False) -> View:  # type: ignore[override]  # a new callable
        """The door of every page: strangers were sent to sign in, others meet the portal's 403, noted."""

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not self.has_permission(request):
                raise Forbidden(Capability.SEE_PLATFORM)
            return view(request, *args, **kwargs)

        return guarded

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """The index, every kind of row, and three addresses that people may have in their fingers."""
        own: list[tuple[str, View, str]] = [
            ("", self.start, "index"),
            ("login/", self.to_start, "login"),
            ("logout/", self.to_sign_out, "logout"),
            ("password_change/", self.to_password, "password_change"),
        ]
        routes: list[URLPattern | URLResolver] = [
            path(place, require_GET(self.admin_view(view)), name=name) for place, view, name in own
        ]
        for model, page in self._registry.items():
            routes.append(path(f"{model._meta.app_label}/{model._meta.model_name}/", include(page.urls)))
        return routes

    def start(self, request: HttpRequest) -> HttpResponse:
        """The kinds of rows, in groups."""
        groups = [
            {"title": title, "links": [self.entry(self._registry[model]) for model in pages]}
            for title, pages in GROUPS
        ]
        return render(request, "support/index.html", {"groups": groups})

    def entry(self, page: Any) -> tuple[str, Any]:
        return reverse(f"support:{page.name}_changelist"), page.words.many

    def to_start(self, request: HttpRequest) -> HttpResponse:
        return redirect("support:index")

    def to_sign_out(self, request: HttpRequest) -> HttpResponse:
        return redirect("account_logout")

    def to_password(self, request: HttpRequest) -> HttpResponse:
        return redirect("account_change_password")


site = SupportSite(name="support")
for _title, pages in GROUPS:
    for model, page in pages.items():
        site.register(model, page)
