"""What is said of a run: tables, the named ratios beside their budgets, and all of it as JSON."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from medisetup.bench.measuring import Measured, growth

SCHEMA = 1
PACKAGES = ("django", "psycopg", "cryptography", "lxml", "zeep")
NOISY = 40.0
# Milliseconds are promised for every general practitioner of the country, not for less.
FULL_SIZE = 10_000
HEAD = f"{'case':<32}{'median':>11}{'per s':>9}{'CPU':>11}{'IQR':>6}{'queries':>9}{'× floor':>9}{'growth':>8}"
TIMES, MILLISECONDS, EXPONENT = "× floor", "ms", "exponent"


@dataclass(frozen=True)
class Budget:
    """What a case may cost at the largest size; `less`: the case whose part is left out."""

    name: str
    case: str
    most: float
    unit: str = TIMES
    less: str = ""


BUDGETS = {
    "sign": [
        Budget("sign.request", "request", 1.6),
        Budget("sign.unsealed", "unsealed", 1.1, less="request"),
    ],
    "claim": [
        Budget("claim.queries", "claim", 1, "queries"),
        Budget("claim.growth", "claim", 0.2, EXPONENT),
    ],
    "readiness": [
        Budget("readiness.totals", "totals", 150, MILLISECONDS),
        Budget("readiness.growth", "totals", 1.2, EXPONENT),
    ],
}
PAGE_MOST = 5.0
# Boards, which count over people.
BOARDS = {"people": 150.0, "platform": 150.0, "platform_practice": 150.0}


@dataclass(frozen=True)
class Ratio:
    """A budget and what was measured; `verdict`: ok, over, noisy, or unjudged at a smaller size."""

    name: str
    value: float
    budget: float
    unit: str
    verdict: str


def ratios(found: Sequence[Measured]) -> list[Ratio]:
    """The named ratios of everything measured, at the largest size of each case."""
    named = []
    for group in dict.fromkeys(one.group for one in found):
        largest = {one.name: one for one in found if one.group == group}
        for budget in _budgets(group, largest.values()):
            own = largest[budget.case]
            value = _value(budget, own, largest, found)
            if value is not None:
                named.append(
                    Ratio(budget.name, value, budget.most, budget.unit, _verdict(budget, own, value))
                )
    return named


def _budgets(group: str, cases: Iterable[Measured]) -> Sequence[Budget]:
    if group != "pages":
        return BUDGETS[group]
    return [
        Budget(f"pages.{one.name}", one.name, BOARDS[one.name], MILLISECONDS)
        if one.name in BOARDS
        else Budget(f"pages.{one.name}", one.name, PAGE_MOST)
        for one in list(cases)[1:]
    ]


def _value(
    budget: Budget, own: Measured, largest: dict[str, Measured], found: Sequence[Measured]
) -> float | None:
    if budget.unit == MILLISECONDS:
        return own.seconds * 1000
    if budget.unit == EXPONENT:
        return growth_of(own, found)
    if budget.unit == TIMES:
        return own.over(own.floor, largest[budget.less].cells if budget.less else ())
    return own.queries


def _verdict(budget: Budget, own: Measured, value: float) -> str:
    if budget.unit == MILLISECONDS and (own.size or 0) < FULL_SIZE:
        return "unjudged"
    if budget.unit != "queries" and own.spread > NOISY:
        return "noisy"
    return "ok" if value <= budget.most else "over"


def growth_of(own: Measured, found: Sequence[Measured]) -> float | None:
    """From the next smaller size to this one."""
    smaller = [
        one
        for one in found
        if (one.group, one.name) == (own.group, own.name) and (one.size or 0) < (own.size or 0)
    ]
    return growth(smaller[-1], own) if smaller else None


def table(rows: Sequence[Measured], found: Sequence[Measured]) -> str:
    """One group at one size; the first row is the floor."""
    size = f", {rows[0].size} people" if rows[0].size else ""
    lines = [_line(row, growth_of(row, found)) for row in rows]
    return "\n".join([f"\n{rows[0].group}{size}", HEAD, *lines])


def _line(row: Measured, grown: float | None) -> str:
    exponent = "" if grown is None else f"{grown:.2f}"
    return (
        f"{row.name:<32}{row.seconds * 1000:>8.2f} ms{1 / row.seconds:>9.0f}{row.cpu_seconds * 1000:>8.2f} ms"
        f"{row.spread:>5.0f}%{row.queries:>9}{row.ratio:>9.2f}{exponent:>8}"
    )


def verdicts(named: Sequence[Ratio]) -> str:
    """The named ratios beside their budgets."""
    lines = [
        f"{one.name:<40}{one.value:>9.2f} {one.unit:<9}≤ {one.budget:<6g} {one.verdict}" for one in named
    ]
    return "\n".join(["\nbudgets", *lines])


def as_json(
    found: Sequence[Measured], settings: dict[str, Any], database: str, now: datetime
) -> dict[str, Any]:
    """Everything, in the shape that `SCHEMA` numbers."""
    groups: dict[str, Any] = {}
    for one in found:
        group = groups.setdefault(one.group, {"floor": one.name, "cases": {}})
        name = f"{one.name}@{one.size}" if one.size else one.name
        group["cases"][name] = _case(one, growth_of(one, found))
    return {
        "schema": SCHEMA,
        "when": now.isoformat(),
        "commit": _commit(),
        "machine": {
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        "versions": {name: version(name) for name in PACKAGES},
        "database": database,
        "settings": settings,
        "groups": groups,
        "ratios": {
            one.name: {"value": one.value, "budget": one.budget, "unit": one.unit, "verdict": one.verdict}
            for one in ratios(found)
        },
    }


def _case(one: Measured, grown: float | None) -> dict[str, Any]:
    return {
        "s": one.seconds,
        "cpu_s": one.cpu_seconds,
        "iqr_pct": one.spread,
        "ratio": one.ratio,
        "cpu_ratio": one.cpu_ratio,
        "n": one.runs,
        "rounds": len(one.cells),
        "queries": one.queries,
        "size": one.size,
        "growth": grown,
    }


def _commit() -> str:
    """The commit of this checkout; empty where there is none."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()
