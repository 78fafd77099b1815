"""The number of requests by time and by value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from metrics.catalogue import Metric
from metrics.histogram import MIN_INDEX
from metrics.queries.answers.caching import cached
from metrics.queries.answers.distribution import display_bounds, display_width
from metrics.queries.answers.results import notes
from metrics.queries.exceptions import BadQuery
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.request_rollups import GroupedRollups, histogram_columns
from metrics.queries.read.rollup_cache import read_rows
from metrics.queries.time.plan import Plan, Retention, plan_steps, within
from metrics.queries.time.window import Window

MAX_COLUMNS = 120
MAX_ROWS = 40


@dataclass(frozen=True)
class Heatmap:
    """`counts[time][row]`: row i has the values above `edges[i]`, up to `edges[i + 1]`.

    Values of 0 are in the first row. The first and the last time have the part of their step that is in the window.
    """

    metric: Metric
    plan: Plan
    window: Window
    edges: list[float]
    counts: list[list[int]]
    age_seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the heatmap ready for JSON."""
        return {
            **self.window.as_dict(),
            "step_seconds": self.plan.step_seconds,
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "edges": self.edges,  # in full, so that rows with these bounds are those that are counted
            "times": [start * 1000 for start in self.plan.starts],
            "counts": self.counts,
            **notes(self.age_seconds, self.plan.retention_from),
        }


def heatmap(metric: Metric, window: Window, filters: Filters, *, step: int | None = None, now: datetime) -> Heatmap:
    """Return the heatmap of a metric that is stored as a histogram. Raises BadQuery and QueryTooSlow."""
    retention = Retention.current()
    plan = plan_steps(window, now, step, retention, max_points=MAX_COLUMNS)
    if plan.points > MAX_COLUMNS + 1:
        raise BadQuery(
            "step", f"must be longer: {step} s would make {plan.points:,} columns, and the maximum is {MAX_COLUMNS}."
        )

    def compute() -> Heatmap:
        with query_budget():
            columns = histogram_columns(metric, filters.outcome)
            split = within(plan, window, now, retention)
            rows = read_rows(split.segments, columns, filters.series_ids())
            groups = GroupedRollups(rows, (rows.buckets - plan.start) // plan.step_seconds, plan.points)
            times, indexes, numbers = groups.histograms(metric, filters.outcome).buckets()
        is_zero = indexes < MIN_INDEX
        has_zeros = bool(is_zero.any())
        edges = [0.0] if has_zeros else []
        width, first, last = 1, 0, -1
        positive = indexes[~is_zero]
        if len(positive):
            width, first, last = display_width(int(positive.min()), int(positive.max()), MAX_ROWS - has_zeros)
        for number in range(first, last + 1):
            lower, upper = display_bounds(number, width)
            edges += [lower, upper] if number == first else [upper]
        if has_zeros and not len(positive):
            edges.append(0.0)
        counts = np.zeros((plan.points, max(0, len(edges) - 1)), dtype=np.int64)
        rows_of = np.where(is_zero, 0, indexes // width - first + has_zeros)
        np.add.at(counts, (times, rows_of), numbers.astype(np.int64))
        return Heatmap(metric, plan, split.window, edges, counts.tolist())

    return cached(("heatmap", metric.name, filters, plan), window, now, compute)
