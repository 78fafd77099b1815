"""What a page's address asks for: a window and filters, under the same names as in the API.

A page is kinder than the API: a parameter that is wrong is named in a notice and left out, and parameters that the page
does not know are kept in its address.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import QueryDict

from metrics.queries import BadQuery, Filters, Window
from metrics.queries.parameters import WINDOW_PARAMETERS, filter_names, parse_filters, parse_window
from metrics.queries.time.window import DEFAULT_RANGE

# As people say it: the last …, the … before.
SPANS: dict[str, str] = {
    "5m": "5 minutes",
    "15m": "15 minutes",
    "1h": "hour",
    "6h": "6 hours",
    "24h": "24 hours",
    "7d": "7 days",
    "30d": "30 days",
}


@dataclass(frozen=True)
class PageQuery:
    """The window and filters of a page. `range` is None for a window between two fixed times."""

    window: Window
    filters: Filters
    range: str | None
    notices: tuple[str, ...] = ()

    @property
    def span(self) -> str:
        """`the last hour`, or `this window`."""
        return f"the last {SPANS[self.range]}" if self.range else "this window"

    @property
    def span_before(self) -> str:
        """`the hour before`."""
        return f"the {SPANS[self.range]} before" if self.range else "the window before"

    def as_dict(self) -> dict[str, Any]:
        """For the page's scripts; times in epoch milliseconds."""
        return {
            "range": self.range,
            "from": self.window.start_s * 1000,
            "to": self.window.end_s * 1000,
            "filters": self.filters.as_dict(),
            "span": self.span,
            "span_before": self.span_before,
        }


def read(params: QueryDict, now: datetime, default_range: str = DEFAULT_RANGE) -> PageQuery:
    """The window and filters in an address. Raises nothing: what is wrong becomes a notice."""
    kept = params.copy()
    if not any(kept.get(name) for name in WINDOW_PARAMETERS):
        kept["range"] = default_range
    notices: list[str] = []
    window = _forgiving(kept, notices, lambda: parse_window(kept, now), WINDOW_PARAMETERS)
    filters = _forgiving(kept, notices, lambda: parse_filters(kept), filter_names())
    fixed = kept.get("from") or kept.get("to")
    return PageQuery(window, filters, None if fixed else kept.get("range") or DEFAULT_RANGE, tuple(notices))


def _forgiving(kept: QueryDict, notices: list[str], ask: Any, names: tuple[str, ...]) -> Any:
    """What `ask` answers once every parameter that it refuses is gone from `kept`."""
    for _ in names:
        try:
            return ask()
        except BadQuery as error:
            allowed = f" It may be {', '.join(error.allowed[:12])}." if error.allowed else ""
            notices.append(f"{error.parameter} was ignored: {error.detail}{allowed}")
            if error.parameter not in kept:
                break
            del kept[error.parameter]
    for name in names:
        kept.pop(name, None)
    return ask()  # with none of them there is nothing left to refuse
