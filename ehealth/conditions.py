"""What a doctor accepts with an eDMG request; a changed text needs a new version, kept with the consent."""

from __future__ import annotations

from django.utils import translation
from django.utils.translation import gettext_lazy as _

VERSION = "2026-11"
PARAGRAPHS = (
    _(
        "Une fois inscrit à l'eDMG auprès d'une mutualité, vous ne pourrez plus faire de DMG papier pour ses "
        "affiliés. Aucune désinscription n'est prévue par voie électronique."
    ),
    _(
        "Chaque mutualité paiera vos DMG sur le compte bancaire indiqué ici. Une deuxième inscription ne le "
        "change pas : pour le modifier plus tard, il faut contacter chaque mutualité."
    ),
    _(
        "Le portail envoie en votre nom une inscription à chacune des mutualités, avec votre nom, votre "
        "numéro national, votre numéro INAMI et ce compte. Elle est signée avec votre certificat eHealth."
    ),
    _(
        "Le portail conserve la version de ces conditions, la date de votre accord et les comptes indiqués, "
        "comme preuve de votre demande."
    ),
)
# Two boxes to tick.
ACCEPTED = _("J'accepte ces conditions")
NO_PAPER = _("J'ai compris : une fois inscrit, je ne pourrai plus faire de DMG papier")


def text(language: str) -> str:
    """All that is accepted, word for word as the page shows it in that language; kept with the consent."""
    with translation.override(language):
        return "\n\n".join([*map(str, PARAGRAPHS), f"☑ {ACCEPTED}\n☑ {NO_PAPER}"])
