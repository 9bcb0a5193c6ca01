"""The code of a second factor."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import throttle
from accounts.actions import factor
from accounts.models import User

TRIES, TRIES_SECONDS = 5, 5 * 60
WRONG = _("Ce code n'est pas le bon, ou il a déjà servi. Attendez le code suivant et réessayez.")
TOO_MANY = _("Trop d'essais. Attendez 5 minutes avant de réessayer.")


def code_field(**kwargs: Any) -> forms.CharField:
    attributes = {"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}
    return forms.CharField(max_length=40, widget=forms.TextInput(attrs=attributes), **kwargs)


class FirstCodeForm(forms.Form):
    """The first code of a new factor."""

    code = code_field(
        label=_("Code à 6 chiffres"), help_text=_("Celui que l'application affiche maintenant.")
    )


class FactorForm(forms.Form):
    """The code at sign-in, or a recovery code: judged, and used up, when the form is."""

    code = code_field(
        label=_("Code"),
        help_text=_("Le code à 6 chiffres de votre application, ou l'un de vos codes de secours."),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_code(self) -> str:
        if not throttle.allow("factor", self.user.pk, TRIES, TRIES_SECONDS, by=self.user):
            raise forms.ValidationError(TOO_MANY)
        code: str = self.cleaned_data["code"]
        if not factor.verify(user=self.user, code=code, now=timezone.now()):
            raise forms.ValidationError(WRONG)
        throttle.forget("factor", self.user.pk, TRIES)
        return code
