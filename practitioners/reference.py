"""Professions, specialities, competence codes and postcodes, read once from `data/*.csv`.

Names come in four languages from the official code lists; `label` follows the active language.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.utils.translation import get_language

DATA = Path(__file__).parent / "data"
PHYSICIAN = "persphysician"
HOUSE = "orgprimaryhealthcarecenter"
GENERAL_PRACTICE = "general_practice"
# Users without a practice of their own: no NISS, workplace or hub is asked (R07–R10).
NOT_CAREGIVERS = ("persadministrative",)


@dataclass(frozen=True)
class Named:
    """A key with its names by language code."""

    key: str
    names: dict[str, str]

    @property
    def label(self) -> str:
        return self.names.get((get_language() or "fr")[:2], self.names["fr"])


@dataclass(frozen=True)
class Profession(Named):
    """`nihii_digits`: first digits an INAMI number of this profession may have; empty: none given."""

    nihii_digits: tuple[str, ...] = ()
    nihii_required: bool = False
    paid_licence: bool = False


@dataclass(frozen=True)
class PostcodeRange:
    first: int
    last: int
    province: str
    language: str
    hub: str


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _names(row: dict[str, str]) -> dict[str, str]:
    return {code: row[code] for code in ("fr", "nl", "de", "en")}


@cache
def professions() -> dict[str, Profession]:
    return {
        row["key"]: Profession(
            row["key"],
            _names(row),
            tuple(row["nihii_digits"].split()),
            row["nihii_required"] == "1",
            row["paid_licence"] == "1",
        )
        for row in _rows("professions.csv")
    }


@cache
def specialities() -> dict[str, Named]:
    return {row["key"]: Named(row["key"], _names(row)) for row in _rows("specialities.csv")}


@cache
def countries() -> dict[str, Named]:
    return {row["key"]: Named(row["key"], _names(row)) for row in _rows("countries.csv")}


@cache
def _competences() -> dict[str, tuple[str, str]]:
    return {row["code"]: (row["category"], row["discipline"]) for row in _rows("competence_codes.csv")}


@cache
def _postcode_ranges() -> tuple[PostcodeRange, ...]:
    return tuple(
        PostcodeRange(int(row["first"]), int(row["last"]), row["province"], row["language"], row["hub"])
        for row in _rows("postcodes.csv")
    )


def competence_known(code: str) -> bool:
    """False for a code that the table (a copy of 2020–22) does not list: a warning, never a refusal."""
    return code in _competences()


def speciality_of(code: str) -> str:
    """Key of the speciality that a competence code stands for, or ''. A double title gives its first."""
    discipline = _competences().get(code, ("", ""))[1]
    matching = [item for item in specialities().values() if discipline.startswith(item.names["fr"])]
    return max(matching, key=lambda item: len(item.names["fr"])).key if matching else ""


def region_of(postcode: str) -> PostcodeRange | None:
    """Province, language and hub of a Belgian postcode; None when it is not in the table."""
    number = int(postcode) if postcode.isascii() and postcode.isdigit() else 0
    return next((item for item in _postcode_ranges() if item.first <= number <= item.last), None)


def _choices(source: Callable[[], Mapping[str, Named]]) -> list[tuple[str, str]]:
    return [(key, item.label) for key, item in source().items()]


def profession_choices() -> list[tuple[str, str]]:
    return _choices(professions)


def speciality_choices() -> list[tuple[str, str]]:
    return sorted(_choices(specialities), key=lambda item: item[1].casefold())


def country_choices() -> list[tuple[str, str]]:
    return _choices(countries)
