"""A message to oneself and back, at the running simulator: nothing stays, no other message is touched."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone

from ehealth.actions import round_trip, sessions
from ehealth.actions.exchanges import exchanges
from ehealth.client import mailbox
from ehealth.client.errors import PlatformError
from ehealth.client.mailbox import Box
from ehealth.configuration import platform
from ehealth.models import Exchange
from tests.ehealth.conftest import Doctor

pytestmark = pytest.mark.django_db(transaction=True)
BOXES: tuple[Box, ...] = ("INBOX", "SENTBOX", "BININBOX", "BINSENTBOX")


def live_session(doctor: Doctor) -> sessions.Live:
    doctor.connect(auto=True)
    live = sessions.ensure_session(user=doctor.user, now=timezone.now())
    assert live
    return live


def run(doctor: Doctor, live: sessions.Live) -> None:
    with exchanges(doctor.user) as trace:
        round_trip.run(known=platform(), live=live, trace=trace)


def titles(live: sessions.Live) -> list[str]:
    return [
        message.title
        for box in BOXES
        for message in mailbox.list_messages(
            platform(), live.identity, live.assertion, source=box, now=timezone.now()
        )
    ]


def test_the_message_goes_round_and_leaves_nothing(doctor: Doctor) -> None:
    live = live_session(doctor)
    doctor.simulator.add_messages(doctor.ssin, 2, title="Courrier d'un autre")
    run(doctor, live)
    assert titles(live) == ["Courrier d'un autre"] * 2
    operations = list(
        Exchange.objects.filter(user=doctor.user).order_by("pk").values_list("operation", "code")
    )
    assert ("getFullMessage", "OK") in operations and ("sendMessage", "OK") in operations
    assert {code for _operation, code in operations} == {"OK"}


@pytest.mark.parametrize("broken", [1, 2, 3, 4])
def test_what_was_sent_is_deleted_even_if_a_step_fails(doctor: Doctor, broken: int) -> None:
    """Whichever of list, read, list, receipt fails once, what was sent is cleared all the same."""
    live = live_session(doctor)
    skip_then_fail(doctor, broken)
    with pytest.raises(PlatformError):
        run(doctor, live)
    assert titles(live) == []


def skip_then_fail(doctor: Doctor, broken: int) -> None:
    """Calls before the broken one are answered a little late, which changes nothing."""
    if broken > 1:
        doctor.simulator.fault("delay", service="mailbox", ssin=doctor.ssin, value="0", count=broken - 1)
    doctor.simulator.fault("soa", service="mailbox", ssin=doctor.ssin, value="SOA-03007")


def test_a_full_box_keeps_the_message_outside_and_says_so(
    doctor: Doctor, new_doctor: Callable[[], Doctor]
) -> None:
    live = live_session(doctor)
    doctor.simulator.add_person(doctor.ssin, max_size=10)
    with pytest.raises(PlatformError):
        run(doctor, live)
    box = mailbox.box_info(platform(), live.identity, live.assertion, now=timezone.now())
    assert box.standby == 1
