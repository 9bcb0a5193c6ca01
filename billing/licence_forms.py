"""What staff writes down about a request: the invoice, its payment."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.fields import DayField


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
    def __init__(self, data: Any = None, *, today: date, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, auto_id="paid_%s", initial=initial)
        self.fields["day"] = DayField(
            today=today, label=_("Date du paiement"), missing=_("Indiquez la date du paiement.")
        )
