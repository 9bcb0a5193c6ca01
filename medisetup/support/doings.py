"""What happened: the journal, mails, calls to the platform and how its addresses do, checks."""

from __future__ import annotations

from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import journal as groups
from accounts.models import AuditEvent, Mail
from ehealth import words
from ehealth.models import Endpoint, Exchange, PlatformCheck
from medisetup import journal, journal_words
from medisetup.support.facts import Fact, person, practice
from medisetup.support.filters import Conditions, OfPerson, by, by_choice, recent
from medisetup.support.people import WHOM, search_of
from medisetup.support.rows import Pages, ReadOnly

SENT, WAITING, GIVEN_UP = (
    Q(sent_at__isnull=False),
    Q(sent_at=None, next_attempt_at__isnull=False),
    Q(sent_at=None, next_attempt_at=None),
)


def of_groups() -> Conditions:
    return {key: (label, groups.in_groups([key])) for key, label in journal_words.GROUPS.items()}


def of_mails() -> Conditions:
    return {
        "sent": (_("Parti"), SENT),
        "waiting": (_("En attente"), WAITING),
        "given_up": (_("Abandonné"), GIVEN_UP),
    }


def state_of_mail(mail: Mail) -> str:
    if mail.sent_at:
        return gettext("Parti")
    return gettext("En attente") if mail.next_attempt_at else gettext("Abandonné")


def outcome(row: Exchange) -> str:
    return words.exchange(row.service, row.code)[1]


class AuditEventPage(ReadOnly):
    list_display = (
        Fact("at", _("Quand")),
        Fact("kind", _("Quoi"), say=lambda event: journal_words.sentence(event.kind)),
        Fact("subject_name", _("Dossier de")),
        Fact("actor", _("Fait par"), say=journal_words.actor),
        Fact("details", _("Détails"), say=journal.details_in_line),
        Fact("address", _("Depuis le réseau")),
        Fact("request_id", _("Requête")),
    )
    list_filter = (recent("at"), by("group", _("Sujet"), of_groups), OfPerson)
    search_fields = ("subject_name", "actor_name", "=request_id")
    search_help_text = _("Nom, prénom ou identifiant de la requête")
    ordering = ("-at", "-id")
    way_to_person = "subject"


class MailPage(ReadOnly):
    whom = "user"
    list_display = (
        Fact("created_at", _("Écrit le")),
        person("user", _("Personne concernée")),
        Fact("kind", _("Sorte")),
        Fact("to", _("À")),
        Fact("state", _("État"), say=state_of_mail),
        Fact("attempts", _("Essais")),
        Fact("next_attempt_at", _("Prochain essai")),
        Fact("sent_at", _("Parti le")),
    )
    list_filter = (OfPerson, by("state", _("État"), of_mails))
    search_fields, search_help_text = search_of("user__"), WHOM
    date_hierarchy, ordering = "created_at", ("-created_at",)
    facts = list_display


class ExchangePage(ReadOnly):
    list_display = (
        Fact("started_at", _("Quand")),
        person("user", _("Personne concernée")),
        Fact("service", _("Service"), words=words.SERVICES),
        Fact("operation", _("Opération"), words=words.OPERATIONS),
        Fact("outcome", _("Résultat"), say=outcome),
        Fact("code", _("Code")),
        Fact("http_status", "HTTP"),
        Fact("milliseconds", _("Durée (ms)")),
        Fact("host", _("Adresse")),
        Fact("reference", _("Référence")),
    )
    list_filter = (
        recent("started_at"),
        by_choice("service", _("Service"), list(words.SERVICES.items())),
        OfPerson,
    )
    search_fields = (*search_of("user__"), "=code", "=reference")
    search_help_text = _("Nom, prénom, e-mail, cabinet, code ou référence")
    ordering = ("-started_at", "-id")
    whom = "user"


class EndpointPage(ReadOnly):
    list_display = (
        Fact("host", _("Adresse")),
        Fact("service", _("Service"), words=words.SERVICES),
        Fact("opened_at", _("Laissée en paix depuis")),
        Fact("probe_at", _("Prochain essai")),
    )
    ordering = ("host", "service")


class PlatformCheckPage(ReadOnly):
    list_display = (
        Fact("asked_at", _("Demandé le")),
        person("user", _("Personne concernée")),
        practice("user__practice"),
        Fact("capability", _("Ce qui a été testé")),
        Fact("state", _("Résultat")),
        Fact("code", _("Code")),
        Fact("attempts", _("Essais")),
        Fact("finished_at", _("Terminé le")),
    )
    list_filter = (
        OfPerson,
        by_choice("capability", _("Ce qui a été testé"), PlatformCheck.Capability.choices),
        by_choice("state", _("Résultat"), PlatformCheck.State.choices),
    )
    search_fields, search_help_text = search_of("user__"), WHOM
    date_hierarchy, ordering = "asked_at", ("-asked_at",)
    whom = "user"


PAGES: Pages = {
    AuditEvent: AuditEventPage,
    Mail: MailPage,
    Exchange: ExchangePage,
    Endpoint: EndpointPage,
    PlatformCheck: PlatformCheckPage,
}
