"""The form of the tab « Adresses »: any number of addresses, each with any number of telecoms.

Without script a button adds a row: the page comes back with what was typed and one row more.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.contacts import email, phone, postcode
from accounts.fields import contact_message
from accounts.forms.declared import hide_optional
from accounts.identifiers import Invalid
from accounts.models import User
from accounts.sections import PrefillableForm, SectionForm, in_words
from practitioners.actions import ADDRESS_FIELDS
from practitioners.models import Address, Telecom
from practitioners.reference import country_choices

MOST_ADDRESSES, MOST_TELECOMS = 8, 8
# More digits than this say nothing new, and Python refuses to read thousands of them.
LONGEST_COUNT = 4
FIRST_TELECOMS = (Telecom.Type.EMAIL, Telecom.Type.PHONE, Telecom.Type.MOBILE)


def posted_count(text: str, most: int) -> int | None:
    """A hidden count as posted, at most `most`; None when it is no count."""
    return min(int(text[:LONGEST_COUNT]), most) if text.isascii() and text.isdigit() else None


class TelecomForm(forms.Form):
    """One way to reach an address; an empty value means no row."""

    type = forms.ChoiceField(label=gettext_lazy("Type"), choices=Telecom.Type.choices)
    value = forms.CharField(
        label=gettext_lazy("Valeur"),
        max_length=254,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        kind, value = values.get("type"), values.get("value", "")
        try:
            if value and kind == Telecom.Type.EMAIL:
                values["value"] = email(value)
            elif value and kind in (Telecom.Type.PHONE, Telecom.Type.MOBILE, Telecom.Type.FAX):
                values["value"] = phone(value).e164
        except Invalid as error:
            self.add_error(
                "value", contact_message("email" if kind == Telecom.Type.EMAIL else "phone", error.code)
            )
        return values


class AddressForm(PrefillableForm):
    """One address. A work address needs everything but the box (rules 3.2)."""

    uuid = forms.UUIDField(widget=forms.HiddenInput, required=False)
    type = forms.ChoiceField(label=gettext_lazy("Type"), choices=Address.Type.choices)
    description = forms.CharField(
        label=gettext_lazy("Description"),
        max_length=80,
        required=False,
        help_text=gettext_lazy("Par exemple « cabinet principal » ou « maison de repos »."),
    )
    street = forms.CharField(label=gettext_lazy("Rue"), max_length=100, required=False)
    number = forms.CharField(label=gettext_lazy("N°"), max_length=10, required=False)
    box = forms.CharField(label=gettext_lazy("Boîte"), max_length=10, required=False)
    postcode = forms.CharField(label=gettext_lazy("Code postal"), max_length=10, required=False)
    city = forms.CharField(label=gettext_lazy("Localité"), max_length=80, required=False)
    country = forms.ChoiceField(label=gettext_lazy("Pays"), choices=country_choices)
    delete = forms.BooleanField(label=gettext_lazy("Supprimer cette adresse"), required=False)

    NEEDED_AT_WORK = ("street", "number", "postcode", "city")
    AUTOCOMPLETE = {
        "street": "address-line1",
        "postcode": "postal-code",
        "city": "address-level2",
        "country": "country",
    }

    def __init__(
        self,
        *args: Any,
        telecoms: list[tuple[str, str]],
        extra: int,
        prefilling: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.prefilling = prefilling
        hide_optional(self, *self.NEEDED_AT_WORK)
        for name, token in self.AUTOCOMPLETE.items():
            self.fields[name].widget.attrs["autocomplete"] = token
        count = self.telecom_count(len(telecoms)) + extra
        self.telecom_forms = [
            TelecomForm(
                self.data if self.is_bound and number < self.telecom_count(0) else None,
                prefix=f"{self.prefix}-telecom-{number}",
                initial=self._initial_telecom(telecoms, number),
            )
            for number in range(min(count, MOST_TELECOMS))
        ]

    def telecom_count(self, stored: int) -> int:
        """Rows on the page: as posted, or what is stored, with the three usual kinds for a new address."""
        posted = str(self.data.get(f"{self.prefix}-telecoms", "")) if self.is_bound else ""
        return stored if (count := posted_count(posted, MOST_TELECOMS)) is None else count

    @staticmethod
    def _initial_telecom(telecoms: list[tuple[str, str]], number: int) -> dict[str, str]:
        kind, value = telecoms[number] if number < len(telecoms) else (Telecom.Type.PHONE, "")
        return {"type": kind, "value": value}

    def is_valid(self) -> bool:
        parts = [form.is_valid() for form in self.telecom_forms if form.is_bound]
        return super().is_valid() and all(parts)

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        if values.get("delete"):
            return values
        if values.get("type") == Address.Type.WORK:
            for name in self.NEEDED_AT_WORK:
                said = _("Complétez le champ « %(label)s » : un lieu de travail en a besoin.")
                self.demand(name, said % {"label": self.fields[name].label})
        if values.get("postcode"):
            try:
                values["postcode"] = postcode(values["postcode"], country=values.get("country", "BE"))
            except Invalid as error:
                self.add_error("postcode", contact_message("postcode", error.code))
        return values

    def posted_uuid(self) -> UUID | None:
        """Which stored address this one is, whatever else is wrong with it."""
        return getattr(self, "cleaned_data", {}).get("uuid")

    def in_words(self) -> str:
        """What was typed, in one line."""
        if self["delete"].value():
            return _("À supprimer")
        telecoms = [(form["type"].value(), form["value"].value()) for form in self.telecom_forms]
        return described({name: self[name].value() for name in ADDRESS_FIELDS}, telecoms)

    def values(self) -> dict[str, Any]:
        telecoms = [
            (form.cleaned_data["type"], form.cleaned_data["value"])
            for form in self.telecom_forms
            if form.is_bound and form.cleaned_data["value"]
        ]
        return {name: value for name, value in self.cleaned_data.items() if name != "delete"} | {
            "telecoms": telecoms
        }


def complies(kind: str, telecoms: list[tuple[str, str]]) -> bool:
    """One work address whose own telecoms hold an e-mail and a phone or mobile (the hubs' rule)."""
    kinds = {telecom for telecom, _value in telecoms}
    return (
        kind == Address.Type.WORK
        and Telecom.Type.EMAIL in kinds
        and bool(kinds & {Telecom.Type.PHONE, Telecom.Type.MOBILE})
    )


def described(address: dict[str, Any], telecoms: list[tuple[str, str]]) -> str:
    """An address with its contacts, in one line."""
    fields, kinds = AddressForm.base_fields, TelecomForm.base_fields["type"]
    said = {name: in_words(fields[name], address[name]) for name in ADDRESS_FIELDS}
    box = _("boîte %(box)s") % {"box": said["box"]} if said["box"] else ""
    parts = [
        said["type"],
        said["description"],
        " ".join(filter(None, [said["street"], said["number"], box])),
        f"{said['postcode']} {said['city']}".strip(),
        said["country"],
        *(f"{in_words(kinds, kind)} {value}" for kind, value in telecoms if value),
    ]
    return ", ".join(filter(None, parts))


class AddressesForm(SectionForm):
    section = "practitioner/addresses"

    addresses = forms.IntegerField(
        widget=forms.HiddenInput, min_value=0, max_value=MOST_ADDRESSES, required=False
    )
    confirm_loss = forms.BooleanField(
        label=gettext_lazy(
            "Oui, enregistrer sans lieu de travail complet : mes accès aux hubs seront fermés"
        ),
        required=False,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        asked = self.data.get("add", "") if self.is_bound else ""
        stored = self.stored
        posted = self._posted_count() if self.is_bound else len(stored)
        count = min(posted + (asked == "address"), MOST_ADDRESSES)
        self.address_forms = [
            AddressForm(
                self.data if self.is_bound and number < posted else None,
                prefix=f"address-{number}",
                initial=stored[number][0]
                if number < len(stored)
                else {"type": Address.Type.HOME, "country": "BE"},
                telecoms=stored[number][1]
                if number < len(stored)
                else [(kind, "") for kind in FIRST_TELECOMS],
                extra=int(asked == f"telecom-{number}"),
                prefilling=self.prefilling,
            )
            for number in range(count)
        ]

    def _posted_count(self) -> int:
        return posted_count(str(self.data.get("addresses", "")), MOST_ADDRESSES) or 0

    @staticmethod
    def _stored_of(subject: User) -> list[tuple[dict[str, Any], list[tuple[str, str]]]]:
        """(fields, telecoms) of each stored address; one empty work address for a beginner."""
        rows = Address.objects.filter(practitioner__user=subject).prefetch_related("telecoms").order_by("pk")
        found = [
            (
                {name: getattr(row, name) for name in AddressForm.base_fields if name != "delete"},
                [
                    (telecom.type, telecom.value)
                    for telecom in sorted(row.telecoms.all(), key=lambda item: item.pk)
                ],
            )
            for row in rows
        ]
        return found or [
            ({"type": Address.Type.WORK, "country": "BE"}, [(kind, "") for kind in FIRST_TELECOMS])
        ]

    def initial_for(self, subject: User) -> dict[str, Any]:
        self.stored = self._stored_of(subject)
        return {"addresses": sum("uuid" in fields for fields, _telecoms in self.stored)}

    def parts(self) -> list[forms.Form]:
        """Every form of the page below this one."""
        return [part for address in self.address_forms for part in (address, *address.telecom_forms)]

    def unjudged(self) -> AddressesForm:
        """For a page that only gets a row more: nothing is complained about before somebody saves."""
        for part in (self, *self.parts()):
            part.errors.clear()
        return self

    def is_valid(self) -> bool:
        parts = [form.is_valid() for form in self.address_forms if form.is_bound]
        return all(parts) and super().is_valid()

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        if all(form.is_valid() for form in self.address_forms if form.is_bound):
            # Who pre-fills cannot lose what is not there yet; its owner is asked for it.
            before = [pair for pair in self.stored if "uuid" in pair[0] or not self.prefilling]
            had = any(complies(fields["type"], telecoms) for fields, telecoms in before)
            has = any(complies(item["type"], item["telecoms"]) for item in self.kept())
            if had and not has and not values.get("confirm_loss"):
                self.add_error(
                    "confirm_loss",
                    _(
                        "Il ne resterait aucun lieu de travail avec un e-mail et un téléphone. "
                        "Complétez-en un, ou confirmez."
                    ),
                )
        return values

    def kept(self) -> list[dict[str, Any]]:
        return [
            form.values()
            for form in self.address_forms
            if form.is_bound and not form.cleaned_data.get("delete")
        ]

    def removed(self) -> list[UUID]:
        """Those that the page showed and somebody ticked; one that it never showed is left alone."""
        return [
            form.cleaned_data["uuid"]
            for form in self.address_forms
            if form.is_bound and form.cleaned_data.get("delete") and form.cleaned_data.get("uuid")
        ]

    def values(self) -> dict[str, Any]:
        return {"addresses": self.kept(), "removed": self.removed()}

    def repeats_what_is_stored(self) -> bool:
        """Whether the very same addresses are stored; a new one has no id here, and one by now there."""
        if not (self.is_bound and self.is_valid()):
            return False
        typed = [self._content(item, item["telecoms"]) for item in self.kept()]
        stored = [self._content(fields, telecoms) for fields, telecoms in self.stored if "uuid" in fields]
        return sorted(typed) == sorted(stored)

    @staticmethod
    def _content(fields: dict[str, Any], telecoms: list[tuple[str, str]]) -> tuple[Any, ...]:
        return tuple(fields[name] for name in ADDRESS_FIELDS), tuple(telecoms)

    def comparison(self) -> list[dict[str, Any]]:
        """One row for each address that differs, then for each that this page never showed."""
        stored = {fields["uuid"]: pair for pair in self.stored if "uuid" in (fields := pair[0])}
        rows = []
        for number, form in enumerate(self.address_forms, start=1):
            there = stored.pop(form.posted_uuid(), None)
            typed, now = form.in_words(), described(*there) if there else ""
            if typed != now:
                rows.append(
                    {"label": _("Adresse %(number)s") % {"number": number}, "typed": typed, "stored": now}
                )
        return rows + [
            {
                "label": _("Adresse ajoutée par l'autre personne"),
                "typed": _("Pas sur votre page : elle sera gardée"),
                "stored": described(*pair),
            }
            for pair in stored.values()
        ]
