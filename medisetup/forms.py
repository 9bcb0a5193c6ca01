"""The look of every form: one template per field, set as Django's own renderer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.forms import BoundField
from django.forms.renderers import TemplatesSetting
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from accounts.forms.declared import HIDE_OPTIONAL, WARNING


class Renderer(TemplatesSetting):
    """Fields by our template. Inputs and lists, of which a page has dozens, without Django's two templates
    for each input and each option of a list: the same markup, several times faster.
    """

    form_template_name = "forms/form.html"
    field_template_name = "forms/field.html"

    def render(self, template_name: str, context: dict[str, Any], request: HttpRequest | None = None) -> str:
        draw = DRAWN.get(template_name)
        if draw and not context["widget"].get("wrap_label"):
            return draw(context["widget"])
        if template_name == self.field_template_name:
            if context["field"].is_hidden:
                return str(context["field"])
            context = field_facts(context["field"])
        return super().render(template_name, context, request)


def field_facts(bound: BoundField) -> dict[str, Any]:
    """What forms/field.html shows, each looked up once."""
    field = bound.field
    optional = not (field.required or field.disabled or getattr(field, HIDE_OPTIONAL, False))
    return {
        "field": bound,
        "kind": bound.widget_type,
        "errors": bound.errors,
        "optional": optional,
        "warning": getattr(field, WARNING, ""),
    }


def draw_input(widget: Mapping[str, Any]) -> str:
    """`widget` is the context of Django's input.html."""
    value = {} if widget["value"] is None else {"value": str(widget["value"])}
    facts = {"type": widget["type"], "name": widget["name"], **value, **widget["attrs"]}
    return format_html("<input{}>", attributes(facts))


def draw_select(widget: Mapping[str, Any]) -> str:
    """`widget` is the context of Django's select.html."""
    # Each option outside any group is given as a group of its own.
    groups = groupby(widget["optgroups"], key=itemgetter(0))
    drawn = ((_group(name, [option for group in same for option in group[1]]),) for name, same in groups)
    facts = {"name": widget["name"], **widget["attrs"]}
    return format_html("<select{}>{}</select>", attributes(facts), format_html_join("", "{}", drawn))


def _group(name: str | None, options: list[Mapping[str, Any]]) -> str:
    drawn = format_html_join(
        "",
        '<option value="{}"{}>{}</option>',
        ((str(option["value"]), attributes(option["attrs"]), option["label"]) for option in options),
    )
    return format_html('<optgroup label="{}">{}</optgroup>', name, drawn) if name else drawn


def attributes(named: Mapping[str, Any]) -> str:
    """As Django's `flatatt` writes them, in less than half the time; True is a name alone, False and None
    are left out. Names are the code's own, values are escaped.
    """
    shown = {name: value for name, value in named.items() if value is not False and value is not None}
    pattern = "".join(f" {name}" if value is True else f' {name}="{{}}"' for name, value in shown.items())
    values = [value for value in shown.values() if value is not True]
    return format_html(pattern, *values) if values else pattern


WIDGETS = "django/forms/widgets"
INPUTS = ("text", "number", "email", "tel", "url", "search", "date", "hidden", "password", "checkbox")
OPTIONS = ("radio_option", "checkbox_option")  # asked for without their labels, by forms/field.html
DRAWN: dict[str, Callable[[Mapping[str, Any]], str]] = {
    **{f"{WIDGETS}/{name}.html": draw_input for name in (*INPUTS, *OPTIONS)},
    f"{WIDGETS}/select.html": draw_select,
}
