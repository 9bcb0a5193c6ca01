"""Cases timed side by side: short cells in rotating rounds, each compared with the floor of its own round."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

FRAMES = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")


class Wrong(Exception):
    """A case does not do what it is timed for."""


def same(found: object, expected: object) -> None:
    """Raise `Wrong` when two ways to one result do not agree."""
    if found != expected:
        raise Wrong(f"{found!r:.80} instead of {expected!r:.80}")


@dataclass(frozen=True)
class Case:
    """One thing to time. `prove` looks at what `run` returned and raises `Wrong`."""

    name: str
    run: Callable[[], Any]
    prove: Callable[[Any], None]


@dataclass(frozen=True)
class Group:
    """Cases that share a floor: the least that work of this kind costs on this machine."""

    name: str
    floor: Case
    cases: Sequence[Case]


@dataclass(frozen=True)
class Cell:
    """One case in one round: seconds per run, of the clock and of this process."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Measured:
    """One case of one size. `cells` and `floor` hold the same rounds; `runs` is how often a cell repeats."""

    group: str
    name: str
    size: int | None
    runs: int
    queries: int
    cells: Sequence[Cell]
    floor: Sequence[Cell]

    @property
    def seconds(self) -> float:
        return statistics.median(cell.wall for cell in self.cells)

    @property
    def cpu_seconds(self) -> float:
        return statistics.median(cell.cpu for cell in self.cells)

    @property
    def spread(self) -> float:
        """Distance of the quartiles, in percent of the median; 0 for less than three rounds."""
        if len(self.cells) < 3:
            return 0.0
        low, _middle, high = statistics.quantiles((cell.wall for cell in self.cells), n=4)
        return 100 * (high - low) / self.seconds

    @property
    def ratio(self) -> float:
        return self.over(self.floor)

    @property
    def cpu_ratio(self) -> float:
        pairs = zip(self.cells, self.floor, strict=True)
        return statistics.median(own.cpu / floor.cpu for own, floor in pairs)

    def over(self, floor: Sequence[Cell], less: Sequence[Cell] = ()) -> float:
        """The median of the rounds' own ratios; what `less` took in the same round is left out."""
        other = [cell.wall for cell in less] or [0.0] * len(self.cells)
        rounds = zip(self.cells, floor, other, strict=True)
        return statistics.median((own.wall - left) / base.wall for own, base, left in rounds)


def prove(group: Group) -> None:
    """`Wrong`, naming the case, unless every result is right."""
    for case in (group.floor, *group.cases):
        try:
            case.prove(case.run())
        except Wrong as error:
            raise Wrong(f"{group.name}: {case.name}: {error}") from error


def measure(group: Group, *, size: int | None, rounds: int, cell: float) -> list[Measured]:
    """The floor and the cases of a proved group; a cell takes about `cell` seconds."""
    cases = (group.floor, *group.cases)
    # Each cell begins without the garbage of the one before; to look for it in all that is loaded would take
    # longer than most cells.
    gc.collect()
    gc.freeze()
    runs = [_runs(case, cell) for case in cases]
    queries = [_queries(case) for case in cases]
    cells: list[list[Cell]] = [[] for _case in cases]
    for number in range(rounds):
        for position in range(len(cases)):
            turn = (position + number) % len(cases)
            cells[turn].append(_timed(cases[turn], runs[turn]))
    return [
        Measured(group.name, case.name, size, runs[turn], queries[turn], cells[turn], cells[0])
        for turn, case in enumerate(cases)
    ]


def growth(smaller: Measured, larger: Measured) -> float | None:
    """By which power of the size the time grows; None for what has no size."""
    if not smaller.size or not larger.size or smaller.size == larger.size:
        return None
    return math.log(larger.seconds / smaller.seconds) / math.log(larger.size / smaller.size)


def _runs(case: Case, cell: float) -> int:
    """How often a case fits into a cell, after it has warmed up."""
    seconds = min(_timed(case, 1).wall for _attempt in range(2))
    return max(1, round(cell / seconds))


def _queries(case: Case) -> int:
    """Statements, without those that begin and end transactions."""
    with CaptureQueriesContext(connection) as queries:
        case.run()
    return sum(not query["sql"].startswith(FRAMES) for query in queries)


def _timed(case: Case, runs: int) -> Cell:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for _run in range(runs):
        case.run()
    return Cell((time.perf_counter() - wall) / runs, (time.process_time() - cpu) / runs)
