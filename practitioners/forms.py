"""The two tabs of the practitioner: general information; addresses with their telecoms."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.forms import BoundField
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import identifiers
from accounts.fields import HouseNihiiField, NameField, NihiiField, SsinField, identifier_message
from accounts.forms.declared import choices_of, field_of, hide_optional
from accounts.models import Practice, User
from accounts.sections import SectionForm
from practitioners.actions import may_correct_identity, names_another
from practitioners.models import Practitioner
from practitioners.reference import (
    GENERAL_PRACTICE,
    HOUSE,
    NOT_CAREGIVERS,
    PHYSICIAN,
    competence_known,
    profession_choices,
    professions,
    speciality_choices,
    speciality_of,
)

EMPTY = ("", gettext_lazy("Choisissez"))
STATUS_OF_TRAINEE = gettext_lazy(
    "Les trois derniers chiffres de ce numéro INAMI sont ceux d'un médecin en formation. "
    "Choisissez « En formation », ou indiquez votre nouveau numéro."
)
IDENTITY_FIXED = gettext_lazy(
    "Les 8 premiers chiffres d'un numéro INAMI ne changent jamais. "
    "S'il était faux, demandez à un administrateur du cabinet de le corriger."
)
REASON_MISSING = gettext_lazy(
    "Les 8 premiers chiffres du numéro INAMI désignent une personne et ne changent jamais. "
    "Dites pourquoi vous les remplacez, ou remettez l'ancien numéro."
)
NO_HOUSE_ANY_MORE = gettext_lazy(
    "Le cabinet n'est plus une maison médicale au forfait : choisissez la profession de ce compte, "
    "ou demandez de le désactiver."
)
UNUSUAL_AGE = gettext_lazy(
    "D'après le numéro national, la personne a moins de 21 ans ou plus de 100 ans. Vérifiez-le."
)
UNKNOWN_CODE = gettext_lazy(
    "Les trois derniers chiffres du numéro INAMI ne nous sont pas connus. Vérifiez-les."
)
OTHER_SPECIALITY = gettext_lazy(
    "La spécialité choisie ne correspond pas aux trois derniers chiffres du numéro INAMI."
)
SPOKEN = ("fr", "nl", "de", "en", "es", "it", "pt", "ar", "tr", "pl", "ro", "ru", "uk", "bg", "el", "hu")


def spoken_languages() -> list[tuple[str, str]]:
    return [(code, translation.get_language_info(code)["name_translated"].capitalize()) for code in SPOKEN]


class ReasonField(forms.CharField):
    """Goes with a change and is none itself: nothing of it is stored in the section."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class GeneralForm(SectionForm):
    """« Informations générales » (rules 3.1). House fields count for a flat-rate house only."""

    section = "practitioner/general"
    # The profession decides what else is asked.
    ALWAYS = SectionForm.ALWAYS | {"profession"}

    profession = forms.ChoiceField(
        label=gettext_lazy("Profession"), choices=lambda: [EMPTY, *profession_choices()]
    )
    civility = forms.ChoiceField(
        label=gettext_lazy("Civilité"), choices=[EMPTY, *Practitioner.Civility.choices], required=False
    )
    last_name = NameField(label=gettext_lazy("Nom"), autocomplete="family-name")
    first_name = NameField(label=gettext_lazy("Prénom"), autocomplete="given-name", required=False)
    title = forms.CharField(
        label=gettext_lazy("Titre"),
        max_length=60,
        required=False,
        help_text=gettext_lazy("Figure sur les lettres, par exemple « médecin généraliste agréé »."),
    )
    language = forms.ChoiceField(label=gettext_lazy("Langue"), choices=settings.LANGUAGES)
    other_languages = forms.MultipleChoiceField(
        label=gettext_lazy("Langues parlées"),
        choices=spoken_languages,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    ssin = SsinField(label=gettext_lazy("Numéro National"), required=False)
    nihii = NihiiField(label=gettext_lazy("Numéro INAMI"), required=False)
    nihii_reason = ReasonField(
        label=gettext_lazy("Raison du remplacement du numéro INAMI"),
        max_length=300,
        required=False,
        help_text=gettext_lazy("Elle va dans le journal du cabinet, et par e-mail à la personne."),
    )
    speciality = forms.ChoiceField(
        label=gettext_lazy("Spécialité"), choices=lambda: [EMPTY, *speciality_choices()], required=False
    )
    training_status = forms.ChoiceField(
        label=gettext_lazy("Statut"),
        choices=[EMPTY, *Practitioner.TrainingStatus.choices],
        required=False,
        help_text=gettext_lazy("Proposé d'après les trois derniers chiffres du numéro INAMI."),
    )
    company_name = forms.CharField(label=gettext_lazy("Nom de la société"), max_length=120, required=False)
    house_contact_ssin = SsinField(
        label=gettext_lazy("Numéro National (personne de contact de la maison médicale)"), required=False
    )
    house_nihii = HouseNihiiField(label=gettext_lazy("Numéro INAMI de la maison médicale"), required=False)
    house_contact = forms.ModelChoiceField(
        label=gettext_lazy("Personne de contact"),
        queryset=User.objects.get_queryset().none(),
        required=False,
        empty_label=gettext_lazy("Choisissez"),
        to_field_name="uuid",
    )

    PERSON_ONLY = ("civility", "title", "other_languages", "ssin", "nihii", "speciality", "training_status")
    HOUSE_ONLY = ("house_contact_ssin", "house_nihii", "house_contact")
    # Required under a condition: the page does not call them optional.
    CONDITIONAL = ("first_name", "civility", "ssin", "nihii", "speciality", "training_status", *HOUSE_ONLY)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        hide_optional(self, *self.CONDITIONAL, "nihii_reason")
        if not may_correct_identity(self.actor):
            del self.fields["nihii_reason"]
        field_of(self, "other_languages", forms.MultipleChoiceField).choices = spoken_languages()
        colleagues = User.objects.of_practice(self.subject.practice_id).active().order_by("last_name", "pk")
        field_of(self, "house_contact", forms.ModelChoiceField).queryset = colleagues
        if not self.house_possible:
            for name in self.HOUSE_ONLY:
                del self.fields[name]
            offered = field_of(self, "profession", forms.ChoiceField)
            offered.choices = [item for item in choices_of(offered) if item[0] != HOUSE]
        chosen = self.data.get("profession") if self.is_bound else self.initial.get("profession")
        profession = professions().get(chosen or "")
        digits = "".join(profession.nihii_digits) if profession else ""
        field_of(self, "nihii", NihiiField).profession_digits = digits

    @property
    def house_possible(self) -> bool:
        """The second line exists for the account of a flat-rate house only (seed)."""
        return self.subject.practice.type == Practice.Type.FLAT_RATE_HOUSE

    def initial_for(self, subject: User) -> dict[str, Any]:
        row = Practitioner.objects.filter(user=subject).first()
        if row:
            row.user = subject  # and the person's practitioner is this row, for the tabs of the page
        row = row or Practitioner()
        stored = {name: getattr(row, name) for name in self.base_fields if hasattr(Practitioner, name)}
        person = {name: getattr(subject, name) for name in ("last_name", "first_name", "language")}
        contact = row.house_contact.uuid if row.house_contact else None
        return stored | person | {"house_contact": contact}

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        profession = values.get("profession", "")
        hidden: tuple[str, ...] = self.PERSON_ONLY if profession == HOUSE else self.HOUSE_ONLY
        if profession != PHYSICIAN:
            hidden += ("speciality", "training_status")
        for name in hidden:
            values[name] = {"other_languages": [], "house_contact": None}.get(name, "")
            self.errors.pop(name, None)
        self._require(profession)
        if profession == PHYSICIAN and values.get("nihii"):
            self._fill_from_number(values)
        # On an old page the conflict comes first.
        current = values.get("version") == self.initial["version"]
        if current and "nihii" in values and names_another(self.initial["nihii"], values["nihii"]):
            self._ask_reason(values)
        return values

    def _ask_reason(self, values: dict[str, Any]) -> None:
        """Another person's number: an administrator says why, others cannot (rules 2.2)."""
        if "nihii_reason" not in self.fields:
            self.add_error("nihii", IDENTITY_FIXED)
        elif not values.get("nihii_reason"):
            self.add_error("nihii_reason", REASON_MISSING)

    def _require(self, profession: str) -> None:
        """Fields that this profession needs; the rest may be completed later (readiness tells)."""
        needed: tuple[str, ...]
        if profession == HOUSE:
            needed = self.HOUSE_ONLY
        else:
            needed = ("first_name", "civility")
            needed += () if profession in NOT_CAREGIVERS else ("ssin",)
            item = professions().get(profession)
            needed += ("nihii",) if item and item.nihii_required else ()
        for name in needed:
            self._demand(name)

    def _demand(self, name: str) -> None:
        if name in self.fields:
            self.demand(name, required_message(name, str(self.fields[name].label)))

    def _fill_from_number(self, values: dict[str, Any]) -> None:
        """Propose status and speciality: when they are empty, and anew when the number's last digits changed
        and nobody touched them (rules 4.4). The code of a trainee makes a trainee (rules 4.3).
        """
        number, kinds = values["nihii"], Practitioner.TrainingStatus
        trainee = identifiers.nihii_is_trainee(number)
        open_to_proposal = {
            name
            for name in ("training_status", "speciality")
            if not values.get(name) or (self._code_changed(number) and name not in self.changed_data)
        }
        if "training_status" in open_to_proposal:
            values["training_status"] = kinds.TRAINEE if trainee else kinds.RECOGNISED
        elif trainee and values["training_status"] == kinds.RECOGNISED:
            self.add_error("training_status", STATUS_OF_TRAINEE)
        if "speciality" in open_to_proposal:
            values["speciality"] = proposed_speciality(number) or values.get("speciality", "")
        self._demand("speciality")

    def followed_number(self) -> bool:
        """Whether status or speciality became something else than what the page showed, with the number."""
        return self._code_changed(self.cleaned_data.get("nihii", "")) and any(
            self.cleaned_data.get(name) != self.initial.get(name) and name not in self.changed_data
            for name in ("training_status", "speciality")
        )

    def _code_changed(self, number: str) -> bool:
        before = self.initial.get("nihii") or ""
        return bool(before and number) and identifiers.nihii_competence(
            before
        ) != identifiers.nihii_competence(number)

    def values(self) -> dict[str, Any]:
        absent = dict.fromkeys(self.HOUSE_ONLY, "") | {"house_contact": None}
        return absent | super().values()

    def warnings(self) -> list[tuple[BoundField, str]]:
        """An unusual age, a code that is unknown or of another speciality (rules 2.1, 2.2, 3.1)."""
        stored = {
            name: self.initial.get(name) or "" for name in ("ssin", "nihii", "speciality", "profession")
        }
        found = []
        if stored["profession"] == HOUSE and not self.house_possible:
            found.append((self["profession"], str(NO_HOUSE_ANY_MORE)))
        if stored["ssin"] and identifiers.ssin_age_is_unusual(stored["ssin"], today=timezone.localdate()):
            found.append((self["ssin"], str(UNUSUAL_AGE)))
        if stored["nihii"] and stored["profession"] == PHYSICIAN:
            code = identifiers.nihii_competence(stored["nihii"])
            if not competence_known(code):
                found.append((self["nihii"], str(UNKNOWN_CODE)))
            elif stored["speciality"] and speciality_of(code) not in ("", stored["speciality"]):
                found.append((self["speciality"], str(OTHER_SPECIALITY)))
        return found


def proposed_speciality(number: str) -> str:
    """The speciality an INAMI number stands for, or ''."""
    known = speciality_of(identifiers.nihii_competence(number))
    return known or (GENERAL_PRACTICE if identifiers.nihii_is_gp(number) else "")


def required_message(name: str, label: str) -> str:
    if name in ("ssin", "house_contact_ssin"):
        return identifier_message("ssin", "required")
    if name in ("nihii", "house_nihii"):
        return identifier_message("nihii", "required")
    return _("Complétez le champ « %(label)s ».") % {"label": label}
