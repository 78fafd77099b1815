"""The distribution of a metric's values over a window, and the reduction of histograms to few buckets for display."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from metrics.catalogue import PERCENTILE, Metric
from metrics.histogram import MAX_INDEX, MIN_INDEX, Histogram, bucket_bounds
from metrics.queries.answers.caching import cached
from metrics.queries.answers.results import notes, round_figure
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.request_rollups import GroupedRollups, averages_and_percentiles, histogram_columns
from metrics.queries.read.rollup_cache import read_rows
from metrics.queries.time.plan import split_window
from metrics.queries.time.window import Window

MAX_BUCKETS = 60


@dataclass(frozen=True)
class Distribution:
    """`buckets` are (lower, upper, count), ascending and without gaps; values of 0 are in a first bucket (0, 0, n)."""

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
        """Return the distribution ready for JSON."""
        return {
            **self.window.as_dict(),
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "count": self.count,
            "avg": round_figure(self.mean),
            "min": self.minimum,
            "max": self.maximum,
            "percentiles": {name: round_figure(value) for name, value in self.percentiles.items()},
            "buckets": [
                {"lower": round_figure(lower), "upper": round_figure(upper), "count": count}
                for lower, upper, count in self.buckets
            ],
            **notes(self.age_seconds, self.retention_from),
        }


def distribution(metric: Metric, window: Window, filters: Filters, now: datetime) -> Distribution:
    """Return the distribution of a metric that is stored as a histogram. Raises QueryTooSlow."""

    def compute() -> Distribution:
        with query_budget():
            split = split_window(window, now)
            rows = read_rows(split.segments, histogram_columns(metric, filters.outcome), filters.series_ids())
            histograms = GroupedRollups.as_one(rows).histograms(metric, filters.outcome)
        histogram = histograms[0]
        percentiles = [stat for stat in metric.stats if PERCENTILE.fullmatch(stat)]
        return Distribution(
            metric,
            split.window,
            _display_buckets(histogram),
            histogram.count,
            histogram.mean,
            histogram.minimum,
            histogram.maximum,
            averages_and_percentiles(histograms, percentiles)[0],
            split.retention_from,
        )

    return cached(("distribution", metric.name, filters), window, now, compute)


def display_width(low: int, high: int, limit: int) -> tuple[int, int, int]:
    """Return how the buckets from index `low` to `high` are joined for display, so that at most `limit` are left.

    The result is (width, first, last): the number of histogram buckets in a displayed one, a power of two, and the
    numbers of the first and the last displayed bucket.
    """
    width = 1
    while high // width - low // width + 1 > limit:
        width *= 2
    return width, low // width, high // width


def display_bounds(number: int, width: int) -> tuple[float, float]:
    """Return the bounds (lower, upper) of a displayed bucket."""
    first, last = max(number * width, MIN_INDEX), min(number * width + width - 1, MAX_INDEX)
    return bucket_bounds(first)[0], bucket_bounds(last)[1]


def _display_buckets(histogram: Histogram) -> list[tuple[float, float, int]]:
    """Return the histogram as at most MAX_BUCKETS buckets, and one for values of 0."""
    zeros = [(0.0, 0.0, histogram.zero_count)] if histogram.zero_count else []
    if not histogram.counts:
        return zeros
    width, first, last = display_width(min(histogram.counts), max(histogram.counts), MAX_BUCKETS)
    counts = dict.fromkeys(range(first, last + 1), 0)
    for index, count in histogram.counts.items():
        counts[index // width] += count
    return zeros + [(*display_bounds(number, width), count) for number, count in counts.items()]
