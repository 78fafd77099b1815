"""Single requests and errors, newest first, in pages.

A cursor names the row where a page starts or ends. Pages therefore contain each row once, also while new rows arrive.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from metrics.events.identity import model_key
from metrics.events.settling import UNSTAMPED, FailedRequest, SettledError, settle
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
MAX_OF_ID = 1_000  # errors and failed requests of one id that the look-up of an error reads
ERROR_FIELDS = ("id", "timestamp", "error_type", "error_message", "severity", "stack_trace", "group_id")


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


def requests_around(row: Mapping[str, Any], filters: Filters, *, window: Window, each: int) -> list[Row]:
    """Return the requests just before and just after one, at most `each` of both. Raises QueryTooSlow."""
    key = Key(datetime.fromisoformat(row["timestamp"]), row["id"])
    before, after = (
        requests(filters, window=window, cursor=_encode(newer, key), limit=each) for newer in (False, True)
    )
    return [*after.results, *before.results]


def errors(filters: Filters, *, window: Window | None = None, cursor: str | None = None, limit: int = PAGE) -> Page:
    """Return a page of single errors, including warnings. Raises BadQuery and QueryTooSlow."""
    return _page(ERRORS, filters, window, cursor, limit)


def request(number: int) -> Row | None:
    """Return all fields of the request with this row id, and its error as `error`; None if there is no such row.

    Of several errors it is the one that was sent with the request, or the nearest.
    """
    if not 0 < number <= MAX_ID:
        return None
    rows = REQUESTS.read([REQUESTS.model.objects.filter(id=number)], 1)
    if not rows:
        return None
    key, row = rows[0]
    error = _error_of(key, row)
    if error is not None:
        error = {name: error[name] for name in ERROR_FIELDS} | {"timestamp": iso(error["timestamp"])}
    return row | {"error": error}


def _error_of(key: Key, row: Row) -> Row | None:
    """Return the nearest of the errors that belong to a request, with the columns of its table."""
    request = _failed_request(key, row)
    errors: Any = ErrorMetrics.objects.filter(
        request_id=row["request_id"], timestamp__gte=request.start - UNSTAMPED, timestamp__lte=request.end + UNSTAMPED
    )
    own = errors.filter(timestamp=key.timestamp, sent_with_request=True)
    sent: Row | None = own.filter(model_key=model_key(row["model_name"], row["provider"])).values().first()
    if sent is not None or row["success"]:
        return sent
    listed = list(errors.filter(sent_with_request=False).order_by("timestamp", "id").values()[:MAX_OF_ID])
    if not listed:
        return None
    attempts = REQUESTS.model.objects.filter(
        request_id=row["request_id"], success=False, timestamp__gte=listed[0]["timestamp"] - UNSTAMPED
    )
    requests_of_id = REQUESTS.read([attempts], MAX_OF_ID)
    settled = settle(
        [_failed_request(*attempt) for attempt in requests_of_id],
        [SettledError(error["timestamp"], error["model_key"], error["stamped"]) for error in listed],
    )
    belonging: list[Row] = [
        error
        for error, (position, _) in zip(listed, settled, strict=True)
        if position is not None and requests_of_id[position][0] == key
    ]
    return min(belonging, key=lambda error: abs(error["timestamp"] - request.end), default=None)


def _failed_request(key: Key, row: Row) -> FailedRequest:
    return FailedRequest(key.timestamp, row["response_time_ms"], row["model_name"], row["provider"])


def _page(table: RawTable, filters: Filters, window: Window | None, cursor: str | None, limit: int) -> Page:
    def read(limit: int, after: Key | None, descending: bool) -> list[tuple[Key, Row]]:
        with query_budget():
            return table.read(table.querysets(filters), limit, window, after, descending=descending)

    return read_page(read, cursor, limit)


def read_page(read: Callable[[int, Key | None, bool], list[tuple[Key, Row]]], cursor: str | None, limit: int) -> Page:
    """Return the page at a cursor. Raises BadQuery.

    `read` returns at most that many rows after a key, descending or not, each with its key.
    """
    limit = max(1, min(limit, MAX_PAGE))
    backward, after = _decode(cursor) if cursor else (False, None)
    rows = read(limit + 1, after, not backward)
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
