"""The window and the filters in a page's address, under the same names as in the API.

A page is more tolerant than the API: it ignores an invalid parameter and shows a notice. Parameters that the page does
not know stay in its address.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.http import QueryDict

from metrics.queries import RANGES, BadQuery, Filters, Window
from metrics.queries.parameters import WINDOW_PARAMETERS, filter_names, parse_filters, parse_window
from metrics.queries.read.filters import ERROR_FILTERS, REQUEST_FILTERS, TAG_PREFIX, promoted_tags
from metrics.queries.time.window import DEFAULT_RANGE

Parsed = TypeVar("Parsed")

# The filters in the header, with their labels. Those of promoted tags follow.
FILTERS = {"model": "Model", "provider": "Provider", "service": "Service", "host": "Machine"}


def tag_filters() -> dict[str, str]:
    """Return the filters of the promoted tags, with their keys as labels."""
    return {TAG_PREFIX + key: key for key in promoted_tags()}


@dataclass(frozen=True)
class PageQuery:
    """The window and filters of a page. `range` is None for a window between two fixed times."""

    window: Window
    filters: Filters
    range: str | None
    notices: tuple[str, ...] = ()
    compares: bool = True  # with the window before, as faint lines

    @property
    def span(self) -> str:
        """`the last hour`, `the last 6 hours`, or `this time range`."""
        return f"the last {self._length}" if self.range else "this time range"

    @property
    def span_before(self) -> str:
        """`the previous hour`, `the previous 6 hours`, or `the previous time range`."""
        return f"the previous {self._length or 'time range'}"

    @property
    def _length(self) -> str:
        return RANGES[self.range].title.removeprefix("1 ") if self.range else ""

    def as_dict(self) -> dict[str, Any]:
        """Return the query for the page's scripts; times in epoch milliseconds."""
        return {
            "range": self.range,
            "from": self.window.start_s * 1000,
            "to": self.window.end_s * 1000,
            "filters": self.filters.as_dict(),
            "span": self.span,
            "span_before": self.span_before,
            "compares": self.compares,
        }


def read(params: QueryDict, now: datetime, default_range: str = DEFAULT_RANGE) -> PageQuery:
    """Return the window and filters in an address. Invalid parameters are ignored, with a notice for each."""
    valid = params.copy()
    if not any(valid.get(name) for name in WINDOW_PARAMETERS):
        valid["range"] = default_range
    notices: list[str] = []
    window = _parse_tolerantly(valid, notices, lambda: parse_window(valid, now), WINDOW_PARAMETERS)
    filters = _parse_tolerantly(valid, notices, lambda: parse_filters(valid), filter_names())
    fixed = valid.get("from") or valid.get("to")
    named = None if fixed else valid.get("range") or DEFAULT_RANGE
    return PageQuery(window, filters, named, tuple(notices), valid.get("compare") != "none")


def read_list_filters(params: QueryDict, notices: list[str], *, of_errors: bool = False) -> Filters:
    """Return the filters of a list of single requests or errors. Invalid ones are ignored, with a notice for each."""
    valid = params.copy()
    names = (*filter_names(), *(ERROR_FILTERS if of_errors else REQUEST_FILTERS))
    return _parse_tolerantly(
        valid, notices, lambda: parse_filters(valid, of_requests=not of_errors, of_errors=of_errors), names
    )


def _parse_tolerantly(
    params: QueryDict, notices: list[str], parse: Callable[[], Parsed], names: tuple[str, ...]
) -> Parsed:
    """Call `parse` until it succeeds; each time it rejects a parameter, delete that parameter and add a notice."""
    for _ in names:
        try:
            return parse()
        except BadQuery as error:
            allowed = f" Allowed values: {', '.join(error.allowed[:12])}." if error.allowed else ""
            notices.append(f"{error.parameter} was ignored: {error.detail}{allowed}")
            if error.parameter not in params:
                break
            del params[error.parameter]
    for name in names:
        params.pop(name, None)
    return parse()  # without any of the parameters there is nothing to reject
