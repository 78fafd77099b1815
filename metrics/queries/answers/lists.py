"""Single requests and errors, newest first, in pages.

A cursor names the row where a page starts or ends. Pages therefore contain each row once, also while new rows arrive.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from metrics.models import ErrorMetrics
from metrics.queries.exceptions import BadQuery
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.raw_rows import ERRORS, REQUESTS, Key, RawTable, Row
from metrics.queries.time.window import EPOCH, Window, iso

PAGE = 50
MAX_PAGE = 500
MAX_CURSOR_CHARACTERS = 200
MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class Page:
    """Some rows, and the cursors of older rows (`next`) and of newer rows (`previous`); None if there are none."""

    results: list[Row]
    next: str | None
    previous: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the page ready for JSON."""
        return {"next": self.next, "previous": self.previous, "results": self.results}


def requests(filters: Filters, *, window: Window | None = None, cursor: str | None = None, limit: int = PAGE) -> Page:
    """Return a page of single requests, of all times if no window is given. Raises BadQuery and QueryTooSlow.

    A filter by label uses an index. For any other filter (`status_code`, `min_response_time_ms`, …), rows are read
    until the page is full, within the time budget. A window limits how many rows are read.
    """
    return _page(REQUESTS, filters, window, cursor, limit)


def errors(filters: Filters, *, window: Window | None = None, cursor: str | None = None, limit: int = PAGE) -> Page:
    """Return a page of single errors, including warnings. Raises BadQuery and QueryTooSlow."""
    return _page(ERRORS, filters, window, cursor, limit)


def request(number: int) -> Row | None:
    """Return all fields of the request with this row id, and its error as `error`; None if there is no such row."""
    if not 0 < number <= MAX_ID:
        return None
    rows = REQUESTS.read([REQUESTS.model.objects.filter(id=number)], 1)
    if not rows:
        return None
    row = rows[0][1]
    error = (
        ErrorMetrics.objects.filter(request_id=row["request_id"])
        .values("id", "timestamp", "error_type", "error_message", "severity", "stack_trace", "group_id")
        .first()
    )
    return row | {"error": error and {**error, "timestamp": iso(error["timestamp"])}}


def _page(table: RawTable, filters: Filters, window: Window | None, cursor: str | None, limit: int) -> Page:
    limit = max(1, min(limit, MAX_PAGE))
    backward, after = _decode(cursor) if cursor else (False, None)
    with query_budget():
        rows = table.read(table.querysets(filters), limit + 1, window, after, descending=not backward)
    more = len(rows) > limit
    rows = rows[:limit]
    if not rows:
        return Page([], None, None)
    if backward:
        rows.reverse()
    # There are rows on the other side of the cursor: the page that the cursor is from.
    has_older, has_newer = (after is not None, more) if backward else (more, after is not None)
    return Page(
        [row for _, row in rows],
        _encode(False, rows[-1][0]) if has_older else None,
        _encode(True, rows[0][0]) if has_newer else None,
    )


def _encode(backward: bool, key: Key) -> str:
    microseconds = (key.timestamp - EPOCH) // timedelta(microseconds=1)
    text = json.dumps([int(backward), microseconds, key.id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[bool, Key]:
    try:
        if len(cursor) > MAX_CURSOR_CHARACTERS:
            raise ValueError
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        backward, microseconds, row_id = values
        if not all(type(value) is int for value in values) or backward not in (0, 1) or not 0 <= row_id <= MAX_ID:
            raise ValueError
        return bool(backward), Key(EPOCH + timedelta(microseconds=microseconds), row_id)
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        raise BadQuery("cursor", "is not valid. Use a value of `next` or `previous`.") from None
