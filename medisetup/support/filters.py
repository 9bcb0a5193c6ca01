"""What a list may be narrowed by. Anything else that an address asks for is refused, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, SEARCH_VAR
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.forms.declared import hide_optional
from accounts.models import User

Conditions = Mapping[str, tuple[str | Promise, Q]]


class Condition(admin.SimpleListFilter):
    """One of the conditions, by its key in the address; without a key all rows."""

    def conditions(self) -> Conditions:
        """Key → label, condition."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(key, label) for key, (label, _condition) in self.conditions().items()]

    def value(self) -> str | None:
        return super().value() or None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Raises `IncorrectLookupParameters` for a key that is none."""
        chosen, known = self.value(), self.conditions()
        if chosen is None:
            return queryset
        if chosen not in known:
            raise IncorrectLookupParameters
        return queryset.filter(known[chosen][1])


def by(name: str, label: str | Promise, conditions: Callable[[], Conditions]) -> type[Condition]:
    """A filter of that name in the address."""
    facts = {"parameter_name": name, "title": label, "conditions": lambda _self: conditions()}
    return type(f"By{name.title()}", (Condition,), facts)


def by_choice(
    path: str, label: str | Promise, choices: Iterable[tuple[Any, Any]] | Callable[[], Any]
) -> type[Condition]:
    """A filter on a field that has few values."""

    def conditions() -> Conditions:
        known = choices() if callable(choices) else choices
        return {str(key): (word, Q(**{path: key})) for key, word in known}

    return by(path.rpartition("__")[2], label, conditions)


def by_answer(path: str, label: str | Promise) -> type[Condition]:
    """A filter on yes or no."""
    return by_choice(path, label, [(True, _("oui")), (False, _("non"))])


class Period(Condition):
    """The last days alone, unless more is asked for: these tables are long."""

    DAYS = (7, 30, 365)
    path = ""
    title, parameter_name = _("Période"), "days"

    def conditions(self) -> Conditions:
        now = timezone.now()
        labels = (_("7 derniers jours"), _("30 derniers jours"), _("12 derniers mois"))
        since = {
            str(days): (label, Q(**{f"{self.path}__gte": now - timedelta(days=days)}))
            for days, label in zip(self.DAYS, labels, strict=True)
        }
        return since | {"all": (_("Depuis le début"), Q())}

    def value(self) -> str:
        return super().value() or str(self.DAYS[0])


def recent(path: str) -> type[Period]:
    """A filter on a moment, the last days by default."""
    return type("Recent", (Period,), {"path": path})


class OfPerson(admin.SimpleListFilter):
    """The rows of one person, named by the uuid: where the person's page sends to."""

    title, parameter_name = _("Personne concernée"), "person"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Nothing to choose from. Raises `IncorrectLookupParameters` for somebody who is nobody."""
        self.person, self.way = None, model_admin.way_to_person
        given = self.value()
        if not given:
            return []
        try:
            self.person = User.objects.get_queryset().select_related("practice").get(uuid=UUID(given))
        except (ValueError, User.DoesNotExist) as error:
            raise IncorrectLookupParameters from error
        return [(given, self.person.get_full_name())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.way: self.person.uuid}) if self.person else queryset


class Narrowing(forms.Form):
    """Search, filters and order of a list, as they are now. The list itself has judged what was asked."""

    def __init__(self, rows: Any) -> None:
        super().__init__(label_suffix="")
        if rows.search_fields:
            self.fields[SEARCH_VAR] = forms.CharField(
                label=_("Chercher"), help_text=rows.search_help_text, initial=rows.query, max_length=80
            )
        for spec in rows.filter_specs:
            everything = [] if isinstance(spec, Period) else [("", gettext("Tous"))]
            self.fields[spec.parameter_name] = forms.ChoiceField(
                label=spec.title, choices=[*everything, *spec.lookup_choices], initial=spec.value()
            )
        self.fields[ORDER_VAR] = forms.ChoiceField(
            label=_("Ordre"), choices=_orders(rows), initial=rows.params.get(ORDER_VAR)
        )
        for field in self.fields.values():
            field.required = False
        hide_optional(self, *self.fields)


def _orders(rows: Any) -> list[tuple[str, str]]:
    """Both ways through each column that can be sorted, by its number as Django's admin reads it."""
    sortable = [(n, fact) for n, fact in enumerate(rows.list_display) if fact.admin_order_field]
    found = [("", gettext("Habituel"))]
    for number, fact in sortable:
        column = {"column": fact.short_description}
        found.append((str(number), gettext("%(column)s, croissant") % column))
        found.append((f"-{number}", gettext("%(column)s, décroissant") % column))
    return found
