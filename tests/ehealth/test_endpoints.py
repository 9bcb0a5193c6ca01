"""The breaker: ten failures of transport open it for everybody, one try a minute, an answer closes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from ehealth.actions import endpoints, exchanges, mailbox
from ehealth.actions.endpoints import FAILURES, PROBE_EVERY, admitted
from ehealth.client.conversation import ExchangeFacts
from ehealth.client.errors import Unreachable
from ehealth.configuration import platform
from ehealth.models import EdmgRegistration, Endpoint, Mailbox
from tests.client import CheckingClient
from tests.ehealth.conftest import Doctor
from tests.ehealth.test_edmg import ask, send_all

pytestmark = pytest.mark.django_db(transaction=True)


def facts(
    code: str, *, service: str = "registration", host: str = "", at: datetime | None = None
) -> ExchangeFacts:
    known = platform().endpoints[service][0].split("/")[2]
    return ExchangeFacts(
        service=service, operation="x", host=host or known, reference="", http_status=None, code=code,
        started=at or timezone.now(), milliseconds=1, request_sha256="", response_sha256="",
    )  # fmt: skip


def fail(doctor: Doctor, count: int, code: str = "unreachable", **more: str) -> None:
    exchanges.store(doctor.user.pk, [facts(code, **more) for _ in range(count)])


def test_ten_failures_open_it_and_the_next_call_is_not_made(doctor: Doctor) -> None:
    doctor.connect(auto=True)
    fail(doctor, FAILURES - 1)
    assert not Endpoint.objects.all().open().exists()
    fail(doctor, 1, "timed_out")
    before = doctor.simulator.calls("registration")
    ask(doctor)
    send_all(doctor)
    assert doctor.simulator.calls("registration") == before
    states = set(EdmgRegistration.objects.filter(user=doctor.user).values_list("state", "result_code"))
    assert states == {("retrying", "unreachable")}
    assert not EdmgRegistration.objects.filter(outcome_unknown=True).exists()


@pytest.mark.parametrize("code", ["SOA-02001", "168", "140", "not_authentic", "malformed"])
def test_answers_never_count_whatever_they_say(doctor: Doctor, code: str) -> None:
    fail(doctor, 3 * FAILURES, code)
    assert not Endpoint.objects.exists()


def test_failures_of_another_minute_service_or_address_do_not_add_up(doctor: Doctor) -> None:
    old = timezone.now() - timedelta(seconds=61)
    exchanges.store(doctor.user.pk, [facts("unreachable", at=old) for _ in range(FAILURES)])
    fail(doctor, FAILURES - 1, service="sts")
    fail(doctor, FAILURES - 1, host="other.example")
    fail(doctor, FAILURES - 1)
    assert not Endpoint.objects.all().open().exists()


def test_one_try_a_minute_is_let_through_and_an_answer_closes_it(doctor: Doctor) -> None:
    fail(doctor, FAILURES)
    now = timezone.now()
    with pytest.raises(Unreachable):
        admitted("registration", now=now)
    later = now + PROBE_EVERY
    assert admitted("registration", now=later).probing
    with pytest.raises(Unreachable):
        admitted("registration", now=later)
    fail(doctor, 1)
    with pytest.raises(Unreachable):
        admitted("registration", now=later + PROBE_EVERY - timedelta(seconds=1))
    fail(doctor, 1, "168")
    assert not admitted("registration", now=later).probing


def test_of_two_processes_one_wins_the_try(doctor: Doctor) -> None:
    fail(doctor, FAILURES)
    endpoint = Endpoint.objects.get()
    assert [endpoints._win_probe(endpoint, endpoint.probe_at) for _ in range(3)] == [True, False, False]


@pytest.fixture
def two_addresses(doctor: Doctor, settings: Settings) -> Iterator[str]:
    """A second address in front of the simulator's; its host."""
    settings.EHEALTH_BASE_URLS = ["http://localhost:1", doctor.simulator.base_url]
    platform.cache_clear()
    yield "localhost:1"
    platform.cache_clear()


def test_another_address_of_the_service_goes_on(doctor: Doctor, two_addresses: str) -> None:
    fail(doctor, FAILURES, host=two_addresses)
    (left,) = admitted("registration", now=timezone.now()).platform.endpoints["registration"]
    assert left.startswith(doctor.simulator.base_url)
    assert endpoints.down_since("registration") is None


def test_the_boxes_wait_and_one_is_tried(doctor: Doctor, new_doctor: Callable[[], Doctor]) -> None:
    doctor.connect(auto=True)
    new_doctor().connect(auto=True)
    fail(doctor, FAILURES, service="mailbox")
    before = doctor.simulator.calls("mailbox")
    assert mailbox.poll_due(now=timezone.now()) == 0
    assert doctor.simulator.calls("mailbox") == before
    assert Mailbox.objects.filter(next_poll_at__lte=timezone.now()).count() == 2
    later = timezone.now() + PROBE_EVERY
    assert mailbox.poll_due(now=later) == 1
    assert not Endpoint.objects.all().open().exists()
    assert mailbox.poll_due(now=later) == 1


def test_the_pages_say_since_when(doctor: Doctor, signed_in: Callable[..., CheckingClient]) -> None:
    fail(doctor, FAILURES)
    client = signed_in(doctor.user)
    for name in ("home", "ehealth:edmg", "ehealth:checks"):
        url = reverse(name, args=[] if name == "home" else [doctor.user.uuid])
        assert "injoignable depuis le" in client.get(url).content.decode(), name
    connection = client.get(reverse("ehealth:connection", args=[doctor.user.uuid])).content.decode()
    assert "injoignable depuis le" not in connection
