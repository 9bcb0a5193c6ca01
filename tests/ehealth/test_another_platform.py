"""Going to another platform is a change of settings: a second simulator, with its own authorities, elsewhere.

Each portal is a process of its own that knows nothing but its environment.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection as database

from ehealth.models import EdmgRegistration, Keystore
from tests.ehealth.conftest import Doctor
from tests.platform import PASSWORD, ROOT, Simulator

pytestmark = pytest.mark.django_db(transaction=True)

PORTAL = """
import base64, sys
import django
django.setup()
from django.utils import timezone
from accounts.actions.sections import section_version
from accounts.models import User
from billing.bank import BankAccount
from ehealth.actions import connection, edmg
from ehealth.keystore import KeystoreRefused
from ehealth.models import EdmgRegistration, Mutuality

login, password, data = sys.argv[1], sys.argv[2], base64.b64decode(sys.stdin.read())
user = User.objects.get_by_natural_key(login)
try:
    stored = connection.store(
        user=user, by=user, data=data, password=password, file_name="x.p12", auto=True,
        version=section_version(user, connection.SECTION), now=timezone.now(),
    )
except KeystoreRefused as refused:
    sys.exit(f"refused: {refused.code}")
connection.test(keystore_pk=stored.pk, now=timezone.now())
if not EdmgRegistration.objects.filter(user=user).exists():
    account = BankAccount("BE67001000001187", "GEBABEBB", "typed")
    edmg.request(
        user=user, by=user, accounts=dict.fromkeys(Mutuality.values, account), same_account=True,
        conditions_version="1", language="fr", version=section_version(user, edmg.SECTION),
        now=timezone.now(),
    )
for row in EdmgRegistration.objects.filter(user=user):
    edmg.send(pk=row.pk, now=timezone.now())
"""


def portal(doctor: Doctor, simulator: Simulator, data: bytes) -> subprocess.CompletedProcess[str]:
    """The portal with the settings of that platform, doing what its pages and workers do."""
    facts = database.settings_dict
    address = f"{facts['HOST']}:{facts['PORT']}/{facts['NAME']}"
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "medisetup.settings",
        "DATABASE_URL": f"postgres://{facts['USER']}:{facts['PASSWORD']}@{address}",
        "EHEALTH_ENVIRONMENT": "simulation",
        "EHEALTH_BASE_URL": simulator.base_url,
        "EHEALTH_ISSUERS_FILE": str(simulator.data / "issuing-ca.pem"),
        "EHEALTH_STS_CERTIFICATES_FILE": str(simulator.data / "sts.pem"),
    }
    return subprocess.run(
        [sys.executable, "-c", PORTAL, doctor.user.login, PASSWORD],
        input=base64.b64encode(data).decode(), env=environment, cwd=ROOT,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator.start(tmp_path / "other") as simulator:
        yield simulator


def test_other_addresses_and_anchors_are_enough(doctor: Doctor, other: Simulator) -> None:
    facts = {"first_name": "A", "last_name": "B", "nihii11": doctor.nihii}
    other.add_person(doctor.ssin, **facts)
    here, there = doctor.simulator.keystore(doctor.ssin), other.keystore(doctor.ssin)
    before = doctor.simulator.calls()

    refused = portal(doctor, other, here)
    assert refused.returncode == 1 and "refused: untrusted_issuer" in refused.stderr
    assert other.calls() == 0

    moved = portal(doctor, other, there)
    assert moved.returncode == 0, moved.stderr
    assert Keystore.objects.in_force().filter(user=doctor.user).count() == 1
    done = EdmgRegistration.objects.filter(user=doctor.user).values_list("state", flat=True)
    assert list(done) == ["registered"] * 7
    assert sorted(other.accepted().values()) == [1] * 7
    assert doctor.simulator.calls() == before

    back = portal(doctor, doctor.simulator, there)
    assert back.returncode == 1 and "refused: untrusted_issuer" in back.stderr
    assert portal(doctor, doctor.simulator, here).returncode == 0
    assert doctor.simulator.calls() > before
