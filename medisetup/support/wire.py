"""What was agreed with the eHealth platform and the mutualities, without keys, tokens and messages."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from ehealth import words
from ehealth.models import (
    AccountChange,
    EdmgRegistration,
    EdmgRequest,
    Keystore,
    Mailbox,
    Mutuality,
    PlatformSession,
)
from medisetup.journal_words import SESSION_ENDS
from medisetup.support.facts import Fact, Related, named, person, practice
from medisetup.support.filters import OfPerson, by_answer, by_choice
from medisetup.support.people import WHOM, search_of
from medisetup.support.rows import Pages, ReadOnly

MUTUALITY = Fact("mutuality", _("Mutualité"))
STATE = Fact("state", _("État"))
CODE = Fact("result_code", _("Code"))
ANSWER = Fact("result_code", _("Ce que dit le code"), say=lambda row: row.result_code and reason_of(row))


def reason_of(row: Keystore | Mailbox | EdmgRegistration) -> str:
    """The last code of the platform in words."""
    if isinstance(row, EdmgRegistration):
        return str(words.registration(row.result_code, row.result_place).reason)
    known = words.WARNINGS.get(row.result_code) or words.platform(row.result_code)
    return str(known.reason)


class KeystorePage(ReadOnly):
    whom = "user"
    list_display = (
        named(),
        practice("user__practice"),
        STATE,
        Fact("not_after", _("Valable jusqu'au")),
        Fact("stay_connected", _("Connexion maintenue")),
        Fact("tested_at", _("Dernier test réussi")),
        CODE,
    )
    list_filter = (
        OfPerson,
        by_choice("state", _("État"), Keystore.State.choices),
        by_answer("stay_connected", _("Connexion maintenue")),
    )
    search_fields, search_help_text = search_of("user__"), WHOM
    date_hierarchy, ordering = "not_after", ("-created_at",)
    facts = (
        person("user", _("Personne concernée")),
        *list_display[1:],
        ANSWER,
        Fact("holder_name", _("Titulaire du certificat")),
        Fact("ssin", _("Numéro National")),
        Fact("serial", _("Numéro de série du certificat")),
        Fact("issuer_name", _("Délivré par")),
        Fact("not_before", _("Valable à partir du")),
        Fact("created_at", _("Déposé le")),
        Fact("attempts", _("Essais")),
        Fact("lost_claims", _("Essais interrompus")),
        Fact("next_attempt_at", _("Prochain essai")),
        Fact("ended_at", _("Terminé le")),
        Fact("reminded_days", _("Dernier rappel (jours avant la fin)")),
    )


class PlatformSessionPage(ReadOnly):
    whom = "keystore__user"
    list_display = (
        named("keystore__user"),
        practice("keystore__user__practice"),
        Fact("not_before", _("Valable à partir du")),
        Fact("not_on_or_after", _("Valable jusqu'au")),
        Fact("ended_at", _("Terminée le")),
        Fact("end_reason", _("Raison"), words=SESSION_ENDS),
    )
    list_filter = (OfPerson, by_choice("end_reason", _("Raison"), list(SESSION_ENDS.items())))
    search_fields, search_help_text, ordering = search_of("keystore__user__"), WHOM, ("-not_on_or_after",)
    facts = (
        person("keystore__user", _("Personne concernée")),
        *list_display[1:],
        Fact("nihii", _("Numéro INAMI certifié par la plate-forme")),
        Fact("keystore__state", _("État du trousseau")),
    )


class MailboxPage(ReadOnly):
    identity, whom = "user__uuid", "user"
    list_display = (
        named(),
        practice("user__practice"),
        Fact("auto", _("Récupération automatique des messages healthbox")),
        Fact("polled_at", _("Dernière relève")),
        Fact("next_poll_at", _("Prochaine relève")),
        Fact("failures", _("Échecs de suite")),
        CODE,
    )
    list_filter = (OfPerson, by_answer("auto", _("Récupération automatique des messages healthbox")))
    search_fields, search_help_text, ordering = search_of("user__"), WHOM, ("-polled_at",)
    facts = (
        person("user", _("Personne concernée")),
        *list_display[1:],
        ANSWER,
        Fact("messages", _("Messages connus"), say=lambda row: row.messages.count()),
        Fact("standby", _("Messages en attente sur la plate-forme")),
        Fact("reading_since", _("Relève en cours depuis")),
    )


class EdmgRegistrationPage(ReadOnly):
    whom = "user"
    list_display = (
        named(),
        practice("user__practice"),
        MUTUALITY,
        STATE,
        Fact("attempts", _("Essais")),
        Fact("next_attempt_at", _("Prochain essai")),
        Fact("answered_at", _("Réponse du")),
        CODE,
    )
    list_filter = (
        OfPerson,
        by_choice("state", _("État"), EdmgRegistration.State.choices),
        by_choice("mutuality", _("Mutualité"), Mutuality.choices),
    )
    search_fields = (*search_of("user__"), "=reference")
    search_help_text = _("Nom, prénom, e-mail, cabinet ou référence")
    date_hierarchy, ordering = "queued_at", ("-queued_at",)
    facts = (
        person("user", _("Personne concernée")),
        *list_display[1:],
        ANSWER,
        Fact("result_message", _("Message de la mutualité")),
        Fact("start_date", _("Début de l'inscription")),
        Fact("iban", _("Compte bancaire (IBAN)")),
        Fact("bic", "BIC"),
        Fact("reference", _("Référence")),
        Fact("queued_at", _("En file depuis le")),
        Fact("lost_claims", _("Essais interrompus")),
        Fact("outcome_unknown", _("Issue du dernier essai inconnue")),
    )


class EdmgRequestPage(ReadOnly):
    whom = "user"
    list_display = (
        named(),
        practice("user__practice"),
        Fact("accepted_at", _("Conditions acceptées le")),
        Fact("conditions_version", _("Version des conditions")),
        Fact("conditions_language", _("Langue")),
        Fact("proved_at", _("Mot de passe donné le")),
        Fact("same_account", _("Le même compte pour toutes les mutualités")),
    )
    list_filter = (OfPerson, by_answer("same_account", _("Le même compte pour toutes les mutualités")))
    search_fields, search_help_text = search_of("user__"), WHOM
    date_hierarchy, ordering = "accepted_at", ("-accepted_at",)
    facts = (person("user", _("Personne concernée")), *list_display[1:])
    related = (
        Related(
            _("Inscriptions eDMG"),
            (MUTUALITY, STATE, Fact("iban", _("Compte bancaire (IBAN)")), CODE),
            lambda row: row.registrations.order_by("mutuality"),
        ),
    )


class AccountChangePage(ReadOnly):
    whom = "user"
    list_display = (
        named(),
        practice("user__practice"),
        Fact("iban", _("Compte bancaire (IBAN)")),
        Fact("bic", "BIC"),
        Fact("created_at", _("Commencé le")),
        Fact("ended_at", _("Terminé le")),
    )
    list_filter = (OfPerson,)
    search_fields, search_help_text = search_of("user__"), WHOM
    date_hierarchy, ordering = "created_at", ("-created_at",)
    facts = (person("user", _("Personne concernée")), *list_display[1:])
    related = (
        Related(
            _("Lettres aux mutualités"),
            (
                MUTUALITY,
                Fact("old_iban", _("Ancien compte bancaire")),
                Fact("sent_on", _("Partie le")),
                Fact("confirmed_on", _("Confirmée le")),
            ),
            lambda row: row.tasks.order_by("mutuality"),
        ),
    )


PAGES: Pages = {
    Keystore: KeystorePage,
    PlatformSession: PlatformSessionPage,
    Mailbox: MailboxPage,
    EdmgRequest: EdmgRequestPage,
    EdmgRegistration: EdmgRegistrationPage,
    AccountChange: AccountChangePage,
}
