"""« Connexion eHealth », « eDMG » (rules 3.4 and 3.5), and the filter of the log of exchanges."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from accounts.forms.declared import field_of, hide_optional
from accounts.identifiers import Invalid
from accounts.models import User
from accounts.sections import SectionForm
from billing import bank
from billing.fields import BicField, IbanField, bank_message
from billing.models import FinancialSettings
from ehealth import conditions, words
from ehealth.actions import edmg
from ehealth.models import EdmgRegistration, Exchange, Keystore, Mailbox, Mutuality
from practitioners.models import Practitioner

PASSWORD_NEEDED = gettext_lazy("Indiquez le mot de passe du trousseau.")


class PasswordField(forms.CharField):
    """The password of a keystore: as typed, spaces included, never shown again."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.PasswordInput(render_value=False, attrs={"autocomplete": "off", "spellcheck": "false"})
        errors = {"required": PASSWORD_NEEDED}
        super().__init__(
            label=gettext_lazy("Mot de passe"), strip=False, widget=widget, error_messages=errors, **kwargs
        )


class KeystoreForm(SectionForm):
    section = "ehealth/connection"

    keystore = forms.FileField(
        label=gettext_lazy("Choisir un fichier"),
        help_text=gettext_lazy(
            "Votre trousseau eHealth : un fichier .p12, souvent nommé « SSIN=… .p12 », dans le dossier "
            "« ehealth/keystore » de votre ordinateur."
        ),
        allow_empty_file=True,
        widget=forms.FileInput(attrs={"accept": ".p12,.pfx,.acc-p12,application/x-pkcs12"}),
        error_messages={"required": gettext_lazy("Choisissez le fichier de votre trousseau eHealth (.p12).")},
    )
    keystore_password = PasswordField(
        help_text=gettext_lazy("Celui du trousseau. Il sert à l'ouvrir maintenant et n'est jamais conservé.")
    )
    healthbox_auto = forms.BooleanField(
        label=gettext_lazy("Récupération automatique des messages healthbox"),
        required=False,
        help_text=gettext_lazy(
            "Cochée : la clé ouverte est gardée chiffrée pour relever vos messages et renouveler la "
            "connexion, même quand vous n'êtes pas là, jusqu'à ce que vous décochiez. Non cochée : "
            "la connexion se ferme d'elle-même après 24 heures au plus et votre mot de passe vous sera "
            "redemandé."
        ),
    )

    def initial_for(self, subject: User) -> dict[str, Any]:
        return {"healthbox_auto": bool(Mailbox.objects.filter(user=subject, auto=True).exists())}

    def values(self) -> dict[str, Any]:
        file = self.cleaned_data["keystore"]
        file.seek(0)
        return {
            "data": file.read(),
            "file_name": file.name or "",
            "password": self.cleaned_data["keystore_password"],
            "auto": self.cleaned_data["healthbox_auto"],
        }

    def repeats_what_is_stored(self) -> bool:
        """The second click of a double click brings the very file that is in test or in force already."""
        if not self.is_valid():
            return False
        held = Keystore.objects.filter(
            user=self.subject, state__in=[Keystore.State.TESTING, Keystore.State.ACTIVE]
        )
        return held.filter(sha256=hashlib.sha256(self.values()["data"]).hexdigest()).exists()

    def comparison(self) -> list[dict[str, Any]]:
        """A file cannot be compared by eye."""
        return []


class ReconnectForm(forms.Form):
    keystore_password = PasswordField()

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, auto_id="reconnect_%s")


@dataclass(frozen=True)
class AccountLine:
    """One account on the page: its fields, whose it is, and the bank the server knows already."""

    code: str
    label: str
    iban: forms.BoundField
    bic: forms.BoundField
    bank: dict[str, str]


class EdmgForm(SectionForm):
    section = "ehealth/edmg"

    same_account = forms.BooleanField(
        label=gettext_lazy("J'utilise le même compte bancaire pour les 7 mutuelles"), required=False
    )
    iban = IbanField(label=gettext_lazy("Compte bancaire (IBAN)"), required=False)
    bic = BicField(
        label="BIC",
        required=False,
        help_text=gettext_lazy("Calculé automatiquement ; à compléter seulement quand il est introuvable."),
    )
    conditions_accepted = forms.BooleanField(
        label=conditions.ACCEPTED,
        error_messages={
            "required": gettext_lazy("Lisez les conditions, puis cochez la case pour les accepter.")
        },
    )
    no_paper_ack = forms.BooleanField(
        label=conditions.NO_PAPER,
        error_messages={
            "required": gettext_lazy("Cochez la case : sans DMG électronique, l'inscription n'a pas de sens.")
        },
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.codes = edmg.requestable(user=kwargs["subject"])
        super().__init__(*args, **kwargs)
        for code in self.codes:
            self.fields[f"iban_{code}"] = IbanField(
                label=gettext_lazy("Compte bancaire (IBAN)"), required=False
            )
            self.fields[f"bic_{code}"] = BicField(label="BIC", required=False)
        hide_optional(self, *self.fields)
        for name, field in self.fields.items():
            if name.startswith("iban"):
                field.widget.attrs["data-bic-url"] = reverse_lazy("billing:bic")

    def initial_for(self, subject: User) -> dict[str, Any]:
        """Accounts of an earlier request; else the own one of the financial settings, no supervisor's."""
        earlier = {row.mutuality: row for row in EdmgRegistration.objects.filter(user=subject)}
        own = FinancialSettings.objects.filter(
            practitioner__user=subject, practitioner__training_status=Practitioner.TrainingStatus.RECOGNISED
        ).first()
        iban, bic = (own.iban, own.bic) if own else ("", "")
        known = {(row.iban, row.bic) for row in earlier.values()} or {(iban, bic)}
        shared = known.pop() if len(known) == 1 else ("", "")
        initial = {"same_account": not known, "iban": shared[0], "bic": shared[1]}
        for code in self.codes:
            row = earlier.get(code)
            initial[f"iban_{code}"], initial[f"bic_{code}"] = (row.iban, row.bic) if row else (iban, bic)
        return initial

    def lines(self) -> list[AccountLine]:
        """The accounts, one per mutuality to ask."""
        return [self._line(code, f"iban_{code}", f"bic_{code}") for code in self.codes]

    def shared_line(self) -> AccountLine:
        return self._line("", "iban", "bic")

    def _line(self, code: str, iban: str, bic: str) -> AccountLine:
        label = str(Mutuality(code).label) if code else ""
        return AccountLine(code, label, self[iban], self[bic], known_bank(self[iban].value()))

    def clean(self) -> dict[str, Any]:
        """`accounts`: one per mutuality. Fields that the page hides are cleared, whatever was posted."""
        values = self.cleaned_data
        same = values.get("same_account")
        shown = [("iban", "bic")] if same else [(f"iban_{code}", f"bic_{code}") for code in self.codes]
        used = {name for pair in shown for name in pair}
        for name in [name for name in self.fields if name.startswith(("iban", "bic")) and name not in used]:
            self.errors.pop(name, None)
            values[name] = ""
        judged = [self._account(values, *pair) for pair in shown]
        values["accounts"] = dict(zip(self.codes, judged * len(self.codes) if same else judged, strict=True))
        self._keep_held(values["accounts"])
        return values

    def _keep_held(self, accounts: dict[str, bank.BankAccount | None]) -> None:
        """Another account is refused where the first one may have been taken."""
        held = edmg.accounts_held(user=self.subject)
        wrong = [
            code
            for code, account in accounts.items()
            if account and account.iban != held.get(code, account.iban)
        ]
        if wrong:
            names = ", ".join(str(Mutuality(code).label) for code in wrong)
            words = _(
                "Une mutualité a peut-être déjà retenu le compte indiqué la première fois : "
                "redemandez avec le même compte (%(mutualities)s)."
            )
            self.add_error(None, words % {"mutualities": names})

    def _account(self, values: dict[str, Any], iban: str, bic: str) -> bank.BankAccount | None:
        if iban in self.errors:
            return None
        if not values.get(iban):
            self.add_error(iban, bank_message("required"))
            return None
        try:
            return bank.account(values[iban], values.get(bic) or "")
        except Invalid as error:
            self.add_error(bic, bank_message(error.code))
            return None

    def values(self) -> dict[str, Any]:
        return {
            "accounts": self.cleaned_data["accounts"],
            "same_account": self.cleaned_data["same_account"],
            "conditions_version": conditions.VERSION,
            "language": (get_language() or "fr")[:2],
        }

    def answers(self) -> list[dict[str, str]]:
        """What is about to be sent, for the page that asks « est-ce juste ? »."""
        accounts = self.cleaned_data["accounts"]
        if self.cleaned_data["same_account"]:
            shown = {str(_("Toutes les mutualités")): next(iter(accounts.values()))}
        else:
            shown = {str(Mutuality(code).label): account for code, account in accounts.items()}
        return [
            {"key": label, "value": f"{bank.format_iban(account.iban)} · {account.bic}"}
            for label, account in shown.items()
        ]

    def sent_again(self) -> list[tuple[str, Any]]:
        """Names and values for the confirming post, as they were typed."""
        return [(field.html_name, field.value()) for field in self if field.value() not in (None, "", False)]

    def foreign(self) -> bool:
        """Whether a mutuality may refuse an account because it is not Belgian."""
        return any(not bank.is_belgian(account.iban) for account in self.cleaned_data["accounts"].values())

    def missing(self) -> list[str]:
        return edmg.missing(user=self.subject, now=timezone.now())

    def repeats_what_is_stored(self) -> bool:
        """The second click of a double click: everything is queued already."""
        return not self.codes

    def comparison(self) -> list[dict[str, Any]]:
        shown = ("same_account", "iban")
        return [row for row in super().comparison() if row["label"] in [self[name].label for name in shown]]


def known_bank(text: str | None) -> dict[str, str]:
    """BIC and name of the bank for the page as it is drawn; empty when the IBAN is not valid."""
    try:
        number = bank.iban(str(text or ""))
    except Invalid:
        return {"bic": "", "name": ""}
    return {"bic": bank.derive_bic(number) or "", "name": bank.bank_name(number)}


class ExchangeFilter(forms.Form):
    """What of the log to show; read from the address, so that a view can be kept and shared."""

    OUTCOMES = [
        ("", gettext_lazy("Tous")),
        ("ok", gettext_lazy("Réussis")),
        ("failed", gettext_lazy("Échecs")),
    ]

    service = forms.ChoiceField(label=gettext_lazy("Service"), required=False)
    outcome = forms.ChoiceField(label=gettext_lazy("Résultat"), choices=OUTCOMES, required=False)
    day = forms.DateField(
        label=gettext_lazy("Jour"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        hide_optional(self, *self.fields)
        services = [(name, label) for name, label in words.SERVICES.items()]
        field_of(self, "service", forms.ChoiceField).choices = [("", _("Tous")), *services]

    def apply(self, rows: QuerySet[Exchange]) -> QuerySet[Exchange]:
        """The rows that match; what cannot be read narrows nothing."""
        self.is_valid()
        chosen = self.cleaned_data
        if chosen.get("service"):
            rows = rows.filter(service=chosen["service"])
        if chosen.get("outcome"):
            rows = rows.filter(code="OK") if chosen["outcome"] == "ok" else rows.exclude(code="OK")
        if chosen.get("day"):
            rows = rows.filter(started_at__date=chosen["day"])
        return rows
