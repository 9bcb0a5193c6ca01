"""Choosing a password, twice, with all broken rules told at once."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.passwords import canonical_password

DIFFERENT = _("Les deux mots de passe sont différents. Retapez le même dans les deux champs.")


def current_password_field(**kwargs: Any) -> forms.CharField:
    """The password in force; never shown again."""
    widget = forms.PasswordInput(attrs={"autocomplete": "current-password"})
    return forms.CharField(strip=False, widget=widget, **{"label": _("Mot de passe actuel")} | kwargs)


def new_password_field(**kwargs: Any) -> forms.CharField:
    """A password being chosen; managers of passwords may propose one."""
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
    return forms.CharField(strip=False, widget=widget, **kwargs)


def check_new_password(form: forms.Form, *, user: User | None, first: str, second: str) -> None:
    """Put every broken rule on the field `first`, a difference between the two on `second`."""
    password, repeated = form.cleaned_data.get(first, ""), form.cleaned_data.get(second, "")
    if not password:
        return
    try:
        validate_password(password, user)
    except ValidationError as errors:
        form.add_error(first, errors)
    if canonical_password(password) != canonical_password(repeated):
        form.add_error(second, ValidationError(DIFFERENT, code="different"))


class NewPasswordForm(forms.Form):
    """A first or new password of `user`."""

    password1 = new_password_field(label=_("Mot de passe"))
    password2 = new_password_field(label=_("Confirmation du mot de passe"))

    def __init__(self, *args: Any, user: User | None, **kwargs: Any) -> None:
        self.user = user
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        check_new_password(self, user=self.user, first="password1", second="password2")
        return self.cleaned_data
