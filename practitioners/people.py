"""The form of « Nouvel utilisateur » (rules 3.7)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy

from accounts.access import assignable_roles
from accounts.actions.people import NoRole
from accounts.fields import EmailField, LoginField, NameField
from accounts.forms.declared import field_of, hide_optional
from accounts.models import Practice, Role, User
from practitioners.forms import EMPTY, required_message
from practitioners.reference import HOUSE, profession_choices


class NewPersonForm(forms.Form):
    last_name = NameField(label=gettext_lazy("Nom"), autocomplete="off")
    first_name = NameField(label=gettext_lazy("Prénom"), autocomplete="off", required=False)
    email = EmailField(
        label=gettext_lazy("E-mail"),
        autocomplete="off",
        help_text=gettext_lazy(
            "L'invitation part vers cette adresse ; elle servira à récupérer le mot de passe."
        ),
    )
    login = LoginField(
        label=gettext_lazy("Login"),
        autocomplete="off",
        help_text=gettext_lazy(
            "Unique parmi tous les cabinets : par exemple l'adresse e-mail ou le numéro INAMI."
        ),
    )
    profession = forms.ChoiceField(
        label=gettext_lazy("Profession"), choices=lambda: [EMPTY, *profession_choices()]
    )
    roles = forms.MultipleChoiceField(
        label=gettext_lazy("Rôle"), choices=Role.choices, widget=forms.CheckboxSelectMultiple
    )
    language = forms.ChoiceField(
        label=gettext_lazy("Langue"),
        choices=settings.LANGUAGES,
        help_text=gettext_lazy("Langue de l'invitation et des pages."),
    )

    def __init__(self, *args: Any, actor: User, allowed: frozenset[str] | None = None, **kwargs: Any) -> None:
        """`allowed`: the roles the actor may give, when they were read already."""
        super().__init__(*args, **kwargs)
        if actor.practice.type != Practice.Type.FLAT_RATE_HOUSE:
            field_of(self, "profession", forms.ChoiceField).choices = [
                choice for choice in [EMPTY, *profession_choices()] if choice[0] != HOUSE
            ]
        allowed = assignable_roles(actor) if allowed is None else allowed
        roles = field_of(self, "roles", forms.MultipleChoiceField)
        roles.choices = [choice for choice in Role.choices if choice[0] in allowed]
        self.initial.setdefault("language", actor.language)
        hide_optional(self, "first_name")
        roles.error_messages["required"] = NoRole.message
        profession = self.fields["profession"]
        profession.error_messages["required"] = required_message("profession", str(profession.label))

    def clean(self) -> dict[str, Any]:
        """A house has no first name; a person has, and is written to by it."""
        values = self.cleaned_data
        missing = "first_name" not in self.errors and not values.get("first_name")
        if missing and values.get("profession") != HOUSE:
            label = str(self.fields["first_name"].label)
            self.add_error("first_name", required_message("first_name", label))
        return values
