"""Series of (metric, statistic) pairs, all grouped by the same labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from metrics import queries
from metrics.catalogue import Metric
from metrics.queries import Filters, SeriesResult, SeriesSpec, Window
from metrics.queries.parameters import parse_group_by


def series_of(
    pairs: Iterable[tuple[Metric, str]], window: Window, filters: Filters, *, group_by: Any = "", **more: Any
) -> SeriesResult:
    """Return the series of these pairs."""
    specs = [SeriesSpec(metric, stat, parse_group_by(group_by)) for metric, stat in pairs]
    return queries.series(specs, window, filters, **more)
