"""Tags that any template may use: the tabs of a person, suggestions that need an upper fact, masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import template
from django.conf import settings
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import identifiers
from accounts.models import HubRegion, User
from medisetup.practice_board import Cell
from practitioners.models import Address
from practitioners.reference import HOUSE, NOT_CAREGIVERS, PHYSICIAN, region_of

register = template.Library()

# Section key, URL name, label: the tabs in the order of the seed.
TABS = [
    ("practitioner/general", "practitioners:general", gettext_lazy("Informations générales")),
    ("practitioner/addresses", "practitioners:addresses", gettext_lazy("Adresses")),
    ("account", "accounts:account", gettext_lazy("Utilisateur")),
    ("ehealth/connection", "ehealth:connection", gettext_lazy("Connexion eHealth")),
    ("ehealth/edmg", "ehealth:edmg", gettext_lazy("eDMG")),
    ("billing/financial", "billing:financial", gettext_lazy("Données financières")),
]
PHYSICIANS_ONLY = ("ehealth/connection", "ehealth/edmg")
# Nobody pre-fills these for somebody else (rules 4.6).
OWNERS_ONLY = PHYSICIANS_ONLY


def sections_of(subject: User) -> list[tuple[str, str, Any]]:
    """The sections that concern this person: a receptionist has a name and an account."""
    practitioner = getattr(subject, "practitioner", None)
    profession = practitioner.profession if practitioner else None
    if profession is None or profession in NOT_CAREGIVERS:
        own = {"account"} if profession is None else {"practitioner/general", "account"}
        return [tab for tab in TABS if tab[0] in own]
    if profession not in (PHYSICIAN, HOUSE):
        return [tab for tab in TABS if tab[0] not in PHYSICIANS_ONLY and tab[0] != "billing/financial"]
    return [tab for tab in TABS if profession == PHYSICIAN or tab[0] not in PHYSICIANS_ONLY]


@register.inclusion_tag("components/tabs.html")
def section_tabs(subject: User, current: str) -> dict[str, Any]:
    tabs = [
        {"url": reverse(name, args=[subject.uuid]), "label": label, "current": key == current}
        for key, name, label in sections_of(subject)
    ]
    return {"tabs": tabs, "label": _("Parties de la configuration")}


@register.inclusion_tag("medisetup/_demonstration.html")
def demonstration() -> dict[str, str]:
    """The accounts and folders of the demonstration, for the sign-in page; nothing elsewhere."""
    folder = settings.DEMO_DIR if settings.DEMO else None
    notes = folder / "LISEZMOI.txt" if folder else None
    return {"notes": notes.read_text() if notes and notes.exists() else ""}


@register.simple_tag
def hub_suggestion(subject: User) -> str:
    """A sentence naming the hub that the work address suggests, or ''. It is never chosen silently."""
    postcode = (
        Address.objects.filter(practitioner__user=subject, type=Address.Type.WORK, country="BE")
        .order_by("pk")
        .values_list("postcode", flat=True)
        .first()
    )
    region = region_of(postcode or "")
    if region is None:
        return ""
    return _(
        "D'après le code postal %(postcode)s de votre lieu de travail : %(hub)s, si vous y êtes inscrit."
    ) % {
        "postcode": postcode,
        "hub": HubRegion(region.hub).label,
    }


@register.filter
def masked(value: str) -> str:
    """All but the last three characters hidden."""
    return identifiers.mask(value) if value else ""


@register.filter
def unlocalised(number: float) -> str:
    """A number for an attribute of a picture: with a point, in every language."""
    return f"{number:g}"


@register.simple_tag
def state_cells(cells: Sequence[Cell]) -> str:
    """A table cell per item: a sign by its class, the word for who listens. A page has a thousand."""
    mark = '<td class="cell cell--{}"><span class="visually-hidden">{}</span></td>'
    drawn = {cell: format_html(mark, cell.state, cell.text) for cell in set(cells)}
    return format_html_join("", "{}", ((drawn[cell],) for cell in cells))


@register.filter
def at(values: list[Any], index: int) -> Any:
    """The value at that place."""
    return values[index]
