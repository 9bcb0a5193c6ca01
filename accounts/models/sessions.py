"""Sessions of browsers. `accounts.sessions` stores and finds them."""

from __future__ import annotations

from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models

from accounts.models.people import User


class Session(AbstractBaseSession):
    """What one browser is in the middle of, under the digest of its cookie: the row opens nothing.

    `user` is null before the sign-in. When it began, where and in which browser is in the signed content.
    """

    session_key = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="sessions")

    @classmethod
    def get_session_store_class(cls) -> type:
        from accounts.sessions import SessionStore

        return SessionStore
