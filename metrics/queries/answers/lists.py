"""Single requests and errors, newest first, page by page.

A cursor names the row where a page begins or ends, so that pages cover every row once, also while new ones arrive.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q

from metrics.models import ErrorMetrics
from metrics.queries.exceptions import BadQuery
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.raw_rows import ERRORS, REQUESTS, Key, RawTable, Row, error_condition, request_condition
from metrics.queries.time.window import Window, iso

PAGE = 50
MAX_PAGE = 500
MAX_CURSOR = 200
MAX_ID = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Page:
    """Some rows, and the cursors of the older (`next`) and the newer ones (`previous`), None where there are none."""

    results: list[Row]
    next: str | None
    previous: str | None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"next": self.next, "previous": self.previous, "results": self.results}


def requests(filters: Filters, *, window: Window | None = None, cursor: str | None = None, limit: int = PAGE) -> Page:
    """A page of single requests, over all that is kept when no window is given. Raises BadQuery and QueryTooSlow.

    A filter on a label is answered by an index. Any other (`status_code`, `min_response_time_ms`, …) reads rows until
    the page is full, within the time budget; a window narrows how many.
    """
    return _page(REQUESTS, filters, window, request_condition(filters), cursor, limit)


def errors(filters: Filters, *, window: Window | None = None, cursor: str | None = None, limit: int = PAGE) -> Page:
    """A page of single errors, warnings among them. Raises BadQuery and QueryTooSlow."""
    return _page(ERRORS, filters, window, error_condition(filters), cursor, limit)


def request(number: int) -> Row | None:
    """All that is kept of the request in row `number`, its error as `error`; None when there is no such row."""
    if not 0 < number <= MAX_ID:
        return None
    found = REQUESTS.read([REQUESTS.model.objects.filter(id=number)], 1)
    if not found:
        return None
    row = found[0][1]
    error = (
        ErrorMetrics.objects.filter(request_id=row["request_id"])
        .values("id", "timestamp", "error_type", "error_message", "severity", "stack_trace", "group_id")
        .first()
    )
    return row | {"error": error and {**error, "timestamp": iso(error["timestamp"])}}


def _page(
    table: RawTable, filters: Filters, window: Window | None, condition: Q, cursor: str | None, limit: int
) -> Page:
    limit = max(1, min(limit, MAX_PAGE))
    back, place = _decode(cursor) if cursor else (False, None)
    with query_budget():
        querysets = table.querysets(filters, condition)
        found = table.read(querysets, limit + 1, window, place, descending=not back)
    more = len(found) > limit
    found = found[:limit]
    if back:
        found.reverse()
    # What lies behind the cursor is there: it was on the page that the cursor came from.
    older, newer = (place is not None, more) if back else (more, place is not None)
    if not found:
        return Page([], None, None)
    return Page(
        [row for _, row in found],
        _encode(False, found[-1][0]) if older else None,
        _encode(True, found[0][0]) if newer else None,
    )


def _encode(back: bool, place: Key) -> str:
    microseconds = (place.timestamp - _EPOCH) // timedelta(microseconds=1)
    text = json.dumps([int(back), microseconds, place.id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[bool, Key]:
    try:
        if len(cursor) > MAX_CURSOR:
            raise ValueError
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        back, microseconds, number = found
        if not all(type(one) is int for one in found) or back not in (0, 1) or not 0 <= number <= MAX_ID:
            raise ValueError
        return bool(back), Key(_EPOCH + timedelta(microseconds=microseconds), number)
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        raise BadQuery("cursor", "is not one that a page gave; take it from `next` or `previous`.") from None
