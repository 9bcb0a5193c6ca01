"""Reads `docs/security.md`: what each requirement asks, where it is kept, which tests show it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs/security.md"


@dataclass(frozen=True)
class Line:
    number: int
    asks: str
    modules: list[str]
    # File of tests → names in it; none: all of them.
    tests: dict[str, list[str]]
    left: str


def lines() -> list[Line]:
    return [line(row) for row in re.findall(r"^\| (\d+ \| .*) \|$", PAGE.read_text(), flags=re.M)]


def line(row: str) -> Line:
    number, asks, where, tests, left = (cell.strip() for cell in row.split("|"))
    shown = [entry.strip().partition("::") for entry in tests.split(";") if entry.strip()]
    named = {file: [name.strip() for name in names.split(",") if name.strip()] for file, _, names in shown}
    assert len(named) == len(shown), f"SR-{number} names a file twice"
    return Line(int(number), asks, re.findall(r"`([^`]+)`", where), named, left)
