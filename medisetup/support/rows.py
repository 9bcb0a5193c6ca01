"""The pages of one kind of row: the list, one row. Nothing is added, changed, erased; readings are noted."""

from __future__ import annotations

import re
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.templatetags.admin_list import date_hierarchy
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR, SEARCH_VAR, ChangeList
from django.core.exceptions import BadRequest
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from django.views.decorators.http import require_GET

from accounts import audit
from accounts.models import Practice, User
from accounts.signed_request import SignedRequest, is_signed
from medisetup.support.facts import Fact, Related, reach
from medisetup.support.filters import Condition, Narrowing, OfPerson
from medisetup.support.names import NAMES

ROWS_PER_PAGE = 50
# Counting goes no further: a list without end costs the same as a long one.
COUNTED_AT_MOST = 10_000
LONGEST_VALUE = 80
RELATED_AT_MOST = 50
DATE_PARTS = {"year": re.compile(r"20\d\d"), "month": re.compile(r"\d{1,2}"), "day": re.compile(r"\d{1,2}")}
Pages = dict[type[Model], type["ReadOnly"]]


class Bounded(Paginator):  # type: ignore[type-arg]  # Django's takes none when it runs
    """Pages through the first rows."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        return int(self.object_list.order_by()[:COUNTED_AT_MOST].count())


class Rows(ChangeList):
    """The rows of a list, ready to be read."""

    model_admin: ReadOnly
    list_display: tuple[Fact, ...]

    def lines(self) -> list[dict[str, Any]]:
        """url ('' without a page), what it is called, the cells after it with their columns."""
        heads = [fact.short_description for fact in self.list_display]
        return [
            {
                "url": self.model_admin.url_of(row) if self.model_admin.facts else "",
                "name": self.list_display[0](row),
                "cells": list(zip(heads[1:], (fact(row) for fact in self.list_display[1:]), strict=True)),
            }
            for row in self.result_list
        ]

    @property
    def person(self) -> User | None:
        """Whose rows alone are shown."""
        return next((spec.person for spec in self.filter_specs if isinstance(spec, OfPerson)), None)


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # as `Bounded`
    """One kind of row. Subclasses name what is read: `list_display` in the list, `facts` and `related` on
    the page of a row; without `facts` there is no such page.

    `identity` leads to the uuid in the address of a row, `whom` to the `User` it is about and `whose` to
    the `Practice` it belongs to: the reading is noted in their history. No field is read that is not named.
    """

    list_display: tuple[Fact, ...]
    list_filter: ClassVar[tuple[type[Condition | OfPerson], ...]] = ()
    facts: tuple[Fact, ...] = ()
    related: tuple[Related, ...] = ()
    identity = "uuid"
    whom = ""
    whose = ""
    page_template = "support/row.html"

    actions = None
    list_per_page = ROWS_PER_PAGE
    show_full_result_count = False
    paginator = Bounded

    # --- who may what --------------------------------------------------------------------------
    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(self.admin_site.has_permission(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Whether an address may ask that: the declared filters only, for a lookup of one's own making
        (`ssin__startswith`) would tell digit by digit what is masked.
        """
        if len(value) > LONGEST_VALUE or "\x00" in value:
            return False
        field, _two, part = lookup.rpartition("__")
        if field and field == self.date_hierarchy:
            return part in DATE_PARTS and bool(DATE_PARTS[part].fullmatch(value))
        known = {ORDER_VAR, PAGE_VAR, SEARCH_VAR} | {spec.parameter_name for spec in self.list_filter}
        return lookup in known

    # --- what is read --------------------------------------------------------------------------
    @property
    def name(self) -> str:
        """Of the routes."""
        return f"{self.opts.app_label}_{self.opts.model_name}"

    @property
    def words(self) -> Any:
        """One row and many, in words."""
        return NAMES[self.opts.label_lower]

    @property
    def dates(self) -> tuple[str, ...]:
        """How the parts of a date begin in the address."""
        return (f"{self.date_hierarchy}__",) if self.date_hierarchy else ()

    @property
    def way_to_person(self) -> str:
        """The lookup of a person's uuid."""
        return f"{self.whom}__uuid"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        ways = {fact.relations(self.model) for fact in (*self.list_display, *self.facts)}
        ways |= {self.whom and f"{self.whom}__practice", self.whose}
        ways -= {""}
        rows = super().get_queryset(request)
        return rows.select_related(*sorted(ways)) if ways else rows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Rows]:
        return Rows

    def get_changelist_instance(self, request: HttpRequest) -> Rows:
        rows = super().get_changelist_instance(request)
        assert isinstance(rows, Rows)  # noqa: S101  `get_changelist` names the class
        return rows

    def url_of(self, row: Model) -> str:
        return reverse(f"support:{self.name}_change", args=[reach(row, self.identity)])

    # --- pages ---------------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        """The list and, with facts, one row."""
        guarded = self.admin_site.admin_view
        routes = [path("", require_GET(guarded(self.changelist_view)), name=f"{self.name}_changelist")]
        if self.facts:
            view = require_GET(guarded(self.row_view))
            routes.append(path("<uuid:uuid>/", view, name=f"{self.name}_change"))
        return routes

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The rows, searched and narrowed. An address that asks for anything else answers 400."""
        assert is_signed(request)  # noqa: S101  the door of every page lets nobody else in
        asked = [(name, value) for name, values in request.GET.lists() for value in values]
        if not all(self.lookup_allowed(name, value, request) for name, value in asked):
            raise BadRequest
        try:
            rows = self.get_changelist_instance(request)
        except IncorrectLookupParameters as error:
            raise BadRequest from error
        with transaction.atomic():
            audit.record(
                "platform:list:read", actor=request.user, subject=rows.person,
                model=self.opts.label_lower, count=rows.result_count,
            )  # fmt: skip
        context = {
            "title": self.words.many,
            "narrowing": Narrowing(rows),
            "kept": {name: value for name, value in rows.params.items() if name.startswith(self.dates)},
            "dates": date_hierarchy(rows),
            "heads": [fact.short_description for fact in self.list_display],
            "lines": rows.lines(),
            "page": rows.paginator.get_page(rows.page_num),
            "count": rows.result_count,
            "more": rows.result_count == COUNTED_AT_MOST,
        }
        return render(request, "support/list.html", context)

    def row_view(self, request: SignedRequest, uuid: UUID) -> HttpResponse:
        """One row and what belongs to it."""
        row = self.get_queryset(request).filter(**{self.identity: uuid}).first()
        if row is None:
            raise Http404
        self.note(request, row, uuid)
        context = {
            "title": self.title_of(row),
            "one": self.words.one,
            "many": self.words.many,
            "list_url": reverse(f"support:{self.name}_changelist"),
            "facts": [{"key": fact.short_description, "value": fact(row), "url": ""} for fact in self.facts],
            "related": [table(related, row) for related in self.related],
            "links": self.links(row),
            "subject": row,
        }
        return render(request, self.page_template, context)

    def note(self, request: SignedRequest, row: Model, uuid: UUID) -> None:
        """The reading, in the history of whom the row is about or in the journal of its practice."""
        with transaction.atomic():
            audit.record(
                "platform:row:read", actor=request.user, subject=self.person_of(row),
                practice=self.practice_of(row), model=self.opts.label_lower, row=uuid,
            )  # fmt: skip

    def person_of(self, row: Any) -> User | None:
        """Whom the row is about."""
        return reach(row, self.whom) if self.whom else None

    def practice_of(self, row: Any) -> Practice | None:
        """Whose the row is, when it is about no person."""
        return reach(row, self.whose) if self.whose else None

    def title_of(self, row: Model) -> Any:
        """What the page of a row is called: its first fact, in words."""
        return self.list_display[0](row)

    def links(self, row: Any) -> list[tuple[str, Any]]:
        """Where to read on: address, words."""
        return []


def table(related: Related, row: Model) -> dict[str, Any]:
    """The rows that belong to a row, ready to be read."""
    heads = [fact.short_description for fact in related.facts]
    rows = related.rows(row)[:RELATED_AT_MOST]
    return {
        "title": related.title,
        "heads": heads,
        "rows": [list(zip(heads, (fact(entry) for fact in related.facts), strict=True)) for entry in rows],
    }
