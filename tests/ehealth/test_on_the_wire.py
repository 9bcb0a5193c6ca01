"""One whole journey through the portal's own actions and tasks, captured, and judged by others."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12
from django.utils import timezone
from lxml import etree
from pytest_django.fixtures import Settings

from accounts.actions.sections import section_version
from billing.bank import account
from ehealth import conditions, tasks, wsdl
from ehealth.actions import edmg, round_trip, sessions
from ehealth.actions.exchanges import exchanges
from ehealth.configuration import platform
from ehealth.models import EdmgRegistration, Keystore, MailboxMessage, Mutuality, PlatformSession
from tests.ehealth.conftest import Doctor
from tests.ehealth.judge import ASSERTION, NO, Judge
from tests.platform import PASSWORD

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.parametrize("kind", ["rsa", "p384"])]
NAME = re.compile(r"(\d{6})-([a-z]+)-(\w+)-(request|response)\.xml")
IBAN = "BE67001000001187"
# The portal's key is the doctor's own: the token service has nothing to challenge.
NOT_SPOKEN = {("sts", "Challenge")}


@dataclass(frozen=True)
class Captured:
    """One file."""

    number: str
    service: str
    operation: str
    octets: bytes

    @property
    def is_signed(self) -> bool:
        return self.service != "etk"


@dataclass(frozen=True)
class Journey:
    judge: Judge
    requests: list[Captured]
    responses: list[Captured]


@pytest.fixture
def journey(kind: str, new_doctor: Callable[[], Doctor], settings: Settings, tmp_path: Path) -> Journey:
    """Everything the product ever asks the platform, by one doctor with a key of that kind."""
    settings.EHEALTH_CAPTURE_DIR = str(tmp_path / "captured")
    platform.cache_clear()
    doctor = new_doctor()
    data = doctor.simulator.keystore(doctor.ssin, kind)
    travel(doctor, data)
    opened = pkcs12.load_pkcs12(data, PASSWORD.encode())
    assert opened.cert is not None
    sts = x509.load_pem_x509_certificate(doctor.simulator.sts_certificate)
    requests, responses = read(tmp_path / "captured")
    return Journey(Judge(opened.cert.certificate, sts), requests, responses)


def travel(doctor: Doctor, data: bytes) -> None:
    """Keystore, token, published key, box; renewal; list; seven registrations; a message to oneself."""
    stored = doctor.upload(data, auto=True)
    tasks.test_connection(pk=stored.pk)
    stored.refresh_from_db()
    assert stored.state == Keystore.State.ACTIVE, stored.result_code
    doctor.simulator.add_messages(doctor.ssin, 3)
    PlatformSession.objects.update(not_before=timezone.now() - timedelta(hours=40))
    tasks.poll_due_mailboxes()
    assert MailboxMessage.objects.filter(mailbox__user=doctor.user).count() == 3
    register(doctor)
    live = sessions.ensure_session(user=doctor.user, now=timezone.now())
    assert live is not None
    with exchanges(doctor.user) as trace:
        round_trip.run(known=platform(), live=live, trace=trace, now=timezone.now())


def register(doctor: Doctor) -> None:
    edmg.request(
        user=doctor.user, by=doctor.user, accounts=dict.fromkeys(Mutuality.values, account(IBAN)),
        same_account=True, conditions_version=conditions.VERSION, language="fr", proved_at=timezone.now(),
        version=section_version(doctor.user, edmg.SECTION), now=timezone.now(),
    )  # fmt: skip
    rows = EdmgRegistration.objects.filter(user=doctor.user)
    for pk in list(rows.values_list("pk", flat=True)):
        tasks.register(pk=pk)
    assert set(rows.values_list("state", flat=True)) == {EdmgRegistration.State.REGISTERED}


def read(folder: Path) -> tuple[list[Captured], list[Captured]]:
    found: dict[str, list[Captured]] = {"request": [], "response": []}
    for path in sorted(folder.glob("*.xml")):
        name = NAME.fullmatch(path.name)
        assert name, path.name
        found[name[4]].append(Captured(name[1], name[2], name[3], path.read_bytes()))
    return found["request"], found["response"]


def contract() -> set[tuple[str, str]]:
    """Service and operation of everything the contract has, but what the product does not speak."""
    tag = "{http://schemas.xmlsoap.org/wsdl/}"
    return {
        (name.removesuffix(".wsdl"), operation.get("name", ""))
        for name in wsdl.names() if name.endswith(".wsdl")
        for operation in etree.parse(str(wsdl.path(name))).iterfind(f"{tag}portType/{tag}operation")
    } - NOT_SPOKEN  # fmt: skip


def test_what_leaves_is_right_in_the_eyes_of_others(journey: Journey) -> None:
    pairs = [
        [(one.number, one.service, one.operation) for one in side]
        for side in (journey.requests, journey.responses)
    ]
    assert pairs[0] == pairs[1]
    assert [one.number for one in journey.requests] == [
        f"{n:06}" for n in range(1, len(journey.requests) + 1)
    ]
    assert {(one.service, one.operation) for one in journey.requests} == contract()
    assert sum(one.service == "registration" for one in journey.requests) == len(Mutuality.values)
    for sent in journey.requests:
        journey.judge.request(sent.octets, signed=sent.is_signed)
    for got in journey.responses:
        journey.judge.response(got.octets)


def test_a_token_travels_byte_for_byte_as_it_was_issued(journey: Journey) -> None:
    issued = [found[0] for one in journey.responses for found in ASSERTION.finditer(one.octets)]
    types = [
        b"/Issue<" in one.octets or b"/Renew<" not in one.octets
        for one in journey.requests
        if one.service == "sts"
    ]
    assert types == [True, False] and len(set(issued)) == 2
    tested, renewed = issued
    for sent in journey.requests:
        carried = [found[0] for found in ASSERTION.finditer(sent.octets)]
        if sent.service == "sts":
            assert carried == ([tested] if b"/Renew<" in sent.octets else [])
        elif sent.is_signed:
            assert len(carried) == 1 and carried[0] in (tested, renewed)
    used = {
        found[0]
        for one in journey.requests
        if one.service != "sts"
        for found in ASSERTION.finditer(one.octets)
    }
    assert used == {tested, renewed}


def texts(octets: bytes, start: int, end: int) -> list[int]:
    """Where the texts between two places begin."""
    found = re.finditer(rb">([A-Za-z0-9])[^<>]*<", octets[:end])
    return [each.start(1) for each in found if each.start() >= start]


def signed_texts(octets: bytes) -> list[int]:
    """Where the texts begin that some signature covers, or that are one."""
    places = texts(octets, octets.rindex(b"Body "), len(octets))
    places.append(octets.index(b"Created>") + len(b"Created>"))
    for found in ASSERTION.finditer(octets):
        # The certificate that the token service encloses behind its signature is no part of what it signs.
        places += texts(octets, found.start(), octets.index(b"</ds:SignatureValue>", found.start()) + 1)
    return places


def test_one_changed_byte_anywhere_and_the_judge_says_no(journey: Journey) -> None:
    once = {one.operation: one.octets for one in journey.requests if one.is_signed}
    assert len(once) == len(contract()) - 1
    changed = 0
    for octets in once.values():
        for place in signed_texts(octets):
            other = b"1" if octets[place : place + 1] != b"1" else b"2"
            with pytest.raises(NO):
                journey.judge.request(octets[:place] + other + octets[place + 1 :])
            changed += 1
    assert changed > 100


def test_a_signature_under_another_content_is_refused_too(journey: Journey) -> None:
    """What lies in a registration has its own signature, which the one of the message does not replace."""
    first, second = [one.octets for one in journey.requests if one.service == "registration"][:2]
    detail = re.compile(rb"(Detail [^>]*>)([^<]+)")
    journey.judge.content(etree.fromstring(second))
    found = detail.search(first)
    assert found
    other = found[2][:-40] + bytes(reversed(found[2][-40:-36])) + found[2][-36:]
    with pytest.raises(NO):
        journey.judge.content(etree.fromstring(first.replace(found[2], other)))
