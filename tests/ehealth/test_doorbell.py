"""The doorbell: one message per key in the real broker, and nothing but keys in it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import redis
from django.conf import settings as configured
from django.db import connection as database
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from ehealth import doorbell, tasks
from ehealth.actions import connection, mailbox
from ehealth.configuration import platform
from ehealth.models import Endpoint, Keystore, Mailbox
from tests.ehealth.conftest import Doctor
from tests.platform import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker() -> redis.Redis:
    client = redis.Redis.from_url(configured.CELERY_BROKER_URL)
    client.delete("interactive")
    return client


def waiting(broker: redis.Redis) -> list[dict[str, object]]:
    """Task and arguments of the messages in the queue, oldest first."""
    found = []
    for raw in reversed(broker.lrange("interactive", 0, -1)):
        message = json.loads(raw)
        _args, kwargs, _embed = json.loads(base64.b64decode(message["body"]))
        found.append({"task": message["headers"]["task"], **kwargs})
    return found


def test_a_ring_is_one_message_per_key(broker: redis.Redis) -> None:
    assert doorbell.ring("register", [4, 5])
    assert waiting(broker) == [{"task": tasks.register.name, "pk": 4}, {"task": tasks.register.name, "pk": 5}]


def test_nothing_rings_before_the_commit(broker: redis.Redis) -> None:
    with transaction.atomic():
        doorbell.ring_on_commit("register", [4])
        assert waiting(broker) == []
    assert len(waiting(broker)) == 1


def test_an_upload_leaves_a_key_in_the_broker_and_no_secret(doctor: Doctor, broker: redis.Redis) -> None:
    stored = doctor.upload()
    (message,) = [found for found in waiting(broker) if found["task"] == tasks.test_connection.name]
    assert message == {"task": tasks.test_connection.name, "pk": stored.pk}
    everything = b"".join(broker.lrange("interactive", 0, -1))
    assert PASSWORD.encode() not in everything and doctor.ssin.encode() not in everything


def test_the_tasks_do_what_their_actions_do(doctor: Doctor, broker: redis.Redis) -> None:
    stored = doctor.upload(auto=True)
    tasks.test_connection(pk=stored.pk)
    stored.refresh_from_db()
    assert stored.state == Keystore.State.ACTIVE
    tasks.sweep_connections()
    tasks.sweep_registrations()
    tasks.poll_due_mailboxes()
    assert Mailbox.objects.get(user=doctor.user).polled_at


def test_a_lost_message_is_found_by_the_sweep(doctor: Doctor, broker: redis.Redis) -> None:
    stored = doctor.upload()
    broker.delete("interactive")
    connection.sweep(now=timezone.now())
    assert {"task": tasks.test_connection.name, "pk": stored.pk} in waiting(broker)


def test_a_batch_of_boxes_rings_for_the_next_one_until_none_is_due(
    new_doctor: Callable[[], Doctor], broker: redis.Redis, settings: Settings
) -> None:
    """Beat's one message in half a minute does not limit how many boxes are read."""
    settings.MAILBOX_BATCH = 2
    for _number in range(5):
        new_doctor().connect(auto=True)
    now = timezone.now()
    rung = []
    for _batch in range(3):
        broker.delete("poll")
        assert mailbox.poll_due(now=now)
        rung.append([json.loads(found)["headers"]["task"] for found in broker.lrange("poll", 0, -1)])
    assert rung == [[tasks.poll_due_mailboxes.name]] * 2 + [[]]
    assert not Mailbox.objects.filter(polled_at=None).exists()


def test_a_box_that_nobody_can_read_rings_for_nothing(doctor: Doctor, broker: redis.Redis) -> None:
    doctor.connect(auto=True)
    Keystore.objects.update(not_after=timezone.now())
    broker.delete("poll")
    assert Mailbox.objects.all().due(timezone.now()).exists()
    assert mailbox.poll_due(now=timezone.now()) == 0
    assert not broker.llen("poll")


def test_a_probe_of_the_breaker_rings_for_nothing(
    new_doctor: Callable[[], Doctor], broker: redis.Redis
) -> None:
    for _number in range(2):
        new_doctor().connect(auto=True)
    now = timezone.now()
    for host in {urlsplit(address).netloc for address in platform().endpoints["mailbox"]}:
        Endpoint.objects.create(service="mailbox", host=host, opened_at=now, probe_at=now)
    broker.delete("poll")
    assert mailbox.poll_due(now=now) == 1
    assert Mailbox.objects.filter(next_poll_at__lte=now).count() == 1
    assert not broker.llen("poll")


@pytest.mark.parametrize("off", ["", "hashjoin mergejoin hashagg sort material"])
def test_no_plan_of_the_database_takes_more_boxes_than_asked(
    new_doctor: Callable[[], Doctor], off: str
) -> None:
    for _number in range(4):
        new_doctor().connect(auto=True)
    with database.cursor() as cursor:
        for way in off.split():
            cursor.execute(f"SET enable_{way} = off")
    try:
        assert [len(mailbox.claim(now=timezone.now(), limit=limit)) for limit in (1, 2, 2)] == [1, 2, 1]
    finally:
        with database.cursor() as cursor:
            cursor.execute("RESET ALL")
