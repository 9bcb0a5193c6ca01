"""« Utilisateur »: how the person signs in, what they may do, who pays the licence, hubs (rules 3.3)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.translation import gettext_lazy as _

from accounts.access import assignable_roles, billing_addresses, may_change_access
from accounts.actions.passwords import pending_email
from accounts.contacts import is_shared_mailbox
from accounts.fields import EmailField, LoginField
from accounts.forms.billing_address import address_fields, check_address, prepare_address
from accounts.forms.declared import field_of, hide_optional
from accounts.forms.passwords import check_new_password, current_password_field, new_password_field
from accounts.models import HubRegion, Role, User
from accounts.sections import SectionForm

NEW = "new"
SHARED_MAILBOX = _(
    "Cette adresse semble lue par plusieurs personnes ; elles pourraient récupérer ce mot de passe."
)
CAREGIVERS = frozenset({Role.PHYSICIAN, Role.PHYSICIAN_TRAINEE, Role.PARAMEDICAL})
YES_NO = {"yes": True, "no": False, "": None}
# Parts of a new billing address.
ADDRESS = tuple(address_fields())


class AccountForm(SectionForm):
    """The fields an actor may not change are shown, disabled, or left out (`_limit_to`)."""

    section = "account"

    login = LoginField(
        label=_("Login"),
        help_text=_("Unique parmi tous les cabinets : par exemple l'adresse e-mail ou le numéro INAMI."),
    )
    email = EmailField(
        label=_("E-mail"),
        help_text=_(
            "Elle sert à récupérer le mot de passe : une adresse active, lue par une seule personne."
        ),
    )
    roles = forms.MultipleChoiceField(label=_("Rôle"), widget=forms.CheckboxSelectMultiple, required=False)
    password = new_password_field(
        label=_("Mot de passe"), required=False, help_text=_("À remplir seulement pour en changer.")
    )
    password_confirm = new_password_field(label=_("Confirmation du mot de passe"), required=False)
    current_password = current_password_field(
        required=False, help_text=_("Demandé pour changer le login, l'e-mail ou le mot de passe.")
    )
    billing_address = forms.ChoiceField(
        label=_("Adresse de facturation"),
        widget=forms.RadioSelect,
        help_text=_(
            "Où part la facture de la licence. Sans adresse, le formulaire ne peut pas être enregistré."
        ),
        error_messages={
            "required": _("Choisissez une adresse de facturation, ou créez-en une."),
            "invalid_choice": _("Choisissez une adresse de la liste, ou créez-en une."),
        },
    )
    (
        address_name,
        address_bce,
        address_street,
        address_number,
        address_box,
        address_postcode,
        address_city,
        address_country,
        address_email,
    ) = address_fields().values()
    hub_region = forms.ChoiceField(
        label=_("Région HUBs"),
        required=False,
        choices=[("", _("À choisir")), *HubRegion.choices],
        help_text=_(
            "Le hub de l'inscription comme professionnel de la santé ; « Aucun hub » est une réponse."
        ),
    )
    sumehr_auto_send = forms.ChoiceField(
        label=_("Envoi automatique des nouveaux SUMEHR à la fermeture des patients"),
        widget=forms.RadioSelect,
        required=False,
        choices=[("yes", _("Oui")), ("no", _("Non"))],
    )
    same_roof_search = forms.BooleanField(
        label=_("Activer la recherche sous le même toit"),
        required=False,
        help_text=_("Propose les patients dont l'adresse est 100 % identique."),
    )

    def __init__(self, *args: Any, subject: User, actor: User, **kwargs: Any) -> None:
        super().__init__(*args, subject=subject, actor=actor, **kwargs)
        self.is_owner = subject.pk == actor.pk
        addresses = billing_addresses(actor)
        self.addresses = {str(address.uuid): address for address in addresses}
        existing = [(key, str(address)) for key, address in self.addresses.items()]
        field_of(self, "billing_address", forms.ChoiceField).choices = [
            *existing,
            (NEW, _("Nouvelle adresse")),
        ]
        if not existing:
            self.initial["billing_address"] = NEW
        if not self.fields["billing_address"].required:
            self.fields["billing_address"].help_text = _("Où part la facture de la licence.")
        prepare_address(self, "address_")
        self._limit_to(actor)

    def _limit_to(self, actor: User) -> None:
        self.assignable = frozenset() if self.is_owner else assignable_roles(actor)
        shown = self.assignable | self.held if self.assignable else self.held
        roles = field_of(self, "roles", forms.MultipleChoiceField)
        roles.choices = [choice for choice in Role.choices if choice[0] in shown]
        roles.disabled = not self.assignable
        hide_optional(self, "roles", *(["hub_region"] if CAREGIVERS & self.held else []))
        if not may_change_access(actor, self.subject):
            for name in ("login", "email"):
                self.fields[name].disabled = True
                self.fields[name].help_text = _("Seul un administrateur peut changer l'accès de ce compte.")
        if not self.is_owner:
            for name in ("password", "password_confirm", "current_password"):
                del self.fields[name]

    def initial_for(self, subject: User) -> dict[str, Any]:
        self.held, self.pending_email = subject.roles(), pending_email(subject)
        automatic = {value: name for name, value in YES_NO.items()}[subject.sumehr_auto_send]
        address = subject.billing_address
        return {
            "login": subject.login,
            "email": self.pending_email or subject.email,
            "roles": sorted(self.held),
            "billing_address": str(address.uuid) if address else None,
            "hub_region": subject.hub_region,
            "sumehr_auto_send": automatic,
            "same_roof_search": subject.same_roof_search,
        }

    def warnings(self) -> list[tuple[BoundField, str]]:
        """An address that several people seem to read (rules 2.5)."""
        shared = is_shared_mailbox(self.initial["email"])
        return [(self["email"], str(SHARED_MAILBOX))] if shared else []

    def repeats_what_is_stored(self) -> bool:
        """Also when the address just typed is the one a first click created."""
        stored = self.subject.billing_address
        new = self["billing_address"].data == NEW and stored is not None
        same = new and all(
            self.fields[f"address_{name}"].clean(self[f"address_{name}"].data) == getattr(stored, name)
            for name in ADDRESS
        )
        ignored = {"version"} | {name for name in self.fields if same and "address" in name}
        return not set(self.changed_data) - ignored

    # --- checks ------------------------------------------------------------------------------
    def clean_roles(self) -> list[str]:
        """What the actor may not give or take stays as it is."""
        chosen = frozenset(self.cleaned_data["roles"])
        return sorted((chosen & self.assignable) | (self.held - self.assignable))

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("billing_address") == NEW and self._leaves_address():
            self.cleaned_data["billing_address"] = ""
        elif self.cleaned_data.get("billing_address") == NEW:
            check_address(self, "address_")
        elif "billing_address" not in self.errors:
            for name in ADDRESS:
                self.errors.pop(f"address_{name}", None)
        self._check_hub()
        if self.is_owner:
            check_new_password(self, user=self.subject, first="password", second="password_confirm")
            self._check_current_password()
        return self.cleaned_data

    def _leaves_address(self) -> bool:
        """Whether somebody who pre-fills leaves the choice to the owner: half an address helps nobody."""
        typed = [f"address_{name}" for name in ADDRESS if name != "country"]
        untouched = not any(self.cleaned_data.get(name) or name in self.errors for name in typed)
        return self.prefilling and self.subject.billing_address is None and untouched

    def _check_hub(self) -> None:
        hub = self.cleaned_data.get("hub_region")
        caregiver = CAREGIVERS.intersection(self.cleaned_data.get("roles", ()))
        if caregiver:
            self.demand("hub_region", _("Choisissez le hub où vous êtes inscrit, ou « Aucun hub »."))
        if "hub_region" in self.errors:
            return
        if self.cleaned_data.get("sumehr_auto_send") == "yes" and hub in ("", HubRegion.NONE):
            self.add_error(
                "sumehr_auto_send",
                _("L'envoi automatique demande un hub. Choisissez-en un, ou répondez « Non »."),
            )

    def _check_current_password(self) -> None:
        if self.changes_access() and not self.cleaned_data.get("current_password"):
            self.add_error(
                "current_password",
                _("Donnez votre mot de passe actuel pour changer login, e-mail ou mot de passe."),
            )

    def changes_access(self) -> bool:
        """Whether login, e-mail, password or roles would change."""
        return bool({"login", "email", "password", "roles"}.intersection(self.changed_data))

    # --- outcome -----------------------------------------------------------------------------
    def values(self) -> dict[str, Any]:
        values = self.cleaned_data
        chosen = values["billing_address"]
        new = {name: values[f"address_{name}"] for name in ADDRESS} if chosen == NEW else None
        return {
            "login": values["login"],
            "email": values["email"],
            "roles": values["roles"],
            "password": values.get("password", ""),
            "current_password": values.get("current_password", ""),
            "billing_address": self.addresses.get(chosen),
            "new_address": new,
            "hub_region": values["hub_region"],
            "sumehr_auto_send": YES_NO[values["sumehr_auto_send"]],
            "same_roof_search": values["same_roof_search"],
        }
