"""A hostile platform against the portal's own actions: nothing it says completes a registration, opens a
session or fills a mailbox, every call ends in time, and the same process goes on to do it right.

Hostile answers come in rounds of seven, one per mutuality; then all seven are completed at the simulator.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from ehealth import custody
from ehealth.actions import connection, edmg, mailbox
from ehealth.client.errors import Malformed, NotAuthentic, PlatformError, Unreachable
from ehealth.client.platform import Identity
from ehealth.configuration import platform
from ehealth.models import EdmgRegistration, Keystore, Mailbox, MailboxMessage, Mutuality, PlatformSession
from tests.ehealth.client import parties
from tests.ehealth.client.answers import FALSE, MISSHAPEN, Asked, Case
from tests.ehealth.client.servers import XML, Answer, answering, misbehaving
from tests.ehealth.client.test_assertions import ODD_SHAPES, VARIANTS, WRONG_CONTENT
from tests.ehealth.client.test_conversation import BAD, token
from tests.ehealth.client.test_transport import (
    CASES,
    HEAD,
    Behaviour,
    authority,
    drips,
    over_tls,
    says,
    silent,
)
from tests.ehealth.client.test_xml import HOSTILE
from tests.ehealth.conftest import NUMBERS, Doctor
from tests.ehealth.test_edmg import accepted, ask, send_all, states
from tests.platform import Simulator
from tests.practitioners.factories import PractitionerFactory, nihii

pytestmark = [pytest.mark.chaos, pytest.mark.django_db(transaction=True)]
State = EdmgRegistration.State
USUAL, SHORT = (2.0, 2.0, 4.0), (2.0, 1.0, 1.5)
MARGIN = 3.0
T = TypeVar("T")
UNSETTLED = {State.RETRYING, State.NEEDS_ACTION}
PASSING = {"unreachable", "timed_out", "not_authentic", "malformed"}


def batches(cases: dict[str, T]) -> list[list[str]]:
    """The names of the cases, four rounds of seven for each doctor."""
    names = list(cases)
    return [names[at : at + 28] for at in range(0, len(names), 28)]


def turns(doctor: Doctor, names: list[str]) -> Iterator[tuple[str, str]]:
    """Each case with the mutuality whose turn it is; after each round, all seven are due again."""
    for at, name in enumerate(names):
        if at and at % len(Mutuality.values) == 0:
            edmg.retry_now(user=doctor.user, by=doctor.user, now=timezone.now())
        yield Mutuality.values[at % len(Mutuality.values)], name


def document(octets: bytes) -> Case:
    return lambda _asked: (200, XML, octets), Malformed


def inside(octets: bytes) -> Case:
    return lambda asked: asked.answered(octets), Malformed


BODIES: dict[str, Case] = {
    **FALSE,
    **MISSHAPEN,
    **{f"an answer that is: {name}": document(octets) for name, octets in HOSTILE.items()},
    **{f"a content that is: {name}": inside(octets) for name, octets in HOSTILE.items()},
}


def test_there_are_enough_hostile_bodies_envelopes_and_servers() -> None:
    assert len(BODIES) >= 35 and len(TOKENS) >= 16 and len(SERVERS) >= 12


def use(settings: Settings, address: str, timeouts: tuple[float, float, float] = USUAL) -> None:
    """From now on the platform is at this address."""
    settings.EHEALTH_BASE_URLS, settings.EHEALTH_TIMEOUTS = [address], timeouts
    platform.cache_clear()


@pytest.fixture
def connected(doctor: Doctor, settings: Settings) -> Iterator[Doctor]:
    """A doctor with a live session who has asked for seven registrations."""
    doctor.connect(auto=True)
    ask(doctor)
    yield doctor
    platform.cache_clear()


def send(doctor: Doctor, mutuality: str, within: float = USUAL[2]) -> tuple[str, str]:
    """One registration as a worker sends it: state and code. It must be over in time."""
    row = EdmgRegistration.objects.get(user=doctor.user, mutuality=mutuality)
    begun = time.monotonic()
    edmg.send(pk=row.pk, now=timezone.now())
    assert time.monotonic() - begun < within + MARGIN
    row.refresh_from_db()
    return row.state, row.result_code


def completes_all(doctor: Doctor, settings: Settings) -> None:
    """The same process, at the simulator: every registration is accepted once."""
    assert set(states(doctor).values()) & {State.REGISTERED, State.ALREADY_REGISTERED} == set()
    assert set(states(doctor).values()) <= {*UNSETTLED, State.QUEUED}
    use(settings, doctor.simulator.base_url)
    edmg.retry_now(user=doctor.user, by=doctor.user, now=timezone.now())
    assert set(send_all(doctor).values()) == {State.REGISTERED}
    assert accepted(doctor) == dict.fromkeys(Mutuality.values, 1)


def due(error: type[PlatformError]) -> tuple[set[str], set[str]]:
    """States and codes that an error may lead to; of a fault, the code is the platform's own."""
    if error in (NotAuthentic, Malformed):
        return {State.RETRYING}, {"not_authentic" if error is NotAuthentic else "malformed"}
    return {State.NEEDS_ACTION}, {"SUCCESS", "168", "Server", "SOA-03006"}


@pytest.mark.parametrize("names", batches(BODIES), ids=lambda names: names[0])
def test_no_hostile_body_completes_a_registration(
    connected: Doctor, settings: Settings, names: list[str]
) -> None:
    turn: list[Case] = []
    with answering(lambda body: turn[-1][0](Asked.in_request(body, connected.nihii))) as (address, seen):
        use(settings, address)
        for mutuality, name in turns(connected, names):
            turn.append(BODIES[name])
            state, code = send(connected, mutuality)
            wanted, codes = due(BODIES[name][1])
            assert state in wanted and code in codes, (name, state, code)
    assert len(seen.bodies) == len(names)
    completes_all(connected, settings)


def test_nothing_is_fetched_for_a_hostile_body(connected: Doctor, settings: Settings) -> None:
    fetched: list[str] = []
    with misbehaving(lambda _connection, _over: fetched.append("fetched")) as canary:
        attempts = [
            f'<!DOCTYPE a SYSTEM "{canary}/a.dtd"><a/>',
            f'<!DOCTYPE a [<!ENTITY e SYSTEM "{canary}/e">]><a>&e;</a>',
            f'<!DOCTYPE a [<!ENTITY % p SYSTEM "{canary}/p">%p;]><a/>',
            f'<?xml-stylesheet href="{canary}/x.xsl" type="text/xsl"?><a/>',
            f'<a xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="{canary}/i"/></a>',
            '<a xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="file:///etc/passwd"/></a>',
            f'<a xmlns:x="http://www.w3.org/2001/XMLSchema-instance" x:schemaLocation="urn:a {canary}/s"/>',
        ]
        turn: list[str] = []
        with answering(lambda _body: (200, XML, turn[-1].encode())) as (address, _seen):
            use(settings, address)
            for mutuality, text in zip(Mutuality.values, attempts, strict=True):
                turn.append(text)
                assert send(connected, mutuality) == (State.RETRYING, "malformed"), text
    assert fetched == []
    completes_all(connected, settings)


# The token: forged, wrapped, moved, of somebody else.


def well_signed(**changes: object) -> Callable[[Identity], bytes]:
    def make(holder: Identity) -> bytes:
        return parties.signed_by_xmlsec(parties.unsigned_assertion(holder, **changes))  # type: ignore[arg-type]

    return make


def altered(change: Callable[[bytes], bytes]) -> Callable[[Identity], bytes]:
    return lambda holder: change(well_signed()(holder))


def shaped(shape: Callable[[str], str]) -> Callable[[Identity], bytes]:
    return lambda holder: parties.signed_by_xmlsec(parties.unsigned_assertion(holder), shape=shape)


def of_tomorrow(holder: Identity) -> bytes:
    return well_signed(born=timezone.now() + timedelta(days=1))(holder)


TOKENS: dict[str, Callable[[Identity], bytes]] = {
    **{name: altered(change) for name, change in VARIANTS.items()},
    **{f"shape: {name}": shaped(shape) for name, shape in ODD_SHAPES.items()},
    **{f"content: {name}": well_signed(**changes) for name, changes in WRONG_CONTENT.items()},
    "content: not yet valid": of_tomorrow,
    "another key": lambda holder: well_signed()(replace(parties.identity("p384"), ssin=holder.ssin)),
    "two of them": lambda holder: well_signed()(holder) * 2,
    "none": lambda _holder: b"<a/>",
}
# What is no answer of an STS at all is left before anybody looks at signatures.
OUTSIDE_THE_SCHEMA = {
    "original inside the forged",
    "original inside advice",
    "forged inside the original",
    "signature moved first",
    "signature one level down",
    "signature doubled",
    "none",
}


@pytest.fixture
def holder(
    simulator: Simulator, transactional_db: None, settings: Settings, tmp_path: Path
) -> Iterator[Doctor]:
    """A doctor with the numbers of the forged tokens, whose portal trusts the forger's STS key as well."""
    number = nihii(next(NUMBERS))
    row = PractitionerFactory(ssin=parties.SSIN, nihii=number)
    simulator.add_person(
        row.ssin, first_name=row.user.first_name, last_name=row.user.last_name, nihii11=number
    )
    both = tmp_path / "both.pem"
    both.write_bytes(simulator.sts_certificate + parties.pem(parties.sts()[1]))
    settings.EHEALTH_STS_CERTIFICATES_FILE = str(both)
    platform.cache_clear()
    yield Doctor(simulator, row.user, row.ssin, number)
    platform.cache_clear()


def identity(doctor: Doctor) -> Identity:
    return custody.identity(Keystore.objects.get(user=doctor.user), doctor.ssin)


@pytest.mark.parametrize("names", batches(TOKENS), ids=lambda names: names[0])
def test_no_hostile_token_serves_a_registration(holder: Doctor, settings: Settings, names: list[str]) -> None:
    holder.connect(auto=True)
    ask(holder)
    me, turn = identity(holder), []
    with answering(lambda body: token(body, holder=turn[-1])) as (address, seen):
        use(settings, address)
        for mutuality, name in turns(holder, names):
            PlatformSession.objects.update(assertion=None)
            turn.append(TOKENS[name](me))
            wanted = "malformed" if name in OUTSIDE_THE_SCHEMA else "not_authentic"
            assert send(holder, mutuality) == (State.RETRYING, wanted), name
    assert len(seen.bodies) == len(names)
    assert not PlatformSession.objects.exclude(assertion=None).exists()
    completes_all(holder, settings)


def test_a_good_token_and_a_good_answer_of_the_same_server_would_have_been_taken(
    holder: Doctor, settings: Settings
) -> None:
    """The tables above are refused for what is wrong in them, not because of who answers."""
    type(holder.user.practitioner).objects.update(nihii=parties.NIHII)
    holder.simulator.add_person(holder.ssin, nihii11=parties.NIHII)
    holder.connect(auto=True)
    ask(holder)
    PlatformSession.objects.update(assertion=None)
    good = well_signed()(identity(holder))

    def answer(body: bytes) -> Answer:
        if b"RequestSecurityToken" in body:
            return token(body, holder=good)
        return Asked.in_request(body, parties.NIHII).answered()

    with answering(answer) as (address, _seen):
        use(settings, address)
        assert send(holder, "100") == (State.REGISTERED, "")


def test_no_hostile_token_puts_a_keystore_in_force(holder: Doctor, settings: Settings) -> None:
    stored = holder.upload(auto=True)
    me, now, turn = identity(holder), timezone.now(), []
    with answering(lambda body: token(body, holder=turn[-1])) as (address, _seen):
        use(settings, address)
        for name in ("original hidden in ds:Object", "signed by a stranger", "number changed"):
            turn.append(TOKENS[name](me))
            connection.test(keystore_pk=stored.pk, now=now)
            stored.refresh_from_db()
            assert (stored.state, stored.result_code) == (Keystore.State.TESTING, "not_authentic"), name
            now = stored.next_attempt_at + timedelta(seconds=1)
    use(settings, holder.simulator.base_url)
    connection.test(keystore_pk=stored.pk, now=now)
    stored.refresh_from_db()
    assert stored.state == Keystore.State.ACTIVE


@pytest.mark.parametrize("moved_into", ["object", "advice", "beside"])
def test_the_wrapped_token_of_the_simulator_is_recognised(doctor: Doctor, moved_into: str) -> None:
    stored = doctor.upload()
    doctor.simulator.fault("wrapped-signature", value=moved_into, ssin=doctor.ssin)
    connection.test(keystore_pk=stored.pk, now=timezone.now())
    stored.refresh_from_db()
    code = "malformed" if moved_into == "advice" else "not_authentic"
    assert (stored.state, stored.result_code) == (Keystore.State.TESTING, code)
    connection.test(keystore_pk=stored.pk, now=stored.next_attempt_at + timedelta(seconds=1))
    stored.refresh_from_db()
    assert stored.state == Keystore.State.ACTIVE


# The mailbox.

BOXES: dict[str, Answer] = {
    **{name: answer for name, (answer, _error) in BAD.items() if name != "another answer"},
    **{name: (200, XML, HOSTILE[name]) for name in ("entity bomb", "external entity", "deep", "no XML")},
}


def test_no_hostile_answer_fills_a_mailbox(doctor: Doctor, settings: Settings) -> None:
    doctor.connect(auto=True)
    doctor.simulator.add_messages(doctor.ssin, 2)
    box = Mailbox.objects.get(user=doctor.user)
    turn: list[Answer] = []
    with answering(lambda _body: turn[-1]) as (address, _seen):
        use(settings, address)
        for failures, (name, answer) in enumerate(BOXES.items(), start=1):
            turn.append(answer)
            Mailbox.objects.update(next_poll_at=timezone.now() - timedelta(seconds=1))
            assert mailbox.poll_due(now=timezone.now()) == 1, name
            box.refresh_from_db()
            assert box.failures == failures and box.result_code in PASSING | {"SOA-03006"}, name
    assert not MailboxMessage.objects.exists()
    use(settings, doctor.simulator.base_url)
    Mailbox.objects.update(next_poll_at=timezone.now() - timedelta(seconds=1))
    mailbox.poll_due(now=timezone.now())
    box.refresh_from_db()
    assert box.failures == 0 and MailboxMessage.objects.count() == 2


# The server itself.


def floods(start: bytes, piece: bytes) -> Behaviour:
    """As much as the other side takes, without an end."""

    def behave(talk: socket.socket, over: threading.Event) -> None:
        talk.sendall(start)
        while not over.is_set():
            talk.sendall(piece * 100)

    return behave


SERVERS: dict[str, tuple[Behaviour, type[PlatformError]]] = {
    **CASES,
    "sends headers without end": (floods(HEAD, b"X-A: b\r\n"), Unreachable),
    "sends one header without end": (floods(HEAD + b"X-A: ", b"bbbbbbbb"), Unreachable),
    "sends a body without end": (floods(HEAD + b"\r\n", b"<a/>"), Malformed),
    "announces less than it sends": (says(HEAD + b"Content-Length: 3\r\n\r\n<a><b/></a>"), Malformed),
    "announces no number": (says(HEAD + b"Content-Length: many\r\n\r\n<a/>"), Malformed),
    "announces two lengths": (
        says(HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n<a/>"),
        Unreachable,
    ),
}
CODES = {"TimedOut": "timed_out", "Unreachable": "unreachable", "Malformed": "malformed"}


@pytest.mark.parametrize("names", batches(SERVERS), ids=lambda names: names[0])
def test_no_misbehaving_server_completes_a_registration_or_holds_the_worker(
    connected: Doctor, settings: Settings, names: list[str]
) -> None:
    for mutuality, name in turns(connected, names):
        behave, error = SERVERS[name]
        with misbehaving(behave) as address:
            use(settings, address, SHORT)
            assert send(connected, mutuality, within=SHORT[2]) == (State.RETRYING, CODES[error.__name__]), (
                name
            )
    completes_all(connected, settings)


def test_a_server_that_does_not_prove_itself_is_not_spoken_to(
    connected: Doctor, settings: Settings, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority(tmp_path, "ours"))
    other = authority(tmp_path, "other")
    settings.EHEALTH_TLS_CA_FILE = str(other)
    with misbehaving(over_tls(context), peek=True) as address:
        use(settings, address.replace("http:", "https:"), SHORT)
        assert send(connected, "100") == (State.RETRYING, "not_authentic")
    with misbehaving(drips(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\x00")) as address:
        use(settings, address.replace("http:", "https:"), SHORT)
        assert send(connected, "200") == (State.RETRYING, "timed_out")
    with misbehaving(says(b"HTTP/1.1 200 OK\r\n\r\n"), peek=True) as address:
        use(settings, address.replace("http:", "https:"), SHORT)
        assert send(connected, "300") == (State.RETRYING, "unreachable")
    settings.EHEALTH_TLS_CA_FILE = ""
    completes_all(connected, settings)


@pytest.mark.chaos
def test_with_the_time_limits_of_production_every_call_is_over_in_thirty_five_seconds(
    connected: Doctor, settings: Settings
) -> None:
    slow = {"100": silent, "200": drips(HEAD + b"Content-Length: 100000\r\n\r\n", b"<")}
    for mutuality, behave in slow.items():
        with misbehaving(behave) as address:
            use(settings, address, (5.0, 15.0, 30.0))
            assert send(connected, mutuality, within=32.0) == (State.RETRYING, "timed_out")
    completes_all(connected, settings)
