"""What every test may use: the database, people, signed-in clients that check each page they read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.contenttypes.management import create_contenttypes
from django.core.cache import cache
from django.db import connection
from django.db.models.signals import post_migrate
from django.test import Client

from accounts.models import User
from accounts.sessions import SessionStore
from tests import register
from tests.client import CheckingClient

pytest_plugins = ["tests.browser"]


def pytest_configure() -> None:
    """Argon2 takes 150 ms on purpose; tests that are about it choose it themselves."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]
    # Pages of the test client name their files unhashed; the journeys collect and hash them for real.
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": plain}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sr", type=int, help="only the tests of this requirement, as docs/security.md has them"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--sr"):
        return
    (wanted,) = (line.tests for line in register.lines() if line.number == config.getoption("--sr"))
    for item in items[:]:
        names = wanted.get(item.path.relative_to(register.TESTS).as_posix())
        if names is None or (names and getattr(item, "originalname", item.name) not in names):
            items.remove(item)


UNTRUNCATED = {
    "accounts_auditevent": "audit_untruncated",
    "accounts_auditlink": "audit_link_untruncated",
    "accounts_auditpruned": "audit_pruned_untruncated",
}


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Tests empty all tables between each other; here alone the audit trail may be emptied with the others.

    `test_audit_chain` puts the triggers in force again to see that they refuse. Django's own permissions,
    which nobody reads, are not made again each time.
    """
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    post_migrate.disconnect(create_contenttypes)
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for table, trigger in UNTRUNCATED.items():
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")


@pytest.fixture(autouse=True)
def _fresh_throttles(request: pytest.FixtureRequest) -> None:
    """Limits counted by one test must not stop the next. The database is asked for first, if at all."""
    for database in ("transactional_db", "db"):
        if database in request.fixturenames:
            request.getfixturevalue(database)
            cache.clear()
            return


def sign_in(client: Client, user: User) -> Client:
    """A session past the password, the second factor and the key, as after a full sign-in."""
    now = time.time()
    session = SessionStore()
    session.update(
        {
            SESSION_KEY: str(user.pk),
            BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
            HASH_SESSION_KEY: user.get_session_auth_hash(),
            "began_at": int(now),
            "seen_at": int(now),
            "key_proved_at": int(now),
            "factor_at": int(now),
            # What allauth notes at sign-in; acts that need a second proof look at it.
            "account_authentication_methods": [{"method": "password", "at": now, "username": user.login}],
        }
    )
    session.create()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    return client


@pytest.fixture
def signed_in() -> Callable[[User], CheckingClient]:
    return lambda user: sign_in(CheckingClient(), user)
