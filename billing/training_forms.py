"""What is asked at the end of a training: the new number, since when, and the speciality it stands for."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import identifiers
from accounts.actions.sections import section_version
from accounts.fields import DayField, NihiiField
from accounts.forms.declared import hide_optional
from practitioners.forms import proposed_speciality
from practitioners.models import Practitioner
from practitioners.reference import competence_known, speciality_choices

# The diploma alone: neither in training nor recognised.
DEGREE_ONLY = ("000", "009")
OF_GENERAL_PRACTICE = {"005": "003", "006": "004"}


def proposed_number(old: str) -> str:
    """The same number with the code that follows the training's, or '' when none is known."""
    code = identifiers.nihii_competence(old)
    # The code of a specialist is ten times that of the training.
    following = OF_GENERAL_PRACTICE.get(code) or (f"{int(code) * 10:03}" if code else "")
    known = following and len(following) == 3 and competence_known(following)
    return identifiers.nihii_identity(old) + following if known else ""


class EndOfTrainingForm(forms.Form):
    general_version = forms.IntegerField(widget=forms.HiddenInput, min_value=0)
    financial_version = forms.IntegerField(widget=forms.HiddenInput, min_value=0)
    nihii = NihiiField(
        label=gettext_lazy("Nouveau numéro INAMI"),
        help_text=gettext_lazy(
            "Les 8 premiers chiffres restent ; les 3 derniers changent. Comparez avec la lettre de l'INAMI."
        ),
    )
    speciality = forms.ChoiceField(
        label=gettext_lazy("Spécialité"),
        choices=lambda: [("", _("D'après le numéro INAMI")), *speciality_choices()],
        required=False,
    )

    def __init__(self, *args: Any, practitioner: Practitioner, today: date, **kwargs: Any) -> None:
        self.practitioner = practitioner
        user = practitioner.user
        proposed = proposed_number(practitioner.nihii)
        kwargs["initial"] = {
            "general_version": section_version(user, "practitioner/general"),
            "financial_version": section_version(user, "billing/financial"),
            "nihii": proposed,
            "speciality": proposed_speciality(proposed) if proposed else "",
        }
        super().__init__(*args, **kwargs)
        hide_optional(self, "speciality")
        self.fields["recognised_on"] = DayField(
            today=today, label=_("Agréé depuis le"), missing=_("Indiquez la date de l'agrément.")
        )

    def clean_nihii(self) -> str:
        number = str(self.cleaned_data["nihii"])
        old = self.practitioner.nihii
        if old and identifiers.nihii_identity(old) != identifiers.nihii_identity(number):
            raise forms.ValidationError(
                _("Les 8 premiers chiffres d'un numéro INAMI ne changent jamais. Vérifiez le nouveau numéro.")
            )
        if identifiers.nihii_is_trainee(number):
            raise forms.ValidationError(
                _(
                    "Les trois derniers chiffres sont encore ceux d'un médecin en formation. "
                    "Indiquez le numéro reçu avec l'agrément."
                )
            )
        if identifiers.nihii_competence(number) in DEGREE_ONLY:
            raise forms.ValidationError(
                _("Les trois derniers chiffres sont ceux du diplôme seul, sans agrément. Vérifiez-les.")
            )
        return number

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        if "nihii" in values and not values.get("speciality"):
            values["speciality"] = proposed_speciality(values["nihii"])
            if not values["speciality"]:
                self.add_error("speciality", _("Choisissez la spécialité : ce numéro ne la dit pas."))
        return values

    def values(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        return {
            "versions": (cleaned["general_version"], cleaned["financial_version"]),
            **{name: cleaned[name] for name in ("nihii", "speciality", "recognised_on")},
        }
