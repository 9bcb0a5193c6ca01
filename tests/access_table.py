"""Who gets what: every route and method for every actor, against `tests/data/access.csv` (security SR-25).

`python -m tests.access_table` prints the rows that the table lacks, as observed now: read them, one by one,
against the matrix of rights before you paste them. `--all` prints the whole table.
"""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
from django.test.client import ClientHandler, RequestFactory

if TYPE_CHECKING:
    from django.http import HttpResponse
    from django.test import Client

    from accounts.models import User

TABLE = Path(__file__).parent / "data/access.csv"
METHODS = ("get", "post")
ROLES = ("admin", "user_manager", "physician", "physician_trainee", "paramedical", "reception", "support")
# In the columns' order. `physician` is the colleague; `other_…` are of another practice.
ACTORS = (
    "anonymous", "deactivated", "no_key", "owner", "expired_owner", "supervisor", *ROLES,
    *(f"other_{role}" for role in ROLES), "staff", "staff_no_code",
)  # fmt: skip
# Everything named here belongs to the owner's practice; nobody outside reads it.
UNMISTAKABLE = ("Quetzalcoatl", "Xochimilco", "Popocatepetl", "quetzal@example.be", "Tenochtitlan")
# Places that are no converters, filled by what belongs to nobody.
BY_EXPRESSION = {
    "account_reset_password_from_key": "signin/reset/0-0/",
    "account_confirm_email": "signin/email/0-0/",
}

Row = dict[str, str]


@dataclass(frozen=True)
class Scene:
    """The people of the table, and whose pages are asked for."""

    people: dict[str, User | None]
    clients: dict[str, Client]

    def subject(self, actor: str) -> User:
        """Everybody asks for the owner's pages; whoever's licence has expired for the own ones."""
        subject = self.people["expired_owner" if actor == "expired_owner" else "owner"]
        assert subject is not None
        return subject


def scene() -> Scene:
    """A practice whose owner has every kind of row, another practice, strangers and staff."""
    from django.test import Client
    from django.utils import timezone

    from accounts.models import Licence
    from tests.accounts.factories import PracticeFactory, UserFactory
    from tests.cast import begin_change, licence_at, registered, with_mailbox
    from tests.conftest import sign_in

    staff = UserFactory(is_staff=True, practice=PracticeFactory(name="Portail"))
    home = PracticeFactory(name="Xochimilco")
    named = {"user__first_name": "Popocatepetl", "user__last_name": "Quetzalcoatl"}
    owner = registered(
        user__practice=home, user__login="quetzal@example.be", company_name="Tenochtitlan", **named
    )
    with_mailbox(owner)
    begin_change(owner)
    licence_at(owner, staff, "requested")
    expired = registered(user__practice=home)
    day = timezone.localdate() - timedelta(days=1)
    Licence.objects.filter(user=expired).update(starts_on=day, ends_on=day, state="expired")
    gone = UserFactory(practice=home, is_active=False, deactivated_at=timezone.now())
    people: dict[str, User | None] = {
        "anonymous": None, "deactivated": gone, "no_key": UserFactory(practice=home, key=False),
        "owner": owner, "expired_owner": expired, "staff": staff, "staff_no_code": staff,
        "supervisor": _supervisor_of_owner(owner),
    }  # fmt: skip
    for role in ROLES:
        people[role] = UserFactory(practice=home, roles=[role])
        people[f"other_{role}"] = UserFactory(roles=[role])
    clients = {name: sign_in(Client(), person) if person else Client() for name, person in people.items()}
    without_code(clients["staff_no_code"])
    return Scene(people, clients)


def _supervisor_of_owner(owner: User) -> User:
    """Somebody who answers for the owner's colleague in training; no right over the owner follows."""
    from tests.billing.factories import FinancialFactory
    from tests.practitioners.factories import PractitionerFactory

    senior = FinancialFactory(practitioner__user__practice=owner.practice).practitioner
    trainee = PractitionerFactory(trainee=True, user__practice=owner.practice)
    FinancialFactory(practitioner=trainee, bce="", iban="", bic="", bic_source="", supervisor=senior)
    supervisor: User = senior.user
    return supervisor


def routes() -> list[tuple[str, str]]:
    """(name, path) of every route of the resolver; one without a name is called by its path."""
    from tests.medisetup.test_doors import routes as walk

    found = {
        (name or path, BY_EXPRESSION.get(name, path)) for name, _pattern, path in walk()
    }  # fmt: skip
    return sorted(found)


def outcome(response: HttpResponse) -> str:
    """The answer in one word: ok, login, redirect, or the number of the status."""
    if response.status_code == 302:
        to_sign_in = re.match(r"/signin/($|\?)", response.headers["Location"])
        return "login" if to_sign_in else "redirect"
    return "ok" if response.status_code == 200 else str(response.status_code)


@contextmanager
def undone() -> Iterator[None]:
    """Whatever the request changed is taken back, so that every cell starts from the same scene: sessions and
    throttles too, which are rows.
    """
    from django.db import transaction

    with transaction.atomic():
        yield
        transaction.set_rollback(True)


class Asking(RequestFactory):
    """Asks the whole portal. Twelve thousand times: a client of Django's would build the middleware anew and
    keep a copy of what each template was given.
    """

    portal = ClientHandler(enforce_csrf_checks=False)

    def request(self, **request: Any) -> HttpResponse:
        return self.portal(self._base_environ(**request))


def ask(scene: Scene, actor: str, method: str, path: str) -> HttpResponse:
    """One request, of somebody past the password and the key; a post carries nothing."""
    from tests.medisetup.test_doors import address

    with undone():
        asking = Asking()
        asking.cookies.update(scene.clients[actor].cookies)
        response: HttpResponse = getattr(asking, method)(address(path, scene.subject(actor)))
        return response


def without_code(client: Client) -> None:
    """The session goes on as one that has not passed the second factor."""
    session = client.session
    del session["factor_at"]
    session.save()


def observe(scene: Scene, name: str, path: str, leaks: list[str]) -> Iterator[Row]:
    """The rows of one route, as they are now; names of the owner's practice read elsewhere go to `leaks`."""
    for method in METHODS:
        row = {"route": name, "method": method}
        for actor in ACTORS:
            response = ask(scene, actor, method, path)
            row[actor] = outcome(response)
            if actor.startswith(("other_", "anonymous", "deactivated")):
                read = response.content.decode(errors="replace")
                leaks += [f"{name} {actor} {word}" for word in UNMISTAKABLE if word in read]
        yield row


def stored() -> dict[tuple[str, str], Row]:
    with TABLE.open(newline="") as file:
        return {(row["route"], row["method"]): row for row in csv.DictReader(file)}


def printed(rows: list[Row]) -> str:
    return "\n".join(",".join(row.values()) for row in rows)


def set_up() -> None:
    """A database of its own, for a module that is started as a program."""
    import tests.services  # noqa: F401  starts the database and fills the environment

    os.environ["DJANGO_SETTINGS_MODULE"] = "medisetup.settings"
    django.setup()
    from django.test.runner import DiscoverRunner

    from tests.conftest import pytest_configure

    pytest_configure()
    with redirect_stdout(sys.stderr):
        DiscoverRunner(verbosity=0, interactive=False).setup_databases()


def main() -> None:
    set_up()
    from django.db import transaction

    known = {} if "--all" in sys.argv or not TABLE.exists() else stored()
    with transaction.atomic():
        cast, leaks = scene(), []
        wanted: list[Any] = [entry for entry in routes() if (entry[0], "get") not in known]
        rows = [row for name, path in wanted for row in observe(cast, name, path, leaks)]
        transaction.set_rollback(True)
    header = [",".join(("route", "method", *ACTORS))] if not known else []
    print("\n".join([*header, printed(rows), *leaks]))  # noqa: T201


if __name__ == "__main__":
    main()
