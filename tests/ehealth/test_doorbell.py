"""The doorbell: one message per key in the real broker, and nothing but keys in it."""

from __future__ import annotations

import base64
import json

import pytest
import redis
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from ehealth import doorbell, tasks
from ehealth.actions import connection
from ehealth.models import Keystore, Mailbox
from tests.ehealth.conftest import Doctor
from tests.platform import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker() -> redis.Redis:
    client = redis.Redis.from_url(settings.CELERY_BROKER_URL)
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
