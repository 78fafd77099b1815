"""The performance summary: the figures of a window, those of the previous window, and the change.

Without requests, numbers of requests and of tokens are 0. Every other figure without data is None, and so are the
tokens and the cost of requests that were sent without them. Rates are per second from the result's `from` to its `to`,
or from the start of the retention if the window starts before it. `to` is at most the end of the current second.
Averages of hosts and GPUs are averages over the instances' averages; peaks are over all samples.

`comparable` is whether a change is worth showing. Both windows are divided into at most 24 equal parts, none shorter
than the buckets that are read. They are comparable if the previous window has at least 20 requests, and requests in at
least half as many parts as the window itself. The first hour of recording is not comparable with the hour before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from metrics import catalogue
from metrics.aggregation import OUTCOME_COLUMNS
from metrics.queries.answers.caching import cached
from metrics.queries.answers.results import notes, round_figure
from metrics.queries.read import gauges
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.request_rollups import (
    GroupedRollups,
    RollupRows,
    averages_and_percentiles,
    columns_of_total,
    histogram_columns,
    read_rows,
)
from metrics.queries.series_spec import SeriesSpec
from metrics.queries.time.plan import Segment, SplitWindow, split_window
from metrics.queries.time.window import Window, end_of_now

# (metric, statistics) of the figures that are read from histograms
DISTRIBUTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("response_time_ms", ("avg", "p50", "p95", "p99")),
    ("ttft_ms", ("avg", "p95")),
    ("queue_time_ms", ("avg", "p95")),
    ("tokens_per_second", ("avg",)),
    ("prompt_tokens", ("avg", "p50", "p95", "p99")),
    ("completion_tokens", ("avg", "p50", "p95", "p99")),
)
# Figures of hosts, GPUs and queues
MACHINES: dict[str, SeriesSpec] = {
    "peak_memory_percent": SeriesSpec.of("system.memory_percent", "max"),
    "avg_memory_percent": SeriesSpec.of("system.memory_percent", "avg"),
    "avg_cpu_percent": SeriesSpec.of("system.cpu_percent", "avg"),
    "avg_gpu_utilization_percent": SeriesSpec.of("gpu.utilization_percent", "avg"),
    "avg_gpu_memory_percent": SeriesSpec.of("gpu.memory_percent", "avg"),
    "peak_gpu_memory_percent": SeriesSpec.of("gpu.memory_percent", "max"),
    "avg_queue_pending": SeriesSpec.of("queue.pending", "avg"),
    "avg_queue_processing": SeriesSpec.of("queue.processing", "avg"),
}
PARTS = 24
MIN_COMPARABLE_REQUESTS = 20
TOKEN_SUMS = ("prompt_tokens", "completion_tokens", "total_tokens")
COST = catalogue.get("inference.cost_usd")

Figures = dict[str, float | int | None]


@dataclass(frozen=True)
class Summary:
    """The figures of a window and of the previous one."""

    window: Window
    previous_window: Window
    figures: Figures
    previous: Figures
    comparable: bool
    retention_from: datetime | None = None
    age_seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, `previous` and `change_percent` with the same names, and `comparable`, ready for JSON."""
        return {
            **self.window.as_dict(),
            **self.figures,
            "previous": {**self.previous_window.as_dict(), **self.previous},
            "change_percent": {
                name: _change_percent(value, self.previous.get(name)) for name, value in self.figures.items()
            },
            "comparable": self.comparable,
            **notes(self.age_seconds, self.retention_from),
        }


def _change_percent(value: float | int | None, previous: float | int | None) -> float | None:
    if value is None or not previous:
        return None
    return float(f"{100 * (value - previous) / abs(previous):.6g}")


def summary(window: Window, filters: Filters, now: datetime) -> Summary:
    """Return the summary of a window. Raises QueryTooSlow."""

    def compute() -> Summary:
        with query_budget():
            readings = read_with_previous(window, filters, now)
            return summary_of([figures_of(reading, reading.as_one_group(), filters, now) for reading in readings])

    return cached(("summary", filters), window, now, compute)


class Reading(NamedTuple):
    """The rollup rows of the requests in a window."""

    split: SplitWindow
    rows: RollupRows

    def as_one_group(self) -> GroupedRollups:
        """Return the sums of all rows."""
        return GroupedRollups(self.rows, np.zeros(len(self.rows), dtype=np.int64), 1)


class WindowFigures(NamedTuple):
    """The figures of a window, and the number of its parts that have requests."""

    split: SplitWindow
    figures: Figures
    parts: int


def read_with_previous(
    window: Window, filters: Filters, now: datetime, *, ids: Sequence[int] | None = None
) -> Iterator[Reading]:
    """Yield what is read of the window, and of the previous one. `ids` are the label sets, if they are known."""
    columns = request_columns(filters)
    ids = filters.series_ids() if ids is None else ids
    split = split_window(window, now)
    for part in (split, split_window(split.window.before(), now)):
        yield Reading(part, read_rows(part.segments, columns, ids))


def figures_of(reading: Reading, total: GroupedRollups, filters: Filters, now: datetime) -> WindowFigures:
    """Return the figures of a window. `total` has the sums of all its rows, as one group."""
    split, rows = reading
    figures = request_figures(total, filters, elapsed_seconds(split, now))[0]
    parts = np.unique((rows.buckets - split.window.start_s) * PARTS // split.window.seconds)
    return WindowFigures(split, figures | _machine_figures(split.segments, filters, end_of_now(now)), len(parts))


def summary_of(windows: Sequence[WindowFigures]) -> Summary:
    """Return the summary of a window and the previous one."""
    current, previous = windows
    enough = int(previous.figures["total_requests"] or 0) >= MIN_COMPARABLE_REQUESTS
    return Summary(
        current.split.window,
        previous.split.window,
        current.figures,
        previous.figures,
        enough and 2 * previous.parts >= current.parts,
        current.split.retention_from,
    )


def request_columns(filters: Filters) -> list[str]:
    """Return the rollup columns that the figures of requests are computed from."""
    columns = {*OUTCOME_COLUMNS, *columns_of_total(COST), "unpriced_requests"}
    for name in TOKEN_SUMS:
        columns |= columns_of_total(catalogue.get(f"inference.{name}"))
    for name, _ in DISTRIBUTIONS:
        columns |= set(histogram_columns(catalogue.get(f"inference.{name}"), filters.outcome))
    return sorted(columns)


def elapsed_seconds(split: SplitWindow, now: datetime) -> int:
    """Return the seconds that rates are divided by."""
    start = max(split.window.start_s, split.segments[0].start) if split.segments else split.window.start_s
    return max(1, min(split.window.end_s, end_of_now(now)) - start)


def request_figures(groups: GroupedRollups, filters: Filters, seconds: int) -> list[Figures]:
    """Return the figures of requests of each group. Rates are divided by `seconds`."""
    requests, ok = groups.requests, groups.sums("ok")
    cost, unpriced = groups.totals(COST), groups.sums("unpriced_requests")
    tokens = {name: groups.totals(catalogue.get(f"inference.{name}")) for name in TOKEN_SUMS}
    histograms = {
        name: groups.histograms(catalogue.get(f"inference.{name}"), filters.outcome) for name, _ in DISTRIBUTIONS
    }
    rows: list[Figures] = []
    for group in range(groups.count):
        total, successful = int(requests[group]), int(ok[group])
        throughput = tokens["completion_tokens"][group]
        figures: Figures = {
            "total_requests": total,
            "failed_requests": total - successful,
            "success_rate_percent": 100 * successful / total if total else None,
            "error_rate_percent": 100 * (total - successful) / total if total else None,
            "requests_per_second": total / seconds if total else None,
            "tokens_per_second": None if throughput is None else throughput / seconds,
            **{name: sums[group] if total else 0 for name, sums in tokens.items()},
            "cost_usd": cost[group],
            "unpriced_requests": int(unpriced[group]),
        }
        for name, stats in DISTRIBUTIONS:
            values = averages_and_percentiles(histograms[name][group], stats)
            figures |= {f"{stat}_{name}": value for stat, value in values.items()}
        rows.append({name: round_figure(value) for name, value in figures.items()})
    return rows


def _machine_figures(segments: Iterable[Segment], filters: Filters, now_s: int) -> Figures:
    """Return the figures of hosts, GPUs and queues."""
    values = gauges.totals(list(MACHINES.values()), segments, filters, now_s)
    return {name: round_figure(value) for name, value in zip(MACHINES, values, strict=True)}
