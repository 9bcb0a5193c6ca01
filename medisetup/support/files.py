"""What hangs on a person: bank and billing data, licences, the facts of the key pair."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import Licence, LicenceRequest, PersonalKey
from billing.models import FinancialSettings
from medisetup.journal_words import KEY_ENDS
from medisetup.support.facts import Fact, Related, named, person, practice
from medisetup.support.filters import OfPerson, by_answer, by_choice
from medisetup.support.people import WHOM, search_of
from medisetup.support.rows import Pages, ReadOnly

REQUESTED = Fact("requested_at", _("Demandée le"))
STEPS = (
    Fact("invoice_number", _("Facture")),
    Fact("invoiced_on", _("Facturée le")),
    Fact("paid_on", _("Payée le")),
    Fact("activated_at", _("Activée le")),
)


class FinancialPage(ReadOnly):
    identity, whom = "practitioner__user__uuid", "practitioner__user"
    list_display = (
        named("practitioner__user"),
        practice("practitioner__user__practice"),
        Fact("convention", _("Convention")),
        Fact("iban", _("Compte bancaire (IBAN)")),
        Fact("bic", "BIC"),
        person("supervisor__user", _("Maître de stage")),
    )
    list_filter = (OfPerson, by_choice("convention", _("Convention"), FinancialSettings.Convention.choices))
    search_fields, search_help_text = search_of("practitioner__user__"), WHOM
    ordering = ("practitioner__user__last_name",)
    facts = (
        person("practitioner__user", _("Personne concernée")),
        *list_display[1:],
        Fact("bic_source", _("Origine du BIC")),
        Fact("bce", _("BCE (sans le BE)")),
        Fact("convention_hours", _("Jours et heures hors convention")),
        Fact("supervisor_lost_at", _("Maître de stage perdu depuis")),
    )


class LicencePage(ReadOnly):
    identity, whom = "user__uuid", "user"
    list_display = (
        named(),
        practice("user__practice"),
        Fact("state", _("État")),
        Fact("starts_on", _("Premier jour")),
        Fact("ends_on", _("Dernier jour")),
        Fact("reminded_days", _("Dernier rappel (jours avant la fin)")),
    )
    list_filter = (OfPerson, by_choice("state", _("État"), Licence.State.choices))
    search_fields, search_help_text = search_of("user__"), WHOM
    date_hierarchy, ordering = "ends_on", ("ends_on",)
    facts = (person("user", _("Personne concernée")), *list_display[1:])
    related = (
        Related(_("Demandes de licence"), (REQUESTED, *STEPS), lambda row: row.requests.order_by("-pk")),
    )


class LicenceRequestPage(ReadOnly):
    whom = "licence__user"
    list_display = (
        named("licence__user"),
        practice("licence__user__practice"),
        REQUESTED,
        *STEPS,
    )
    list_filter = (OfPerson,)
    search_fields = (*search_of("licence__user__"), "invoice_number")
    search_help_text = _("Nom, prénom, e-mail, cabinet ou numéro de facture")
    date_hierarchy, ordering = "requested_at", ("-requested_at",)
    facts = (
        person("licence__user", _("Personne concernée")),
        *list_display[1:],
        person("requested_by", _("Demandée par")),
        Fact("name", _("Nom sur la facture")),
        Fact("nihii", _("Numéro INAMI")),
        Fact("practice_name", _("Cabinet sur la facture")),
        Fact("billing_address", _("Adresse de facturation")),
        Fact("billing_email", _("E-mail de facturation")),
    )

    def links(self, row: LicenceRequest) -> list[tuple[str, Any]]:
        """To the page where staff goes on with an open request."""
        if row.activated_at:
            return []
        return [
            (
                reverse("billing:licence_request", args=[row.licence.user.uuid]),
                _("La demande dans le portail"),
            )
        ]


class PersonalKeyPage(ReadOnly):
    whom = "user"
    list_display = (
        named(),
        practice("user__practice"),
        Fact("state", _("État")),
        Fact("origin", _("Origine")),
        Fact("protection", _("Protection du fichier")),
        Fact("bits", _("Taille en bits")),
        Fact("created_at", _("Enregistrée le")),
        Fact("last_proof_at", _("Dernière preuve")),
    )
    list_filter = (
        OfPerson,
        by_choice("state", _("État"), PersonalKey.State.choices),
        by_choice("origin", _("Origine"), PersonalKey.Origin.choices),
        by_answer("prepared", _("Préparée par une autre personne")),
    )
    search_fields, search_help_text = search_of("user__"), WHOM
    date_hierarchy, ordering = "created_at", ("-created_at",)
    facts = (
        person("user", _("Personne concernée")),
        *list_display[1:],
        Fact("algorithm", _("Algorithme")),
        Fact("prepared", _("Préparée par une autre personne")),
        Fact("kept_at", _("Gardée par son propriétaire le")),
        Fact("backup_at", _("Sauvegarde vérifiée le")),
        Fact("backup_reread_at", _("Sauvegarde relue le")),
        Fact("second_backup_at", _("Deuxième copie vérifiée le")),
        Fact("ended_at", _("Terminée le")),
        Fact("end_reason", _("Raison"), words=KEY_ENDS),
        person("ended_by", _("Terminée par")),
    )


PAGES: Pages = {
    FinancialSettings: FinancialPage,
    Licence: LicencePage,
    LicenceRequest: LicenceRequestPage,
    PersonalKey: PersonalKeyPage,
}
