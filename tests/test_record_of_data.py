"""`docs/data.md` names each stored field once, and says of it what the code does (security SR-140)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.db.models import Model

from medisetup import sealed
from medisetup.support.facts import MASKS

TEXT = (Path(__file__).parents[1] / "docs/data.md").read_text()
COLUMNS = ("field", "purpose", "basis", "readers", "kept", "class")
BASES = {"contract", "duty", "security", "care"}
CLASSES = {"plain", "masked", "hashed", "sealed", "health"}
ROW_NAMES = {"id", "uuid"}
Record = dict[str, list[dict[str, str]]]


def record() -> Record:
    """The lines of the tables, by model."""
    parts = re.split(r"^### (\S+)$", TEXT.partition("## About nobody")[0], flags=re.M)[1:]
    return {name: lines(text) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def lines(text: str) -> list[dict[str, str]]:
    rows = re.findall(r"^\| (`.*) \|$", text, flags=re.M)
    return [dict(zip(COLUMNS, row.split(" | "), strict=True)) for row in rows]


def named(line: dict[str, str]) -> list[str]:
    return re.findall(r"`(\w+)`", line["field"])


def of_nobody() -> set[str]:
    return set(re.findall(r"`(\w+\.\w+)`", TEXT.partition("## About nobody")[2]))


def models() -> dict[str, type[Model]]:
    return {model._meta.label: model for model in apps.get_models(include_auto_created=True)}


def test_every_table_is_about_people_or_about_nobody() -> None:
    assert set(record()) & of_nobody() == set()
    assert set(record()) | of_nobody() == set(models())


@pytest.mark.parametrize("model", record())
def test_every_field_is_named_once(model: str) -> None:
    stored = {field.name for field in models()[model]._meta.concrete_fields} - ROW_NAMES
    told = [name for line in record()[model] for name in named(line)]
    assert sorted(told) == sorted(stored)


@pytest.mark.parametrize("model", record())
def test_every_line_says_all(model: str) -> None:
    for line in record()[model]:
        assert all(line.values()) and line["basis"] in BASES and line["class"] in CLASSES, line


def test_what_is_sealed_or_masked_is_what_the_code_seals_and_masks() -> None:
    """A column is sealed when a change of the sealing key goes through it; a mask goes by the name."""
    told = {
        (model, name): line["class"]
        for model, found in record().items()
        for line in found
        for name in named(line)
    }
    assert {place for place, kind in told.items() if kind == "sealed"} == {
        (column.model._meta.label, column.column) for column in sealed.COLUMNS
    }
    assert {place for place, kind in told.items() if kind != "masked" and place[1] in MASKS} == set()
