"""The performance summary: one figure each for a whole window, beside those of the window before and the change.

Sums of nothing are 0; every other figure of silence is None. Rates divide by the seconds from the answer's `from` to
its `to` (where the window reaches past the retention: by those that are kept), and `to` is at the latest the end of
the running second. Machines: averages over hosts (GPUs) of each one's average, peaks over all of them.

The figures and changes are true whatever they rest on; `comparable` says whether a change is worth showing. It is when
the window before holds at least 20 requests, in at least half as many of its parts as the window itself: the first hour
of recording, compared with the minute before it, or a day with the end of a night, is not. Parts are at most 24, equal,
and none finer than the buckets that the window is read from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from metrics import catalogue
from metrics.aggregation import OUTCOME_COLUMNS
from metrics.histogram import Histogram
from metrics.queries.answers.caching import cached
from metrics.queries.numbers import change_percent, exact
from metrics.queries.read import gauges
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.request_rollups import NANO, GroupedRollups, histogram_columns, read_rows
from metrics.queries.series_spec import SeriesSpec
from metrics.queries.time.window import Tiles, Window, end_of_now, iso, partial_note, segments

# Name of the histogram figures: (metric, statistics).
DISTRIBUTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("response_time_ms", ("avg", "p50", "p95", "p99")),
    ("ttft_ms", ("avg", "p95")),
    ("queue_time_ms", ("avg", "p95")),
    ("tokens_per_second", ("avg",)),
    ("prompt_tokens", ("avg", "p50", "p95", "p99")),
    ("completion_tokens", ("avg", "p50", "p95", "p99")),
)
MACHINES: tuple[tuple[str, str, str], ...] = (
    ("peak_memory_percent", "system.memory_percent", "max"),
    ("avg_memory_percent", "system.memory_percent", "avg"),
    ("avg_cpu_percent", "system.cpu_percent", "avg"),
    ("avg_gpu_utilization_percent", "gpu.utilization_percent", "avg"),
    ("avg_gpu_memory_percent", "gpu.memory_percent", "avg"),
    ("peak_gpu_memory_percent", "gpu.memory_percent", "max"),
    ("avg_queue_pending", "queue.pending", "avg"),
    ("avg_queue_processing", "queue.processing", "avg"),
)
PARTS = 24  # at most: a bucket lies in one of them, so five minutes in whole minutes have five
LEAST_REQUESTS = 20
TOKEN_SUMS = ("prompt_tokens", "completion_tokens", "total_tokens")

Figures = dict[str, float | int | None]


@dataclass(frozen=True)
class Summary:
    """The figures of one window."""

    window: Window
    previous_window: Window
    figures: Figures
    previous: Figures
    comparable: bool
    retention_from: datetime | None = None
    age_seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: flat, with `previous` and `change_percent` under the same names, and `comparable`."""
        answer: dict[str, Any] = {"from": iso(self.window.start), "to": iso(self.window.end), **self.figures}
        answer["previous"] = {
            "from": iso(self.previous_window.start), "to": iso(self.previous_window.end), **self.previous
        }  # fmt: skip
        answer["change_percent"] = {
            name: change_percent(value, self.previous.get(name)) for name, value in self.figures.items()
        }
        answer["comparable"] = self.comparable
        if self.age_seconds:
            answer["age_seconds"] = self.age_seconds
        return answer | partial_note(self.retention_from)


def summary(window: Window, filters: Filters, now: datetime) -> Summary:
    """The summary of a window. Raises QueryTooSlow."""

    def compute() -> Summary:
        with query_budget():
            tiles = segments(window, now)
            before = segments(tiles.window.before(), now)
            (figures, parts), (previous, parts_before) = (_figures(one, filters, now) for one in (tiles, before))
            return Summary(
                tiles.window,
                before.window,
                figures,
                previous,
                int(previous["total_requests"] or 0) >= LEAST_REQUESTS and 2 * parts_before >= parts,
                tiles.retention_from,
            )

    return cached(("summary", filters), window, now, compute)


def request_columns(filters: Filters) -> list[str]:
    """The rollup columns behind the figures of requests."""
    found = {*OUTCOME_COLUMNS, *TOKEN_SUMS, "cost_nanodollars", "unpriced_requests"}
    for name, _ in DISTRIBUTIONS:
        found |= set(histogram_columns(catalogue.get(f"inference.{name}"), filters.outcome))
    return sorted(found)


def elapsed_seconds(tiles: Tiles, now: datetime) -> int:
    """The seconds that rates divide by."""
    start = max(tiles.window.start_s, tiles.segments[0][1]) if tiles.segments else tiles.window.start_s
    return max(1, min(tiles.window.end_s, end_of_now(now)) - start)


def request_figures(groups: GroupedRollups, filters: Filters, seconds: int) -> list[Figures]:
    """The figures of requests of each group."""
    requests = groups.requests()
    ok = groups.sums("ok")
    found: list[Figures] = []
    merged: dict[str, list[Histogram]] = {
        name: groups.histogram_of(catalogue.get(f"inference.{name}"), filters.outcome) for name, _ in DISTRIBUTIONS
    }
    cost, unpriced = groups.sums("cost_nanodollars"), groups.sums("unpriced_requests")
    tokens = {name: groups.sums(name) for name in TOKEN_SUMS}
    for number in range(groups.count):
        n, good = int(requests[number]), int(ok[number])
        own: Figures = {
            "total_requests": n,
            "failed_requests": n - good,
            "success_rate_percent": 100 * good / n if n else None,
            "error_rate_percent": 100 * (n - good) / n if n else None,
            "requests_per_second": n / seconds if n else None,
            # Throughput: output tokens per second of wall time, where anybody counted them.
            "tokens_per_second": (
                int(tokens["completion_tokens"][number]) / seconds
                if merged["completion_tokens"][number].count
                else None
            ),
            **{name: int(sums[number]) for name, sums in tokens.items()},
            # Failures known by their error alone have no price and no mark that they lack one.
            "cost_usd": int(cost[number]) / NANO if cost[number] or good > unpriced[number] else None,
            "unpriced_requests": int(unpriced[number]),
        }
        for name, stats in DISTRIBUTIONS:
            histogram = merged[name][number]
            quantiles = histogram.quantiles([float(stat[1:]) / 100 for stat in stats if stat != "avg"])
            own |= {
                f"{stat}_{name}": value for stat, value in zip([s for s in stats if s != "avg"], quantiles, strict=True)
            }
            if "avg" in stats:
                own[f"avg_{name}"] = histogram.mean
        found.append({name: exact(value) for name, value in own.items()})
    return found


def machine_figures(tiles: Iterable[tuple[int, int, int]], filters: Filters) -> Figures:
    """The figures of machines and queues."""
    values = gauges.totals([SeriesSpec(catalogue.get(metric), stat) for _, metric, stat in MACHINES], tiles, filters)
    return {name: exact(value) for (name, _, _), value in zip(MACHINES, values, strict=True)}


def _figures(tiles: Tiles, filters: Filters, now: datetime) -> tuple[Figures, int]:
    """The figures of a window, and in how many of its parts a request ended."""
    rows = read_rows(tiles.segments, request_columns(filters), filters.series_ids())
    groups = GroupedRollups(rows, np.zeros(len(rows), dtype=np.int64), 1)
    own = request_figures(groups, filters, elapsed_seconds(tiles, now))[0]
    parts = np.unique((rows.buckets - tiles.window.start_s) * PARTS // tiles.window.seconds)
    return own | machine_figures(tiles.segments, filters), len(parts)
