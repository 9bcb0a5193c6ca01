"""Tables to take away, as CSV (RFC 4180, UTF-8) or XLSX. No cell can act as a formula (security SR-50)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from io import BytesIO, StringIO

from django.http import HttpResponse

from accounts import throttle
from accounts.signed_request import SignedRequest

FORMATS = ("csv", "xlsx")
# What a spreadsheet takes for the beginning of a formula, in full width too.
ACTING = tuple("=+-@\t\r＝＋－＠")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")

# Files that somebody may take away in an hour (security SR-120).
MOST, MOST_SECONDS = 10, 3600


def refusal(request: SignedRequest) -> HttpResponse | None:
    """The page of the limit, when the person has taken away enough files; None lets one more go."""
    if throttle.allow("export", request.user.pk, MOST, MOST_SECONDS, by=request.user):
        return None
    return throttle.too_many(request, seconds=MOST_SECONDS)


def neutral(cell: str) -> str:
    """The cell as plain text: an apostrophe goes before what would be read as a formula."""
    plain = CONTROL.sub("�", cell)
    return f"'{plain}" if plain.startswith(ACTING) else plain


def sheet(name: str, kind: str, rows: Iterable[list[str]]) -> HttpResponse:
    """The rows as a download called `name`; `kind` is one of `FORMATS`."""
    cells = [[neutral(cell) for cell in row] for row in rows]
    content, media = (_csv(cells), "text/csv; charset=utf-8") if kind == "csv" else (_xlsx(cells), XLSX)
    disposition = f'attachment; filename="{name}.{kind}"'
    return HttpResponse(content, content_type=media, headers={"Content-Disposition": disposition})


XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def _csv(rows: list[list[str]]) -> bytes:
    text = StringIO()
    csv.writer(text).writerows(rows)
    # The mark tells spreadsheets that accents are UTF-8.
    return text.getvalue().encode("utf-8-sig")


def _xlsx(rows: list[list[str]]) -> bytes:
    from openpyxl import Workbook  # only whoever saves a file pays for it

    book = Workbook(write_only=True)
    page = book.create_sheet()
    for row in rows:
        page.append(row)
    content = BytesIO()
    book.save(content)
    return content.getvalue()
