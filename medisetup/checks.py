"""What is unsafe in production (SR-127): settings, and with `--database default` keys and migrations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.urls import URLResolver, get_resolver

from accounts import audit_chain
from accounts.middleware import ALWAYS_OPEN, FACTOR_PAGES, KEY_PAGES
from accounts.sealing import BadKeyRing, ring

EXAMPLE = re.compile("insecure|example|change.?me|secret.?key", re.I)
WELL_FORMED = re.compile(r"[a-z0-9-]+/")


def local(url: str) -> bool:
    return (urlsplit(url).hostname or "") in ("localhost", "127.0.0.1", "::1")


def of_a_platform(url: str) -> bool:
    """An https address with a name known outside: no number, no neighbour such as the simulator."""
    host = urlsplit(url).hostname or ""
    return url.startswith("https://") and "." in host and ":" not in host and not host[-1].isdigit()


def hosts_are_named() -> bool:
    return bool(settings.ALLOWED_HOSTS) and not any(host[:1] in "*." for host in settings.ALLOWED_HOSTS)


def is_a_secret(text: str) -> bool:
    return len(text) >= 50 and len(set(text)) >= 10 and not EXAMPLE.search(text)


def sealing_keys_are_random() -> bool:
    """No bytes in order, among which are those of examples: of 32 random ones that never happens."""
    try:
        return all(sorted(key) != list(key) for key in ring().keys.values())
    except BadKeyRing:
        return False


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
        (not sealing_keys_are_random(), "SEALING_KEYS: give one or more kid:base64 of 32 random bytes"),
        (
            not all(map(is_a_secret, [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS])),
            "SECRET_KEY: 50 random characters at least, no example",
        ),
        (not hosts_are_named(), "ALLOWED_HOSTS: name the hosts"),
        (
            not settings.SECURE and not local(settings.PORTAL_ORIGIN),
            "PORTAL_ORIGIN: https (keys are made in the browser)",
        ),
        (
            (settings.DEBUG or settings.DEMO or simulation) and not local(settings.PORTAL_ORIGIN),
            "DEBUG, DEMO and the simulator are for this machine only: PORTAL_ORIGIN must be localhost",
        ),
        (
            not simulation and not all(map(of_a_platform, settings.EHEALTH_BASE_URLS)),
            "EHEALTH_BASE_URL: https and the name of a host outside, unless EHEALTH_ENVIRONMENT=simulation",
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
        (
            not (settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL or local(f"//{settings.EMAIL_HOST}")),
            "EMAIL_URL: smtp+tls:// or smtp+ssl://, mails carry links that let people in",
        ),
    ]
    return [Error(text, id=f"medisetup.E{number:03}") for number, (bad, text) in enumerate(reasons, 1) if bad]


@register(Tags.database, deploy=True)
def sealing_keys_fit(databases: Sequence[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """Which keys the database still needs: one that is missing is an error, one to be retired a warning."""
    from medisetup import sealed

    if not databases:
        return []
    known = ring().keys
    found: list[CheckMessage] = []
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


@register(Tags.database, deploy=True)
def migrations_are_applied(databases: Sequence[str] | None = None, **_kwargs: Any) -> list[Error]:
    """An error while the database is older than the program."""
    if not databases:
        return []
    waiting = lacking_migrations()
    if not waiting:
        return []
    return [Error(f"the database lacks migrations ({', '.join(waiting)}): run migrate", id="medisetup.E102")]


def lacking_migrations() -> list[str]:
    """The newest migration of each app that the database has not seen; one query."""
    applied = MigrationRecorder(connection).applied_migrations()
    return [".".join(newest) for newest in _newest_migrations() if newest not in applied]


@cache
def _newest_migrations() -> list[tuple[str, str]]:
    return list(MigrationLoader(None).graph.leaf_nodes())
