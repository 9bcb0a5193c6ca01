"""A running simulator, and doctors who are known on both sides."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.actions.sections import section_version
from accounts.models import User
from ehealth.actions import connection
from ehealth.configuration import platform
from ehealth.models import Keystore
from tests.platform import LICENCE, PASSWORD, Simulator
from tests.practitioners.factories import PractitionerFactory, nihii, ssin

NUMBERS = itertools.count(5000)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator.start(tmp_path_factory.mktemp("platform")) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator, settings: Settings, tmp_path: Path) -> Iterator[Simulator]:
    """The platform that the settings name, in a good mood."""
    connect_to(running, settings, tmp_path)
    running.clear_faults()
    yield running
    running.clear_faults()
    platform.cache_clear()


def connect_to(simulator: Simulator, settings: Settings, folder: Path) -> None:
    settings.EHEALTH_BASE_URLS = [simulator.base_url]
    settings.EHEALTH_ENVIRONMENT = "simulation"
    name, username, password = LICENCE
    settings.EHEALTH_LICENCE_NAME, settings.EHEALTH_LICENCE_USERNAME = name, username
    settings.EHEALTH_LICENCE_PASSWORD = password
    settings.EHEALTH_TIMEOUTS = (2.0, 2.0, 4.0)
    for setting, pem in (
        ("EHEALTH_ISSUERS_FILE", simulator.issuing_ca),
        ("EHEALTH_STS_CERTIFICATES_FILE", simulator.sts_certificate),
    ):
        file = folder / f"{setting.lower()}.pem"
        file.write_bytes(pem)
        setattr(settings, setting, str(file))
    platform.cache_clear()


@dataclass
class Doctor:
    """Somebody of the portal whom the platform knows, and who holds a keystore."""

    simulator: Simulator
    user: User
    ssin: str
    nihii: str

    def upload(
        self,
        data: bytes | None = None,
        *,
        auto: bool = False,
        password: str = PASSWORD,
        now: datetime | None = None,
    ) -> Keystore:
        """Store a keystore as the form does; nothing is tested yet."""
        return connection.store(
            user=self.user,
            by=self.user,
            data=self.simulator.keystore(self.ssin) if data is None else data,
            password=password,
            file_name="C:\\fakepath\\SSIN=1 20260101.p12",
            auto=auto,
            version=section_version(self.user, connection.SECTION),
            now=now or timezone.now(),
        )

    def connect(self, *, auto: bool = False) -> Keystore:
        """A keystore in force, with a live session."""
        stored = self.upload(auto=auto)
        connection.test(keystore_pk=stored.pk, now=timezone.now())
        stored.refresh_from_db()
        assert stored.state == Keystore.State.ACTIVE, stored.result_code
        return stored


@pytest.fixture
def new_doctor(simulator: Simulator, transactional_db: None) -> Callable[[], Doctor]:
    """Makes a general practitioner on both sides."""

    def make() -> Doctor:
        number = next(NUMBERS)
        row = PractitionerFactory(ssin=ssin(number), nihii=nihii(number))
        simulator.add_person(
            row.ssin, first_name=row.user.first_name, last_name=row.user.last_name, nihii11=row.nihii
        )
        return Doctor(simulator, row.user, row.ssin, row.nihii)

    return make


@pytest.fixture
def doctor(new_doctor: Callable[[], Doctor]) -> Doctor:
    return new_doctor()
