"""Fields that a form has declared and changes for one person: their lists, their country, how they read."""

from __future__ import annotations

from typing import Any, TypeVar

from django import forms

FieldT = TypeVar("FieldT", bound=forms.Field)
# The mark on a field that forms/field.html does not call optional: it is needed under a condition.
HIDE_OPTIONAL = "hide_optional"
# The mark on a field whose stored value deserves a second look: the sentence shown at it.
WARNING = "warning"


def field_of(form: forms.BaseForm, name: str, kind: type[FieldT]) -> FieldT:
    """The form's own copy of a field, of the kind it was declared as; `TypeError` for another kind."""
    field = form.fields[name]
    if not isinstance(field, kind):
        raise TypeError(f"{name} is no {kind.__name__}")
    return field


def choices_of(field: forms.ChoiceField) -> list[tuple[Any, Any]]:
    """What may be chosen now: value, words. Django declares what may be assigned, not what it keeps."""
    choices: Any = field.choices
    return list(choices)


def hide_optional(form: forms.BaseForm, *names: str) -> None:
    """These fields are not required, and the page does not say so."""
    for name in names:
        setattr(form.fields[name], HIDE_OPTIONAL, True)


def warn(bound: forms.BoundField, sentence: str) -> None:
    """Show the sentence at the field, and name it in what describes the field."""
    described = f"{bound.aria_describedby or ''} {bound.auto_id}_warning"
    setattr(bound.field, WARNING, sentence)
    bound.field.widget.attrs["aria-describedby"] = described.strip()
