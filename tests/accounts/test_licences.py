"""Licences through time: 45 days once, a year asked, invoiced, paid, activated; reminders exactly once."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from importlib import import_module

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import audit, emails
from accounts.access import Forbidden
from accounts.actions import licences
from accounts.actions.licences import LicenceRefused
from accounts.models import AuditEvent, Licence, LicenceRequest, Mail, ProvisionalClaim, User
from tests.accounts.factories import BillingAddressFactory, UserFactory
from tests.practitioners.factories import PractitionerFactory

pytestmark = pytest.mark.django_db
START = date(2026, 3, 2)
NIHII = "19990116003"


def at(day: date, hour: int = 10) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=timezone.get_current_timezone())


def later(days: int) -> datetime:
    return at(START + timedelta(days=days))


def doctor(**facts: object) -> User:
    user = UserFactory(**facts)
    user.billing_address = BillingAddressFactory(practice=user.practice)
    user.save()
    licences.grant_provisional(user=user, by=user, now=at(START))
    return user


def staff() -> User:
    return UserFactory(is_staff=True)


def asked(user: User, day: int = 10) -> LicenceRequest:
    return licences.request_year(user=user, by=user, nihii=NIHII, now=later(day))


def paid(user: User, day: int = 10) -> LicenceRequest:
    row, by = asked(user, day), staff()
    licences.record_invoice(request=row, number="F1", day=START, by=by, now=later(day))
    licences.record_payment(request=row, day=START, by=by, now=later(day))
    return row


# --- the 45 days ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("day", "state", "left", "ending"),
    [
        (0, "provisional", 45, False),
        (29, "provisional", 16, False),
        (30, "provisional", 15, True),
        (44, "provisional", 1, True),
        (45, "provisional", 0, True),
        (46, "expired", -1, False),
    ],
)
def test_what_a_provisional_licence_is_day_by_day(day: int, state: str, left: int, ending: bool) -> None:
    licence, today = doctor().licence, START + timedelta(days=day)
    assert (licence.standing(today), licence.days_left(today)) == (state, left)
    assert licence.is_ending(today) is ending
    licences.sweep(now=later(day))
    licence.refresh_from_db()
    assert licence.state == state


def test_a_day_is_a_day_of_belgium() -> None:
    """Half past midnight in Brussels is still yesterday in UTC."""
    user = UserFactory()
    night = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    licence = licences.grant_provisional(user=user, by=user, now=night)
    assert licence.starts_on == date(2026, 7, 2)


def test_a_second_grant_is_the_first_licence() -> None:
    user = doctor()
    assert licences.grant_provisional(user=user, by=user, now=later(60)) == user.licence
    assert AuditEvent.objects.filter(kind="account:licence:created").count() == 1


def test_no_provisional_licence_is_longer_than_45_days() -> None:
    licence = doctor().licence
    with pytest.raises(IntegrityError, match="licence_provisional_at_most_45_days"), transaction.atomic():
        Licence.objects.filter(pk=licence.pk).update(ends_on=START + timedelta(days=46))


NUMBERS = ["75031498594", "19990116"]


def known(day: int = 0) -> Licence:
    """The first account of somebody, in some practice, with the numbers typed."""
    licence = licences.grant_provisional(user=(user := UserFactory()), by=user, now=later(day))
    assert not licences.claim_provisional(licence=licence, numbers=NUMBERS, by=user, now=later(day))
    return licence


def again(created: int, *, typed: int, numbers: list[str] | None = None) -> Licence:
    """A second account of the same person, created on one day, its numbers typed on another."""
    user = UserFactory()
    licence = licences.grant_provisional(user=user, by=user, now=later(created))
    licences.claim_provisional(licence=licence, numbers=numbers or NUMBERS, by=user, now=later(typed))
    licence.refresh_from_db()
    return licence


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    ("created", "typed", "last", "state"),
    [
        (0, 0, 45, "provisional"),
        (20, 20, 45, "provisional"),
        (20, 45, 45, "provisional"),
        (45, 45, 45, "provisional"),
        (20, 46, None, "to_request"),
        (45, 46, None, "to_request"),
        (46, 46, None, "to_request"),
        (50, 60, None, "to_request"),
    ],
)
def test_the_same_number_elsewhere_has_what_is_left_of_the_first_45_days(
    number: str, created: int, typed: int, last: int | None, state: str
) -> None:
    known()
    licence = again(created, typed=typed, numbers=[number, ""])
    assert licence.starts_on == START + timedelta(days=created), "never before the account itself"
    assert licence.ends_on == (None if last is None else START + timedelta(days=last))
    assert licence.standing(START + timedelta(days=typed)) == state
    events = AuditEvent.objects.filter(kind="account:licence:shortened")
    assert {event.subject for event in events} == ({licence.user.uuid} if created else set())
    assert number not in str([event.details for event in events])
    with pytest.raises(IntegrityError), transaction.atomic():
        ProvisionalClaim.objects.create(number=number, licence=licence, starts_on=START, ends_on=START)


def test_a_third_and_a_fourth_account_get_nothing_either() -> None:
    """Whatever numbers they come with, in whatever order."""
    user = UserFactory()
    first = licences.grant_provisional(user=user, by=user, now=later(0))
    licences.claim_provisional(licence=first, numbers=NUMBERS[:1], by=user, now=later(0))
    assert again(50, typed=50).state == "to_request"
    assert again(60, typed=60, numbers=NUMBERS[1:]).state == "to_request", "the number came with the second"
    assert again(70, typed=70, numbers=["19990215", NUMBERS[0]]).state == "to_request"
    assert again(80, typed=80, numbers=["19990215"]).state == "to_request"


def test_the_days_of_a_number_are_45_also_after_a_year_was_paid() -> None:
    """A number typed once the licence is active does not bring the year to another account."""
    first = doctor()
    licences.activate(request=paid(first), by=staff(), now=later(10))
    licences.claim_provisional(licence=first.licence, numbers=NUMBERS, by=first, now=later(20))
    assert again(30, typed=30).ends_on == START + timedelta(days=10 + 45)
    assert again(60, typed=60).state == "to_request"


def test_what_is_left_is_reminded_and_expires_like_any_other() -> None:
    known()
    user = again(35, typed=35).user
    Mail.objects.all().delete()
    days = []
    for day in range(35, 50):
        before = Mail.objects.filter(user=user, kind="licence_reminder").count()
        licences.sweep(now=later(day))
        days += [day] * (Mail.objects.filter(user=user, kind="licence_reminder").count() - before)
    assert days == [35, 38, 44]
    assert Licence.objects.get(user=user).state == "expired"


def test_where_nothing_is_left_somebody_is_told_once_and_nothing_counts_down() -> None:
    known()
    user = UserFactory()
    manager = UserFactory(practice=user.practice, roles=["admin"])
    licence = licences.grant_provisional(user=user, by=user, now=later(50))
    for day in (50, 51):
        licences.claim_provisional(licence=licence, numbers=NUMBERS, by=manager, now=later(day))
    assert sent("licence_due") == [user, manager]
    Mail.objects.all().delete()
    for day in range(50, 120):
        assert licences.sweep(now=later(day))[1] == 0
    licence.refresh_from_db()
    assert not Mail.objects.filter(user=user).exists() and licence.state == "to_request"
    user.billing_address = BillingAddressFactory(practice=user.practice)
    user.save()
    row = paid(user, day=120)
    licence.refresh_from_db()
    assert (licence.state, licence.ends_on) == ("invoiced", None)
    assert licence.standing(START + timedelta(days=120)) == "invoiced"
    assert licences.activate(request=row, by=staff(), now=later(121)).state == "active"


def test_a_request_under_way_goes_on_when_its_days_are_found_used_up() -> None:
    known()
    user = doctor()
    Licence.objects.filter(user=user).update(
        starts_on=START + timedelta(days=50), ends_on=START + timedelta(days=95)
    )
    asked(user, day=51)
    licences.claim_provisional(licence=user.licence, numbers=NUMBERS, by=user, now=later(52))
    licence = Licence.objects.get(user=user)
    assert (licence.state, licence.ends_on) == ("requested", None)
    assert sent("licence_due") == []


def test_a_licence_that_ran_and_ended_stays_as_it_was() -> None:
    known()
    licence = again(20, typed=20, numbers=["19990215"])
    licences.claim_provisional(licence=licence, numbers=NUMBERS, by=licence.user, now=later(70))
    assert Licence.objects.get(pk=licence.pk).ends_on == START + timedelta(days=65)


@pytest.mark.parametrize(
    "facts",
    [
        {"state": "to_request"},
        {"state": "provisional", "ends_on": None},
        {"state": "active", "ends_on": None},
        {"state": "expired", "ends_on": None},
    ],
)
def test_only_a_licence_that_is_asked_for_has_no_last_day(facts: dict[str, object]) -> None:
    licence = doctor().licence
    with pytest.raises(IntegrityError, match="licence_without_days"), transaction.atomic():
        Licence.objects.filter(pk=licence.pk).update(**facts)


def test_licences_of_before_that_ended_before_they_began_are_to_be_asked_for() -> None:
    """The statement of the migration, over what the earlier rule left."""
    repair = import_module("accounts.migrations.0008_licence_without_days").REPAIR
    started = {"used_up": 0, "asked": 0, "left": 20, "never_shortened": 0}
    ends = {"used_up": 45, "asked": 45, "left": 65, "never_shortened": 45}
    users = {}
    for name in started:
        users[name] = user = UserFactory()
        User.objects.filter(pk=user.pk).update(created_at=later(60))
        state = "requested" if name == "asked" else "provisional"
        Licence.objects.create(
            user=user, state=state, starts_on=START + timedelta(days=started[name]),
            ends_on=START + timedelta(days=ends[name]),
        )  # fmt: skip
        with transaction.atomic():
            if name != "never_shortened":
                audit.record("account:licence:shortened", actor=user, subject=user)
    with connection.cursor() as cursor:
        for _again in range(2):
            cursor.execute(repair)
    rows = {name: Licence.objects.get(user=user) for name, user in users.items()}
    found = {name: (row.state, row.starts_on, row.ends_on) for name, row in rows.items()}
    day = START + timedelta(days=60)
    assert found == {
        "used_up": ("to_request", day, None),
        "asked": ("requested", day, None),
        "left": ("provisional", day, START + timedelta(days=65)),
        "never_shortened": ("provisional", START, START + timedelta(days=45)),
    }


def test_an_active_licence_is_not_shortened() -> None:
    first, second = doctor(), doctor()
    licences.claim_provisional(licence=first.licence, numbers=[NIHII[:8]], by=first, now=at(START))
    licences.activate(request=paid(second), by=staff(), now=later(20))
    second.licence.refresh_from_db()
    assert not licences.claim_provisional(
        licence=second.licence, numbers=[NIHII[:8]], by=second, now=later(21)
    )


# --- asking, invoicing, paying, activating ----------------------------------------------------
def test_from_request_to_a_year_every_step_is_written_down() -> None:
    user = doctor()
    row = paid(user, day=10)
    assert (row.name, row.nihii, row.practice_name) == (user.get_full_name(), NIHII, user.practice.name)
    licence = licences.activate(request=row, by=staff(), now=later(20))
    assert (licence.state, licence.starts_on) == ("active", START + timedelta(days=20))
    assert licence.ends_on == date(2027, 3, 21)
    kinds = AuditEvent.objects.filter(subject=user.uuid).order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == [
        f"account:licence:{verb}" for verb in ("created", "requested", "invoiced", "paid", "activated")
    ]
    assert NIHII not in str(list(AuditEvent.objects.values_list("details", flat=True)))


def test_a_renewal_runs_from_the_end_of_the_running_year() -> None:
    user = doctor()
    licences.activate(request=paid(user), by=staff(), now=later(0))
    user.licence.refresh_from_db()
    end = user.licence.ends_on
    with pytest.raises(LicenceRefused, match="too_early"):
        licences.request_year(user=user, by=user, nihii=NIHII, now=at(end - timedelta(days=61)))
    days = (end - START).days - 60
    row = paid(user, day=days)
    user.licence.refresh_from_db()
    assert user.licence.state == "active", "the running year goes on while the next is asked"
    licence = licences.activate(request=row, by=staff(), now=later(days + 5))
    assert (licence.starts_on, licence.ends_on) == (START, date(2028, 3, 1))


def test_after_the_end_a_year_begins_on_the_day_of_activation() -> None:
    user = doctor()
    licences.sweep(now=later(46))
    licence = licences.activate(request=paid(user, day=80), by=staff(), now=later(90))
    assert (licence.starts_on, licence.ends_on) == (
        START + timedelta(days=90), licences.year_from(START + timedelta(days=90)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2026, 11, 26), date(2027, 11, 25)),
        (date(2027, 3, 1), date(2028, 2, 29)),
        (date(2028, 2, 29), date(2029, 2, 28)),
    ],
)
def test_a_year(first: date, last: date) -> None:
    assert licences.year_from(first) == last


def test_steps_out_of_order_change_nothing() -> None:
    user, by = doctor(), staff()
    row = asked(user)
    for key, act in (
        ("already_requested", lambda: asked(user)),
        ("not_invoiced", lambda: licences.record_payment(request=row, day=START, by=by, now=later(1))),
        ("not_paid", lambda: licences.activate(request=row, by=by, now=later(1))),
    ):
        with pytest.raises(LicenceRefused, match=key):
            act()
    licences.record_invoice(request=row, number="F1", day=START, by=by, now=later(1))
    licences.record_payment(request=row, day=START, by=by, now=later(1))
    licences.activate(request=row, by=by, now=later(1))
    ends = Licence.objects.get(user=user).ends_on
    with pytest.raises(LicenceRefused, match="not_open"):
        licences.activate(request=row, by=by, now=later(2))
    assert Licence.objects.get(user=user).ends_on == ends


def test_only_the_owner_and_managers_ask_and_only_staff_activates() -> None:
    user = doctor()
    for stranger in (UserFactory(practice=user.practice), UserFactory(roles=["admin"]), staff()):
        with pytest.raises(Forbidden):
            licences.request_year(user=user, by=stranger, nihii=NIHII, now=later(1))
    row = licences.request_year(
        user=user, by=UserFactory(practice=user.practice, roles=["user_manager"]), nihii=NIHII, now=later(1)
    )
    for other in (user, UserFactory(practice=user.practice, roles=["admin"])):
        with pytest.raises(Forbidden):
            licences.record_invoice(request=row, number="F", day=START, by=other, now=later(1))
        with pytest.raises(Forbidden):
            licences.activate(request=row, by=other, now=later(1))


def test_a_request_needs_a_number_and_an_address() -> None:
    user = doctor()
    assert licences.missing(user=user, nihii="") == ["no_nihii"]
    user.billing_address = None
    user.save()
    with pytest.raises(LicenceRefused, match="no_billing_address"):
        asked(user)
    assert not LicenceRequest.objects.exists()


# --- reminders --------------------------------------------------------------------------------
def sent(kind: str = "licence_reminder") -> list[User]:
    return [mail.user for mail in Mail.objects.filter(kind=kind).order_by("pk")]


def test_reminders_leave_15_7_and_1_days_before_the_end_each_once() -> None:
    user = doctor()
    days = []
    for day in range(50):
        before = len(sent())
        for _again in range(2):
            licences.sweep(now=later(day))
        days += [day] * (len(sent()) - before)
    assert days == [30, 38, 44]
    assert sent() == [user] * 3
    assert sent("licence_expired") == [user]


def test_after_a_pause_only_the_most_urgent_is_sent() -> None:
    doctor()
    for day in (39, 40, 45):
        licences.sweep(now=later(day))
    assert len(sent()) == 2, "7 days and 1 day; 15 has passed"


def test_owner_and_managers_are_told_each_in_their_language() -> None:
    user = doctor(language="de", roles=["physician", "admin"])
    manager = UserFactory(practice=user.practice, roles=["user_manager"], language="nl")
    UserFactory(practice=user.practice, roles=["admin"], is_active=False, deactivated_at=timezone.now())
    UserFactory(practice=user.practice)
    UserFactory(roles=["admin"])
    licences.sweep(now=later(30))
    assert sent() == [user, manager]
    texts = [emails.open_content(mail) for mail in Mail.objects.order_by("pk")]
    assert ["endet bald" in texts[0].text, "eindigt binnenkort" in texts[1].html] == [True, True]
    assert all(f"/people/{user.uuid}/licence/" in part for mail in texts for part in (mail.text, mail.html))


def test_nobody_is_reminded_whose_account_is_closed() -> None:
    doctor(is_active=False, deactivated_at=timezone.now())
    licences.sweep(now=later(30))
    licences.sweep(now=later(46))
    assert Mail.objects.count() == 0 and Licence.objects.get().state == "expired"


def test_a_new_term_is_reminded_anew() -> None:
    user = doctor()
    licences.sweep(now=later(44))
    licence = licences.activate(request=paid(user, day=44), by=staff(), now=later(44))
    licences.sweep(now=at(licence.ends_on - timedelta(days=15)))
    assert len(sent()) == 2


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_remind_once() -> None:
    for _number in range(5):
        doctor()
    gate = threading.Barrier(2)

    def sweep() -> None:
        gate.wait()
        licences.sweep(now=later(30))
        connection.close()

    threads = [threading.Thread(target=sweep) for _number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    licences.sweep(now=later(30))
    assert len(sent()) == 5


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_are_one() -> None:
    user = doctor()
    gate, outcomes = threading.Barrier(2), []

    def ask() -> None:
        gate.wait()
        try:
            asked(User.objects.get(pk=user.pk))
            outcomes.append("done")
        except LicenceRefused as refused:
            outcomes.append(refused.key)
        connection.close()

    threads = [threading.Thread(target=ask) for _number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["already_requested", "done"]


def test_doctors_of_before_are_known_by_their_numbers_too() -> None:
    """The statement of the migration: the oldest licence of a number is the one that counts."""
    claim = import_module("billing.migrations.0003_provisional_claims").CLAIM
    older = PractitionerFactory(ssin="75031498594", nihii=NIHII)
    newer = PractitionerFactory(ssin="75031498594", nihii="19990182003")
    for row, day in ((newer, 20), (older, 0)):
        licences.grant_provisional(user=row.user, by=row.user, now=later(day))
    with connection.cursor() as cursor:
        for _again in range(2):
            cursor.execute(claim)
    rows = ProvisionalClaim.objects.order_by("number").values_list("number", "licence__user", "ends_on")
    end = START + timedelta(days=45)
    assert list(rows) == [
        ("19990116", older.user.pk, end),
        ("19990182", newer.user.pk, end + timedelta(days=20)),
        ("75031498594", older.user.pk, end),
    ]
