"""What staff writes down about a request: the invoice, its payment."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy


class DayField(forms.DateField):
    """A day that has come, at the latest today."""

    def __init__(self, *, today: date, missing: str, **kwargs: Any) -> None:
        self.today = today
        widget = forms.DateInput(attrs={"type": "date", "max": today.isoformat()}, format="%Y-%m-%d")
        invalid = _("Écrivez une date complète, par exemple 26/11/2026.")
        super().__init__(widget=widget, error_messages={"required": missing, "invalid": invalid}, **kwargs)

    def clean(self, value: Any) -> date:
        day: date = super().clean(value)
        if day > self.today:
            raise forms.ValidationError(_("Cette date est dans le futur. Indiquez un jour passé ou ce jour."))
        return day


class InvoiceForm(forms.Form):
    number = forms.CharField(
        label=gettext_lazy("Numéro de la facture"),
        max_length=40,
        error_messages={"required": gettext_lazy("Indiquez le numéro de la facture.")},
    )

    def __init__(self, *args: Any, today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["day"] = DayField(
            today=today, label=_("Date de la facture"), missing=_("Indiquez la date de la facture.")
        )


class PaymentForm(forms.Form):
    def __init__(self, *args: Any, today: date, **kwargs: Any) -> None:
        super().__init__(*args, auto_id="paid_%s", **kwargs)
        self.fields["day"] = DayField(
            today=today, label=_("Date du paiement"), missing=_("Indiquez la date du paiement.")
        )
