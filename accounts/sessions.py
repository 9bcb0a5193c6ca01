"""Django's session engine over `Session`: a row lies under the SHA-256 of the cookie and names its person.

Whoever reads the table can take over no session (security SR-75), and a person's sessions are found
without opening those of others. Only the synchronous half is ours; the portal has no asynchronous view.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

from accounts.models import Session


def digest(key: str | None) -> str:
    """The key of the row of a session, from the value of its cookie."""
    return hashlib.sha256((key or "").encode()).hexdigest()


class SessionStore(DatabaseStore):
    """`session_key` is the cookie's value, known to the browser alone; the database sees its digest."""

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def _get_session_from_db(self) -> Session | None:
        rows = Session.objects.filter(expire_date__gt=timezone.now())
        row: Session | None = rows.filter(session_key=digest(self.session_key)).first()
        if row is None:
            self._session_key = None
        return row

    def exists(self, session_key: str) -> bool:
        return super().exists(digest(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        return Session(
            session_key=digest(self.session_key),
            session_data=self.encode(data),
            expire_date=self.get_expiry_date(),
            user_id=data.get(SESSION_KEY),
        )

    def delete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            super().delete(digest(key))
