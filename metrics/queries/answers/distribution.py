"""How the values of one metric are distributed over a window."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from metrics.catalogue import Metric
from metrics.histogram import MAX_INDEX, MIN_INDEX, Histogram, bucket_bounds, merge_packed
from metrics.queries.answers.caching import cached
from metrics.queries.numbers import exact
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.request_rollups import histogram_columns, read_rows
from metrics.queries.time.window import Window, iso, partial_note, segments

MAX_BUCKETS = 60
PERCENTILES = ("p50", "p75", "p90", "p95", "p99", "p99.9")


@dataclass(frozen=True)
class Distribution:
    """Buckets (lower, upper, count), touching, ascending, empty ones among them; values of 0 come as (0, 0, n)."""

    metric: Metric
    window: Window
    buckets: list[tuple[float, float, int]]
    count: int
    mean: float | None
    minimum: float | None
    maximum: float | None
    percentiles: dict[str, float | None]
    retention_from: datetime | None = None
    age_seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        answer: dict[str, Any] = {
            "from": iso(self.window.start),
            "to": iso(self.window.end),
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "count": self.count,
            "avg": exact(self.mean),
            "min": self.minimum,
            "max": self.maximum,
            "percentiles": {name: exact(value) for name, value in self.percentiles.items()},
            "buckets": [
                {"lower": exact(lower), "upper": exact(upper), "count": count} for lower, upper, count in self.buckets
            ],
        }
        if self.age_seconds:
            answer["age_seconds"] = self.age_seconds
        return answer | partial_note(self.retention_from)


def distribution(metric: Metric, window: Window, filters: Filters, now: datetime) -> Distribution:
    """The distribution of a metric that has one. Raises QueryTooSlow."""

    def compute() -> Distribution:
        with query_budget():
            tiles = segments(window, now)
            columns = histogram_columns(metric, filters.outcome)
            rows = read_rows(tiles.segments, columns, filters.series_ids())
            merged = merge_packed([blob for column in columns for blob in rows.columns[column]])
        values = merged.quantiles([float(name[1:]) / 100 for name in PERCENTILES])
        return Distribution(
            metric,
            tiles.window,
            display_buckets(merged),
            merged.count,
            merged.mean,
            merged.minimum,
            merged.maximum,
            dict(zip(PERCENTILES, values, strict=True)),
            tiles.retention_from,
        )

    return cached(("distribution", metric.name, filters), window, now, compute)


def width_for(histograms: Iterable[Histogram], most: int) -> tuple[int, int, int] | None:
    """(width, first, last): how many native buckets, a power of two, one shown bucket covers, and the numbers of the
    first and the last one, so that there are `most` at the most. None when there is no value above 0."""
    indices = [index for one in histograms if one.counts for index in (min(one.counts), max(one.counts))]
    if not indices:
        return None
    low, high, width = min(indices), max(indices), 1
    while high // width - low // width + 1 > most:
        width *= 2
    return width, low // width, high // width


def shown_bounds(number: int, width: int) -> tuple[float, float]:
    """The edges of a shown bucket."""
    first, last = max(number * width, MIN_INDEX), min(number * width + width - 1, MAX_INDEX)
    return bucket_bounds(first)[0], bucket_bounds(last)[1]


def display_buckets(histogram: Histogram, most: int = MAX_BUCKETS) -> list[tuple[float, float, int]]:
    """The histogram in few buckets that touch."""
    found = [(0.0, 0.0, histogram.zero_count)] if histogram.zero_count else []
    shape = width_for([histogram], most)
    if shape is None:
        return found
    width, first, last = shape
    counts = dict.fromkeys(range(first, last + 1), 0)
    for index, count in histogram.counts.items():
        counts[index // width] += count
    return found + [(*shown_bounds(number, width), count) for number, count in counts.items()]
