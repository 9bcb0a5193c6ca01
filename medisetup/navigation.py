"""What every page shows around its content: navigation, the person's initials, languages."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.access import Capability, rights
from accounts.signed_request import SignedRequest, is_signed


def navigation(request: HttpRequest) -> dict[str, Any]:
    """`nav`, `me`, `languages`, `help_url`, `demo`, `support_email` for base.html; no query for strangers."""
    # An error page may answer before anybody asked who it is.
    asked = getattr(request, "user", None) is not None
    signed = request if asked and is_signed(request) else None
    return {
        "nav": links(signed) if signed else [],
        "me": {"name": signed.user.get_full_name(), "initials": signed.user.initials, "url": reverse("me")}
        if signed
        else None,
        "languages": [
            {
                "code": code,
                "label": translation.get_language_info(code)["name_local"],
                "current": code == request_language(),
            }
            for code, _name in settings.LANGUAGES
        ],
        "help_url": reverse("help"),
        "demo": settings.DEMO,
        "support_email": settings.SUPPORT_EMAIL,
    }


# Addresses that others begin with: only the page itself is the current one.
WHOLE = ("/", "/platform/")


def request_language() -> str:
    return (translation.get_language() or settings.LANGUAGE_CODE)[:2]


def links(request: SignedRequest) -> list[dict[str, Any]]:
    entries = [
        (reverse("home"), _("Ma configuration"), "checklist"),
        (reverse("ehealth:mailbox"), _("eHealthBox"), "mailbox"),
        (reverse("accounts:key"), _("Ma clé"), "key"),
    ]
    can = rights(request)
    if Capability.SEE_PRACTICE_READINESS in can:
        entries.append((reverse("people"), _("Utilisateurs"), "people"))
    if Capability.MANAGE_BILLING_ADDRESSES in can:
        entries.append((reverse("practitioners:practice"), _("Mon cabinet"), "home"))
    if Capability.SEE_JOURNAL in can:
        entries.append((reverse("journal"), _("Journal"), "clock"))
    if Capability.SEE_PLATFORM in can:
        entries.append((reverse("platform"), _("Plate-forme"), "people"))
        entries.append((reverse("ehealth:all_exchanges"), _("Échanges eHealth"), "mailbox"))
        if settings.ADMIN_PATH:
            entries.append((reverse("support:index"), _("Support"), "file"))
    if Capability.ACTIVATE_LICENCE in can:
        entries.append((reverse("billing:licence_queue"), _("Demandes de licence"), "check"))
    if settings.DEMO:
        entries.append((reverse("outbox"), _("Boîte d'envoi (démonstration)"), "mail"))
    return [
        {
            "url": url,
            "label": label,
            "icon": icon,
            "current": request.path == url if url in WHOLE else request.path.startswith(url),
        }
        for url, label, icon in entries
    ]
