"""The platform's clock and ours: told when they differ, and named when they are why nothing works (SR-63)."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.utils import timezone, translation

from ehealth import words
from ehealth.actions import connection
from ehealth.models import Exchange, Keystore
from tests.ehealth.conftest import Doctor
from tests.platform import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _on_time(simulator: Simulator) -> Iterator[None]:
    yield
    simulator.control("settings", {"clock_offset": 0})


def tried(doctor: Doctor, offset: float) -> Keystore:
    stored = doctor.upload()
    doctor.simulator.control("settings", {"clock_offset": offset})
    connection.test(keystore_pk=stored.pk, now=timezone.now())
    stored.refresh_from_db()
    return stored


@pytest.mark.parametrize(
    ("offset", "warned", "fault"),
    [(0, False, False), (29, False, False), (-29, False, False), (31, True, False), (-31, True, False),
     (121, True, True), (-121, True, True), (3600, True, True)],
)  # fmt: skip
def test_a_difference_is_told_and_a_large_one_is_named(
    doctor: Doctor, caplog: pytest.LogCaptureFixture, offset: int, warned: bool, fault: bool
) -> None:
    with caplog.at_level(logging.WARNING):
        stored = tried(doctor, offset)
    assert ("clock: that of 127.0.0.1" in caplog.text) is warned
    codes = set(Exchange.objects.filter(user=doctor.user).values_list("code", flat=True))
    assert ("clock" in codes) is (stored.result_code == "clock") is fault
    if fault:
        assert stored.state == Keystore.State.TESTING and stored.next_attempt_at
        doctor.simulator.control("settings", {"clock_offset": 0})
        connection.test(keystore_pk=stored.pk, now=stored.next_attempt_at)
        stored.refresh_from_db()
        assert stored.state == Keystore.State.ACTIVE


def test_a_refusal_for_another_reason_keeps_its_name(doctor: Doctor) -> None:
    doctor.simulator.fault("soa", service="sts", value="SOA-01002", ssin=doctor.ssin)
    assert tried(doctor, 31).result_code == "SOA-01002"


@pytest.mark.parametrize(
    ("language", "said"), [("fr", "horloge"), ("nl", "klok"), ("de", "Uhr"), ("en", "clock")]
)
def test_it_is_said_in_words(language: str, said: str) -> None:
    with translation.override(language):
        assert said in str(words.PLATFORM["clock"].reason) and str(words.PLATFORM["clock"].step)
