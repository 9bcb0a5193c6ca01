"""The benchmark: a database of its own, proved before timed, JSON in its shape; no time is judged."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.urls import NoReverseMatch, reverse
from pytest_django.fixtures import Settings

from medisetup.bench import measuring, report, signing
from medisetup.bench.measuring import Case, Cell, Group, Measured, Wrong, same

ROOT = Path(__file__).parents[2]
CASE = {"s", "cpu_s", "iqr_pct", "ratio", "cpu_ratio", "n", "rounds", "queries", "size", "growth"}


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As somebody runs it; the tests' settings, with static files under their plain names."""
    command = [sys.executable, "manage.py", "bench", *arguments]
    environment = os.environ | {"DEBUG": "true"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def databases() -> set[str]:
    with psycopg.connect(os.environ["DATABASE_URL"]) as known:
        return {name for (name,) in known.execute("SELECT datname FROM pg_database").fetchall()}


def tables() -> int:
    """Of the configured database, which no test migrates."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as configured:
        found = configured.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert found is not None
    return int(found[0])


def test_a_small_run_proves_times_writes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before, file = tables(), tmp_path / "bench.json"
    done = bench("--quick", "--rounds", "1", "--cell", "0.001", "--sizes", "20,40", "--json", str(file))
    assert done.returncode == 0, done.stderr
    assert not {name for name in databases() if name.startswith("bench_")} and tables() == before
    found = json.loads(file.read_text())
    assert (found["schema"], found["settings"]["sizes"]) == (1, [20, 40])
    assert set(found["groups"]) == {"sign", "pages", "readiness", "claim"}
    for group in found["groups"].values():
        for case in group["cases"].values():
            assert set(case) == CASE and case["s"] > 0 and case["rounds"] == 1
    pages = found["groups"]["pages"]["cases"]
    assert pages["people@40"]["queries"] == pages["people@20"]["queries"] > 0
    assert pages["people@40"]["growth"] is not None and pages["people@20"]["growth"] is None
    assert found["groups"]["claim"]["cases"]["claim@40"]["queries"] == 1
    assert {"pages.people", "readiness.totals", "claim.growth", "sign.unsealed"} <= set(found["ratios"])
    assert {one["verdict"] for one in found["ratios"].values()} <= {"ok", "over", "noisy", "unjudged"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sizes", "5"], "from 20"),
        (["--sizes", "many"], "numbers of people"),
        (["--rounds", "0"], "at least 1"),
        (["--cell", "nan"], "more than 0"),
        (["--json", "/nowhere/bench.json"], "no folder /nowhere"),
        (["weather"], "no group weather"),
    ],
)
def test_odd_arguments_are_refused_before_anything_is_made(arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("bench", *arguments)


def test_it_runs_only_where_the_platform_is_the_simulator(settings: Settings) -> None:
    settings.EHEALTH_ENVIRONMENT = "production"
    with pytest.raises(CommandError, match="simulator"):
        call_command("bench")


def test_what_is_wrong_is_named_and_not_timed() -> None:
    runs = itertools.count()
    group = Group(
        "sums", Case("floor", lambda: 2, lambda found: same(found, 2)),
        [Case("sum", lambda: next(runs), lambda found: same(found, 7))],
    )  # fmt: skip
    with pytest.raises(Wrong, match="sums: sum: 0 instead of 7"):
        measuring.prove(group)
    assert next(runs) == 1


def test_the_judge_of_signatures_refuses_a_changed_message() -> None:
    group = signing.signing()
    measuring.prove(group)
    request = group.cases[0]
    octets = request.run()
    with pytest.raises(Wrong, match="does not verify"):
        request.prove(octets.replace(b">INBOX<", b">SENTBOX<"))


def measured(name: str, size: int, seconds: list[float], floor: float = 1.0) -> Measured:
    cells = [Cell(value, value) for value in seconds]
    return Measured("readiness", name, size, 1, 3, cells, [Cell(floor, floor)] * len(seconds))


def test_ratios_are_of_each_round_and_growth_is_a_power_of_the_size() -> None:
    own = Measured("sign", "x", None, 1, 0, [Cell(4, 4), Cell(9, 9)], [Cell(2, 2), Cell(3, 1)])
    assert own.ratio == 2.5 and own.cpu_ratio == 5.5
    assert own.over(own.floor, [Cell(2, 2), Cell(6, 6)]) == 1.0
    assert measuring.growth(measured("t", 100, [1.0]), measured("t", 10_000, [10.0])) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("size", "seconds", "verdict"),
    [
        (10_000, [0.1, 0.1, 0.1], "ok"),
        (10_000, [0.2, 0.2, 0.2], "over"),
        (10_000, [0.1, 0.2, 0.3], "noisy"),
        (1_000, [0.2, 0.2, 0.2], "unjudged"),
    ],
)
def test_a_budget_is_judged_at_its_size_unless_the_machine_is_noisy(
    size: int, seconds: list[float], verdict: str
) -> None:
    named = report.ratios([measured("floor", size, seconds), measured("totals", size, seconds)])
    assert {one.name: one.verdict for one in named}["readiness.totals"] == verdict


def test_the_floor_is_not_a_page_of_the_portal() -> None:
    with pytest.raises(NoReverseMatch):
        reverse("bench_floor")
