"""Pictures as SVG, computed on the server: bars that a table beside them repeats in numbers. No styling here:
classes name what a bar stands for, `boards.css` gives the colours of light, dark and print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ROW, THICK, WIDTH = 34, 20, 600
COLUMN, TALL = 68, 160


@dataclass(frozen=True)
class Part:
    """A piece of a bar: its class, where it begins, how long it is, what it stands for."""

    kind: str
    start: float
    length: float
    text: str


@dataclass(frozen=True)
class Bar:
    """One row or column: its name, its total as text, its place, its parts."""

    label: str
    total: str
    place: int
    parts: tuple[Part, ...]

    @property
    def middle(self) -> int:
        """Where the text of a column stands, from its own left edge."""
        return COLUMN // 2


@dataclass(frozen=True)
class Chart:
    """A picture with its table. `shape`: rows or columns; sizes in units of the view box."""

    key: str
    title: str
    shape: str
    bars: tuple[Bar, ...]
    head: tuple[str, ...]
    width: int
    height: int

    @property
    def table(self) -> list[tuple[str, list[str]]]:
        """What the picture says, in numbers: label, then one value per column of `head`."""
        return [(bar.label, [part.text for part in bar.parts]) for bar in self.bars]


def rows(
    key: str, title: str, series: Sequence[tuple[str, Sequence[tuple[str, int]]]], head: Sequence[str]
) -> Chart:
    """Horizontal bars, stacked. `series`: label → [(class, number)…] in the order of `head`."""
    longest = max((sum(number for _kind, number in parts) for _label, parts in series), default=0)
    bars = tuple(
        Bar(label, str(sum(n for _k, n in parts)), ROW * index, _parts(parts, longest, WIDTH))
        for index, (label, parts) in enumerate(series)
    )
    return Chart(key, title, "rows", bars, tuple(head), WIDTH, max(ROW * len(bars), ROW))


def columns(key: str, title: str, series: Sequence[tuple[str, int]], head: str) -> Chart:
    """Vertical bars, one per label; a handful, or the text becomes too small for a phone."""
    longest = max((number for _label, number in series), default=0)
    bars = []
    for index, (label, number) in enumerate(series):
        (part,) = _parts([("brand", number)], longest, TALL)
        lowered = Part(part.kind, TALL - part.length, part.length, part.text)
        bars.append(Bar(label, str(number), COLUMN * index, (lowered,)))
    return Chart(key, title, "columns", tuple(bars), (head,), max(COLUMN * len(bars), COLUMN), TALL + 44)


def _parts(parts: Sequence[tuple[str, int]], longest: int, size: int) -> tuple[Part, ...]:
    start, made = 0.0, []
    for kind, number in parts:
        length = round(number * size / longest, 1) if longest else 0.0
        made.append(Part(kind, round(start, 1), length, str(number)))
        start += length
    return tuple(made)
