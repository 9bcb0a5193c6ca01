"""Polling the mailboxes that are due, against the running simulator; the page that lists what came."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connections
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import AuditEvent, User
from ehealth import tasks
from ehealth.actions import connection, mailbox
from ehealth.configuration import platform
from ehealth.models import Exchange, Keystore, Mailbox, MailboxMessage, PlatformSession
from tests.accounts.factories import UserFactory
from tests.client import CheckingClient
from tests.ehealth.conftest import Doctor

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def polled(doctor: Doctor) -> Doctor:
    """A doctor whose box is fetched automatically and due."""
    doctor.connect(auto=True)
    return doctor


def poll() -> int:
    return mailbox.poll_due(now=timezone.now())


def box(doctor: Doctor) -> Mailbox:
    return Mailbox.objects.get(user=doctor.user)


def lists(doctor: Doctor) -> int:
    return Exchange.objects.filter(user=doctor.user, operation="getMessagesList").count()


def due_again(doctor: Doctor) -> None:
    Mailbox.objects.filter(user=doctor.user).update(next_poll_at=timezone.now() - timedelta(seconds=1))


def test_messages_come_once_with_their_metadata(polled: Doctor) -> None:
    polled.simulator.add_messages(polled.ssin, 3, title="Rapport d'hospitalisation")
    assert poll() == 1
    rows = MailboxMessage.objects.filter(mailbox__user=polled.user)
    assert rows.count() == 3
    assert set(rows.values_list("title", flat=True)) == {"Rapport d'hospitalisation"}
    found = box(polled)
    assert found.polled_at and found.failures == 0
    assert timedelta(minutes=11) < found.next_poll_at - timezone.now() < timedelta(minutes=19)
    due_again(polled)
    assert poll() == 1
    assert rows.count() == 3
    events = AuditEvent.objects.filter(kind="ehealth:mailbox:fetched", subject=polled.user.uuid)
    assert [event.details["count"] for event in events] == [3]


def test_two_hundred_and_fifty_messages_come_in_three_calls_each_once(polled: Doctor) -> None:
    polled.simulator.add_messages(polled.ssin, 250)
    poll()
    assert MailboxMessage.objects.filter(mailbox__user=polled.user).count() == 250
    assert lists(polled) == 3


def test_a_full_box_says_how_many_wait_outside(
    polled: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    polled.simulator.add_person(polled.ssin, standby=4)
    poll()
    assert box(polled).standby == 4
    html = signed_in(polled.user).get(reverse("ehealth:mailbox")).content.decode()
    assert "4 messages attendent dehors" in html


def test_nothing_due_calls_nobody(polled: Doctor) -> None:
    Mailbox.objects.update(next_poll_at=timezone.now() + timedelta(minutes=5))
    before = polled.simulator.calls()
    assert poll() == 0
    assert polled.simulator.calls() == before


def test_unticking_stops_at_once(polled: Doctor) -> None:
    connection.set_auto(user=polled.user, by=polled.user, auto=False, now=timezone.now())
    assert poll() == 0
    due_again(polled)
    assert poll() == 0


def test_unticking_between_two_pages_stops_before_the_next_call(polled: Doctor) -> None:
    polled.simulator.add_messages(polled.ssin, 150)
    now = timezone.now()
    boxes = mailbox._boxes(mailbox.claim(now=now, limit=10), now)
    connection.set_auto(user=polled.user, by=polled.user, auto=False, now=now)
    assert mailbox._still_ticked(boxes, now) == []
    page = mailbox.Page(boxes[0], messages=())
    mailbox._store([page], now)
    assert not MailboxMessage.objects.exists()


def test_unticking_while_a_page_is_on_its_way_stops_before_the_next_call(polled: Doctor) -> None:
    polled.simulator.add_messages(polled.ssin, 250)
    polled.simulator.fault("delay", service="mailbox", ssin=polled.ssin, value="1")
    before = lists(polled)
    poller = threading.Thread(target=poll_in_thread)
    poller.start()
    wait_until(lambda: box(polled).reading_since is not None)
    connection.set_auto(user=polled.user, by=polled.user, auto=False, now=timezone.now())
    poller.join()
    assert lists(polled) == before + 1
    assert not MailboxMessage.objects.exists()


def poll_in_thread() -> None:
    try:
        poll()
    finally:
        connections.close_all()


def wait_until(happened: Callable[[], bool]) -> None:
    for _ in range(200):
        if happened():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never happened")


def test_a_poll_under_way_shows_how_far_it_is(
    polled: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    polled.simulator.add_messages(polled.ssin, 3)
    poll()
    client, url = signed_in(polled.user), reverse("ehealth:mailbox")
    assert box(polled).reading_since is None
    assert "Relevé en cours" not in client.get(url).content.decode()
    first = MailboxMessage.objects.first()
    assert first
    Mailbox.objects.update(reading_since=first.received_at)
    assert "Relevé en cours : 3 messages reçus" in client.get(url).content.decode()
    Mailbox.objects.update(reading_since=timezone.now() - timedelta(minutes=5))
    assert "Relevé en cours" not in client.get(url).content.decode(), "that worker died"


@pytest.mark.parametrize("change", ["deactivated", "expired", "disconnected"])
def test_who_may_not_be_polled_is_not(polled: Doctor, change: str) -> None:
    if change == "deactivated":
        users = User.objects.get_queryset().filter(pk=polled.user.pk)
        users.update(is_active=False, deactivated_at=timezone.now())
    elif change == "expired":
        Keystore.objects.update(not_after=timezone.now() - timedelta(days=1))
    else:
        connection.disconnect(user=polled.user, by=polled.user, now=timezone.now())
    due_again(polled)
    assert poll() == 0


def test_a_failure_waits_longer_each_time_then_recovers(polled: Doctor) -> None:
    waits = []
    for _ in range(3):
        polled.simulator.fault("outage", service="mailbox", ssin=polled.ssin)
        due_again(polled)
        poll()
        waits.append((box(polled).next_poll_at - timezone.now()) / timedelta(minutes=15))
    for wait, most in zip(waits, (1.2, 2.4, 4.8), strict=True):
        assert 0.79 < wait <= most
    assert (box(polled).result_code, box(polled).failures) == ("unreachable", 3)
    due_again(polled)
    poll()
    assert (box(polled).result_code, box(polled).failures) == ("", 0)


def test_a_box_is_left_alone_for_as_long_as_the_platform_asks(polled: Doctor) -> None:
    polled.simulator.fault("busy", service="mailbox", ssin=polled.ssin, value="7200")
    poll()
    asked = box(polled).next_poll_at - timezone.now()
    assert timedelta(minutes=119) < asked <= timedelta(hours=2)


def test_one_box_that_fails_does_not_stop_the_others(
    polled: Doctor, new_doctor: Callable[[], Doctor]
) -> None:
    other = new_doctor()
    other.connect(auto=True)
    other.simulator.add_messages(other.ssin, 2)
    polled.simulator.fault("garbage", service="mailbox", ssin=polled.ssin)
    assert poll() == 2
    assert MailboxMessage.objects.filter(mailbox__user=other.user).count() == 2
    assert box(polled).result_code == "malformed"


def test_a_token_near_its_half_life_is_renewed_by_the_poll(polled: Doctor) -> None:
    session = PlatformSession.objects.get(keystore__user=polled.user)
    PlatformSession.objects.filter(pk=session.pk).update(not_before=timezone.now() - timedelta(hours=40))
    before = polled.simulator.calls("sts")
    poll()
    assert polled.simulator.calls("sts") == before + 1
    assert PlatformSession.objects.get(pk=session.pk).not_before > timezone.now() - timedelta(hours=1)
    assert Keystore.objects.get(user=polled.user).next_attempt_at is None
    due_again(polled)
    poll()
    assert polled.simulator.calls("sts") == before + 1


def test_a_renewal_refused_to_the_poll_asks_for_a_new_token_in_the_same_round(polled: Doctor) -> None:
    PlatformSession.objects.update(not_before=timezone.now() - timedelta(hours=40))
    polled.simulator.add_messages(polled.ssin, 1)
    polled.simulator.fault("soa", service="sts", value="SOA-03007", ssin=polled.ssin)
    poll()
    rows = Exchange.objects.filter(user=polled.user, service="sts").order_by("pk")
    assert list(rows.values_list("code", flat=True)) == ["OK", "SOA-03007", "OK"]
    assert MailboxMessage.objects.filter(mailbox__user=polled.user).count() == 1
    assert box(polled).result_code == ""
    assert Keystore.objects.get(user=polled.user).next_attempt_at is None


def test_a_certificate_refused_three_times_ends_the_polling(polled: Doctor) -> None:
    for _ in range(mailbox.REFUSALS):
        polled.simulator.fault("soa", value="SOA-01001", ssin=polled.ssin)
        due_again(polled)
        poll()
    found = Keystore.objects.get(user=polled.user)
    assert (found.state, found.result_code, found.key) == (Keystore.State.REFUSED, "SOA-01001", None)
    assert box(polled).next_poll_at is None


def test_a_box_not_reached_in_time_is_due_at_once(polled: Doctor) -> None:
    now = timezone.now()
    (claimed,) = mailbox._boxes(mailbox.claim(now=now, limit=10), now)
    page = mailbox.read(platform(), claimed, latest=0)
    mailbox._write([page], now)
    assert not page.reached and box(polled).next_poll_at == now


def test_two_pollers_never_share_a_box(
    new_doctor: Callable[[], Doctor], doctor: Doctor, settings: Settings
) -> None:
    settings.MAILBOX_BATCH = 2
    doctors = [doctor, *(new_doctor() for _ in range(3))]
    for one in doctors:
        one.connect(auto=True)
    counts: list[int] = []

    def work() -> None:
        try:
            counts.append(poll())
            counts.append(poll())
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sum(counts) == 4
    assert [lists(one) for one in doctors] == [1, 1, 1, 1]


def test_the_page_lists_fifty_a_page(polled: Doctor, signed_in: Callable[..., CheckingClient]) -> None:
    polled.simulator.add_messages(polled.ssin, 60, title="<b>Résultat</b>")
    client, url = signed_in(polled.user), reverse("ehealth:mailbox")
    assert "Pas encore vérifiée" in client.get(url).content.decode()
    poll()
    first = client.get(url).content.decode()
    assert "60 messages relevés" in first and "Page 1 sur 2" in first
    assert first.count('<th scope="row">') == 50
    assert "&lt;b&gt;Résultat" in first and "Dernière vérification" in first
    assert client.get(url, {"page": 2}).content.decode().count('<th scope="row">') == 10
    MailboxMessage.objects.update(sender_quality="GUARD_POST")
    page = client.get(url).content.decode()
    assert "Poste de garde" in page and "GUARD_POST" not in page


def test_the_page_is_empty_and_undecided_at_first(
    doctor: Doctor, signed_in: Callable[..., CheckingClient]
) -> None:
    client, url = signed_in(doctor.user), reverse("ehealth:mailbox")
    assert "Pas encore décidée" in client.get(url).content.decode()
    assert client.post(reverse("ehealth:switch_mailbox"), {"auto": "off"}).status_code == 302
    assert box(doctor).auto is False
    assert "Arrêtée" in client.get(url).content.decode()
    client.post(reverse("ehealth:switch_mailbox"), {"auto": "on"})
    html = client.get(url).content.decode()
    assert box(doctor).auto is True and "Reconnectez-vous à eHealth" in html


def test_one_sees_only_ones_own_messages(
    polled: Doctor, new_doctor: Callable[[], Doctor], signed_in: Callable[..., CheckingClient]
) -> None:
    polled.simulator.add_messages(polled.ssin, 1, title="Secret")
    poll()
    html = signed_in(new_doctor().user).get(reverse("ehealth:mailbox")).content.decode()
    assert "Secret" not in html


def test_nobody_but_a_physician_is_asked_about_a_box(signed_in: Callable[..., CheckingClient]) -> None:
    """Without a keystore there is nothing to fetch, and nothing to switch on."""
    html = signed_in(UserFactory(roles=["user_manager"])).get(reverse("ehealth:mailbox")).content.decode()
    assert "Aucune eHealthBox à relever pour vous" in html
    assert 'name="auto"' not in html and "Activez" not in html


def test_what_the_platform_keeps_no_more_is_forgotten(polled: Doctor) -> None:
    polled.simulator.add_messages(polled.ssin, 3)
    poll()
    first, second, _third = MailboxMessage.objects.order_by("pk")
    today = timezone.localdate()
    MailboxMessage.objects.filter(pk=first.pk).update(expires_on=today - timedelta(days=1))
    MailboxMessage.objects.filter(pk=second.pk).update(expires_on=today)
    tasks.remind_of_certificates()
    assert not MailboxMessage.objects.filter(pk=first.pk).exists() and MailboxMessage.objects.count() == 2
