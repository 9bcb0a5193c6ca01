"""The board of the portal's staff: right counts, bounded queries, pictures with tables, audited readings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import localtime

from accounts.models import AuditEvent, Licence, User
from ehealth.models import EdmgRegistration, Mailbox
from medisetup import charts, platform_board
from medisetup.readiness import with_items
from tests.accounts.factories import PracticeFactory, UserFactory
from tests.cast import ready_doctor, registrations, with_key
from tests.client import CheckingClient
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.django_db
Open = Callable[[User], CheckingClient]


@pytest.fixture
def staff() -> User:
    user: User = UserFactory(roles=["reception"], is_staff=True, practice=PracticeFactory(name="medisetup"))
    return user


def test_practices_are_counted_worst_first_and_found_by_name() -> None:
    practice = PracticeFactory(name="Cabinet de l'Étoile")
    PractitionerFactory.create_batch(3, user__practice=practice)
    PractitionerFactory(user__practice=practice, user__is_active=False, user__deactivated_at=timezone.now())
    found = platform_board.overview()
    (line,) = platform_board.matching(found.lines, "ETOILE")
    assert (line.people, line.ready, line.percent) == (3, 0, 0)
    assert found.people == sum(line.people for line in found.lines)
    assert 0 < max(dict(found.open_items).values()) <= found.people
    percents = [line.percent for line in found.lines]
    assert percents == sorted(percents)


def test_totals_are_a_minute_old_at_most_and_say_so(staff: User, signed_in: Open) -> None:
    now = timezone.now()
    first, moment = platform_board.recent_overview(now)
    PractitionerFactory()
    later = now + timedelta(seconds=30)
    assert platform_board.recent_overview(later) == (first, now) and moment == now
    assert f"Chiffres du {date_format(localtime(now), 'SHORT_DATETIME_FORMAT')}" in (
        signed_in(staff).get(reverse("platform")).content.decode()
    )
    cache.delete(platform_board.KEPT)
    fresh, moment = platform_board.recent_overview(later)
    assert (fresh.people, moment) == (first.people + 1, later)
    assert 0 < platform_board.KEPT_SECONDS <= 60


def test_the_funnel_and_the_registrations_are_counted() -> None:
    registrations(with_key(ready_doctor()), ("registered", "", ""))
    registrations(with_key(ready_doctor()), ("rejected", "140", ""), ("waiting", "", ""))
    UserFactory(invited=True, key=False)
    counts = [int(bar.total) for bar in platform_board.funnel_chart(platform_board.overview()).bars]
    assert counts[0] == 2 and counts[5] == 1
    assert counts[:4] == sorted(counts[:4], reverse=True)
    chart = platform_board.edmg_chart()
    assert sum(int(bar.total) for bar in chart.bars) == 14
    assert [sum(int(values[n]) for _l, values in chart.table) for n in range(4)] == [7, 0, 3, 4]


def test_what_ends_is_shown_by_month_and_who_was_ready_is_remembered() -> None:
    user = with_key(ready_doctor())
    today = timezone.localdate()
    Licence.objects.filter(user=user).update(starts_on=today, ends_on=today)
    chart = platform_board.licences_chart(today)
    assert len(chart.bars) == 12 and chart.bars[0].total == "1"
    assert platform_board.median_days() is None
    User.objects.get_queryset().filter(pk=user.pk).update(
        ready_at=timezone.now(), created_at=timezone.now() - timedelta(days=9, hours=1)
    )
    assert platform_board.median_days() == 9


def test_the_first_time_somebody_is_ready_is_written_down_once() -> None:
    receptionist, now = UserFactory(roles=["reception"]), timezone.now()
    ready = with_items(User.objects.active()).filter(ready=True).count()
    assert platform_board.note_ready(now=now + timedelta(seconds=1)) == ready
    assert platform_board.note_ready(now=now + timedelta(hours=1)) == 0
    receptionist.refresh_from_db()
    assert bool(receptionist.ready_at) == bool(ready)


def test_mailboxes_are_summed_up() -> None:
    now = timezone.now()
    for facts in ({"polled_at": now}, {"failures": 2, "result_code": "unreachable"}, {"standby": 3}):
        Mailbox.objects.create(user=UserFactory(), auto=True, **facts)
    found = platform_board.mailbox_facts(now)
    assert (found["count"], found["fresh"], found["failing"], found["standby"]) == (3, 1, 1, 1)
    assert found["codes"] == [{"result_code": "unreachable", "count": 1}]


def test_bars_keep_their_proportions_and_nothing_divides_by_zero() -> None:
    series = [("a", [("leaf", 1), ("brick", 3)]), ("b", [("leaf", 2), ("brick", 0)])]
    first, second = charts.rows("x", "X", series, ["A", "B"]).bars
    assert [part.length for part in first.parts] == [150.0, 450.0] and first.parts[1].start == 150.0
    assert second.total == "2"
    assert charts.columns("x", "X", [("a", 0)], "A").bars[0].parts[0].length == 0


def test_staff_alone_opens_the_pages_and_every_reading_is_written_down(staff: User, signed_in: Open) -> None:
    doctor = PractitionerFactory().user
    practice = reverse("platform_practice", args=[doctor.practice.uuid])
    person = reverse("platform_person", args=[doctor.uuid])
    client = signed_in(staff)
    html = client.get(reverse("platform")).content.decode()
    assert practice in html and 'role="img"' in html and html.count("<table") >= 7
    assert person in client.get(practice).content.decode()
    shown = client.get(person).content.decode()
    assert doctor.practitioner.ssin not in shown and doctor.practitioner.nihii not in shown
    assert f"•••{doctor.practitioner.nihii[-3:]}" in shown
    kinds = AuditEvent.objects.filter(actor=staff.uuid).order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["platform:practice:read", "platform:person:read"]
    admin = signed_in(UserFactory(roles=["admin"], practice=doctor.practice))
    assert [admin.get(url).status_code for url in (reverse("platform"), practice, person)] == [403] * 3


def test_the_board_takes_as_many_queries_for_many_practices_as_for_few(
    staff: User, signed_in: Open, django_assert_max_num_queries: Callable[..., object]
) -> None:
    PractitionerFactory.create_batch(3)
    client = signed_in(staff)
    with django_assert_max_num_queries(24) as few:
        cache.delete(platform_board.KEPT)
        client.get(reverse("platform"))
    PractitionerFactory.create_batch(20)
    registrations(with_key(ready_doctor()), (EdmgRegistration.State.REGISTERED, "", ""))
    with django_assert_max_num_queries(len(few)):  # type: ignore[arg-type]
        cache.delete(platform_board.KEPT)
        client.get(reverse("platform"))
