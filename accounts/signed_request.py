"""The request of somebody signed in, as the type of every page that is not marked public.

`LoginRequiredMiddleware` lets nobody else reach such a page; only what runs before it, and what a framework
declares for every request, has to ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from django.http import HttpRequest

from accounts.models import User

if TYPE_CHECKING:
    from accounts.access import Capability


class SignedRequest(HttpRequest):
    """A request whose user is an account. Never made: it names what the middleware has established."""

    user: User
    # Set by `SessionLimits` when the session ended at this very request.
    session_ended_of: User
    # Set by `access.rights` when a page first asks.
    rights: frozenset[Capability]


def is_signed(request: HttpRequest) -> TypeGuard[SignedRequest]:
    """Whether somebody is signed in."""
    return request.user.is_authenticated
