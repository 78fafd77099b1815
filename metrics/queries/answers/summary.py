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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from metrics import catalogue
from metrics.queries.answers.caching import cached
from metrics.queries.answers.results import notes, round_figure
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.gauge_totals import HostValues, totals
from metrics.queries.read.request_rollups import (
    GroupedRollups,
    averages_and_percentiles,
    columns_of_total,
    histogram_columns,
)
from metrics.queries.read.rollup_cache import read_rows
from metrics.queries.read.rollup_rows import COUNTS, RollupRows
from metrics.queries.series_spec import SeriesSpec
from metrics.queries.time.plan import SplitWindow, split_window
from metrics.queries.time.window import Window, end_of_now

Figures = dict[str, float | int | None]


class FigureSet(NamedTuple):
    """The figures of requests that are read beside the numbers of requests, the error rate and the rates.

    distributions: the statistics of each metric that is stored as histograms. sums: of counts and tokens;
    completion tokens must be one, because the throughput is computed from their sum.
    """

    distributions: Mapping[str, Sequence[str]]
    sums: Sequence[str]
    has_cost: bool


_TIMES: dict[str, Sequence[str]] = {
    "response_time_ms": ("avg", "p50", "p95", "p99"),
    "ttft_ms": ("avg", "p95"),
    "queue_time_ms": ("avg", "p95"),
    "tokens_per_second": ("avg",),
}
_TOKENS: dict[str, Sequence[str]] = dict.fromkeys(("prompt_tokens", "completion_tokens"), ("avg", "p50", "p95", "p99"))
ALL_FIGURES = FigureSet(_TIMES | _TOKENS, ("prompt_tokens", "completion_tokens", "total_tokens"), True)
TIMES = FigureSet(_TIMES, ("completion_tokens",), False)  # a summary reads 8 columns for these, and 13 for all
# What a table of models shows
TIMES_AND_COST = FigureSet(_TIMES, ("prompt_tokens", "completion_tokens"), True)
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
COST = catalogue.get("inference.cost_usd")


@dataclass(frozen=True)
class Summary:
    """The figures of a window and of the previous one."""

    window: Window
    previous_window: Window
    figures: Figures
    previous: Figures
    comparable: bool
    hosts: HostValues  # the averages of each host in the window, by the name of the metric
    previous_hosts: HostValues
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
            return summary_of(
                [figures_of(reading, GroupedRollups.as_one(reading.rows), filters, now) for reading in readings]
            )

    return cached(("summary", filters), window, now, compute)


class Reading(NamedTuple):
    """The rollup rows of the requests in a window, with the columns of some figures."""

    split: SplitWindow
    rows: RollupRows
    figure_set: FigureSet

    @property
    def parts(self) -> int:
        """The number of parts of the window that have requests."""
        window = self.split.window
        return len(np.unique((self.rows.buckets - window.start_s) * PARTS // window.seconds))

    def figures(self, groups: GroupedRollups, filters: Filters, now: datetime) -> list[Figures]:
        """Return the figures of requests of each group."""
        seconds = elapsed_seconds(self.split, now)
        ok, failed = (groups.sums(column).tolist() for column in COUNTS)
        tokens = {name: groups.totals(catalogue.get(f"inference.{name}")) for name in self.figure_set.sums}
        cost: dict[str, Sequence[Any]] = {}
        if self.figure_set.has_cost:
            cost = {"cost_usd": groups.totals(COST), "unpriced_requests": groups.sums("unpriced_requests").tolist()}
        distributions = {
            name: averages_and_percentiles(
                groups.histograms(catalogue.get(f"inference.{name}"), filters.outcome), stats
            )
            for name, stats in self.figure_set.distributions.items()
        }
        rows: list[Figures] = []
        for group in range(groups.count):
            total = ok[group] + failed[group]
            throughput = tokens["completion_tokens"][group]
            figures: Figures = {
                "total_requests": total,
                "failed_requests": failed[group],
                "success_rate_percent": 100 * ok[group] / total if total else None,
                "error_rate_percent": 100 * failed[group] / total if total else None,
                "requests_per_second": total / seconds if total else None,
                "tokens_per_second": None if throughput is None else throughput / seconds,
                **{name: sums[group] if total else 0 for name, sums in tokens.items()},
                **{name: of_groups[group] for name, of_groups in cost.items()},
            }
            for name, of_groups in distributions.items():
                figures |= {f"{stat}_{name}": value for stat, value in of_groups[group].items()}
            rows.append({name: round_figure(value) for name, value in figures.items()})
        return rows


class WindowFigures(NamedTuple):
    """The figures of a window, and the number of its parts that have requests."""

    split: SplitWindow
    figures: Figures
    hosts: HostValues
    parts: int


def is_comparable(requests_before: int, parts_before: int, parts: int) -> bool:
    """Return whether a change is worth showing, by what the previous window has, and the parts of the window."""
    return requests_before >= MIN_COMPARABLE_REQUESTS and 2 * parts_before >= parts


def read_with_previous(
    window: Window,
    filters: Filters,
    now: datetime,
    *,
    ids: Sequence[int] | None = None,
    figure_set: FigureSet = ALL_FIGURES,
) -> Iterator[Reading]:
    """Yield what is read of the window, and of the previous one. `ids` are the label sets, if they are known."""
    columns = request_columns(filters, figure_set)
    ids = filters.series_ids() if ids is None else ids
    split = split_window(window, now)
    for part in (split, split_window(split.window.before(), now)):
        yield Reading(part, read_rows(part.segments, columns, ids), figure_set)


def figures_of(reading: Reading, total: GroupedRollups, filters: Filters, now: datetime) -> WindowFigures:
    """Return the figures of a window. `total` has the sums of all its rows, as one group."""
    figures = reading.figures(total, filters, now)[0]
    values, hosts = totals(list(MACHINES.values()), reading.split.segments, filters, end_of_now(now))
    machines = {name: round_figure(value) for name, value in zip(MACHINES, values, strict=True)}
    return WindowFigures(reading.split, figures | machines, hosts, reading.parts)


def summary_of(windows: Sequence[WindowFigures]) -> Summary:
    """Return the summary of a window and the previous one."""
    current, previous = windows
    return Summary(
        current.split.window,
        previous.split.window,
        current.figures,
        previous.figures,
        is_comparable(int(previous.figures["total_requests"] or 0), previous.parts, current.parts),
        current.hosts,
        previous.hosts,
        current.split.retention_from,
    )


def request_columns(filters: Filters, figure_set: FigureSet) -> list[str]:
    """Return the rollup columns that the figures of requests are computed from."""
    columns = set(COUNTS)
    if figure_set.has_cost:
        columns |= columns_of_total(COST)
    for name in figure_set.sums:
        columns |= columns_of_total(catalogue.get(f"inference.{name}"))
    for name in figure_set.distributions:
        columns |= set(histogram_columns(catalogue.get(f"inference.{name}"), filters.outcome))
    return sorted(columns)


def elapsed_seconds(split: SplitWindow, now: datetime) -> int:
    """Return the seconds that rates are divided by."""
    start = max(split.window.start_s, split.segments[0].start) if split.segments else split.window.start_s
    return max(1, min(split.window.end_s, end_of_now(now)) - start)
