"""A practice and its first administrator, who invites everybody else."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from accounts.actions.people import create_user
from accounts.models import Practice, Role, User


def open_practice(
    *, name: str, type: str, email: str, first_name: str, last_name: str, language: str, now: datetime
) -> User:
    """The administrator, invited by mail, whose login is the address; both are made or neither.

    `type`: one of `Practice.Type`; `language`: a code of LANGUAGES. For the installation itself. Raises
    `InvalidLogin`, `LoginTaken`, `InvalidEmail`, `EmailTaken`.
    """
    with transaction.atomic():
        practice = Practice.objects.create(name=name, type=type)
        return create_user(
            practice=practice, login=email, email=email, first_name=first_name, last_name=last_name,
            language=language, roles=[Role.ADMIN], by=None, now=now,
        )  # fmt: skip
