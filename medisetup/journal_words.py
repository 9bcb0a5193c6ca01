"""What each event of the audit trail says: a sentence a kind, a label a detail, a word a value."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import AuditEvent, HubRegion, PersonalKey, Practice, Role
from billing.models import BicSource, FinancialSettings
from ehealth import words as said
from ehealth.models import EdmgRegistration, Mutuality, PlatformCheck
from medisetup.support import names
from medisetup.templatetags.medisetup import TABS
from practitioners.models import Address, Practitioner
from practitioners.reference import country_choices, profession_choices, speciality_choices

GROUPS: dict[str, str | Promise] = {
    "people": _("Comptes et rôles"),
    "sections": _("Données des dossiers"),
    "licences": _("Licences et facturation"),
    "sessions": _("Connexions et mots de passe"),
    "keys": _("Clés personnelles"),
    "ehealth": _("eHealth"),
    "platform": _("Équipe du portail et exports"),
}
KINDS: dict[str, str | Promise] = {
    "account:user:created": _("Compte créé"),
    "account:user:activated": _("Compte activé par l'invitation"),
    "account:user:deactivated": _("Compte désactivé"),
    "account:user:reactivated": _("Compte réactivé"),
    "account:session:began": _("Connexion"),
    "account:session:refused": _("Connexion refusée"),
    "account:session:ended": _("Fin de session"),
    "account:password:changed": _("Mot de passe changé"),
    "account:password:reset": _("Mot de passe remplacé par le lien reçu"),
    "account:login:changed": _("Login changé"),
    "account:email:changed": _("Adresse e-mail changée"),
    "account:email:verified": _("Adresse e-mail vérifiée"),
    "account:role:granted": _("Rôle donné"),
    "account:role:taken": _("Rôle retiré"),
    "account:staff:granted": _("Droits de l'équipe du portail donnés"),
    "account:staff:taken": _("Droits de l'équipe du portail retirés"),
    "account:invitation:sent": _("Invitation envoyée"),
    "account:reminder:sent": _("Rappel envoyé"),
    "account:people:exported": _("Liste des utilisateurs exportée"),
    "practitioner:import:confirmed": _("Import de personnes confirmé"),
    "practitioner:import:finished": _("Import de personnes terminé"),
    "practitioner:import:failed": _("Import de personnes échoué"),
    "billing:data:taken_over": _("Données reprises dans un autre compte"),
    "billing:data:refused": _("Reprise de données refusée"),
    "account:invitation:revoked": _("Invitation annulée"),
    "account:practice:changed": _("Nom ou type du cabinet changé"),
    "account:address:created": _("Adresse de facturation créée"),
    "account:address:changed": _("Adresse de facturation corrigée"),
    "account:address:removed": _("Adresse de facturation supprimée"),
    "account:licence:created": _("Licence provisoire donnée"),
    "account:licence:shortened": _("Dernier jour de la licence provisoire adapté"),
    "account:licence:requested": _("Licence d'un an demandée"),
    "account:licence:invoiced": _("Licence facturée"),
    "account:licence:paid": _("Paiement de la licence reçu"),
    "account:licence:activated": _("Licence activée"),
    "account:licence:expired": _("Licence expirée"),
    "account:access:refused": _("Page refusée"),
    "account:limit:reached": _("Limite atteinte : trop d'essais"),
    "account:journal:exported": _("Journal exporté"),
    "account:data:exported": _("Données personnelles téléchargées par leur propriétaire"),
    "account:factor:activated": _("Second facteur activé"),
    "account:factor:codes_renewed": _("Codes de secours renouvelés"),
    "account:factor:code_used": _("Code de secours utilisé"),
    "account:factor:refused": _("Code du second facteur refusé"),
    "account:factor:removed": _("Second facteur retiré"),
    "account:key:registered": _("Paire de clés enregistrée"),
    "account:key:discarded": _("Paire de clés abandonnée avant sa sauvegarde"),
    "account:key:backed_up": _("Sauvegarde de la clé vérifiée"),
    "account:key:imported": _("Clé importée dans un navigateur"),
    "account:key:proved": _("Clé prouvée"),
    "account:key:proof_failed": _("Preuve de la clé refusée"),
    "account:key:code_released": _("Code du fichier de la clé affiché"),
    "account:key:prepared": _("Paire de clés préparée par une autre personne"),
    "account:key:kept": _("Clé préparée gardée par son propriétaire"),
    "account:key:rotated": _("Paire de clés renouvelée"),
    "account:key:lost_reported": _("Perte de la clé signalée"),
    "account:key:reset_asked": _("Réinitialisation de la clé demandée"),
    "account:key:reset_cancelled": _("Réinitialisation de la clé annulée"),
    "account:key:reset_done": _("Clé perdue réinitialisée"),
    "account:key:revoked": _("Clé révoquée"),
    "practitioner:practitioner:created": _("Intervenant créé"),
    "practitioner:nihii:changed": _("Numéro INAMI changé"),
    "billing:assistants_account:changed": _("Compte bancaire partagé des assistants changé"),
    "billing:training:ended": _("Fin de la formation enregistrée"),
    "ehealth:keystore:stored": _("Trousseau eHealth déposé"),
    "ehealth:keystore:refused": _("Trousseau eHealth refusé"),
    "ehealth:keystore:connected": _("Trousseau eHealth accepté par la plate-forme"),
    "ehealth:keystore:replaced": _("Ancien trousseau eHealth remplacé"),
    "ehealth:keystore:disconnected": _("Trousseau eHealth déconnecté"),
    "ehealth:session:obtained": _("Session eHealth ouverte"),
    "ehealth:session:ended": _("Session eHealth fermée"),
    "ehealth:edmg:requested": _("Inscription eDMG demandée, conditions acceptées"),
    "ehealth:edmg:answered": _("Réponse d'une mutualité à l'inscription eDMG"),
    "ehealth:account_change:begun": _("Changement du compte bancaire des DMG commencé"),
    "ehealth:account_change:sent": _("Lettre à une mutualité partie"),
    "ehealth:account_change:confirmed": _("Nouveau compte confirmé par une mutualité"),
    "ehealth:account_change:given_up": _("Changement du compte bancaire des DMG abandonné"),
    "ehealth:mailbox:switched": _("Récupération automatique de l'eHealthBox changée"),
    "ehealth:mailbox:fetched": _("Messages de l'eHealthBox relevés"),
    "ehealth:check:finished": _("Test de la configuration terminé"),
    "ehealth:certificate:reminded": _("Rappel de la fin du certificat envoyé"),
    "platform:practice:read": _("Cabinet consulté par l'équipe du portail"),
    "platform:person:read": _("Dossier consulté par l'équipe du portail"),
    "platform:row:read": _("Données consultées par l'équipe du portail"),
    "platform:list:read": _("Liste consultée par l'équipe du portail"),
}
SYSTEMS: dict[str, str | Promise] = {
    "installation": _("Installation du portail"),
    "signin": _("Page de connexion"),
    "licences": _("Suivi automatique des licences"),
    "takeover": _("Reprise de données"),
    "ehealth-worker": _("Échanges automatiques avec eHealth"),
}
FIELDS: dict[str, str | Promise] = {
    "login": _("Login"),
    "email": _("E-mail"),
    "role": _("Rôle"),
    "name": _("Nom"),
    "last_name": _("Nom"),
    "first_name": _("Prénom"),
    "language": _("Langue"),
    "other_languages": _("Langues parlées"),
    "civility": _("Civilité"),
    "title": _("Titre"),
    "profession": _("Profession"),
    "speciality": _("Spécialité"),
    "ssin": _("Numéro National"),
    "nihii": _("Numéro INAMI"),
    "training_status": _("Statut"),
    "company_name": _("Nom éventuel de société"),
    "house_contact": _("Personne de contact"),
    "house_contact_ssin": _("Numéro National (personne de contact de la maison médicale)"),
    "house_nihii": _("Numéro INAMI de la maison médicale"),
    "guard_post": _("Poste de garde"),
    "type": _("Type"),
    "description": _("Description"),
    "street": _("Rue"),
    "number": _("N°"),
    "box": _("Boîte"),
    "postcode": _("Code postal"),
    "city": _("Localité"),
    "country": _("Pays"),
    "telecoms": _("Nombre de moyens de contact"),
    "contacts": _("Contacts"),
    "billing_address": _("Adresse de facturation"),
    "hub_region": _("Région HUBs"),
    "sumehr_auto_send": _("Envoi automatique des nouveaux SUMEHR à la fermeture des patients"),
    "same_roof_search": _("Activer la recherche sous le même toit"),
    "bce": _("BCE (sans le BE)"),
    "convention": _("Convention"),
    "convention_hours": _("Jours et heures hors convention"),
    "supervisor": _("Maître de stage"),
    "supervisor_lost_at": _("Maître de stage perdu depuis"),
    "iban": _("Compte bancaire (IBAN)"),
    "iban_before": _("Ancien compte bancaire"),
    "bic": "BIC",
    "bic_source": _("Origine du BIC"),
    "serial": _("Numéro de série du certificat"),
    "again": _("Avec le même trousseau"),
    "healthbox_auto": _("Récupération automatique des messages healthbox"),
    "auto": _("Récupération automatique des messages healthbox"),
    "until": _("Jusqu'au"),
    "days": _("Jours avant la fin"),
    "ends_on": _("Dernier jour"),
    "invoice": _("Facture"),
    "day": _("Jour"),
    "recognised_on": _("Agréé depuis le"),
    "edmg_again": _("eDMG à redemander"),
    "conditions": _("Version des conditions"),
    "mutualities": _("Mutualités"),
    "mutuality": _("Mutualité"),
    "state": _("Résultat"),
    "attempt": _("Essai n°"),
    "count": _("Nombre"),
    "capability": _("Ce qui a été testé"),
    "reason": _("Raison"),
    "purpose": _("But"),
    "sessions": _("Sessions fermées"),
    "told": _("Administrateurs prévenus"),
    "opens_at": _("Possible à partir du"),
    "asked_by": _("Demandée par"),
    "copies": _("Copies vérifiées"),
    "browser": _("Navigateur"),
    "fingerprint": _("Empreinte"),
    "bits": _("Taille en bits"),
    "origin": _("Origine"),
    "by_portal": _("Code de fichier gardé par le portail"),
    "weakness": _("Faiblesse constatée"),
    "wanted": _("Droit manquant"),
    "limit": _("Limite"),
    "page": _("Page"),
    "format": _("Format"),
    "steps": _("Étapes à faire"),
    "filter": _("Filtre"),
    "model": _("Données"),
    "row": _("Numéro de la fiche"),
}
# What was tried too often: the limits of `accounts.throttle` and, by the name of their page, of sign-in.
LIMITS = [
    ("signin", _("Connexion")),
    ("account_login", _("Connexion")),
    ("account_reauthenticate", _("Mot de passe redemandé")),
    ("account_reset_password", _("Demande d'un nouveau mot de passe")),
    ("account_reset_password_from_key", _("Nouveau mot de passe par le lien reçu")),
    ("account_confirm_email", _("Confirmation d'une adresse e-mail")),
    ("current_password", _("Mot de passe actuel")),
    ("factor", _("Code du second facteur")),
    ("keystore", _("Mot de passe du trousseau eHealth")),
    ("takeover", _("Reprise de données")),
    ("takeover_of", _("Reprise de données")),
    ("key-challenge", _("Preuves de la clé personnelle")),
    ("key-code", _("Code du fichier de la clé")),
    ("key-lost", _("Perte de la clé signalée")),
    ("mail:invitation", _("Envoi d'une invitation")),
    ("mail:email_verification", _("Envoi d'un lien de confirmation")),
    ("people_import", _("Import de personnes")),
    ("checks", _("Tests de la configuration")),
    ("export", _("Listes enregistrées dans un fichier")),
]
# Why a key, and a session at the platform, ended.
KEY_ENDS = {
    "rotated": _("Remplacée par une nouvelle"),
    "discarded": _("Abandonnée avant sa sauvegarde"),
    "compromised": _("Quelqu'un d'autre a pu la lire ou s'en servir"),
    "left": _("A quitté le cabinet"),
    "lost": _("Perdue"),
    "other": _("Autre raison"),
}
SESSION_ENDS = {
    "expired": _("Arrivée à sa fin"),
    "certificate": _("Le certificat est expiré"),
    "deactivated": _("Compte désactivé"),
    "replaced": _("Trousseau remplacé"),
    "refused": _("Refusée par la plate-forme"),
    "disconnected": _("Trousseau déconnecté"),
    "unticked": _("Récupération automatique décochée"),
}
# Details that hold (before, after); those of these kinds all do.
SAVED = ("section:", "account:practice:", "account:address:")
PAIRS = ("login", "email", "nihii", "iban", "ends_on", "fingerprint")
CHOICES: dict[str, Any] = {
    "role": Role.choices,
    "hub_region": HubRegion.choices,
    "civility": Practitioner.Civility.choices,
    "training_status": Practitioner.TrainingStatus.choices,
    "type": [*Address.Type.choices, *Practice.Type.choices],
    "convention": FinancialSettings.Convention.choices,
    "bic_source": BicSource.choices,
    "mutuality": Mutuality.choices,
    "mutualities": Mutuality.choices,
    "capability": PlatformCheck.Capability.choices,
    "state": [*EdmgRegistration.State.choices, *PlatformCheck.State.choices],
    "profession": profession_choices,
    "speciality": speciality_choices,
    "country": country_choices,
    "model": names.in_words,
    "origin": PersonalKey.Origin.choices,
    "language": settings.LANGUAGES,
    "reason": lambda: reasons(),
    "limit": LIMITS,
}


def reasons() -> list[tuple[str, str | Promise]]:
    """Codes of why something ended or was refused; a reason that somebody typed is none of them."""
    told = {**said.KEYSTORE, **said.PLATFORM, **said.CHECKS, **said.WARNINGS}
    told |= {code: entry for (code, place), entry in said.REGISTRATION.items() if not place}
    known = {code: entry.reason for code, entry in told.items() if "%(" not in str(entry.reason)}
    return list((known | KEY_ENDS | SESSION_ENDS).items())


def sentence(kind: str) -> str:
    """What happened, in one line; a kind that is gone keeps its bare name."""
    if kind.startswith("section:"):
        names = {key: label for key, _name, label in TABS}
        return gettext("« %(section)s » enregistré") % {"section": names.get(key := kind.split(":")[1], key)}
    return str(KINDS.get(kind, kind))


def actor(event: AuditEvent) -> str:
    """Who did it: a person, or an automatic process in words."""
    return event.actor_name if event.actor else str(SYSTEMS.get(event.actor_name, event.actor_name))


def label(name: str) -> str:
    """The field in words; an address by its number, and which part of it. Events of old told a part without
    the number, or the id of an address that was removed.
    """
    part, _line, code = name.partition("_")
    if part == "iban" and code in Mutuality.values:
        return gettext("%(field)s : %(sentence)s") % {
            "field": FIELDS[part],
            "sentence": Mutuality(code).label,
        }
    if not name.startswith("address "):
        return str(FIELDS.get(name, name))
    which, _space, part = name.removeprefix("address ").partition(" ")
    if not which.isdecimal():
        return (
            gettext("Adresse : %(part)s") % {"part": FIELDS[which]}
            if which in FIELDS
            else gettext("Adresse supprimée")
        )
    number = gettext("Adresse %(number)s") % {"number": which}
    return (
        gettext("%(field)s : %(sentence)s") % {"field": number, "sentence": FIELDS[part]} if part else number
    )


def value(name: str, stored: Any) -> str:
    """One stored value as it is read; « – » for nothing."""
    if isinstance(stored, bool):
        return gettext("oui") if stored else gettext("non")
    if isinstance(stored, list):
        return ", ".join(value(name, item) for item in stored) or "–"
    text = "" if stored is None else str(stored)
    choices = CHOICES.get(name.split(" ")[-1], ())
    known = {str(key): str(word) for key, word in (choices() if callable(choices) else choices)}
    return known.get(text) or _moment(text) or text or "–"


def _moment(text: str) -> str:
    """A day or a moment in the reader's language, '' for anything else."""
    try:
        at, day = parse_datetime(text), parse_date(text)
    except ValueError:
        return ""
    if day:
        return date_format(day, "SHORT_DATE_FORMAT")
    return date_format(localtime(at), "SHORT_DATETIME_FORMAT") if at and at.tzinfo else ""


def details(event: AuditEvent) -> list[dict[str, str]]:
    """label, before ('' without), after: one entry a detail."""
    entries = []
    for name, stored in event.details.items():
        pair = isinstance(stored, list) and len(stored) == 2
        if pair and (event.kind.startswith(SAVED) or name in PAIRS):
            before, after = (value(name, item) for item in stored)
            # An address whose other parts changed is named by what stayed.
            before = "" if before == after else before
        else:
            before, after = "", value(name, stored)
        entries.append({"label": label(name), "before": before, "after": after})
    return entries
