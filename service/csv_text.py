"""Rows as CSV, streamed a page at a time. A text that a spreadsheet would run as a formula is quoted."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, stream_with_context

MEDIA_TYPE = "text/csv"
PAGE = 5000

Columns = dict[str, list[Any]]
Page = Callable[[int, str | None], tuple[Columns, str | None]]


def streamed(page: Page, *, filename: str) -> Response:
    """All pages as one download. `page` takes (limit, cursor).

    The first page is read before the answer begins, so that its errors are answers.
    """
    first = page(PAGE, None)
    return Response(
        stream_with_context(_text(page, first)),
        mimetype=MEDIA_TYPE,
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )


def _text(page: Page, first: tuple[Columns, str | None]) -> Iterator[str]:
    columns, following = first
    yield _lines([columns])
    yield _lines(zip(*columns.values(), strict=True))
    while following:
        columns, following = page(PAGE, following)
        yield _lines(zip(*columns.values(), strict=True))


def _lines(rows: Any) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerows([map(_cell, row) for row in rows])
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    """A number as it is, null as nothing, and text so that no spreadsheet takes it for a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
