"""The new account of the DMG, and the days on which a letter left or was confirmed."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.fields import DayField
from accounts.forms.declared import hide_optional
from accounts.identifiers import Invalid
from billing import bank
from billing.fields import BicField, IbanField, bank_message


class NewAccountForm(forms.Form):
    """IBAN and BIC; a derived BIC wins over whatever was posted. `account` after `is_valid`."""

    iban = IbanField(label=gettext_lazy("Nouveau compte bancaire (IBAN)"))
    bic = BicField(
        label="BIC",
        required=False,
        help_text=gettext_lazy("Calculé automatiquement ; à compléter seulement quand il est introuvable."),
    )
    account: bank.BankAccount

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["iban"].widget.attrs["data-bic-url"] = reverse_lazy("billing:bic")
        hide_optional(self, "bic")

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        if values.get("iban"):
            try:
                self.account = bank.account(values["iban"], values.get("bic") or "")
            except Invalid as error:
                self.add_error("bic", bank_message(error.code))
        return values


class DayForm(forms.Form):
    """One day, of one mutuality's task."""

    def __init__(self, data: Any = None, *, code: str, label: str, today: date) -> None:
        super().__init__(data, auto_id=f"%s_{code}", initial={"day": today})
        self.fields["day"] = DayField(today=today, label=label, missing=_("Indiquez la date."))
