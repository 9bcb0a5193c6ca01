"""Tables out of CSV and XLSX files, and templates to fill in. Knows nothing of people.

A file is judged before it is read: size, kind, what an archive would unpack to. Everything that cannot be
read raises `Unreadable` with one machine code.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar

from openpyxl import Workbook, load_workbook

LARGEST_FILE = 2 * 1024 * 1024
# What an XLSX of 500 people unpacks to is below one.
LARGEST_UNPACKED = 8 * 1024 * 1024
MOST_PARTS = 200
MOST_ROWS = 500
MOST_COLUMNS = 40
# Blank lines between and below the people, that spreadsheets leave.
MOST_LINES = 5000
DELIMITERS = ";,\t"
FORMULA_SIGNS = ("=", "@", "\uff1d", "\uff20")
XLSX_SIGN, OLD_EXCEL_SIGN = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
TEXT_FORMAT = "@"


class Unreadable(ValueError):
    """The file is no table that can be taken. Codes: empty, too_large, old_excel, encoding, quotes, broken,
    macros, unpacked, sheets, too_many_rows, too_many_columns.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell holds as text; `kind` is text, number, date, formula or error."""

    text: str = ""
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Line:
    """A line with something in it; `number` as a spreadsheet counts, from 1."""

    number: int
    cells: Sequence[Cell]


def read(data: bytes) -> list[Line]:
    """The lines of a CSV or XLSX file that are not blank, the heading first. Raises `Unreadable`."""
    _judge_size(data)
    lines: list[Line] = []
    for number, cells in enumerate(_xlsx(data) if data.startswith(XLSX_SIGN) else _csv(data), start=1):
        if number > MOST_LINES:
            raise Unreadable("too_many_rows")
        if any(cell.text for cell in cells):
            lines.append(Line(number, _without_tail(cells)))
        if len(lines) > MOST_ROWS + 1:
            raise Unreadable("too_many_rows")
    if not lines:
        raise Unreadable("empty")
    if any(len(line.cells) > MOST_COLUMNS for line in lines):
        raise Unreadable("too_many_columns")
    return lines


def _judge_size(data: bytes) -> None:
    if not data.strip():
        raise Unreadable("empty")
    if len(data) > LARGEST_FILE:
        raise Unreadable("too_large")
    if data.startswith(OLD_EXCEL_SIGN):
        raise Unreadable("old_excel")


def _without_tail(cells: Sequence[Cell]) -> Sequence[Cell]:
    last = max(place for place, cell in enumerate(cells) if cell.text)
    return cells[: last + 1]


# --- CSV -------------------------------------------------------------------------------------
def _csv(data: bytes) -> Iterator[Sequence[Cell]]:
    text = _decoded(data)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        for row in reader:
            yield [_text_cell(value.strip()) for value in row]
    except csv.Error as error:
        raise Unreadable("quotes") from error


def _decoded(data: bytes) -> str:
    """UTF-8 with or without a mark, else the code page of Western Windows; never anything with a NUL."""
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise Unreadable("encoding")


def _delimiter(text: str) -> str:
    """The sign that the heading has most of."""
    heading = next((line for line in text.splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", heading)
    return max(DELIMITERS, key=bare.count)


def _text_cell(text: str) -> Cell:
    return Cell(text, "formula" if text.startswith(FORMULA_SIGNS) else "text")


# --- XLSX ------------------------------------------------------------------------------------
def _xlsx(data: bytes) -> Iterator[Sequence[Cell]]:
    _judge_archive(data)
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
        yield from _sheet(book)
    except Unreadable:
        raise
    except Exception as error:  # the library names no errors of its own for a broken file
        raise Unreadable("broken") from error


def _judge_archive(data: bytes) -> None:
    """Bound what it unpacks to; no macros, no document types (a spreadsheet has none)."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > LARGEST_UNPACKED:
                raise Unreadable("unpacked")
            if any("vbaproject" in part.filename.lower() for part in parts):
                raise Unreadable("macros")
            if any(_declares_types(part.filename, archive.read(part)) for part in parts):
                raise Unreadable("broken")
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise Unreadable("broken") from error


def _declares_types(name: str, content: bytes) -> bool:
    """Entities that grow, or read other files, begin with a document type; UTF-16 is looked through too."""
    text = content.replace(b"\0", b"").upper()
    return name.lower().endswith((".xml", ".rels")) and (b"<!DOCTYPE" in text or b"<!ENTITY" in text)


def _sheet(book: Any) -> Iterator[Sequence[Cell]]:
    """The rows of the one sheet that has any."""
    filled = [sheet for sheet in book.worksheets if _has_content(sheet)]
    if len(filled) != 1:
        raise Unreadable("sheets" if filled else "empty")
    for row in _rows(filled[0], MOST_LINES + 1):
        yield [_cell(cell) for cell in row]


def _has_content(sheet: Any) -> bool:
    return any(cell.value not in (None, "") for row in _rows(sheet, MOST_LINES) for cell in row)


def _rows(sheet: Any, most: int) -> Iterator[Any]:
    """The size that a sheet says of itself may be wrong."""
    sheet.reset_dimensions()
    rows: Iterator[Any] = sheet.iter_rows(max_row=most, max_col=MOST_COLUMNS + 1)
    return rows


def _cell(cell: Any) -> Cell:
    value, kind = cell.value, cell.data_type
    if value is None:
        return Cell()
    if kind in ("f", "e"):
        return Cell(str(value), "formula" if kind == "f" else "error")
    if isinstance(value, bool):
        return Cell(str(value))
    if isinstance(value, (int, float)):
        return Cell(_number(value), "number")
    if isinstance(value, (date, datetime, time, timedelta)):
        return Cell(str(value), "date")
    return _text_cell(str(value).strip())


def _number(value: float) -> str:
    """Whole numbers as digits: a national number in a cell of numbers is one."""
    return str(int(value)) if isinstance(value, int) or value.is_integer() else repr(value)


# --- templates -------------------------------------------------------------------------------
def template_csv(headings: Iterable[str]) -> bytes:
    """As Belgian spreadsheets expect it: semicolons, and the mark that makes them read UTF-8."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=";").writerow(headings)
    return out.getvalue().encode("utf-8-sig")


class Template:
    """An XLSX with its heading; columns of numbers are text, so that no digit is lost."""

    WIDTH: ClassVar[int] = 24

    def __init__(self, headings: Sequence[str]) -> None:
        self.headings = headings

    def content(self) -> bytes:
        book = Workbook()
        sheet = book.active
        sheet.append(list(self.headings))
        for column in sheet.iter_cols(min_row=1, max_row=1):
            dimension = sheet.column_dimensions[column[0].column_letter]
            dimension.width, dimension.number_format = self.WIDTH, TEXT_FORMAT
        out = io.BytesIO()
        book.save(out)
        return out.getvalue()
