"""Files of people: right ones, and every way to get one wrong."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

from openpyxl import Workbook

from tests.practitioners.factories import nihii, ssin

HEADING = (
    "Nom", "Prénom", "Login", "E-mail", "Langue", "Rôle", "Profession", "Numéro National", "Numéro INAMI",
    "GSM",
)  # fmt: skip
PLACES = {
    "last_name": 0, "first_name": 1, "login": 2, "email": 3, "language": 4, "roles": 5, "profession": 6,
    "ssin": 7, "nihii": 8, "mobile": 9,
}  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def person(number: int, **values: Any) -> list[Any]:
    """A right line; `values` by column."""
    name = f"Martin{LETTERS[number // 26 % 26]}{LETTERS[number % 26]}"
    row: list[Any] = [
        name, "Anne", f"{name.lower()}@import.example", f"{name.lower()}@import.example", "fr", "physician",
        "persphysician", ssin(5000 + number), nihii(50_000 + number), f"0470 12 34 {number % 100:02}",
    ]  # fmt: skip
    for column, value in values.items():
        row[PLACES[column]] = value
    return row


def people(count: int) -> list[list[Any]]:
    return [list(HEADING), *(person(number) for number in range(count))]


def as_csv(rows: Sequence[Sequence[Any]], delimiter: str = ";", encoding: str = "utf-8") -> bytes:
    lines = [delimiter.join(quoted(str(value), delimiter) for value in row) for row in rows]
    return ("\r\n".join(lines) + "\r\n").encode(encoding)


def quoted(text: str, delimiter: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"' if any(sign in text for sign in (delimiter, '"', "\n")) else text


def as_xlsx(rows: Sequence[Sequence[Any]], *more: Sequence[Sequence[Any]]) -> bytes:
    book = Workbook()
    for number, content in enumerate((rows, *more)):
        sheet = book.active if not number else book.create_sheet()
        for row in content:
            sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def with_part(xlsx: bytes, name: str, content: bytes, *, replace: bool = False) -> bytes:
    """The archive with a part more, or with that part's content changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(xlsx)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            if not (replace and part.filename == name):
                new.writestr(part.filename, old.read(part))
        new.writestr(name, content)
    return out.getvalue()


def sheet_xml(body: str, before: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?>{before}<worksheet '
        f'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{body}</sheetData>'
        "</worksheet>"
    ).encode()
