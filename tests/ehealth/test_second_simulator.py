"""Another platform is a change of settings: a second simulator with keys of its own, the same code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection as database

from accounts.models import User
from ehealth.models import Mutuality
from tests.platform import PASSWORD, ROOT, Simulator
from tests.practitioners.factories import PractitionerFactory, nihii, ssin

pytestmark = [pytest.mark.chaos, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def platforms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Simulator, Simulator]]:
    first, second = (Simulator.start(tmp_path_factory.mktemp(name)) for name in ("first", "second"))
    with first, second:
        yield first, second


def settings_of(simulator: Simulator) -> dict[str, str]:
    """All that tells a portal which platform to speak to."""
    return {
        "EHEALTH_ENVIRONMENT": "simulation",
        "EHEALTH_BASE_URL": simulator.base_url,
        "EHEALTH_ISSUERS_FILE": str(simulator.data / "issuing-ca.pem"),
        "EHEALTH_STS_CERTIFICATES_FILE": str(simulator.data / "sts.pem"),
    }


def new_user(number: int, *simulators: Simulator) -> User:
    """A general practitioner whom these platforms know."""
    row = PractitionerFactory(ssin=ssin(number), nihii=nihii(number))
    for simulator in simulators:
        user = row.user
        simulator.add_person(
            row.ssin, first_name=user.first_name, last_name=user.last_name, nihii11=row.nihii
        )
    return row.user


def speak(user: User, to: Simulator, keystore_of: Simulator, folder: Path) -> str:
    """A fresh portal process under the settings of one platform, with a keystore issued by one."""
    file, password = folder / "own.p12", folder / "password"
    file.write_bytes(keystore_of.keystore(user.practitioner.ssin))
    password.write_text(PASSWORD)
    address = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database.settings_dict['NAME']}")
    environment = os.environ | settings_of(to) | {"DATABASE_URL": address.geturl()}
    command = [sys.executable, "-m", "tests.ehealth.speaker", str(user.pk), str(file), str(password)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_platform_is_spoken_to_by_its_settings_alone(
    platforms: tuple[Simulator, Simulator], tmp_path: Path
) -> None:
    first, second = platforms
    assert first.issuing_ca != second.issuing_ca and first.port != second.port
    for number, (here, there) in enumerate(((first, second), (second, first)), start=7000):
        user = new_user(number, first, second)
        before, calls = here.calls(), there.calls()
        assert speak(user, to=here, keystore_of=there, folder=tmp_path) == "untrusted_issuer"
        assert here.calls() == before, "a foreign keystore is refused before anything is asked"
        assert speak(user, to=here, keystore_of=here, folder=tmp_path) == "registered"
        own = {key: count for key, count in here.accepted().items() if key[0] == user.practitioner.nihii}
        assert own == {(user.practitioner.nihii, code): 1 for code in Mutuality.values}
        assert there.calls() == calls, "the other one heard nothing"
