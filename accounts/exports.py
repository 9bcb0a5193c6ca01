"""Tables as files: CSV and XLSX whose cells no spreadsheet takes for a formula (security SR-50)."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence

from django.http import HttpResponse

FORMULA = ("=", "+", "-", "@", "\t", "\r")
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMATS = ("csv", "xlsx")


def neutral(text: str) -> str:
    """The text behind a `'` when a spreadsheet would run it, in full-width letters too."""
    first = unicodedata.normalize("NFKC", text[:1])
    return f"'{text}" if first.startswith(FORMULA) else text


def as_file(
    name: str, file_format: str, header: Sequence[str], lines: Iterable[Sequence[str]]
) -> HttpResponse:
    """An answer that saves as `name.csv` (UTF-8 with its mark, RFC 4180) or `name.xlsx`."""
    table = [[neutral(cell) for cell in line] for line in (header, *lines)]
    content, kind = (_csv(table), "text/csv; charset=utf-8") if file_format == "csv" else (_xlsx(table), XLSX)
    response = HttpResponse(content, content_type=kind)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{file_format}"'
    return response


def _csv(table: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(table)
    return out.getvalue().encode("utf-8-sig")


def _xlsx(table: list[list[str]]) -> bytes:
    from openpyxl import Workbook  # only whoever saves a file pays for it

    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for line in table:
        sheet.append([_printable(cell) for cell in line])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _printable(cell: str) -> str:
    """Without the control characters that the format cannot hold."""
    return "".join(c for c in cell if c >= " " or c in "\t\n\r")
