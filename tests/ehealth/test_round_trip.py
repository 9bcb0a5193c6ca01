"""A message to oneself and back against the running simulator: nothing stays, nothing else is touched."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import transaction
from django.utils import timezone

from ehealth.actions import round_trip, sessions
from ehealth.actions.exchanges import CallInsideTransaction, exchanges
from ehealth.actions.sessions import Live
from ehealth.client import mailbox
from ehealth.client.conversation import ExchangeFacts
from ehealth.client.errors import Faulted, PlatformError, Refused, TimedOut, Unreachable
from ehealth.client.mailbox import Folder
from ehealth.configuration import platform
from ehealth.models import Exchange
from tests.ehealth.conftest import Doctor

pytestmark = pytest.mark.django_db(transaction=True)
STEPS = [
    "sendMessage",
    "getMessagesList",
    "getFullMessage",
    "getMessageAcknowledgmentsStatus",
    "moveMessage",
    "deleteMessage",
]


def live(doctor: Doctor) -> Live:
    doctor.connect()
    found = sessions.ensure_session(user=doctor.user, now=timezone.now())
    assert found is not None
    return found


def titles(one: Live, folder: Folder) -> list[str]:
    listed = mailbox.list_messages(
        platform(), one.identity, one.assertion, source=folder, now=timezone.now(), trace=None
    )
    return [message.title for message in listed]


def left(one: Live) -> list[str]:
    folders: tuple[Folder, ...] = ("INBOX", "BININBOX", "SENTBOX", "BINSENTBOX")
    return [title for folder in folders for title in titles(one, folder)]


def travel(one: Live, facts: list[ExchangeFacts]) -> round_trip.RoundTrip:
    return round_trip.run(known=platform(), live=one, trace=facts.append, now=timezone.now())


@pytest.fixture
def at_home(doctor: Doctor) -> tuple[Doctor, Live]:
    """A doctor with two messages and one sent."""
    one = live(doctor)
    doctor.simulator.add_messages(doctor.ssin, 2, title="Autre")
    doctor.simulator.add_messages(doctor.ssin, 1, title="Envoyé", box="SENTBOX")
    return doctor, one


OTHERS = ["Autre", "Autre", "Envoyé"]


def test_a_message_goes_out_comes_in_is_read_and_leaves_nothing(at_home: tuple[Doctor, Live]) -> None:
    doctor, one = at_home
    with exchanges(doctor.user) as trace:
        made = round_trip.run(known=platform(), live=one, trace=trace, now=timezone.now())
    assert len(made.message_id) == 13 and made.milliseconds > 0
    known = made.acknowledged
    assert known and known.recipient_id == doctor.ssin
    assert known.published and known.received and known.read
    assert left(one) == OTHERS
    rows = Exchange.objects.filter(user=doctor.user).order_by("pk")
    operations = list(rows.values_list("operation", flat=True))
    assert operations[operations.index("sendMessage") :][:6] == STEPS
    assert set(rows.values_list("code", flat=True)) == {"OK"}


@pytest.mark.parametrize("step", range(1, len(STEPS)))
def test_a_step_that_fails_is_named_and_what_was_sent_is_deleted(
    at_home: tuple[Doctor, Live], step: int
) -> None:
    doctor, one = at_home
    facts: list[ExchangeFacts] = []

    def trace(fact: ExchangeFacts) -> None:
        facts.append(fact)
        if len(facts) == step:
            doctor.simulator.fault("soa", service="mailbox", value="SOA-03001", ssin=doctor.ssin)

    with pytest.raises(Faulted, match="SOA-03001"):
        round_trip.run(known=platform(), live=one, trace=trace, now=timezone.now())
    assert [fact.operation for fact in facts if fact.code != "OK"] == [STEPS[step]]
    assert left(one) == OTHERS


def refused(at_home: tuple[Doctor, Live], facts: list[ExchangeFacts]) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        travel(at_home[1], facts)
    return caught.value


def test_a_message_that_was_never_taken_needs_no_looking_for(at_home: tuple[Doctor, Live]) -> None:
    _doctor, one = at_home
    facts: list[ExchangeFacts] = []
    known = platform()
    nowhere = dict(known.endpoints) | {"publication": ("http://127.0.0.1:9/",)}
    with pytest.raises(Unreachable):
        round_trip.run(
            known=replace(known, endpoints=nowhere),
            live=one,
            trace=facts.append,
            now=timezone.now(),
        )
    assert [fact.operation for fact in facts] == ["sendMessage"]


def test_an_answer_lost_on_its_way_leaves_nothing_either(at_home: tuple[Doctor, Live]) -> None:
    doctor, one = at_home
    doctor.simulator.fault("close-after-accept", service="publication", ssin=doctor.ssin)
    assert refused(at_home, []).code == "unreachable"
    assert left(one) == OTHERS


def test_a_refusal_of_the_service_keeps_its_code(at_home: tuple[Doctor, Live]) -> None:
    doctor, one = at_home
    doctor.simulator.fault("business", service="publication", value="814", ssin=doctor.ssin)
    error = refused(at_home, [])
    assert isinstance(error, Refused) and error.code == "814"
    assert left(one) == OTHERS


def test_a_full_box_delivers_nothing(at_home: tuple[Doctor, Live]) -> None:
    doctor, one = at_home
    doctor.simulator.add_person(doctor.ssin, current_size=10_485_760)
    facts: list[ExchangeFacts] = []
    assert refused(at_home, facts).code == round_trip.NOT_DELIVERED
    assert [fact.operation for fact in facts].count("getMessagesList") == len(
        round_trip.PAUSES + round_trip.FOLDERS
    )
    assert "Test" not in " ".join(left(one))


def test_what_cannot_be_deleted_is_said(at_home: tuple[Doctor, Live]) -> None:
    doctor, _one = at_home
    facts: list[ExchangeFacts] = []

    def trace(fact: ExchangeFacts) -> None:
        facts.append(fact)
        if fact.operation == "deleteMessage":
            doctor.simulator.fault("outage", service="mailbox", ssin=doctor.ssin)

    with pytest.raises(Refused, match=round_trip.NOT_DELETED):
        round_trip.run(known=platform(), live=at_home[1], trace=trace, now=timezone.now())


def test_a_trip_takes_no_longer_than_a_task_may(at_home: tuple[Doctor, Live]) -> None:
    facts: list[ExchangeFacts] = []
    trip = round_trip._Trip(platform(), at_home[1], facts.append, timezone.now(), title="Trop tard")
    assert trip.within().call_timeout <= round_trip.STEPS_SECONDS
    trip.limit = 0.0
    with pytest.raises(TimedOut):
        trip.travel()
    assert facts == []


def test_no_lock_is_held_while_the_platform_answers(
    at_home: tuple[Doctor, Live],
) -> None:
    with transaction.atomic(), pytest.raises(CallInsideTransaction):
        travel(at_home[1], [])
