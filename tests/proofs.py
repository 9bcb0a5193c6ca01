"""A proof by the password that has grown old, and what then answers."""

from __future__ import annotations

import time
from typing import Any

from django.test import Client
from django.urls import reverse
from django.utils.http import urlencode


def grown_old() -> dict[str, Any]:
    """What a session holds whose password was given an hour before."""
    return {"account_authentication_methods": [{"method": "password", "at": time.time() - 3600}]}


def long_ago(client: Client) -> Client:
    """The same for the session of a client."""
    session = client.session
    session.update(grown_old())
    session.save()
    return client


def asks(response: Any, url: str) -> bool:
    """Whether the answer sends to the page of the password, and from there back."""
    wanted = f"{reverse('account_reauthenticate')}?{urlencode({'next': url})}"
    return response.status_code == 302 and response.headers["Location"] == wanted
