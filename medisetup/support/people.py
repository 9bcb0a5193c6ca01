"""Practices and their people, as support reads them; the one thing done here: ending somebody's sessions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from accounts.actions import factor, sessions
from accounts.contacts import mask_email
from accounts.identifiers import mask
from accounts.models import AuditEvent, HubRegion, Practice, Role, User
from accounts.signed_request import SignedRequest
from accounts.signin import second_proof_from
from accounts.views.sessions import tell_ended
from medisetup import journal_words
from medisetup.support.facts import Fact, Related, named, person, practice
from medisetup.support.filters import OfPerson, by_answer, by_choice
from medisetup.support.rows import Pages, ReadOnly
from medisetup.templatetags.medisetup import TABS
from practitioners.import_pages import REFUSALS
from practitioners.models import Address, PeopleImport, Practitioner, Telecom
from practitioners.reference import country_choices, profession_choices, speciality_choices

EVENTS_SHOWN = 20
# How people of a model are searched: by the path to the person.
WHOM = _("Nom, prénom, e-mail ou cabinet")
IMPORT_STATES = {
    PeopleImport.State.CHECKED: _("Vérifié, à confirmer"),
    PeopleImport.State.QUEUED: _("Comptes à créer"),
    PeopleImport.State.INVITING: _("Invitations en cours d'envoi"),
    PeopleImport.State.DONE: _("Terminé"),
    PeopleImport.State.FAILED: _("Échec"),
}


def search_of(way: str = "") -> tuple[str, ...]:
    """The lookups of a search by person or practice; `way` ends in two underscores."""
    return tuple(f"{way}{name}" for name in ("last_name", "first_name", "email", "practice__name"))


def reached_by(telecom: Telecom) -> str:
    """One means of contact, masked."""
    if telecom.type == Telecom.Type.WEB:
        return telecom.value
    return (mask_email if telecom.type == Telecom.Type.EMAIL else mask)(telecom.value)


def telecoms_of(address: Address) -> list[str]:
    return [f"{telecom.get_type_display()} {reached_by(telecom)}" for telecom in address.telecoms.all()]


class PracticePage(ReadOnly):
    list_display = (
        Fact("name", _("Nom du cabinet")),
        Fact("type", _("Type")),
        Fact("created_at", _("Créé le")),
    )
    list_filter = (by_choice("type", _("Type"), Practice.Type.choices),)
    search_fields, search_help_text = ("name",), _("Nom du cabinet")
    date_hierarchy, ordering = "created_at", ("name",)
    facts = (
        *list_display,
        Fact("users", _("Comptes actifs"), say=lambda row: row.users.active().count()),
        Fact("assistants_account__iban", _("Compte bancaire partagé des assistants")),
        Fact("assistants_account__bic", "BIC"),
    )
    related = (
        Related(
            _("Adresses de facturation"),
            (
                Fact("name", _("Nom ou société")),
                Fact("bce", _("BCE")),
                Fact("street", _("Rue")),
                Fact("number", _("N°")),
                Fact("box", _("Boîte")),
                Fact("postcode", _("Code postal")),
                Fact("city", _("Localité")),
                Fact("country", _("Pays"), words=country_choices),
                Fact("email", _("E-mail de facturation")),
            ),
            lambda row: row.billing_addresses.order_by("name", "pk"),
        ),
    )

    def practice_of(self, row: Practice) -> Practice:
        return row

    def links(self, row: Practice) -> list[tuple[str, Any]]:
        return [(reverse("platform_practice", args=[row.uuid]), _("Le cabinet dans le portail"))]


class UserPage(ReadOnly):
    list_display = (
        Fact("name", _("Prénom et nom"), say=User.get_full_name, order="last_name"),
        Fact("login", _("Login")),
        Fact("email", _("E-mail")),
        practice("practice"),
        Fact("is_active", _("Compte ouvert")),
        Fact("activated_at", _("Activé le")),
        Fact("last_login", _("Dernière connexion")),
    )
    list_filter = (
        by_answer("is_active", _("Compte ouvert")),
        by_choice("role_grants__role", _("Rôle"), Role.choices),
        by_choice("practice__type", _("Type de cabinet"), Practice.Type.choices),
        by_choice("hub_region", _("Région HUBs"), HubRegion.choices),
        by_answer("is_staff", _("Équipe du portail")),
    )
    search_fields, search_help_text = search_of(), WHOM
    date_hierarchy, ordering = "created_at", ("last_name", "first_name")
    page_template = "support/user.html"
    facts = (
        *list_display,
        Fact("language", _("Langue")),
        Fact("is_staff", _("Équipe du portail")),
        Fact("factor", _("Second facteur"), say=factor.is_active),
        Fact("created_at", _("Créé le")),
        person("created_by", _("Créé par")),
        Fact("deactivated_at", _("Désactivé le")),
        Fact("ready_at", _("Prêt depuis le")),
        Fact("billing_address", _("Adresse de facturation")),
        Fact("hub_region", _("Région HUBs")),
        Fact("sumehr_auto_send", _("Envoi automatique des nouveaux SUMEHR à la fermeture des patients")),
        Fact("same_roof_search", _("Activer la recherche sous le même toit")),
    )
    related = (
        Related(
            _("Rôles"),
            (
                Fact("role", _("Rôle")),
                person("granted_by", _("Donné par")),
                Fact("granted_at", _("Donné le")),
            ),
            lambda row: row.role_grants.select_related("granted_by").order_by("role"),
        ),
        Related(
            _("Adresses e-mail"),
            (Fact("email", _("E-mail")), Fact("verified", _("Vérifiée")), Fact("primary", _("Principale"))),
            lambda row: row.emailaddress_set.order_by("pk"),
        ),
        Related(
            _("Invitations"),
            (
                Fact("created_at", _("Envoyée le")),
                person("created_by", _("Envoyée par")),
                Fact("expires_at", _("Valable jusqu'au")),
                Fact("used_at", _("Acceptée le")),
                Fact("revoked_at", _("Révoquée le")),
            ),
            lambda row: row.invitations.select_related("created_by").order_by("-pk"),
        ),
        Related(
            _("Parties de la configuration"),
            (
                Fact("section", _("Partie"), words=lambda: [(key, label) for key, _name, label in TABS]),
                person("prefilled_by", _("Préremplie par")),
                Fact("prefilled_at", _("Préremplie le")),
                Fact("confirmed_at", _("Vérifiée le")),
            ),
            lambda row: row.section_reviews.select_related("prefilled_by").order_by("section"),
        ),
        Related(
            _("Derniers événements"),
            (
                Fact("at", _("Quand")),
                Fact("kind", _("Quoi"), say=lambda event: journal_words.sentence(event.kind)),
                Fact("actor", _("Fait par"), say=journal_words.actor),
            ),
            lambda row: AuditEvent.objects.filter(subject=row.uuid).order_by("-at", "-id")[:EVENTS_SHOWN],
        ),
    )

    def person_of(self, row: User) -> User:
        return row

    def links(self, row: User) -> list[tuple[str, Any]]:
        """To the file in the portal, then to the person's rows of every other kind."""
        kinds = [page for page in self.admin_site._registry.values() if isinstance(page, ReadOnly)]
        pages = [page for page in kinds if OfPerson in page.list_filter]
        return [(reverse("platform_person", args=[row.uuid]), _("Le dossier dans le portail"))] + [
            (f"{reverse(f'support:{page.name}_changelist')}?person={row.uuid}", page.words.many)
            for page in pages
        ]

    def get_urls(self) -> list[URLPattern]:
        asking = second_proof_from("support:accounts_user_change")(self.end_sessions)
        view = require_POST(self.admin_site.admin_view(asking))
        return [*super().get_urls(), path("<uuid:uuid>/sessions/", view, name="end_sessions")]

    def end_sessions(self, request: SignedRequest, uuid: UUID) -> HttpResponse:
        """Sign the person out everywhere, as asked on the telephone."""
        user = User.objects.get_queryset().select_related("practice").filter(uuid=uuid).first()
        if user is None:
            raise Http404
        count = sessions.close_sessions(user=user, by=request.user, now=timezone.now())
        tell_ended(request, count)
        return redirect("support:accounts_user_change", uuid=uuid)


class PractitionerPage(ReadOnly):
    whom = "user"
    list_display = (
        named(),
        Fact("profession", _("Profession"), words=profession_choices),
        Fact("nihii", _("Numéro INAMI")),
        Fact("training_status", _("Statut")),
        practice("practice"),
    )
    list_filter = (
        OfPerson,
        by_choice("profession", _("Profession"), profession_choices),
        by_choice("training_status", _("Statut"), Practitioner.TrainingStatus.choices),
    )
    search_fields, search_help_text, ordering = search_of("user__"), WHOM, ("user__last_name",)
    facts = (
        person("user", _("Personne concernée")),
        *list_display[1:],
        Fact("civility", _("Civilité")),
        Fact("title", _("Titre")),
        Fact("other_languages", _("Langues parlées")),
        Fact("speciality", _("Spécialité"), words=speciality_choices),
        Fact("ssin", _("Numéro National")),
        Fact("company_name", _("Nom éventuel de société")),
        person("house_contact", _("Personne de contact")),
        Fact("house_contact_ssin", _("Numéro National (personne de contact de la maison médicale)")),
        Fact("house_nihii", _("Numéro INAMI de la maison médicale")),
        Fact("guard_post", _("Poste de garde")),
    )
    related = (
        Related(
            _("Adresses"),
            (
                Fact("type", _("Type")),
                Fact("description", _("Description")),
                Fact("street", _("Rue")),
                Fact("number", _("N°")),
                Fact("box", _("Boîte")),
                Fact("postcode", _("Code postal")),
                Fact("city", _("Localité")),
                Fact("country", _("Pays"), words=country_choices),
                Fact("telecoms", _("Moyens de contact"), say=telecoms_of),
            ),
            lambda row: row.addresses.prefetch_related("telecoms").order_by("pk"),
        ),
    )


class PeopleImportPage(ReadOnly):
    whose = "practice"
    list_display = (
        Fact("checked_at", _("Vérifié le")),
        practice("practice"),
        person("by", _("Demandé par")),
        Fact("count", _("Nombre")),
        Fact("state", _("État"), words=IMPORT_STATES),
        Fact("finished_at", _("Terminé le")),
    )
    list_filter = (by_choice("state", _("État"), list(IMPORT_STATES.items())),)
    search_fields, search_help_text = search_of("by__"), WHOM
    date_hierarchy, ordering = "checked_at", ("-checked_at",)
    facts = (
        *list_display,
        Fact("confirmed_at", _("Confirmé le")),
        Fact("attempts", _("Essais")),
        Fact("refusal", _("Raison"), words=REFUSALS),
        Fact("refused_line", _("Ligne")),
    )


PAGES: Pages = {
    Practice: PracticePage,
    User: UserPage,
    Practitioner: PractitionerPage,
    PeopleImport: PeopleImportPage,
}
