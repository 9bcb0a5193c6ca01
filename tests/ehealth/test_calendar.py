"""Time travel before the end of a certificate: the state, the colour with its text, each mail once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.db import connections
from django.utils import timezone

from accounts import emails
from accounts.models import AuditEvent, Mail, User
from ehealth.actions import calendar
from ehealth.actions.connection import certificate_state
from ehealth.models import Keystore
from ehealth.presenters import certificate
from tests.ehealth.factories import KeystoreFactory
from tests.practitioners.factories import PractitionerFactory

DAY = timedelta(days=1)


def ending(days: float, **facts: object) -> Keystore:
    end = timezone.now() + days * DAY
    keystore: Keystore = KeystoreFactory(user=PractitionerFactory().user, not_after=end, **facts)
    return keystore


def at(keystore: Keystore, days: float) -> datetime:
    moment: datetime = keystore.not_after - days * DAY
    return moment


def mails(keystore: Keystore) -> int:
    return Mail.objects.filter(user=keystore.user, kind="certificate_ends").count()


STATES = [
    (91, "valid", "done", "Certificat valable"),
    (90, "renewable", "check", "À renouveler"),
    (60, "renewable", "check", "À renouveler"),
    (15, "renewable", "check", "À renouveler"),
    (14, "urgent", "problem", "À renouveler d'urgence"),
    (1, "urgent", "problem", "À renouveler d'urgence"),
    (0, "expired", "problem", "Expiré"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("days", "state", "colour", "text"), STATES)
def test_each_day_has_its_state_its_colour_and_its_text(
    days: int, state: str, colour: str, text: str
) -> None:
    keystore = ending(200)
    now = at(keystore, days)
    assert certificate_state(keystore.not_after, now) == state
    shown = certificate(keystore, now)
    assert (shown["kind"], shown["tag"]) == (colour, text)


@pytest.mark.django_db
def test_each_step_is_written_once_however_often_the_sweep_runs() -> None:
    keystore = ending(200)
    told = []
    for days in (91, 90.5, 90, 89, 60, 31, 30, 14, 13, 7, 1, 0.5, 0, -1, -30):
        for _ in range(2):
            calendar.remind(now=at(keystore, days))
        told.append(mails(keystore))
    assert told == [0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 7, 7]
    steps = AuditEvent.objects.filter(kind="ehealth:certificate:reminded").order_by("pk")
    assert [event.details["days"] for event in steps] == [90, 60, 30, 14, 7, 1, 0]


@pytest.mark.django_db
def test_after_a_long_silence_only_the_most_urgent_step_is_written() -> None:
    keystore = ending(200)
    calendar.remind(now=at(keystore, 5))
    assert (mails(keystore), calendar.remind(now=at(keystore, 5))) == (1, 0)


@pytest.mark.django_db
def test_nobody_is_reminded_of_what_serves_no_more() -> None:
    closed = ending(5)
    User.objects.get_queryset().filter(pk=closed.user.pk).update(
        is_active=False, deactivated_at=timezone.now()
    )
    ending(5, state=Keystore.State.REPLACED)
    ending(5, state=Keystore.State.DISCONNECTED)
    assert calendar.remind(now=timezone.now()) == 0


@pytest.mark.django_db
def test_the_mail_names_the_day_and_what_to_do_in_the_persons_language() -> None:
    keystore = ending(30)
    keystore.user.language = "nl"
    keystore.user.save()
    calendar.remind(now=timezone.now())
    content = emails.open_content(Mail.objects.get(user=keystore.user))
    assert "eHealth-certificaat" in content.subject and str(keystore.not_after.year) in content.text
    assert content.html.count("<p>") >= 1


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_write_one_mail() -> None:
    keystore, now = ending(7), timezone.now()

    def sweep(_number: int) -> int:
        try:
            return calendar.remind(now=now)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(sweep, range(4))) == 1
    assert mails(keystore) == 1


@pytest.mark.django_db
def test_a_new_keystore_begins_anew(django_assert_max_num_queries: Callable[..., object]) -> None:
    old = ending(7)
    calendar.remind(now=timezone.now())
    Keystore.objects.filter(pk=old.pk).update(state=Keystore.State.REPLACED)
    KeystoreFactory(user=old.user, not_after=timezone.now() + 800 * DAY)
    with django_assert_max_num_queries(1):
        assert calendar.remind(now=timezone.now()) == 0
