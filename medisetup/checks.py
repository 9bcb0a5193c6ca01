"""Start refuses unsafe production settings (SR-127)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.urls import URLResolver, get_resolver

from accounts import audit_chain
from accounts.middleware import ALWAYS_OPEN, FACTOR_PAGES, KEY_PAGES
from accounts.sealing import ring

LOCAL = ("localhost", "127.0.0.1", "[::1]")
WELL_FORMED = re.compile(r"[a-z0-9-]+/")


def local(url: str) -> bool:
    return (urlsplit(url).hostname or "") in ("localhost", "127.0.0.1", "::1")


def sealing_keys_are_long() -> bool:
    try:
        keys = [
            base64.b64decode(part.split(":", 1)[1], validate=True)
            for part in settings.SEALING_KEYS.split(",")
        ]
    except (IndexError, binascii.Error):
        return False
    return all(len(key) == 32 and key != bytes(32) for key in keys)


def first_segments() -> set[str]:
    """How the addresses of everything but support begin; of the demonstration's letter box too."""
    closed_by_path = (*ALWAYS_OPEN, KEY_PAGES, FACTOR_PAGES, settings.STATIC_URL)
    return {path.strip("/") for path in closed_by_path} | set(_segments(get_resolver()))


def _segments(resolver: URLResolver) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        first = str(pattern.pattern).lstrip("^").partition("/")[0]
        if first:
            yield from () if getattr(pattern, "namespace", None) == "support" else (first,)
        elif isinstance(pattern, URLResolver):
            yield from _segments(pattern)


@register()
def refuse_unsafe(**_kwargs: Any) -> list[Error]:
    """One error per reason not to start."""
    simulation = settings.EHEALTH_ENVIRONMENT == "simulation"
    reasons = [
        (not sealing_keys_are_long(), "SEALING_KEYS: give one or more kid:base64 of 32 random bytes"),
        (
            len(settings.SECRET_KEY) < 50 or "insecure" in settings.SECRET_KEY,
            "SECRET_KEY: 50 random characters at least",
        ),
        ("*" in settings.ALLOWED_HOSTS, "ALLOWED_HOSTS: name the hosts"),
        (
            not settings.SECURE and not local(settings.PORTAL_ORIGIN),
            "PORTAL_ORIGIN: https (keys are made in the browser)",
        ),
        (
            (settings.DEBUG or settings.DEMO or simulation) and not local(settings.PORTAL_ORIGIN),
            "DEBUG, DEMO and the simulator are for this machine only: PORTAL_ORIGIN must be localhost",
        ),
        (
            not simulation
            and any(not url.startswith("https://") or local(url) for url in settings.EHEALTH_BASE_URLS),
            "EHEALTH_BASE_URL: https and not this machine, outside the simulation",
        ),
        (
            settings.EHEALTH_ENVIRONMENT not in ("simulation", "acceptance", "production"),
            "EHEALTH_ENVIRONMENT: simulation, acceptance or production",
        ),
        (
            settings.KEY_SESSION_PROOF not in ("required", "warn", "off"),
            "KEY_SESSION_PROOF: required, warn or off",
        ),
        (
            bool(settings.EHEALTH_CAPTURE_DIR) and not simulation,
            "EHEALTH_CAPTURE_DIR: only with EHEALTH_ENVIRONMENT=simulation, messages hold personal data",
        ),
        (
            bool(settings.ADMIN_PATH) and not WELL_FORMED.fullmatch(settings.ADMIN_PATH),
            "ADMIN_PATH: small letters, digits and hyphens, then one slash, as in support/",
        ),
        (
            settings.ADMIN_PATH.strip("/") in first_segments() - {""},
            "ADMIN_PATH: the portal's own pages begin like that, choose another",
        ),
    ]
    return [Error(text, id=f"medisetup.E{number:03}") for number, (bad, text) in enumerate(reasons, 1) if bad]


@register(Tags.database, deploy=True)
def sealing_keys_fit(**_kwargs: Any) -> list[CheckMessage]:
    """Which keys the database still needs: one that is missing is an error, one to be retired a warning."""
    from medisetup import sealed

    known, found = ring().keys, []
    for column in sealed.COLUMNS:
        for name, rows in sealed.under_other_keys(column).items():
            told = f"{column}: {len(rows)} values under the key {name or '(none)'}"
            if name in known:
                found.append(Warning(f"{told}, not the first: run rewrap", id="medisetup.W101"))
            else:
                found.append(Error(f"{told}, which SEALING_KEYS lacks", id="medisetup.E101"))
    for name in audit_chain.codes_by_key().keys() - known.keys():
        told = f"the audit trail has codes of the key {name}, which SEALING_KEYS lacks"
        found.append(Warning(told, id="medisetup.W102"))
    return found
