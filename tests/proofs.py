"""A proof by the password that has grown old, and what then answers."""

from __future__ import annotations

import time
from typing import Any

from django.test import Client
from django.urls import reverse
from django.utils.http import urlencode


def long_ago(client: Client) -> Client:
    """The password was given an hour before."""
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - 3600}]
    session.save()
    return client


def asks(response: Any, url: str) -> bool:
    """Whether the answer sends to the page of the password, and from there back."""
    wanted = f"{reverse('account_reauthenticate')}?{urlencode({'next': url})}"
    return response.status_code == 302 and response.headers["Location"] == wanted
