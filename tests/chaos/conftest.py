"""A stack of real processes on the database of the tests, and doctors who hold a live session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery, current_app
from django.conf import settings as configured
from django.utils import timezone
from pytest_django.fixtures import Settings

from ehealth.actions import connection
from ehealth.configuration import platform
from ehealth.models import Keystore
from tests.chaos.stack import Stack
from tests.chaos.trial import wait_until
from tests.ehealth.conftest import NUMBERS, Doctor, connect_to
from tests.practitioners.factories import PractitionerFactory, nihii, ssin


@pytest.fixture(scope="module")
def parts(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    sweep_seconds = int(os.environ.get("CHAOS_SWEEP_SECONDS", "1"))
    stack = Stack(tmp_path_factory.mktemp("chaos"), sweep_seconds=sweep_seconds)
    yield stack
    stack.end()
    stack.simulator.stop()


@pytest.fixture
def asked(parts: Stack, transactional_db: None, settings: Settings, tmp_path: Path) -> Iterator[Stack]:
    """This process, which plays the web side, asks the platform of the stack; nothing else runs."""
    connect_to(parts.simulator, settings, tmp_path)
    yield parts
    platform.cache_clear()


@pytest.fixture
def stack(asked: Stack) -> Iterator[Stack]:
    """Everything runs, and this process rings the broker of the stack."""
    asked.start_all()
    usual = current_app._get_current_object()
    own = Celery("chaos", broker=asked.broker.url(), set_as_current=False)
    own.conf.broker_transport_options = configured.CELERY_BROKER_TRANSPORT_OPTIONS
    own.conf.task_default_queue = configured.CELERY_TASK_DEFAULT_QUEUE
    own.set_current()
    yield asked
    usual.set_current()
    own.close()
    asked.end()


@pytest.fixture
def new_doctor(asked: Stack) -> Callable[..., Doctor]:
    """Makes a general practitioner whom both sides know, with a keystore in force and a live session."""

    def make(*, auto: bool = False) -> Doctor:
        number = next(NUMBERS)
        row = PractitionerFactory(ssin=ssin(number), nihii=nihii(number))
        asked.simulator.add_person(
            row.ssin, first_name=row.user.first_name, last_name=row.user.last_name, nihii11=row.nihii
        )
        doctor = Doctor(asked.simulator, row.user, row.ssin, row.nihii)
        stored = doctor.upload(auto=auto)
        # By this process or by the worker, whoever claims it first.
        connection.test(keystore_pk=stored.pk, now=timezone.now())
        wait_until(lambda: Keystore.objects.in_force().filter(pk=stored.pk).exists(), 60)
        return doctor

    return make
