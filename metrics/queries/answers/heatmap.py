"""Time × value: how many requests fell into each bucket of value in each step of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from metrics.aggregation import OUTCOME_COLUMNS
from metrics.catalogue import Metric
from metrics.queries.answers.caching import cached
from metrics.queries.answers.distribution import shown_bounds, width_for
from metrics.queries.exceptions import BadQuery
from metrics.queries.numbers import exact
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.request_rollups import GroupedRollups, histogram_columns, read_rows
from metrics.queries.time.window import Plan, Window, at_second, iso, partial_note, plan

MAX_COLUMNS = 120
MAX_ROWS = 40


@dataclass(frozen=True)
class Heatmap:
    """`counts[time][row]`: row i holds values from `edges[i]` to `edges[i + 1]`; values of 0 are in the first row."""

    metric: Metric
    plan: Plan
    edges: list[float]
    counts: list[list[int]]
    age_seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        own = self.plan
        answer: dict[str, Any] = {
            "from": iso(at_second(own.start)),
            "to": iso(at_second(own.end)),
            "step_seconds": own.step_seconds,
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "edges": [exact(edge) for edge in self.edges],
            "times": [(own.start + index * own.step_seconds) * 1000 for index in range(own.points)],
            "counts": self.counts,
        }
        if self.age_seconds:
            answer["age_seconds"] = self.age_seconds
        return answer | partial_note(own.retention_from)


def heatmap(metric: Metric, window: Window, filters: Filters, *, step: int | None = None, now: datetime) -> Heatmap:
    """The heatmap of a metric that has a distribution. Raises BadQuery and QueryTooSlow."""
    chosen = plan(window, now, step, max_points=MAX_COLUMNS)
    if chosen.points > MAX_COLUMNS + 1:
        raise BadQuery("step", f"{step} s would make {chosen.points:,} columns; a heatmap has {MAX_COLUMNS} at most.")

    def compute() -> Heatmap:
        with query_budget():
            columns = {*OUTCOME_COLUMNS, *histogram_columns(metric, filters.outcome)}
            rows = read_rows([(chosen.resolution, chosen.start, chosen.end)], sorted(columns), filters.series_ids())
            groups = GroupedRollups(rows, (rows.buckets - chosen.start) // chosen.step_seconds, chosen.points)
            histograms = groups.histogram_of(metric, filters.outcome)
        zeros = any(one.zero_count for one in histograms)
        shape = width_for(histograms, MAX_ROWS - zeros)
        edges = [0.0] if zeros else []
        width, first, last = shape or (1, 0, -1)
        for number in range(first, last + 1):
            lower, upper = shown_bounds(number, width)
            edges += [lower, upper] if number == first else [upper]
        if zeros and shape is None:
            edges.append(0.0)
        counts = np.zeros((chosen.points, max(0, len(edges) - 1)), dtype=np.int64)
        for time, one in enumerate(histograms):
            if one.zero_count:
                counts[time, 0] += one.zero_count
            for index, count in one.counts.items():
                counts[time, index // width - first + zeros] += count
        return Heatmap(metric, chosen, edges, counts.tolist())

    return cached(("heatmap", metric.name, filters, chosen), window, now, compute)
