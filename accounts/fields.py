"""Form fields over identifiers and contacts: French sentences for the machine codes.

Each field gives back the canonical value and shows again what was typed. A sentence names the part
that is wrong and the next step.
"""

import re
from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import contacts, identifiers
from accounts.identifiers import Invalid

NAME_LENGTH = 80
_NAME = re.compile(r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f '’.-])*")

_IDENTIFIER_MESSAGES = {
    "ssin": {
        "required": _("Indiquez le numéro national : 11 chiffres, au dos de la carte d'identité."),
        "format": _(
            "Le numéro national ne contient que des chiffres. Retirez les lettres et les autres signes."
        ),
        "length": _("Le numéro national compte 11 chiffres. Comptez-les sur la carte d'identité."),
        "checksum": _(
            "Les chiffres de contrôle du numéro national ne correspondent pas. "
            "Vérifiez chaque chiffre sur la carte d'identité."
        ),
        "serial": _(
            "Les chiffres 7 à 9 du numéro national ne peuvent pas être 000 ni 999. "
            "Vérifiez-les sur la carte d'identité."
        ),
        "month": _(
            "Les chiffres 3 et 4 du numéro national (le mois) n'existent pas. "
            "Vérifiez-les sur la carte d'identité."
        ),
        "day": _(
            "Les six premiers chiffres du numéro national ne forment pas une date de naissance qui existe. "
            "Vérifiez-les sur la carte d'identité."
        ),
        "future": _(
            "Selon ce numéro national, la personne n'est pas encore née. "
            "Vérifiez les six premiers chiffres sur la carte d'identité."
        ),
    },
    "nihii": {
        "required": _("Indiquez le numéro INAMI : 11 chiffres, par exemple 1-23456-78-901."),
        "format": _(
            "Le numéro INAMI ne contient que des chiffres. Retirez les lettres et les autres signes."
        ),
        "length": _(
            "Le numéro INAMI compte 11 chiffres. N'oubliez pas les trois derniers, le code de qualification."
        ),
        "checksum": _(
            "Les chiffres de contrôle du numéro INAMI (le 7e et le 8e) ne correspondent pas. "
            "Vérifiez les huit premiers chiffres sur vos attestations."
        ),
        "profession": _(
            "Le premier chiffre de ce numéro INAMI est celui d'une autre profession. "
            "Vérifiez le numéro et la profession choisie."
        ),
        "competence": _(
            "Les trois derniers chiffres de ce numéro INAMI ne sont pas ceux d'une maison médicale "
            "au forfait : ce sont des 0 et des 1, avec au moins un 1. Vérifiez-les."
        ),
    },
    "house_nihii": {
        "required": _("Indiquez le numéro INAMI de la maison médicale : 11 chiffres, le premier est 8."),
        "profession": _(
            "Le numéro INAMI d'une maison médicale au forfait commence par 8. "
            "Le numéro personnel d'un médecin se note sur la ligne « Numéro INAMI »."
        ),
    },
    "bce": {
        "required": _("Indiquez le numéro d'entreprise (BCE) : 10 chiffres, sans le BE."),
        "format": _(
            "Le numéro d'entreprise ne contient que des chiffres, des points et des espaces. "
            "Retirez les autres signes ; seul le préfixe BE est admis."
        ),
        "length": _("Le numéro d'entreprise compte 10 chiffres et commence par 0 ou 1. Comptez-les."),
        "checksum": _(
            "Les deux derniers chiffres du numéro d'entreprise ne correspondent pas aux autres. "
            "Vérifiez chaque chiffre, par exemple sur vos carnets d'attestation."
        ),
        "establishment": _(
            "C'est un numéro d'unité d'établissement (il commence par un chiffre de 2 à 8). "
            "Indiquez le numéro d'entreprise, qui commence par 0 ou 1."
        ),
        "prefix": _("Un numéro d'entreprise commence par 0 ou 1. Vérifiez le premier chiffre."),
        "placeholder": _(
            "Ce numéro d'entreprise est une valeur de remplissage. Indiquez celui de votre entreprise."
        ),
    },
    "login": {
        "required": _("Indiquez un login."),
        "length": _("Le login compte de 3 à 150 caractères. Choisissez-en un autre."),
        "invisible": _("Le login contient un caractère invisible. Effacez-le et retapez-le au clavier."),
        "character": _(
            "Le login contient un signe ou un espace qui n'est pas admis. "
            "Employez des lettres, des chiffres et . - _ @ seulement."
        ),
        "mixed_scripts": _(
            "Le login mélange les lettres de plusieurs alphabets. Retapez-le dans un seul alphabet."
        ),
        "reserved": _("Ce login est un nom de rôle, il est réservé. Choisissez un login personnel."),
    },
}
_CONTACT_MESSAGES = {
    "email": {
        "required": _("Indiquez une adresse e-mail."),
        "length": _("L'adresse e-mail ne peut pas dépasser 254 caractères. Vérifiez-la."),
        "at": _("Une adresse e-mail contient un seul signe @, par exemple nom@exemple.be."),
        "local": _(
            "La partie de l'adresse e-mail avant le signe @ n'est pas correcte. "
            "Elle n'a ni espace, ni accent, ni point au début ou à la fin."
        ),
        "domain": _(
            "La partie de l'adresse e-mail après le signe @ n'est pas correcte. "
            "Écrivez-la en entier, par exemple exemple.be."
        ),
    },
    "phone": {
        "required": _("Indiquez un numéro de téléphone."),
        "format": _(
            "Le numéro de téléphone contient des signes non admis, ou ne commence pas par 0 ni par +. "
            "Exemple : 0470 12 34 56."
        ),
        "length": _("Ce numéro de téléphone a trop ou trop peu de chiffres. Exemple : 0470 12 34 56."),
        "number": _("Ce numéro de téléphone n'existe pas en Belgique. Vérifiez l'indicatif de zone."),
        "premium": _("Les numéros payants (090x) ne sont pas acceptés. Indiquez un autre numéro."),
        "placeholder": _("Ce numéro de téléphone est une valeur de remplissage. Indiquez le vôtre."),
    },
    "postcode": {
        "required": _("Indiquez le code postal."),
        "format": _(
            "Le code postal n'est pas correct. En Belgique : quatre chiffres, le premier n'est pas 0."
        ),
        "length": _(
            "Le code postal n'a pas la bonne longueur : quatre chiffres en Belgique, "
            "de 2 à 10 caractères ailleurs."
        ),
    },
}


def identifier_message(kind: str, code: str) -> str:
    """Sentence for a code of ``ssin``, ``nihii``, ``house_nihii``, ``bce`` or ``login``."""
    messages = _IDENTIFIER_MESSAGES[kind]
    if kind == "house_nihii":
        messages = _IDENTIFIER_MESSAGES["nihii"] | messages
    return str(messages[code])


def contact_message(kind: str, code: str) -> str:
    """Sentence for a code of ``email``, ``phone`` or ``postcode``."""
    return str(_CONTACT_MESSAGES[kind][code])


class Typed(str):
    """What somebody typed: shown again as it is, while a stored value is shown grouped."""


class JudgedField(forms.CharField):
    """A text field whose value is judged by a pure function that raises ``Invalid``.

    Gives the canonical value, or "" when it is optional and empty.
    """

    attributes: dict[str, str] = {}
    # Whether only its owner may read the value whole (rules 4.1).
    personal = False
    # A stored value that this reader sees masked; the mask sent back means that it stays.
    hidden = ""

    def hide(self, stored: str) -> None:
        """Show this stored value masked."""
        self.hidden = stored
        if stored and not self.help_text:
            self.help_text = _("Vous n'en voyez que la fin. Laissez-la telle quelle pour garder le numéro.")

    def judge(self, text: str) -> str:
        raise AssertionError("a field names its judge")

    def message(self, code: str) -> str:
        raise AssertionError("a field names its messages")

    def display(self, canonical: str) -> str:
        """How a stored value is shown."""
        return canonical

    def __init__(self, *, autocomplete: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if autocomplete:
            self.widget.attrs["autocomplete"] = autocomplete

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {**super().widget_attrs(widget), **self.attributes}

    def clean(self, value: Any) -> str:
        text = self.to_python(value) or ""
        if self.hidden and text == identifiers.mask(self.hidden):
            return self.hidden
        try:
            return self.judge(text)
        except Invalid as error:
            if error.code == "required" and not self.required:
                return ""
            raise ValidationError(self.message(error.code), code=error.code) from None

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial if self.disabled else Typed(data or "")

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Typed) or not value:
            return value
        return identifiers.mask(self.hidden) if value == self.hidden else self.display(str(value))

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the canonical value differs: other separators are no change."""
        try:
            return not self.disabled and self.clean(data) != (self.clean(initial) if initial else "")
        except ValidationError:
            return True


class _IdentifierField(JudgedField):
    kind = ""
    attributes = {"inputmode": "numeric", "autocomplete": "off", "spellcheck": "false"}

    def message(self, code: str) -> str:
        return identifier_message(self.kind, code)


class SsinField(_IdentifierField):
    """National number, register or BIS: 11 digits."""

    kind = "ssin"
    personal = True

    def judge(self, text: str) -> str:
        return identifiers.ssin(text, today=timezone.localdate())

    def display(self, canonical: str) -> str:
        return identifiers.format_ssin(canonical)


class NihiiField(_IdentifierField):
    """Personal INAMI number. The form sets ``profession_digits`` (first digits allowed)."""

    kind = "nihii"

    profession_digits = identifiers.PHYSICIAN

    def judge(self, text: str) -> str:
        return identifiers.nihii(text, profession_digit=self.profession_digits)

    def display(self, canonical: str) -> str:
        return identifiers.format_nihii(canonical)


class HouseNihiiField(_IdentifierField):
    """INAMI number of a flat-rate medical house."""

    kind = "house_nihii"

    def judge(self, text: str) -> str:
        return identifiers.house_nihii(text)

    def display(self, canonical: str) -> str:
        return identifiers.format_nihii(canonical)


class BceField(_IdentifierField):
    """Enterprise number: 10 digits, with or without BE."""

    kind = "bce"
    # Not the numeric keyboard: people type the BE.
    attributes = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "characters"}

    def judge(self, text: str) -> str:
        return identifiers.bce(text)

    def display(self, canonical: str) -> str:
        return identifiers.format_bce(canonical)


class LoginField(_IdentifierField):
    """A login to be chosen: gives it trimmed, as typed. The canonical form is for comparison only."""

    kind = "login"
    attributes = {"autocomplete": "username", "spellcheck": "false", "autocapitalize": "none"}

    def judge(self, text: str) -> str:
        identifiers.canonical_login(text)
        return text.strip()


class _ContactField(JudgedField):
    kind = ""

    def message(self, code: str) -> str:
        return contact_message(self.kind, code)


class EmailField(_ContactField):
    """E-mail address, its domain in lower case."""

    kind = "email"
    widget = forms.EmailInput
    attributes = {
        "inputmode": "email",
        "autocomplete": "email",
        "spellcheck": "false",
        "autocapitalize": "none",
    }

    def judge(self, text: str) -> str:
        return contacts.email(text)


class PhoneField(_ContactField):
    """Telephone number, in E.164 form."""

    kind = "phone"
    widget = forms.TextInput(attrs={"type": "tel"})
    attributes = {"inputmode": "tel", "autocomplete": "tel"}

    def judge(self, text: str) -> str:
        return contacts.phone(text).e164


class PostcodeField(_ContactField):
    """Postcode. ``country`` may be set later, when the country is known."""

    kind = "postcode"
    attributes = {"autocomplete": "postal-code", "spellcheck": "false"}

    def __init__(self, *, country: str = "BE", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.country = country

    def judge(self, text: str) -> str:
        return contacts.postcode(text, country=self.country)


class NameField(forms.CharField):
    """Last or first name: letters, spaces, apostrophes, dashes and dots, 1 to 80 characters."""

    default_error_messages = {
        "required": _("Indiquez le nom comme sur la carte d'identité."),
        "name": _(
            "Un nom contient des lettres, des espaces, des apostrophes, des tirets et des points seulement."
        ),
    }

    def __init__(self, *, autocomplete: str = "", **kwargs: Any) -> None:
        super().__init__(**{"max_length": NAME_LENGTH} | kwargs)
        self.widget.attrs["spellcheck"] = "false"
        if autocomplete:
            self.widget.attrs["autocomplete"] = autocomplete

    def clean(self, value: Any) -> str:
        name = " ".join(super().clean(value).split())
        if name and not _NAME.fullmatch(name):
            raise ValidationError(self.error_messages["name"], code="name")
        return name


class DayField(forms.DateField):
    """A day that has come: today at the latest. `missing` says what the day is of."""

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
