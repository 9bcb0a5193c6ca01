"""What the rows are called, one and many: for headings, and for the journal of readings."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Name(NamedTuple):
    """One row, many rows."""

    one: str | Promise
    many: str | Promise


# By the model's label.
NAMES = {
    "accounts.practice": Name(_("Cabinet"), _("Cabinets")),
    "accounts.user": Name(_("Utilisateur"), _("Utilisateurs")),
    "practitioners.practitioner": Name(_("Intervenant"), _("Intervenants")),
    "billing.financialsettings": Name(_("Données financières"), _("Données financières")),
    "practitioners.peopleimport": Name(_("Import de personnes"), _("Imports de personnes")),
    "accounts.licence": Name(_("Licence"), _("Licences")),
    "accounts.licencerequest": Name(_("Demande de licence"), _("Demandes de licence")),
    "accounts.personalkey": Name(_("Clé personnelle"), _("Clés personnelles")),
    "ehealth.keystore": Name(_("Trousseau eHealth"), _("Trousseaux eHealth")),
    "ehealth.platformsession": Name(_("Session eHealth"), _("Sessions eHealth")),
    "ehealth.mailbox": Name(_("eHealthBox"), _("eHealthBox")),
    "ehealth.platformcheck": Name(_("Test de la configuration"), _("Tests de la configuration")),
    "ehealth.edmgrequest": Name(_("Demande eDMG"), _("Demandes eDMG")),
    "ehealth.edmgregistration": Name(_("Inscription eDMG"), _("Inscriptions eDMG")),
    "ehealth.accountchange": Name(_("Changement de compte bancaire"), _("Changements de compte bancaire")),
    "accounts.auditevent": Name(_("Événement du journal"), _("Journal")),
    "accounts.mail": Name(_("E-mail envoyé par le portail"), _("E-mails envoyés par le portail")),
    "ehealth.exchange": Name(_("Échange avec eHealth"), _("Échanges avec eHealth")),
    "ehealth.endpoint": Name(_("Adresse de la plate-forme eHealth"), _("Adresses de la plate-forme eHealth")),
}


def in_words() -> list[tuple[str, str | Promise]]:
    """Choices: the label of a model, what its rows are called."""
    return [(label, name.many) for label, name in NAMES.items()]
