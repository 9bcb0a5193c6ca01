"""The look of every form: one template per field, set as Django's own renderer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.forms import BoundField
from django.forms.renderers import TemplatesSetting
from django.forms.utils import flatatt
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
    return format_html(
        '<input type="{}" name="{}"{}{}>',
        widget["type"],
        widget["name"],
        flatatt(value),
        flatatt(widget["attrs"]),
    )


def draw_select(widget: Mapping[str, Any]) -> str:
    """`widget` is the context of Django's select.html."""
    drawn = ((_group(name, options),) for name, options, _ in widget["optgroups"])
    groups = format_html_join("", "{}", drawn)
    return format_html('<select name="{}"{}>{}</select>', widget["name"], flatatt(widget["attrs"]), groups)


def _group(name: str | None, options: list[Mapping[str, Any]]) -> str:
    drawn = format_html_join(
        "",
        '<option value="{}"{}>{}</option>',
        ((str(option["value"]), flatatt(option["attrs"]), option["label"]) for option in options),
    )
    return format_html('<optgroup label="{}">{}</optgroup>', name, drawn) if name else drawn


WIDGETS = "django/forms/widgets"
INPUTS = ("text", "number", "email", "tel", "url", "search", "date", "hidden", "password", "checkbox")
OPTIONS = ("radio_option", "checkbox_option")  # asked for without their labels, by forms/field.html
DRAWN: dict[str, Callable[[Mapping[str, Any]], str]] = {
    **{f"{WIDGETS}/{name}.html": draw_input for name in (*INPUTS, *OPTIONS)},
    f"{WIDGETS}/select.html": draw_select,
}
