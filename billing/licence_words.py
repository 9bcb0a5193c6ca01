"""A licence in words: what it is today, how long it lasts, what to do. Nothing is decided here."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.actions import licences
from accounts.models import Licence, User

State = Licence.State
REFUSED: dict[str, Promise] = {
    "no_licence": gettext_lazy("Cette personne n'a pas de licence : seuls les médecins en ont une."),
    "no_nihii": gettext_lazy("Il manque le numéro INAMI. Complétez d'abord les informations générales."),
    "no_billing_address": gettext_lazy(
        "Il manque l'adresse de facturation. Choisissez-la d'abord dans la page « Utilisateur »."
    ),
    "already_requested": gettext_lazy("Une demande est déjà en cours : vous n'avez rien d'autre à faire."),
    "too_early": gettext_lazy("La licence est active ; son renouvellement se demande les 60 derniers jours."),
    "not_open": gettext_lazy("Cette demande est déjà payée ou terminée ; rien n'a été changé."),
    "not_invoiced": gettext_lazy("Notez d'abord le numéro et la date de la facture."),
    "not_paid": gettext_lazy("Notez d'abord la date du paiement."),
}
# Where what is missing is filled in.
FILLED_IN = {"no_nihii": "practitioners:general", "no_billing_address": "accounts:account"}


def standing(licence: Licence, *, today: date) -> dict[str, Any]:
    """kind of the banner and of the tag, word, title, text, days left."""
    state = licence.standing(today)
    ending, due = licence.is_ending(today), state == State.TO_REQUEST
    return {
        "kind": "error" if state == State.EXPIRED else "warning" if ending or due else _calm(state),
        "tag": "problem" if state == State.EXPIRED else "waiting" if ending else _calm_tag(state),
        "word": state.label,
        "title": _title(licence, state, today),
        "text": _text(licence, state, ending),
        "days": max(licence.days_left(today) or 0, 0),
    }


def _calm(state: State) -> str:
    return "success" if state == State.ACTIVE else "info"


def _calm_tag(state: State) -> str:
    waits_for_us = (State.PROVISIONAL, State.TO_REQUEST)
    return "done" if state == State.ACTIVE else "todo" if state in waits_for_us else "progress"


def _title(licence: Licence, state: State, today: date) -> str:
    left = licence.days_left(today)
    if licence.ends_on is None or left is None:
        return _("Demandez la licence") if state == State.TO_REQUEST else _("La licence est demandée")
    day = date_format(licence.ends_on, "DATE_FORMAT")
    if state == State.EXPIRED:
        return _("Licence expirée : son dernier jour était le %(day)s") % {"day": day}
    if state == State.ACTIVE:
        return _("Licence active jusqu'au %(day)s inclus") % {"day": day}
    if left == 0:
        return _("Licence provisoire : c'est le dernier jour")
    words = ngettext(
        "Licence provisoire : encore %(days)s jour, jusqu'au %(day)s inclus",
        "Licence provisoire : encore %(days)s jours, jusqu'au %(day)s inclus",
        left,
    )
    return words % {"days": left, "day": day}


def _text(licence: Licence, state: State, ending: bool) -> str:
    request = licences.open_request(licence)
    if request is None:
        if state == State.TO_REQUEST:
            return _("Aucune licence n'est en cours. Demandez l'année : un clic suffit.")
        if state == State.EXPIRED:
            return _("Demandez l'année pour continuer : un clic suffit.")
        if state == State.ACTIVE and not ending:
            return _("Vous recevrez un rappel 15, 7 et 1 jours avant la fin.")
        return _("Demandez l'année avant la fin : un clic suffit. Elle est active une fois la facture payée.")
    if request.paid_on:
        return _("La facture est payée ; la licence est activée au plus tard un mois après.")
    if request.invoiced_on:
        return _("La facture %(number)s est partie ; la licence est activée après le paiement.") % {
            "number": request.invoice_number
        }
    return _("L'année est demandée. La facture part vers l'adresse de facturation.")


def licence_line(subject: User, *, today: date) -> dict[str, Any] | None:
    """For the person's home; None for whoever needs no licence."""
    licence = Licence.objects.filter(user=subject).first()
    if licence is None:
        return None
    return standing(licence, today=today) | {"url": reverse("billing:licence", args=[subject.uuid])}
