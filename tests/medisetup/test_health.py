"""Alive and ready: each part that fails makes it unready, within two seconds, without a word about which."""

from __future__ import annotations

import base64
import logging
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from pytest_django.fixtures import Settings

from accounts import audit
from accounts.models import AuditEvent
from medisetup import health, heartbeat, tasks
from tests.accounts.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)
READY = "/health/ready/"


@pytest.fixture(autouse=True)
def _quiet_broker() -> Iterator[None]:
    _forget()
    yield
    _forget()


def _forget() -> None:
    with heartbeat._broker() as broker:
        broker.delete(*map(heartbeat._key, heartbeat.QUEUES))


@pytest.fixture
def all_well() -> None:
    """Workers of both queues have left their sign, and something was written with our key."""
    for queue in heartbeat.QUEUES:
        tasks.leave_heartbeat(queue=queue)
    user = UserFactory()
    with transaction.atomic():
        audit.record("account:session:began", actor=user, subject=user)
    assert health.first_fault() == ""  # and the program's own migrations are read, as by each start


def unready(caplog: pytest.LogCaptureFixture) -> str:
    """What the log says is missing; the answer says nothing."""
    began = time.monotonic()
    with caplog.at_level(logging.WARNING, logger="medisetup.health"):
        response = Client().get(READY)
    assert time.monotonic() - began < health.LIMIT + 2
    assert (response.status_code, response.json()) == (503, {"status": "unavailable"})
    said = [record.getMessage() for record in caplog.records if record.name == "medisetup.health"]
    return said[-1].removeprefix("not ready: ")


def test_ready_says_ok_without_a_session_or_a_cache(all_well: None) -> None:
    response = Client().get(READY)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert not response.cookies and "no-store" in response.headers["Cache-Control"]
    assert Client().post(READY).status_code == 405


def test_live_asks_nobody(django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        response = Client().get("/health/live/")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert not response.cookies and "no-store" in response.headers["Cache-Control"]


@pytest.mark.parametrize("queue", heartbeat.QUEUES)
def test_one_silent_queue_is_enough(all_well: None, queue: str, caplog: pytest.LogCaptureFixture) -> None:
    with heartbeat._broker() as broker:
        assert 170 < broker.ttl(heartbeat._key(queue)) <= 180
        broker.delete(heartbeat._key(queue))
    assert unready(caplog) == "workers_work"


def test_without_the_broker(all_well: None, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:9"
    assert unready(caplog) == "workers_work"


def test_another_key_than_the_one_that_wrote(
    all_well: None, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    name = AuditEvent.objects.latest("pk").key_name
    other = base64.b64encode(secrets.token_bytes(32)).decode()
    settings.SEALING_KEYS = f"{name}:{other}"
    assert unready(caplog) == "key_opens"
    settings.SEALING_KEYS = f"other:{other}"
    assert unready(caplog) == "key_opens"


def test_a_new_first_key_beside_the_old_one_is_ready(all_well: None, settings: Settings) -> None:
    new = base64.b64encode(secrets.token_bytes(32)).decode()
    settings.SEALING_KEYS = f"new:{new},{settings.SEALING_KEYS}"
    assert Client().get(READY).status_code == 200


def test_a_database_older_than_the_program(all_well: None, caplog: pytest.LogCaptureFixture) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(name) FROM django_migrations WHERE app = 'ehealth'")
        newest = ("ehealth", cursor.fetchone()[0])
        cursor.execute("DELETE FROM django_migrations WHERE (app, name) = (%s, %s)", newest)
    try:
        assert unready(caplog) == "database_is_new_enough"
    finally:
        call_command("migrate", "ehealth", newest[1], fake=True, verbosity=0)


def test_a_database_that_refuses_or_keeps_silent(all_well: None, caplog: pytest.LogCaptureFixture) -> None:
    place = connection.settings_dict
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for port, fault in ((9, "database_is_new_enough"), (silent.getsockname()[1], "no answer in time")):
            health._looks.submit(time.sleep, 0).result()  # an earlier look has ended
            before = place["PORT"]
            place["PORT"] = port
            try:
                assert unready(caplog) == fault
            finally:
                place["PORT"] = before
    health._looks.submit(time.sleep, 0).result()
    assert Client().get(READY).status_code == 200


def test_a_disk_without_room() -> None:
    assert health.disk_has_room() and not health.disk_has_room("/proc")


def test_the_command_of_the_containers_listens_to_its_queue() -> None:
    def status(*queues: str) -> int:
        command = [sys.executable, "-m", "medisetup.heartbeat", *queues]
        return subprocess.run(command, cwd=Path(__file__).parents[2], check=False).returncode

    assert status("poll", "interactive") == 1
    heartbeat.leave("poll")
    assert (status("poll"), status("interactive"), status("poll", "interactive")) == (0, 1, 0)


def test_beat_asks_every_queue_and_a_worker_takes_each(settings: Settings) -> None:
    lines = [
        line for line in settings.CELERY_BEAT_SCHEDULE.values() if line["task"] == tasks.leave_heartbeat.name
    ]
    assert [line["kwargs"] for line in lines] == [{"queue": queue} for queue in heartbeat.QUEUES]
    assert all(line["options"]["queue"] == line["kwargs"]["queue"] for line in lines)
    assert all(2 * line["options"]["expires"] < heartbeat.SECONDS for line in lines)
    compose = (Path(__file__).parents[2] / "docker-compose.yml").read_text()
    assert all(f"-Q, {queue}," in compose for queue in heartbeat.QUEUES)
