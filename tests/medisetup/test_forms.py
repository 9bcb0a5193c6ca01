"""Our renderer draws inputs and lists as Django's own templates do."""

from __future__ import annotations

from datetime import date

import lxml.html
import pytest
from django import forms
from django.forms.renderers import DjangoTemplates

from medisetup.forms import DRAWN, Renderer

HOSTILE = """a"b'c<script>&amp;é"""
CHOICES = [("", "–"), ("1", HOSTILE), (HOSTILE, "Deux"), ("Groupe & Cie", [("3", "Trois"), ("4", "Quatre")])]
ATTRIBUTES = {"id": "x", "aria-describedby": HOSTILE, "required": True, "disabled": False, "maxlength": 12}
INPUTS: list[type[forms.Widget]] = [
    forms.TextInput,
    forms.NumberInput,
    forms.EmailInput,
    forms.URLInput,
    forms.DateInput,
    forms.HiddenInput,
    forms.PasswordInput,
    forms.CheckboxInput,
    forms.TelInput,
    forms.SearchInput,
]


def shape(markup: str) -> list[tuple[str, dict[str, str], str]]:
    """Every element with its attributes and text, in order."""
    root = lxml.html.fragment_fromstring(markup, create_parent="div")
    return [(node.tag, dict(node.attrib), (node.text or "").strip()) for node in root.iter()]


def drawn_alike(widget: forms.Widget, value: object) -> None:
    ours = widget.render("field", value, ATTRIBUTES, renderer=Renderer())
    theirs = widget.render("field", value, ATTRIBUTES, renderer=DjangoTemplates())
    assert shape(ours) == shape(theirs)
    assert "<script>" not in ours


@pytest.mark.parametrize("value", [None, "", "Été", HOSTILE, 1234.5, date(2026, 11, 27), True, False])
@pytest.mark.parametrize("widget", INPUTS)
def test_an_input_is_drawn_as_by_django(widget: type[forms.Widget], value: object) -> None:
    drawn_alike(widget(attrs={"class": "short"}), value)


@pytest.mark.parametrize("value", [None, "", "1", "4", HOSTILE, "unknown"])
def test_a_list_is_drawn_as_by_django(value: object) -> None:
    drawn_alike(forms.Select(choices=CHOICES), value)


@pytest.mark.parametrize("widget", [forms.RadioSelect, forms.CheckboxSelectMultiple])
def test_the_options_of_a_choice_are_drawn_as_by_django(widget: type[forms.ChoiceWidget]) -> None:
    def options(renderer: DjangoTemplates | Renderer) -> list[object]:
        class Chosen(forms.Form):
            field = forms.MultipleChoiceField(choices=CHOICES, widget=widget)

        bound = Chosen({"field": ["3", HOSTILE]}, renderer=renderer)["field"]
        return [[shape(option.tag()), shape(option.tag(wrap_label=True))] for option in bound]

    assert options(Renderer()) == options(DjangoTemplates())


def test_every_kind_that_we_draw_is_compared() -> None:
    names = {widget().template_name for widget in INPUTS} | {forms.Select().template_name}
    options = {widget.option_template_name for widget in (forms.RadioSelect, forms.CheckboxSelectMultiple)}
    assert names | options == set(DRAWN)
