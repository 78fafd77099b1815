"""The Requests page: single requests, newest first, and how to find some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, QueryDict
from django.template.loader import render_to_string

from dashboard.formatting import duration, whole
from dashboard.page_query import read_list_filters
from dashboard.page_spec import FILTERS, RECORDED, PageSpec, Row, newest_tick
from dashboard.reading import Reading
from dashboard.requests import sentence
from dashboard.requests.columns import COLUMNS
from dashboard.requests.rows import BAR, TICKS, listed, scale_of
from metrics import queries
from metrics.queries import Filters, SeriesSpec
from metrics.queries.read.filters import REQUEST_FILTERS

ROWS = 100
OWN = (*REQUEST_FILTERS, "outcome")
OUTCOMES = (("", "All"), ("success", "OK"), ("failed", "Failed"))
# How a filter is named on its chip, before its value.
CHIPS = {
    "status_code": "status =", "request_id": "id =", "finish_reason": "finish reason =", "error_type": "error =",
    "operation": "operation =", "trace_id": "trace =", "min_response_time_ms": "response ≥",
    "above_response_time_ms": "response >", "max_response_time_ms": "response ≤", "min_ttft_ms": "first token ≥",
    "min_total_tokens": "tokens ≥", "has_error": "has an error =", "stream": "streamed =", "search": "text",
    "group": "error group =",
    "outcome": "outcome =",
}  # fmt: skip
LABELS = ("model", "provider", "service", "endpoint")
# A filter of single requests: its parameter, its name on the chip, its value.
Chip = tuple[str, str, str]


def figures(reading: Reading) -> Row:
    """Return the sentence, and the list with its chips."""
    filters = read_list_filters(reading.params, reading.notices)
    summary = reading.requests.summary
    rows = _rows(reading, filters)
    shown = chips(filters, _group_name(reading, filters.group))
    ids = [row["id"] for row in rows.results] if rows else []
    last = None
    if not summary.get("total_requests") and reading.has_events:
        newest = queries.requests(Filters(), limit=1).results
        last = newest[0]["timestamp"][:19] + "Z" if newest else None
    return {
        "summary": summary,
        "sentence": sentence.describe(summary, reading.query.span, last).as_dict(),
        "row_ids": ids,
        "tables": {
            "bar": render_to_string("requests/bar.html", _bar(reading, filters, shown)),
            "list": render_to_string("requests/list.html", _list(reading, filters, rows, shown)),
        },
    }


def _rows(reading: Reading, filters: Filters) -> queries.Page | None:
    cursor = reading.params.get("cursor") or None

    def read(cursor: str | None) -> queries.Page:
        page = queries.requests(filters, window=reading.window, cursor=cursor, limit=ROWS)
        # A cursor of another window or of other filters may have nothing after it.
        return read(None) if cursor and not page.results else page

    try:
        return reading.read("The list", lambda: read(cursor))
    except queries.BadQuery as error:
        reading.note(f"{error.parameter} was ignored: {error.detail}")
        return reading.read("The list", lambda: read(None))


def _group_name(reading: Reading, group: int | None) -> str:
    """Return the type of a group of errors; empty for none, and for one that does not exist."""
    if group is None:
        return ""
    known = reading.read("The group of errors", lambda: queries.error_group(group, reading.window, reading.filters))
    return known["error_type"] if known else ""


def _bar(reading: Reading, filters: Filters, shown: Sequence[Chip]) -> Row:
    # The choices of outcome count all requests of the page's window and label filters.
    total = reading.requests.summary["total_requests"]
    failed = reading.requests.summary.get("failed_requests") or 0
    counts = {"": total, "success": total - failed, "failed": failed} if total is not None else {}
    chosen = filters.outcome or ""
    return {
        "outcomes": [(value, title, whole(counts.get(value)), chosen == value) for value, title in OUTCOMES],
        "chips": shown,
        "scans": any(getattr(filters, name) is not None for name in REQUEST_FILTERS),
    }


def chips(filters: Filters, group_name: str = "") -> list[Chip]:
    """Return the filters of single requests. `group_name`: that of the group of errors, if it is known."""
    shown = []
    for name, title in CHIPS.items():
        value: Any = getattr(filters, name)
        if value is None or (name == "outcome" and value in ("success", "failed", "all")):
            continue
        text = str(duration(value)) if name.endswith("_ms") else str(value)
        text = group_name or text if name == "group" else text
        text = {"True": "yes", "False": "no"}.get(text, text) if isinstance(value, bool) else text
        shown.append((name, title, f"{value:g}" if name == "min_total_tokens" else text))
    return shown


def _list(reading: Reading, filters: Filters, page: queries.Page | None, shown: Sequence[Chip]) -> Row:
    rows = page.results if page else []
    scale = scale_of(rows)
    return {
        "rows": listed(rows),
        "query": list_query(reading.params),
        "columns": COLUMNS,
        "ticks": [(round(BAR * n / TICKS), duration(scale * n / TICKS)) for n in (0, 2, 4)] if rows else (),
        "older": page.next if page else None,
        "is_older": bool(page and page.previous),
        "could_not_read": page is None,
        "reason": empty_reason(filters, reading.query.span, shown),
        "is_filtered": bool(shown or filters.outcome),
        "has_events": reading.has_events,
    }


def list_query(params: QueryDict) -> str:
    """Return the query of the list, `?range=1h&status_code=429`, which the page of one of its requests keeps.

    The request beside the list is not part of it.
    """
    kept = params.copy()
    kept.pop("request", None)
    return f"?{kept.urlencode()}" if kept else ""


def empty_reason(filters: Filters, span: str, shown: Sequence[Chip]) -> str:
    """Return why a list is empty: `No requests match status = 429 in the last hour.`"""
    named: list[str] = []
    labels: Mapping[str, tuple[str, ...]] = {name: getattr(filters, name) for name in LABELS} | dict(filters.tags)
    named += [f"{name} = {' or '.join(values)}" for name, values in labels.items() if values]
    named += [f"{title} {value}" for _, title, value in shown]
    if filters.outcome in ("success", "failed"):
        named.append("outcome = OK" if filters.outcome == "success" else "outcome = failed")
    if not named:
        return f"No requests in {span}."
    return f"No requests match {' and '.join(named)} in {span}."


def context(request: HttpRequest, data: Row, reading: Reading) -> Row:
    """Return what the first rendering shows of the data."""
    return {"columns": COLUMNS}


PAGE = PageSpec(
    name="requests",
    title="Requests",
    key="r",
    path="dashboard/requests/",
    figures=figures,
    data=newest_tick,
    context=context,
    series=(
        SeriesSpec.of("inference.requests", "rate"),
        SeriesSpec.of("inference.failed_requests", "rate"),
        RECORDED,
    ),
    filters=FILTERS,
    missing="No request was stored in this time range.",
    own=OWN,
)
DETAIL = PageSpec(
    name="request", title="Request", path="dashboard/request/", figures=lambda reading: {}, under="requests"
)
