"""« Données financières »: company, BCE, convention, account; supervisor for a trainee (rules 3.6)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms import BoundField
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.access import Capability, capabilities
from accounts.fields import BceField, identifier_message
from accounts.forms.declared import field_of, hide_optional
from accounts.identifiers import Invalid
from accounts.models import User
from accounts.sections import SectionForm
from billing.bank import BankAccount, account, is_belgian
from billing.fields import BicField, IbanField, bank_message
from billing.models import AssistantsAccount, FinancialSettings, able_to_supervise
from practitioners.models import Practitioner
from practitioners.reference import HOUSE, PHYSICIAN

EMPTY = ("", gettext_lazy("Choisissez"))
FOREIGN = gettext_lazy(
    "Ce compte n'est pas belge : une mutualité pourrait le refuser. Vous pourrez alors en indiquer un autre."
)
BIC_URL = reverse_lazy("billing:bic")


def supervisors(trainee: Practitioner) -> Any:
    """Active recognised physicians of the same practice, never oneself, never a trainee (rules 4.3)."""
    return (
        Practitioner.objects.filter(able_to_supervise(), practice=trainee.practice)
        .exclude(pk=trainee.pk)
        .select_related("user")
        .order_by("user__last_name", "pk")
    )


class SupervisorField(forms.ModelChoiceField):  # type: ignore[type-arg]  # Django's takes none when it runs
    def label_from_instance(self, obj: Practitioner) -> str:
        return obj.user.get_full_name()


class FinancialForm(SectionForm):
    section = "billing/financial"

    company_name = forms.CharField(
        label=gettext_lazy("Nom éventuel de société"), max_length=120, required=False
    )
    bce = BceField(
        label=gettext_lazy("BCE (sans le BE)"),
        required=False,
        help_text=gettext_lazy("10 chiffres ; il se trouve sur vos carnets d'attestation."),
    )
    convention = forms.ChoiceField(
        label=gettext_lazy("Si vous êtes conventionné"),
        required=False,
        widget=forms.RadioSelect,
        choices=FinancialSettings.Convention.choices,
    )
    convention_hours = forms.CharField(
        label=gettext_lazy("Jours et heures hors convention"),
        max_length=300,
        required=False,
        help_text=gettext_lazy(
            "Seulement si vous êtes partiellement conventionné, par exemple « mardi 14 h – 18 h »."
        ),
    )
    supervisor = SupervisorField(
        label=gettext_lazy("Maître de stage"),
        queryset=Practitioner.objects.none(),
        required=False,
        to_field_name="uuid",
        empty_label=gettext_lazy("Choisissez"),
        help_text=gettext_lazy("Compte, BIC et BCE sont les siens : vous n'avez pas à les remplir."),
    )
    iban = IbanField(label="IBAN", required=False)
    bic = BicField(
        label="BIC",
        required=False,
        help_text=gettext_lazy("Calculé automatiquement ; à compléter seulement quand il est introuvable."),
    )
    assistants_shared_iban = IbanField(
        label=gettext_lazy("Compte bancaire partagé des assistants"),
        required=False,
        show_hidden_initial=True,
        help_text=gettext_lazy(
            "UNIQUEMENT si les eFact de vos assistants doivent être payées sur un autre compte. "
            "Il servira pour TOUS les assistants de TOUS les médecins de la pratique."
        ),
    )
    assistants_shared_bic = BicField(
        label=gettext_lazy("BIC du compte partagé"), required=False, show_hidden_initial=True
    )
    confirm_shared = forms.BooleanField(
        label=gettext_lazy("Je confirme : ce compte concerne tous les assistants du cabinet"), required=False
    )

    OWN = ("bce", "iban", "bic")
    SHARED = ("assistants_shared_iban", "assistants_shared_bic", "confirm_shared")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        hide_optional(self, "bce", "convention", "convention_hours", "supervisor", "iban", "bic")
        if self.is_trainee:
            field_of(self, "supervisor", SupervisorField).queryset = supervisors(self.practitioner)
            self._drop(*self.OWN, *self.SHARED)
        else:
            self._drop("supervisor")
            if not self.may_share:
                self._drop(*self.SHARED)
        if self.practitioner.profession == HOUSE:
            self._drop("convention", "convention_hours")
        for name in ("iban", "assistants_shared_iban"):
            if name in self.fields:
                self.fields[name].widget.attrs["data-bic-url"] = BIC_URL

    def _drop(self, *names: str) -> None:
        for name in names:
            self.fields.pop(name, None)

    @property
    def is_trainee(self) -> bool:
        return self.practitioner.training_status == Practitioner.TrainingStatus.TRAINEE

    @property
    def may_share(self) -> bool:
        """The shared account is the practice's: recognised physicians and managers set it."""
        return self.practitioner.profession == PHYSICIAN or Capability.EDIT_OTHER_USER in capabilities(
            self.actor
        )

    def trainees(self) -> list[str]:
        """Whom the shared account concerns, by name, for the confirmation."""
        rows = Practitioner.objects.filter(
            practice=self.practitioner.practice,
            training_status=Practitioner.TrainingStatus.TRAINEE,
            user__is_active=True,
        ).select_related("user")
        return sorted(row.user.get_full_name() for row in rows)

    def warnings(self) -> list[tuple[BoundField, str]]:
        """An insurer may refuse an account that is not Belgian (rules 2.4)."""
        shown = [name for name in ("iban", "assistants_shared_iban") if name in self.fields]
        stored = {name: self.initial[name] for name in shown}
        return [(self[name], str(FOREIGN)) for name, iban in stored.items() if iban and not is_belgian(iban)]

    def initial_for(self, subject: User) -> dict[str, Any]:
        self.practitioner = Practitioner.objects.select_related("practice").get(user=subject)
        self.practitioner.user = subject
        settings = FinancialSettings.objects.filter(practitioner=self.practitioner)
        row = settings.select_related("supervisor").first() or FinancialSettings()
        shared = AssistantsAccount.objects.filter(practice=self.practitioner.practice).first()
        if row.supervisor_id and not self.is_trainee:
            # Saved in training, recognised since: everything becomes own and empty (rules 4.4).
            row = FinancialSettings()
        default = FinancialSettings.Convention.CONVENTIONED if self.is_trainee else ""
        return {
            "company_name": self.practitioner.company_name,
            "bce": row.bce,
            "convention": row.convention or default,
            "convention_hours": row.convention_hours,
            "supervisor": row.supervisor.uuid if row.supervisor else None,
            "iban": row.iban,
            "bic": row.bic,
            "assistants_shared_iban": shared.iban if shared else "",
            "assistants_shared_bic": shared.bic if shared else "",
        }

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        self._clean_required()
        self._clean_owners_account(values)
        values["account"] = self._account(values, "iban", "bic")
        values["assistants_account"] = self._account(
            values, "assistants_shared_iban", "assistants_shared_bic"
        )
        if values.get("convention") != FinancialSettings.Convention.PARTIALLY:
            values["convention_hours"] = ""
        else:
            self.demand(
                "convention_hours",
                _("Indiquez les jours et heures pendant lesquels vous n'êtes pas conventionné."),
            )
        self._clean_shared(values)
        return values

    def _clean_required(self) -> None:
        messages = {
            "bce": identifier_message("bce", "required"),
            "convention": _("Choisissez votre statut de convention."),
            "supervisor": _("Choisissez votre maître de stage : vos honoraires vont sur son compte."),
            "iban": bank_message("required"),
        }
        for name, message in messages.items():
            self.demand(name, message)

    def _clean_owners_account(self, values: dict[str, Any]) -> None:
        """An account that its owner gave or confirmed is replaced by the owner alone (rules 4.6)."""
        before, typed = self.initial["iban"], values.get("iban")
        owners = before and not (self.review and self.review.to_review())
        if self.actor.pk != self.subject.pk and owners and typed and typed != before:
            self.add_error(
                "iban",
                _("Seule la personne elle-même peut remplacer ce compte. Demandez-lui de l'indiquer ici."),
            )

    def _account(self, values: dict[str, Any], iban: str, bic: str) -> BankAccount | None:
        """IBAN and BIC together; a derived BIC wins over whatever was posted (rules 2.4)."""
        if iban not in self.fields or iban in self.errors or not values.get(iban):
            return None
        try:
            return account(values[iban], values.get(bic) or "")
        except Invalid as error:
            self.add_error(bic, bank_message(error.code))
            return None

    def shared_changed(self) -> bool:
        """Whether the person changed the practice's account as the page showed it; somebody else may have
        saved another since, which an untouched field leaves alone.
        """
        return not {"assistants_shared_iban", "assistants_shared_bic"}.isdisjoint(self.changed_data)

    def _clean_shared(self, values: dict[str, Any]) -> None:
        if "confirm_shared" not in self.fields or "assistants_shared_iban" in self.errors:
            return
        names = self.trainees()
        if names and self.shared_changed() and not values.get("confirm_shared"):
            self.add_error(
                "confirm_shared",
                _("Ce changement concerne : %(names)s. Cochez la confirmation pour l'enregistrer.")
                % {"names": ", ".join(names)},
            )

    def values(self) -> dict[str, Any]:
        names = (
            "company_name",
            "bce",
            "convention",
            "convention_hours",
            "supervisor",
            "account",
            "assistants_account",
        )
        return {
            name: self.cleaned_data.get(name) or ("" if name in names[:4] else None) for name in names
        } | {"shared_changed": self.shared_changed()}
