"""Browsers: what one is called, and the cookie by which it is known to have signed a person in before.

The cookie is signed, bound to one account and to the password in force, and gives no right: a browser that
carries it fails on its own account, so that strangers who guess cannot lock the owner out (security SR-6),
and its sign-ins need no notice by mail (SR-17).
"""

from __future__ import annotations

import ipaddress
import secrets
from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from accounts.models import User

KNOWN_FOR = int(timedelta(days=180).total_seconds())
# The mark on a request whose answer leaves the cookie, for this person.
NOW_KNOWN_TO = "now_known_to"
# The first that is found counts: most browsers also carry the names of others.
BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser/", "Samsung Internet"), ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
    ("CrOS", "ChromeOS"), ("Macintosh", "Mac"), ("Linux", "Linux"),
)  # fmt: skip


# --- what it is called ------------------------------------------------------------------------
def browser_of(request: HttpRequest) -> str:
    """Browser and system in two words, as « Firefox, Windows »; '' when the browser does not say."""
    agent = request.headers.get("User-Agent", "")
    names = (next((name for mark, name in marks if mark in agent), "") for marks in (BROWSERS, SYSTEMS))
    return ", ".join(filter(None, names))


def device(browser: str) -> str:
    """What to show for `browser_of`."""
    return browser or _("Navigateur inconnu")


def place(network: str) -> str:
    """A network (/24 or /48) as a person reads it, as « 203.0.113.x »."""
    try:
        address = ipaddress.ip_network(network).network_address
    except ValueError:
        return _("inconnue")
    if address.version == 4:
        return f"{str(address).rpartition('.')[0]}.x"
    return f"{address.exploded[:14]}:x"


# --- the cookie -------------------------------------------------------------------------------
def known(request: HttpRequest, user: User | None) -> str:
    """The random name of a browser that has signed this person in under the password in force; else ''."""
    if user is None:
        return ""
    value = request.get_signed_cookie(_cookie(user), default="", max_age=KNOWN_FOR) or ""
    name, _colon, stamp = value.partition(":")
    return name if constant_time_compare(stamp, _stamp(user)) else ""


def trust(request: HttpRequest, user: User) -> None:
    """The person was let in, or chose the password, in this browser: the answer leaves the cookie there."""
    setattr(request, NOW_KNOWN_TO, user)


def leave_cookie(request: HttpRequest, response: HttpResponse) -> None:
    """Set the cookie for the person of `trust`, if any; a browser keeps one per person."""
    user: User | None = getattr(request, NOW_KNOWN_TO, None)
    if user is None:
        return
    response.set_signed_cookie(
        _cookie(user),
        f"{secrets.token_hex(16)}:{_stamp(user)}",
        max_age=KNOWN_FOR,
        secure=settings.SECURE,
        httponly=True,
        samesite="Lax",
    )


def _cookie(user: User) -> str:
    """The name is signed with the value: a cookie of one person says nothing about another."""
    return f"{'__Host-' if settings.SECURE else ''}device-{user.uuid.hex}"


def _stamp(user: User) -> str:
    """Changes with each password that the owner chooses."""
    return user.password_own_at.isoformat() if user.password_own_at else ""
