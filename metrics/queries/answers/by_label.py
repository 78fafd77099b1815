"""The percentiles of times by any labels of requests, for example of each model by service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from metrics import catalogue
from metrics.queries.answers.results import Ranking, round_figure
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.request_rollups import (
    GroupedRollups,
    averages_and_percentiles,
    histogram_columns,
    series_labels,
)
from metrics.queries.read.rollup_cache import read_rows
from metrics.queries.read.rollup_rows import COUNTS
from metrics.queries.time.plan import split_window
from metrics.queries.time.window import Window


def percentiles_by_label(
    labels: Sequence[str],
    statistics: Mapping[str, Sequence[str]],
    window: Window,
    filters: Filters,
    now: datetime,
    *,
    limit: int,
) -> Ranking:
    """Return a row for each combination of these labels with requests, the busiest first. Raises QueryTooSlow.

    statistics: of each metric, for example `{"inference.queue_time_ms": ("p50", "p95")}`. A row has the labels by their
    names, `total_requests`, and the statistics as `p50_queue_time_ms`.
    """
    metrics = {catalogue.get(name): stats for name, stats in statistics.items()}
    columns = [*COUNTS, *(column for metric in metrics for column in histogram_columns(metric, filters.outcome))]
    with query_budget():
        rows = read_rows(split_window(window, now).segments, columns, filters.series_ids())
        labels_of = series_labels(rows.series_ids, labels)
        number_of = {key: number for number, key in enumerate(dict.fromkeys(labels_of.values()))}
        series = {series_id: number_of[key] for series_id, key in labels_of.items()}
        groups = GroupedRollups(rows, rows.group_numbers(series, default=-1), len(number_of))
        results: list[dict[str, Any]] = [
            {**dict(zip(labels, key, strict=True)), "total_requests": int(requests)}
            for key, requests in zip(number_of, groups.requests, strict=True)
        ]
        for metric, stats in metrics.items():
            values = averages_and_percentiles(groups.histograms(metric, filters.outcome), stats)
            for row, of_row in zip(results, values, strict=True):
                row |= {f"{stat}_{metric.short}": round_figure(value) for stat, value in of_row.items()}
    results = [row for row in results if row["total_requests"]]
    results.sort(key=lambda row: (-row["total_requests"], *(row[name] for name in labels)))
    return Ranking(results[:limit], max(0, len(results) - limit))
