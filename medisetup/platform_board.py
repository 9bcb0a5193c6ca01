"""The board of the portal's staff: every practice at once, in a bounded number of queries.

`overview` groups all active people by practice once; the funnel, the months and the mailboxes are one
aggregate each. Nothing is counted in Python but sums over practices.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.models import (
    Aggregate,
    Case,
    Count,
    DurationField,
    Exists,
    F,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import TruncMonth
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.identifiers import fold
from accounts.models import Licence, Practice, User
from ehealth.models import EdmgRegistration, Keystore, Mailbox, Mutuality
from medisetup import charts
from medisetup.charts import Chart
from medisetup.item import BLOCKING, DONE, NOT_APPLICABLE, PROBLEM, TODO, WAITING
from medisetup.readiness import items, with_items, with_states
from practitioners.reference import PHYSICIAN

MONTHS = 12
KEPT, KEPT_SECONDS = "platform_totals", 60
BANDS = ((0, 0), (1, 49), (50, 89), (90, 99), (100, 100))


class Median(Aggregate):
    """The middle value, by the database."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = DurationField()


@dataclass(frozen=True)
class PracticeLine:
    """One practice: how many people, how many ready."""

    practice: Practice
    people: int
    ready: int

    @property
    def percent(self) -> int:
        return 100 * self.ready // self.people if self.people else 0


@dataclass(frozen=True)
class Overview:
    """All practices, worst first; how often each blocking item is open; physicians by step of FUNNEL."""

    lines: tuple[PracticeLine, ...]
    open_items: tuple[tuple[str, int], ...]
    steps: tuple[int, ...]

    @property
    def people(self) -> int:
        return sum(line.people for line in self.lines)

    @property
    def ready(self) -> int:
        return sum(line.ready for line in self.lines)


def active() -> QuerySet[User]:
    return User.objects.active()


def overview() -> Overview:
    """Everybody's readiness, open items and steps, grouped by practice: one query over people, one of names.

    The states are computed once per person in an inner query, which PostgreSQL must not merge into the
    outer one (it would compute each state for each count); the outer one only counts them.
    """
    return _overview(_counted(_conditions()))


def recent_overview(now: datetime) -> tuple[Overview, datetime]:
    """`overview` as it was a minute ago at most, and when: counting costs more than the rest of the page."""
    rows, moment = cache.get(KEPT) or (None, now)
    if rows is None:
        rows = _counted(_conditions())
        cache.set(KEPT, (rows, moment), KEPT_SECONDS)
    return _overview(rows), moment


def _conditions() -> list[str]:
    """One per column of `_counted`: everybody, the ready, the steps, the open items."""
    blocking = [item for item in items() if item.level == BLOCKING]
    ready = " AND ".join(f"{item.annotation} IN ('{DONE}', '{NOT_APPLICABLE}')" for item in blocking)
    open_states = f"IN ('{TODO}', '{PROBLEM}', '{WAITING}')"
    return [
        "true",
        ready,
        *(f"physician AND {step.format(ready=ready)}" for step in FUNNEL),
        *(f"{item.annotation} {open_states}" for item in blocking),
    ]


def _overview(rows: Sequence[tuple[int, ...]]) -> Overview:
    blocking = [item for item in items() if item.level == BLOCKING]
    names = Practice.objects.in_bulk([row[0] for row in rows])
    lines = [PracticeLine(names[row[0]], row[1], row[2]) for row in rows]
    lines.sort(key=lambda line: (line.percent, -line.people, line.practice.name))
    sums = [sum(column) for column in zip(*(row[3:] for row in rows), strict=True)]
    open_counts = sums[len(FUNNEL) :] if sums else [0] * len(blocking)
    stuck = [(f"{item.id} {item.neutral}", count) for item, count in zip(blocking, open_counts, strict=True)]
    steps = sums[: len(FUNNEL)] if sums else [0] * len(FUNNEL)
    return Overview(tuple(lines), tuple(sorted(stuck, key=lambda pair: -pair[1])), tuple(steps))


# Conditions on the inner query, in the order of the labels of `funnel_chart`.
KEYED, REGISTERED = f"item_keys = '{DONE}'", f"item_edmg = '{DONE}'"
FUNNEL = ("true", "activated", KEYED, "connected", "({ready})", REGISTERED)


def _counted(conditions: Sequence[str]) -> list[tuple[int, ...]]:
    """(practice, how many people meet each condition), for every practice with somebody active.

    The conditions are constants of this module and names of annotations: nothing typed gets here.
    """
    inner, values = _states_of_everybody()
    counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in conditions)
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH people AS MATERIALIZED ({inner}) "  # noqa: S608
            f"SELECT practice_id, {counts} FROM people GROUP BY practice_id",
            values,
        )
        found: list[tuple[int, ...]] = cursor.fetchall()
        return found


@functools.cache
def _states_of_everybody() -> tuple[str, tuple[Any, ...]]:
    """The inner query: practice, states, steps. Built once: the database's own clock enters each run."""
    people = with_states(active()).annotate(
        physician=Case(When(practitioner__profession=PHYSICIAN, then=Value(True)), default=Value(False)),
        activated=Case(When(activated_at__isnull=False, then=Value(True)), default=Value(False)),
        connected=Exists(Keystore.objects.in_force().filter(user=OuterRef("pk"))),
    )
    names = [*(item.annotation for item in items()), "physician", "activated", "connected"]
    query = people.order_by().values("practice_id", *names).query
    statement: tuple[str, tuple[Any, ...]] = query.sql_with_params()
    return statement


def matching(lines: Sequence[PracticeLine], search: str) -> list[PracticeLine]:
    """The practices whose name holds what was typed, whatever case and accents."""
    return [line for line in lines if fold(search) in fold(line.practice.name)]


def readiness_chart(found: Overview) -> Chart:
    """How many practices are how far."""
    series = [
        (
            f"{low} %" if low == high else f"{low}–{high} %",
            sum(low <= line.percent <= high for line in found.lines),
        )
        for low, high in BANDS
    ]
    return charts.columns("practices", _("Cabinets selon la part de personnes prêtes"), series, _("Cabinets"))


def stuck_chart(found: Overview) -> Chart:
    """Where people get stuck: the ten items most often open."""
    series = [(label, [("saffron", count)]) for label, count in found.open_items[:10] if count]
    return charts.rows("stuck", _("Où l'on reste bloqué"), series, [_("Personnes")])


def funnel_chart(found: Overview) -> Chart:
    """Physicians from the invitation to « prêt », and on to the seven mutualities."""
    labels = (
        _("Invités"),
        _("Activés"),
        _("Avec une clé"),
        _("Connectés à eHealth"),
        _("Prêts"),
        _("Inscrits aux 7 mutualités"),
    )
    series = [(label, [("brand", count)]) for label, count in zip(labels, found.steps, strict=True)]
    return charts.rows("funnel", _("Médecins, de l'invitation à « prêt »"), series, [_("Médecins")])


def median_days() -> int | None:
    """Days from the creation of an account to « prêt », the middle one of all; None while nobody is."""
    found = User.objects.get_queryset().filter(ready_at__isnull=False)
    median = found.aggregate(median=Median(F("ready_at") - F("created_at")))["median"]
    return median.days if median is not None else None


def edmg_chart() -> Chart:
    """Registrations by mutuality and outcome; one query."""
    states = EdmgRegistration.State
    groups = {
        _("Inscrits"): ("leaf", (states.REGISTERED, states.ALREADY_REGISTERED)),
        _("En cours"): ("sky", (states.QUEUED, states.SENDING, states.RETRYING)),
        _("Attendent le médecin"): ("saffron", (states.WAITING,)),
        _("Refusés"): ("brick", (states.REJECTED, states.NEEDS_ACTION)),
    }
    counted = EdmgRegistration.objects.filter(user__is_active=True).values("mutuality", "state")
    found = {(row["mutuality"], row["state"]): row["count"] for row in counted.annotate(count=Count("pk"))}
    series = [
        (
            str(Mutuality(code).label),
            [(kind, sum(found.get((code, state), 0) for state in which)) for kind, which in groups.values()],
        )
        for code in Mutuality.values
    ]
    return charts.rows("edmg", _("eDMG par mutualité"), series, list(groups))


def months_chart(key: str, title: str, rows: QuerySet[Any], field: str, today: date) -> Chart:
    """How many rows end in each of the next twelve months; one query."""
    first = today.replace(day=1)
    counted = rows.annotate(month=TruncMonth(field)).order_by().values("month").annotate(count=Count("pk"))
    found = {(row["month"].year, row["month"].month): row["count"] for row in counted if row["month"]}
    series = []
    for number in range(MONTHS):
        year, month = divmod(first.month - 1 + number, 12)
        day = date(first.year + year, month + 1, 1)
        series.append((date_format(day, "m/Y"), [("saffron", found.get((day.year, day.month), 0))]))
    return charts.rows(key, title, series, [_("Nombre")])


def certificates_chart(today: date) -> Chart:
    rows = Keystore.objects.in_force().filter(user__is_active=True, not_after__date__gte=today)
    return months_chart("certificates", _("Certificats eHealth qui prennent fin"), rows, "not_after", today)


def licences_chart(today: date) -> Chart:
    rows = Licence.objects.filter(user__is_active=True, ends_on__gte=today)
    return months_chart("licences", _("Licences qui prennent fin"), rows, "ends_on", today)


def mailbox_facts(now: datetime) -> dict[str, Any]:
    """How the polling does: boxes on, read in the last two intervals, failing by code, the oldest reading."""
    on = Mailbox.objects.filter(auto=True, user__is_active=True)
    fresh = now - 2 * settings.MAILBOX_INTERVAL
    facts = on.aggregate(
        count=Count("pk"),
        fresh=Count("pk", filter=Q(polled_at__gte=fresh)),
        failing=Count("pk", filter=Q(failures__gt=0)),
        standby=Count("pk", filter=Q(standby__gt=0)),
        oldest=Min("polled_at", filter=Q(failures=0)),
    )
    codes = on.filter(failures__gt=0).values("result_code").annotate(count=Count("pk"))
    return facts | {"codes": list(codes.order_by("-count", "result_code")[:5])}


def note_ready(*, now: datetime) -> int:
    """Write down when a person was first ready, which nothing else remembers; how many were new."""
    fresh = with_items(active().filter(ready_at=None, created_at__lt=now)).filter(ready=True)
    keys = list(fresh.values_list("pk", flat=True))
    return User.objects.get_queryset().filter(pk__in=keys, ready_at=None).update(ready_at=now)
