"""A hostile platform behind the portal's own actions: nothing it says registers anybody or opens a session.

Each group ends with a true answer in the same process, so that a worker that was harmed would show.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from ehealth import custody
from ehealth.actions import connection, edmg, sessions
from ehealth.client.platform import Identity
from ehealth.configuration import platform
from ehealth.models import EdmgRegistration, Exchange, Keystore
from tests.ehealth.client import parties
from tests.ehealth.client.servers import XML, Answer, answering, misbehaving
from tests.ehealth.client.test_assertions import VARIANTS
from tests.ehealth.client.test_conversation import ACCEPTED, BAD, FALSE, registered, soap, token, verdict
from tests.ehealth.client.test_transport import CASES
from tests.ehealth.client.test_xml import HOSTILE
from tests.ehealth.conftest import Doctor
from tests.ehealth.test_edmg import ask, row
from tests.platform import Simulator
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.django_db(transaction=True)
OPEN = {"retrying", "needs_action"}
# The closed set: what each hostile answer may end as.
ENDS = {"unreachable", "timed_out", "malformed", "not_authentic", "SOA-03006"}
State = EdmgRegistration.State


def ours(request: bytes, business: bytes, **how: str) -> Answer:
    """An answer to the very request that came in."""
    found = re.search(rb'RegisterToMycarenetServiceRequest[^>]* Id="(_\w+)"', request)
    assert found
    return registered(business, answers=found[1].decode(), **how)


def bodies() -> dict[str, Callable[[bytes], Answer]]:
    """Hostile answers to a registration: XML not to be read, SOAP against the contract, false content."""
    raw = {f"raw: {name}": lambda _b, data=data: (200, XML, data) for name, data in HOSTILE.items()}
    enveloped = {
        f"in a body: {name}": lambda _b, data=data: (200, XML, soap("@").replace(b"@", data))
        for name, data in HOSTILE.items()
        if name not in ("empty", "no XML")
    }
    false = {f"false: {name}": lambda _b, answer=answer: answer for name, (answer, _) in FALSE.items()}
    broken = {f"broken: {name}": lambda _b, answer=answer: answer for name, (answer, _) in BAD.items()}
    aimed: dict[str, Callable[[bytes], Answer]] = {
        "another doctor's success": lambda b: ours(b, verdict(ACCEPTED, "19999916002")),
        "another service's success": lambda b: ours(b, verdict(ACCEPTED.replace("GMD", "MDA"))),
        "a success twice": lambda b: ours(b, verdict(ACCEPTED * 2)),
        "a success of unknown kind": lambda b: ours(b, verdict(ACCEPTED.replace("SUCCESS", "success"))),
        "a success with a false digest": lambda b: ours(
            b, verdict(ACCEPTED), encoding=' ContentEncoding="none" HashValue="AAAA"'
        ),
        "a success to another reference": lambda b: ours(
            b, verdict(ACCEPTED), echo="<c:InputReference>x</c:InputReference>"
        ),
        "a success with an error status": lambda b: (500, *ours(b, verdict(ACCEPTED))[1:]),
        "a success in a wrapper": lambda b: (
            200, XML, ours(b, verdict(ACCEPTED))[2].replace(b"<s:Body>", b"<s:Body><w>", 1).replace(
                b"</s:Body>", b"</w></s:Body>", 1
            ),
        ),
        "a success in the header": lambda b: (
            200, XML, ours(b, verdict(ACCEPTED))[2].replace(b"<s:Body>", b"<s:Header>", 1).replace(
                b"</s:Body>", b"</s:Header><s:Body/>", 1
            ),
        ),
    }  # fmt: skip
    return raw | enveloped | false | broken | aimed


@pytest.fixture
def doctor(simulator: Simulator, settings: Settings, transactional_db: None) -> Doctor:
    """A connected doctor with the numbers that the hostile answers are about; short time limits."""
    settings.EHEALTH_TIMEOUTS = (1.0, 1.0, 1.5)
    platform.cache_clear()
    practitioner = PractitionerFactory(ssin=parties.SSIN, nihii=parties.NIHII)
    simulator.add_person(parties.SSIN, first_name="A", last_name="B", nihii11=parties.NIHII)
    made = Doctor(simulator, practitioner.user, parties.SSIN, parties.NIHII)
    made.connect(auto=True)
    ask(made)
    return made


def turn_to(settings: Settings, address: str) -> None:
    settings.EHEALTH_BASE_URLS = [address.removesuffix("/service")]
    platform.cache_clear()


def send(doctor: Doctor) -> str:
    """The first row once more, from the queue; its state."""
    now = timezone.now()
    first = EdmgRegistration.objects.filter(user=doctor.user, mutuality="100")
    first.update(state=State.QUEUED, queued_at=now, next_attempt_at=now, attempts=0)
    begun = time.monotonic()
    edmg.send(pk=row(doctor).pk, now=now)
    assert time.monotonic() - begun < 35
    return str(row(doctor).state)


def goes_on(doctor: Doctor, settings: Settings) -> None:
    """The same process registers as soon as the true platform answers, and once only."""
    turn_to(settings, doctor.simulator.base_url)
    assert send(doctor) in EdmgRegistration.DONE, row(doctor).result_code
    assert doctor.simulator.accepted()[(doctor.nihii, "100")] == 1


def test_no_hostile_body_registers(doctor: Doctor, settings: Settings) -> None:
    hostile = bodies()
    assert len(hostile) >= 35
    wrong = {}
    for name, answer in hostile.items():
        with answering(answer) as (address, seen):
            turn_to(settings, address)
            if send(doctor) not in OPEN or row(doctor).result_code not in ENDS or len(seen.bodies) != 1:
                wrong[name] = (row(doctor).state, row(doctor).result_code)
    assert wrong == {}
    goes_on(doctor, settings)


def test_a_true_answer_of_the_same_server_registers(doctor: Doctor, settings: Settings) -> None:
    """Without it, the test above could refuse everything."""
    with answering(lambda body: ours(body, verdict(ACCEPTED))) as (address, _):
        turn_to(settings, address)
        assert send(doctor) == State.REGISTERED


def test_no_misbehaving_server_registers(doctor: Doctor, settings: Settings) -> None:
    assert len(CASES) >= 12
    for name, (behave, _expected) in CASES.items():
        with misbehaving(behave) as address:
            turn_to(settings, address)
            assert send(doctor) in OPEN, name
        assert row(doctor).result_code in ENDS, (name, row(doctor).result_code)
        assert row(doctor).outcome_unknown, name
    goes_on(doctor, settings)


def identity(doctor: Doctor) -> Identity:
    return custody.identity(Keystore.objects.in_force().get(user=doctor.user), doctor.ssin)


def good_token(doctor: Doctor) -> bytes:
    claims = parties.attributes(doctor.ssin, doctor.nihii)
    return parties.signed_by_xmlsec(parties.unsigned_assertion(identity(doctor), claims=claims))


def trust_another_sts(settings: Settings, folder: Path) -> None:
    file = folder / "another-sts.pem"
    file.write_bytes(parties.pem(parties.sts()[1]))
    settings.EHEALTH_STS_CERTIFICATES_FILE = str(file)


def test_no_wrapped_or_altered_token_is_used(doctor: Doctor, settings: Settings, tmp_path: Path) -> None:
    assert len(VARIANTS) >= 16
    trust_another_sts(settings, tmp_path)
    keystore = Keystore.objects.in_force().get(user=doctor.user)
    for name, change in VARIANTS.items():
        forged = change(good_token(doctor))
        with answering(lambda body, data=forged: token(body, holder=data)) as (address, seen):
            turn_to(settings, address)
            sessions.drop_assertion(keystore_id=keystore.pk)
            assert send(doctor) in OPEN, name
            assert len(seen.bodies) == 1, name
        assert row(doctor).result_code in ("not_authentic", "malformed"), (name, row(doctor).result_code)
        keystore.session.refresh_from_db()
        assert keystore.session.assertion is None, name
    true = good_token(doctor)
    with answering(lambda body: token(body, holder=true)) as (address, _):
        turn_to(settings, address)
        assert sessions.ensure_session(user=doctor.user, now=timezone.now())


def test_no_forged_token_connects_a_keystore(doctor: Doctor, settings: Settings) -> None:
    """Signed by somebody who is not the STS of the settings: the keystore stays in test."""
    data, forged = doctor.simulator.keystore(doctor.ssin), good_token(doctor)
    with answering(lambda body: token(body, holder=forged)) as (address, _):
        turn_to(settings, address)
        stored = doctor.upload(data, auto=True)
        connection.test(keystore_pk=stored.pk, now=timezone.now())
        stored.refresh_from_db()
    assert (stored.state, stored.result_code) == (Keystore.State.TESTING, "not_authentic")


@pytest.mark.chaos
def test_with_the_real_time_limits_a_dripping_server_holds_a_worker_for_half_a_minute_at_most(
    doctor: Doctor, settings: Settings
) -> None:
    settings.EHEALTH_TIMEOUTS = (5.0, 15.0, 30.0)
    with misbehaving(CASES["drips a sized body"][0]) as address:
        turn_to(settings, address)
        begun = time.monotonic()
        assert send(doctor) == State.RETRYING
        assert time.monotonic() - begun <= 35
    call = Exchange.objects.filter(user=doctor.user, service="registration").latest("pk")
    assert call.code == "timed_out" and 29_000 < call.milliseconds < 35_000


def test_no_answer_makes_a_worker_forget_who_may_be_registered(doctor: Doctor, settings: Settings) -> None:
    """A success while the account is closed: nothing was asked, nothing is written."""
    with answering(lambda body: ours(body, verdict(ACCEPTED))) as (address, seen):
        turn_to(settings, address)
        closed = User.objects.get_queryset().filter(pk=doctor.user.pk)
        closed.update(is_active=False, deactivated_at=timezone.now())
        assert send(doctor) == State.WAITING
    assert seen.bodies == []
