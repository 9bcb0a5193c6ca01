"""Mails: sealed while they wait, sent once, tried again, erased; the sweep needs no broker.

What each kind says is in tests/medisetup/test_letters.py.
"""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from celery import current_app
from django.core import mail as outbox
from django.db import transaction
from django.utils import timezone

from accounts import audit, emails, tasks
from accounts.models import KeyChallenge, Mail
from tests.accounts.factories import UserFactory
from tests.accounts.test_people import at_once

pytestmark = pytest.mark.django_db
LINK = "http://localhost:8000/invitations/x/"
CONTEXT = {"link": LINK, "expires_at": timezone.now()}


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(emails.UnknownMail):
        emails.queue("surprise", user=UserFactory())


def test_a_waiting_mail_is_sealed_and_a_sent_one_is_empty() -> None:
    row = emails.queue("invitation", user=UserFactory(), context=CONTEXT)
    assert LINK.encode() not in bytes(Mail.objects.get(pk=row.pk).content)
    assert emails.deliver(pk=row.pk, now=timezone.now())
    row.refresh_from_db()
    assert row.sent_at
    assert row.content is None
    assert LINK in outbox.outbox[0].body
    assert outbox.outbox[0].alternatives
    assert not emails.deliver(pk=row.pk, now=timezone.now())
    assert len(outbox.outbox) == 1


class BrokenServer:
    """A mail server that takes nothing."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        pass

    def send_messages(self, messages: list[EmailMessage]) -> int:
        raise smtplib.SMTPServerDisconnected("gone")


def test_a_mail_that_fails_is_tried_again_later_and_at_last_given_up(settings: Any) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.BrokenServer"
    row = emails.queue("invitation", user=UserFactory(), context=CONTEXT)
    now = timezone.now()
    waits = []
    while not emails.deliver(pk=row.pk, now=now):
        row.refresh_from_db()
        if row.next_attempt_at is None:
            break
        waits.append(row.next_attempt_at - now)
        assert not Mail.objects.all().due(now).exists()
        now = row.next_attempt_at
    assert waits[:5] == [
        timedelta(minutes=1),
        timedelta(minutes=5),
        timedelta(minutes=15),
        timedelta(hours=1),
        timedelta(hours=6),
    ]
    assert timedelta(days=6) < sum(waits, timedelta()) < timedelta(days=8)
    assert row.content is None
    assert row.sent_at is None


def test_the_sweep_sends_what_lost_its_message() -> None:
    first, second = (emails.queue("password_changed", user=UserFactory()) for _mail in range(2))
    Mail.objects.filter(pk=second.pk).update(next_attempt_at=timezone.now() + timedelta(minutes=5))
    tasks.send_due_mails()
    assert [message.to for message in outbox.outbox] == [[first.to]]


@pytest.mark.parametrize("content", [b"\x01x", None], ids=["damaged", "erased"])
def test_a_mail_that_cannot_be_opened_is_given_up_and_the_others_leave(content: bytes | None) -> None:
    with transaction.atomic():
        broken, whole = (emails.queue("password_changed", user=UserFactory()) for _number in range(2))
    Mail.objects.filter(pk=broken.pk).update(content=content, sent_at=None, next_attempt_at=timezone.now())
    Mail.objects.filter(pk=whole.pk).update(sent_at=None, next_attempt_at=timezone.now())
    tasks.send_due_mails()
    broken.refresh_from_db()
    whole.refresh_from_db()
    assert (broken.sent_at, broken.next_attempt_at) == (None, None)
    assert whole.sent_at is not None


def test_every_section_has_a_name_in_mails() -> None:
    assert {f"section:{section}:saved" for section in emails.SECTIONS} == {
        kind for kind in audit.KINDS if kind.startswith("section:")
    }


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_one_mail_once() -> None:
    row = emails.queue("password_changed", user=UserFactory())
    now = timezone.now()
    results = at_once([lambda: emails.deliver(pk=row.pk, now=now) for _worker in range(6)])
    assert sorted(results) == [False] * 5 + [True]


@contextmanager
def broker_at(url: str) -> Iterator[None]:
    """Publish to another address meanwhile."""
    before = current_app.conf.broker_write_url
    publish_to(url)
    try:
        yield
    finally:
        publish_to(before)


def publish_to(url: str) -> None:
    current_app.conf.broker_write_url = url
    current_app._pool = current_app.amqp._producer_pool = None


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_down_costs_the_mail_nothing() -> None:
    with broker_at("redis://127.0.0.1:1/0"), transaction.atomic():
        row = emails.queue("password_changed", user=UserFactory())
    assert Mail.objects.all().due(timezone.now()).filter(pk=row.pk).exists()


def test_what_has_expired_is_purged() -> None:
    user, now = UserFactory(), timezone.now()
    for name, age in (("old", -1), ("new", 1)):
        KeyChallenge.objects.create(
            id=name, user=user, purpose="session", expires_at=now + timedelta(minutes=age)
        )
    old, given_up, lately, waiting, new = (emails.queue("password_changed", user=user) for _mail in range(5))
    month = now - timedelta(days=31)
    Mail.objects.filter(pk=old.pk).update(sent_at=month)
    Mail.objects.filter(pk__in=[given_up.pk, lately.pk]).update(next_attempt_at=None)
    Mail.objects.filter(pk__in=[given_up.pk, waiting.pk]).update(created_at=month)
    tasks.purge_expired()
    assert list(KeyChallenge.objects.values_list("id", flat=True)) == ["new"]
    kept = Mail.objects.order_by("pk").values_list("pk", flat=True)
    assert list(kept) == [lately.pk, waiting.pk, new.pk]
