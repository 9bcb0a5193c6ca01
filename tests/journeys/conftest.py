"""The running portal, once per test run, and people who visit it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext

from accounts.models import User
from tests.journeys.running import Portal
from tests.journeys.visitor import WIDE, Visitor

Visitors = Callable[..., Visitor]


@pytest.fixture(scope="session")
def portal(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Iterator[Portal]:
    folder: Path = tmp_path_factory.mktemp("portal")
    portal = Portal(folder, django_db_blocker.unblock)
    with ExitStack() as ending:
        ending.callback(portal.stop)
        portal.start()
        yield portal


@pytest.fixture
def visitor(portal: Portal, new_context: Callable[..., BrowserContext]) -> Iterator[Visitors]:
    """Makes a visitor: a stranger, or somebody signed in (`user`) past password and key."""
    from tests.journeys.people import session_of

    made: list[Visitor] = []

    def make(user: User | None = None, *, script: bool = True, **options: Any) -> Visitor:
        context = new_context(viewport=WIDE, accept_downloads=True, java_script_enabled=script, **options)
        if user is not None:
            context.add_cookies(
                [{"name": "sessionid", "value": session_of(portal, user), "url": portal.origin}]
            )
        made.append(Visitor(context, portal.origin, script=script))
        return made[-1]

    yield make
    for visitor in made:
        visitor.leave()
