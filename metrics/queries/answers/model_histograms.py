"""The distribution of a metric for some models, in bars that all of them share, with the window before if asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np

from metrics.catalogue import Metric
from metrics.histogram import MAX_INDEX, MIN_INDEX, Histogram, bucket_bounds, bucket_index
from metrics.queries.answers.caching import cached
from metrics.queries.answers.distribution import display_width
from metrics.queries.answers.results import notes, round_figure
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.request_rollups import GroupedRollups, histogram_columns, model_names
from metrics.queries.read.rollup_cache import read_rows
from metrics.queries.time.plan import split_window
from metrics.queries.time.window import Window

MAX_BARS = 40
TAIL = 0.99  # values above this quantile of every model share the last bar of a linear scale
ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Bars:
    """`counts[model][bar]` and `before[model][bar]`: bar i has the values above `edges[i]`, up to `edges[i + 1]`.

    Values of 0 are in the first bar.
    """

    edges: list[float]
    counts: list[list[int]]
    before: list[list[int]]


@dataclass(frozen=True)
class ModelHistograms:
    """The bars on both scales. Their counts add up to the number of requests that carry the value."""

    metric: Metric
    window: Window
    models: list[tuple[str, float | None, float | None]]  # with their P50 and P95
    log: Bars
    linear: Bars
    retention_from: datetime | None = None
    age_seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the histograms ready for JSON."""
        return {
            **self.window.as_dict(),
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "models": [
                {"name": name, "p50": round_figure(p50), "p95": round_figure(p95)} for name, p50, p95 in self.models
            ],
            **{
                name: {
                    "edges": bars.edges,  # in full, so that rows with these bounds are those that are counted
                    "counts": bars.counts,
                    "before": bars.before,
                }
                for name, bars in (("log", self.log), ("linear", self.linear))
            },
            **notes(self.age_seconds, self.retention_from),
        }


def model_histograms(
    metric: Metric, window: Window, filters: Filters, now: datetime, models: Sequence[str], *, compare: bool = True
) -> ModelHistograms:
    """Return the distributions of a metric that is stored as a histogram. Raises QueryTooSlow.

    Without `compare`, the window before is not read, and its counts are 0.
    """

    def compute() -> ModelHistograms:
        with query_budget():
            split = split_window(window, now)
            ids = filters.series_ids()
            shown = _histograms(metric, filters, split.segments, ids, models)
            before = [Histogram() for _ in models]
            if compare:
                segments = split_window(split.window.before(), now).segments
                before = _histograms(metric, filters, segments, ids, models)
        both = [*shown, *before]
        return ModelHistograms(
            metric,
            split.window,
            [
                (name, histogram.quantile(0.5), histogram.quantile(0.95))
                for name, histogram in zip(models, shown, strict=True)
            ],
            _bars(_logarithmic(both), shown, before),
            _bars(_linear(both), shown, before),
            split.retention_from,
        )

    return cached(("model_histograms", metric.name, filters, tuple(models), compare), window, now, compute)


def _histograms(
    metric: Metric, filters: Filters, segments: Any, ids: Sequence[int] | None, models: Sequence[str]
) -> list[Histogram]:
    """Return the histogram of each model."""
    rows = read_rows(segments, histogram_columns(metric, filters.outcome), ids)
    number_of = {name: number for number, name in enumerate(models)}
    series = {series_id: number_of.get(name, -1) for series_id, name in model_names(rows.series_ids).items()}
    groups = GroupedRollups(rows, rows.group_numbers(series, default=-1), len(models))
    return list(groups.histograms(metric, filters.outcome))


def _logarithmic(histograms: Sequence[Histogram]) -> list[int]:
    """Return the first bucket of each bar, and the one after the last: bars of equal width on a logarithmic scale."""
    known = [histogram.counts for histogram in histograms if histogram.counts]
    if not known:
        return []
    width, first, last = display_width(min(map(min, known)), max(map(max, known)), MAX_BARS)
    return [max(number * width, MIN_INDEX) for number in range(first, last + 1)] + [
        min((last + 1) * width, MAX_INDEX + 1)
    ]


def _linear(histograms: Sequence[Histogram]) -> list[int]:
    """Return the same for a linear scale. An edge is that of the next bucket, so it differs by 1.1 % at most.

    The last bar has all values above the 99th percentile of every model, for whose sake the others would be narrow.
    """
    known = [histogram for histogram in histograms if histogram.counts]
    if not known:
        return []
    most = max(histogram.quantile(TAIL) or 0.0 for histogram in known)
    end = max(max(histogram.counts) for histogram in known) + 1
    step = _round_step(most / (MAX_BARS - 2))
    bars = max(1, -(-most // step))
    starts = [MIN_INDEX, *(_nearest_start(step * number) for number in range(1, int(bars) + 1))]
    return [*sorted({start for start in starts if start < end}), end]


def _round_step(least: float) -> float:
    """Return 1, 2, 2.5 or 5 times a power of ten that is at least `least`."""
    power = 10.0 ** np.floor(np.log10(least)) if least > 0 else 1.0
    return float(next((factor * power for factor in ROUND if factor * power >= least * (1 - 1e-9)), 10.0 * power))


def _nearest_start(value: float) -> int:
    """Return the bucket that begins nearest to a value above 0."""
    index = bucket_index(value)
    lower, upper = bucket_bounds(index)
    return index if value - lower < upper - value else index + 1


def _bars(starts: Sequence[int], histograms: Sequence[Histogram], before: Sequence[Histogram]) -> Bars:
    """Return the counts of the bars that begin with these buckets."""
    has_zeros = any(histogram.zero_count for histogram in (*histograms, *before))
    if not starts:
        # Without a value above 0 there is one bar, of the zeros, or none.
        edges = [0.0, 0.0] if has_zeros else []
        counts = [[[one.zero_count][:has_zeros] for one in group] for group in (histograms, before)]
        return Bars(edges, *counts)
    edges = [bucket_bounds(start)[0] for start in starts[:-1]] + [bucket_bounds(starts[-1] - 1)[1]]
    if has_zeros or starts[0] == MIN_INDEX:
        edges[0] = 0.0
    return Bars(edges, [_counts(starts, one) for one in histograms], [_counts(starts, one) for one in before])


def _counts(starts: Sequence[int], histogram: Histogram) -> list[int]:
    counts = [0] * len(list(pairwise(starts)))
    for index, count in histogram.counts.items():
        counts[int(np.searchsorted(starts, index, side="right")) - 1] += count
    counts[0] += histogram.zero_count
    return counts
