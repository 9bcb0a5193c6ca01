"""« Adresse de facturation »: who receives the invoice of a licence, and where (rules 3.7)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.fields import BceField, EmailField, PostcodeField
from accounts.forms.declared import field_of, hide_optional
from accounts.models import BillingAddress
from accounts.sections import VersionedForm

COUNTRIES = [
    ("BE", _("Belgique")),
    ("FR", _("France")),
    ("LU", _("Luxembourg")),
    ("NL", _("Pays-Bas")),
    ("DE", _("Allemagne")),
]
# Parts that an address needs, and what is said without one.
NEEDED = {
    "name": _("Indiquez le nom ou la société à facturer."),
    "street": _("Indiquez la rue."),
    "number": _("Indiquez le numéro."),
    "postcode": _("Indiquez le code postal."),
    "city": _("Indiquez la localité."),
    "country": _("Choisissez le pays."),
    "email": _("Indiquez l'e-mail qui recevra la facture."),
}


def _part(label: Any, *, autocomplete: str, **kwargs: Any) -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, required=False, widget=widget, **kwargs)


class BillingAddressForm(VersionedForm):
    """One address; `address` is new or stored. What is needed is asked by `check_address`."""

    name = _part(_("Nom ou société"), max_length=120, autocomplete="organization")
    bce = BceField(label=_("BCE (sans le BE)"), required=False)
    street = _part(_("Rue"), max_length=100, autocomplete="address-line1")
    number = _part(_("N°"), max_length=10, autocomplete="off")
    box = _part(_("Boîte"), max_length=10, autocomplete="off")
    postcode = PostcodeField(label=_("Code postal"), required=False)
    city = _part(_("Localité"), max_length=80, autocomplete="address-level2")
    country = forms.ChoiceField(label=_("Pays"), choices=COUNTRIES, required=False, initial="BE")
    email = EmailField(label=_("E-mail de facturation"), required=False)

    def __init__(self, *args: Any, address: BillingAddress, **kwargs: Any) -> None:
        stored = {name: getattr(address, name) for name in self.base_fields}
        super().__init__(*args, **kwargs | {"initial": stored})
        prepare_address(self)

    def clean(self) -> dict[str, Any]:
        check_address(self)
        return self.cleaned_data


def address_fields() -> dict[str, forms.Field]:
    """The parts of an address for another form that holds one."""
    parts = {name: field for name, field in BillingAddressForm.base_fields.items() if name != "version"}
    return deepcopy(parts)


def prepare_address(form: forms.Form, prefix: str = "") -> None:
    """The parts of an address among the fields of a form: none is called optional that is needed."""
    hide_optional(form, *(f"{prefix}{name}" for name in NEEDED))
    postcode = field_of(form, f"{prefix}postcode", PostcodeField)
    postcode.country = form.data.get(f"{prefix}country") or form.initial.get(f"{prefix}country") or "BE"


def check_address(form: forms.Form, prefix: str = "") -> None:
    """Name each part that is needed and empty."""
    for name, message in NEEDED.items():
        field = f"{prefix}{name}"
        if not form.cleaned_data.get(field) and field not in form.errors:
            form.add_error(field, message)
