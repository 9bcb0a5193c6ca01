"""Every route of the site, walked from the resolver: closed to strangers, other practices, forged posts.

A new route fails here until it is either closed or named in one of the two lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import User
from tests.accounts.factories import UserFactory
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.django_db

# Answer strangers; everything else sends them to sign in.
PUBLIC = {
    "help",
    "health_live",
    "health_ready",
    "set_language",
    "accounts:invitation",
    "account_login",
    "account_logout",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
    "account_confirm_email",
    "account_inactive",
    "mfa_authenticate",
}


def routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[tuple[str, URLPattern, str]]:
    """(name with namespaces, pattern, path with `<converter:name>` places)."""
    resolver = resolver or get_resolver()
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern).removeprefix("^").removesuffix("$")
        if isinstance(pattern, URLResolver):
            for name, inner, whole in routes(pattern, path):
                yield f"{pattern.namespace}:{name}" if pattern.namespace else name, inner, whole
        else:
            yield pattern.name or "", pattern, path


def address(path: str, subject: User | SimpleNamespace) -> str:
    """The route with its places filled: the person's uuid, or a value that belongs to nobody."""
    places: dict[str, Any] = {"uuid": subject.uuid, "batch": uuid4(), "billing_address": uuid4()}
    filled = path
    for place in path.split("<")[1:]:
        inner = place.split(">")[0]
        name = inner.split(":")[-1]
        filled = filled.replace(f"<{inner}>", str(places.get(name, "100" if "code" in name else "0-0")))
    return "/" + filled


HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
ALL = sorted({(name, path) for name, _pattern, path in routes() if "(?P" not in path})
OF_A_PERSON = [entry for entry in ALL if "<uuid:uuid>" in entry[1]]


@pytest.mark.parametrize(("name", "path"), ALL)
def test_a_stranger_is_sent_to_sign_in(name: str, path: str) -> None:
    url = address(path, UserFactory())
    for method in ("get", "post"):
        response = getattr(Client(), method)(url)
        if name in PUBLIC:
            assert response.status_code < 500 or name == "health_ready", "no worker runs here"
        else:
            closed = response.status_code == 405 or response.headers.get("Location", "").startswith(
                "/signin/"
            )
            assert closed or response.status_code == 403, (method, url, response.status_code)


@pytest.mark.parametrize(("name", "path"), OF_A_PERSON)
def test_a_colleague_without_rights_sees_nothing(signed_in, name: str, path: str) -> None:
    subject = PractitionerFactory().user
    colleague = PractitionerFactory(user__practice=subject.practice).user
    client = signed_in(colleague)
    for method in ("get", "post"):
        assert getattr(client, method)(address(path, subject)).status_code in (403, 404, 405)


@pytest.mark.parametrize(("name", "path"), ALL)
def test_no_post_passes_without_its_token(name: str, path: str) -> None:
    user = PractitionerFactory(user__roles=["admin"]).user
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    response = client.post(address(path, user), headers={"accept": "text/html"})
    assert response.status_code in (403, 405, 404) or response.headers.get("Location", "").startswith(
        ("/key/", "/signin/")
    )


@pytest.mark.parametrize(("name", "path"), ALL)
def test_every_answer_carries_the_headers(name: str, path: str) -> None:
    response = Client().get(address(path, UserFactory()))
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "no-store" in response.headers["Cache-Control"]
    assert {name: response.headers.get(name) for name in HEADERS} == HEADERS
    assert "camera=()" in response.headers["Permissions-Policy"]
    assert not [name for name in response.headers if name.startswith("Access-Control-")]
