"""« Mon cabinet »: name and type of the practice, and what follows for the account of a flat-rate house."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.forms.declared import hide_optional
from accounts.models import Practice
from accounts.sections import VersionedForm
from practitioners.actions import houses


class OneLineField(forms.CharField):
    """A text without doubled spaces."""

    def to_python(self, value: Any) -> str:
        return " ".join((super().to_python(value) or "").split())


class PracticeForm(VersionedForm):
    """Leaving the flat rate is confirmed where an account of the house exists."""

    name = OneLineField(
        label=gettext_lazy("Nom du cabinet"),
        max_length=120,
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
        error_messages={"required": gettext_lazy("Indiquez le nom du cabinet.")},
    )
    type = forms.ChoiceField(
        label=gettext_lazy("Type"), choices=Practice.Type.choices, widget=forms.RadioSelect
    )
    confirm_houses = forms.BooleanField(
        label=gettext_lazy("Oui, quitter le forfait : les données de la maison médicale seront effacées"),
        required=False,
    )

    def __init__(self, *args: Any, practice: Practice, **kwargs: Any) -> None:
        self.practice = practice
        stored = {"version": practice.version, "name": practice.name, "type": practice.type}
        super().__init__(*args, **kwargs | {"initial": stored})
        hide_optional(self, "confirm_houses")

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        if self.leaves_flat_rate(values.get("type")) and not values.get("confirm_houses"):
            names = [row.user.get_full_name() for row in houses(self.practice)]
            if names:
                self.add_error(
                    "confirm_houses",
                    _("Ce changement concerne : %(names)s. Cochez la confirmation pour l'enregistrer.")
                    % {"names": ", ".join(names)},
                )
        return values

    def leaves_flat_rate(self, chosen: str | None) -> bool:
        flat_rate = Practice.Type.FLAT_RATE_HOUSE
        return self.practice.type == flat_rate and chosen not in (None, flat_rate)

    @cached_property
    def changed_data(self) -> list[str]:
        """The confirmation is no data: a second click with it ticked changes nothing."""
        return [name for name in super().changed_data if name != "confirm_houses"]

    def values(self) -> dict[str, Any]:
        return {"name": self.cleaned_data["name"], "type": self.cleaned_data["type"]}
