"""A line of the log is one line of JSON, and shows no number of a person (SR-87, SR-88)."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from medisetup.logs import JsonFormatter


def line(message: str, *values: object, failed: bool = False) -> str:
    error = sys.exc_info() if failed else None
    return JsonFormatter().format(logging.LogRecord("x", logging.INFO, "", 1, message, values, error))


def test_text_from_outside_begins_no_line_and_moves_no_cursor() -> None:
    odd = "a\nb\r\n\x1b[2J\u202e\u2028\x00"
    written = line("login %s", odd)
    assert written.isascii() and written.isprintable() and json.loads(written)["message"] == f"login {odd}"


@pytest.mark.parametrize(
    "number",
    [
        "75031498594", "75.03.14-985.94", "75 03 14 985 94", "10002345003", "1-00023-45-003",
        "BE67001000001187", "BE67 0010 0000 1187", "BE67-0010-0000-1187",
    ],
)  # fmt: skip
def test_numbers_of_people_are_dots(number: str) -> None:
    assert json.loads(line("of %s, told", number))["message"] == "of •••, told"


def test_those_of_an_error_are_too() -> None:
    try:
        raise ValueError("no such number: 75.03.14-985.94")
    except ValueError:
        written = json.loads(line("failed", failed=True))["message"]
    assert "ValueError: no such number: •••" in written and "985" not in written
