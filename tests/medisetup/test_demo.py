"""The demonstration furnishes a practice through the real actions, against the running simulator."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from accounts.models import Invitation, Mail, User
from ehealth.configuration import platform
from ehealth.models import EdmgRegistration, Keystore
from medisetup.checklist import checklist
from tests.platform import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def demonstration(settings: Settings, tmp_path: Path) -> Iterator[Simulator]:
    with Simulator.start(tmp_path / "simulator") as simulator:
        settings.DEMO, settings.DEMO_DIR = True, tmp_path / "demo"
        settings.EHEALTH_BASE_URLS = [simulator.base_url]
        settings.EHEALTH_ISSUERS_FILE = str(simulator.data / "issuing-ca.pem")
        settings.EHEALTH_STS_CERTIFICATES_FILE = str(simulator.data / "sts.pem")
        settings.EHEALTH_LICENCE_NAME, settings.EHEALTH_LICENCE_USERNAME = "medisetup", "simulation"
        settings.EHEALTH_LICENCE_PASSWORD = "simulation"
        platform.cache_clear()
        yield simulator
        platform.cache_clear()


def test_it_furnishes_people_in_each_state_once(demonstration: Simulator, settings: Settings) -> None:
    told = StringIO()
    call_command("demo", stdout=told)
    claire = User.objects.get(login="claire.lemaire@parc.example")
    assert checklist(claire).ready
    assert Keystore.objects.in_force().count() == 3
    assert EdmgRegistration.objects.filter(user=claire, state="queued").count() == 7
    julie = User.objects.get(login="julie.simon@parc.example")
    assert not checklist(julie).ready and julie.section_reviews.filter(confirmed_at=None).count() == 2
    new = User.objects.get(login="elise.fontaine@parc.example")
    assert Invitation.objects.filter(user=new, used_at=None).count() == 1
    assert Mail.objects.filter(user=new, kind="invitation").count() == 1
    assert (settings.DEMO_DIR / "fontaine.p12").exists()
    assert "elise.fontaine@parc.example" in told.getvalue()
    people = User.objects.count()
    call_command("demo", stdout=StringIO())
    assert (User.objects.count(), EdmgRegistration.objects.count()) == (people, 7)


def test_it_refuses_to_load_outside_a_demonstration(settings: Settings) -> None:
    settings.DEMO = False
    with pytest.raises(CommandError):
        call_command("demo")
    assert not User.objects.exists()
