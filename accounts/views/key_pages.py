"""What a page driven by the key scripts tells them, in data attributes of one root element.

Contract: head of static/js/keys.js.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.http import urlencode
from django.utils.timezone import localtime

from accounts.actions import key_challenges
from accounts.models import PersonalKey
from accounts.signed_request import SignedRequest


def key_page(
    request: SignedRequest, kind: str, *, action: str, key: PersonalKey | None, next_url: str = ""
) -> dict[str, Any]:
    """The root element's data for the script: whose page, which key, where to post and to go."""
    code_url = f"{reverse('accounts:key_code')}?{urlencode({'next': request.get_full_path()})}"
    return {
        "kind": kind,
        "action": action,
        "user": request.user,
        "origin": key_challenges.origin(),
        "portal": urlsplit(key_challenges.origin()).netloc,
        "fingerprint": key.fingerprint if key else "",
        "protection": key.protection if key else "",
        "integrity": "required" if key is None or written_here(key) else "optional",
        "superseded": json.dumps(ended_keys(request)),
        "code_url": code_url if key and key.file_code else "",
        "next_url": next_url or reverse("home"),
        "purpose": "import" if key else "register",
    }


def written_here(key: PersonalKey) -> bool:
    """Whether the key's file is one of ours, which always carries its integrity line."""
    return key.origin != PersonalKey.Origin.IMPORTED or key.protection == PersonalKey.Protection.PORTAL


def ended_keys(request: SignedRequest) -> dict[str, str]:
    """Fingerprint → the day it ended, in words, of the person's former keys."""
    ended = PersonalKey.objects.filter(user=request.user, ended_at__isnull=False)
    return {key.fingerprint: date_format(localtime(key.ended_at), "DATE_FORMAT") for key in ended}
