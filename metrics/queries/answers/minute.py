"""The requests of the last minute, from one-second rollups: in total, of the busiest models, or of a selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from metrics import catalogue
from metrics.queries.answers.queue_levels import Level, queue_levels
from metrics.queries.answers.results import round_for_tick
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.request_rollups import (
    GroupedRollups,
    averages_and_percentiles,
    columns_of_total,
    histogram_columns,
    model_names,
)
from metrics.queries.read.rollup_cache import read_rows
from metrics.queries.read.rollup_rows import COUNTS
from metrics.queries.time.plan import Segment
from metrics.queries.time.window import Window

WINDOW_SECONDS = 60
MODELS_SHOWN = 20
RESPONSE_TIME = catalogue.get("inference.response_time_ms")
TTFT = catalogue.get("inference.ttft_ms")
QUEUE_TIME = catalogue.get("inference.queue_time_ms")
COMPLETION_TOKENS = catalogue.get("inference.completion_tokens")


@dataclass(frozen=True)
class Minute:
    """The figures of all selected requests, those of the busiest models by name, and the queue times."""

    overall: dict[str, Any]
    models: dict[str, dict[str, Any]]
    models_omitted: int
    wait_time_ms: dict[str, float | None]


def read_minute(filters: Filters, at: datetime, levels: Mapping[str, Level], most_models: int = MODELS_SHOWN) -> Minute:
    """Return the minute up to the end of the current second. The figures equal those of `summary` for that window.

    `levels` are the queue lengths by model.
    """
    window = Window.last(WINDOW_SECONDS, at)
    columns = {*COUNTS, *columns_of_total(COMPLETION_TOKENS)}
    for metric in (RESPONSE_TIME, TTFT, QUEUE_TIME):
        columns |= set(histogram_columns(metric, filters.outcome))
    rows = read_rows([Segment(1, window.start_s, window.end_s)], sorted(columns), filters.series_ids())

    model_of = model_names(rows.series_ids) if most_models else {}
    requests = {model: count for model, count in rows.requests_by(model_of).items() if count}
    busiest = sorted(requests, key=lambda model: (-requests[model], model))
    shown = busiest[:most_models]

    # Each model that is shown is a group, and the other rows are one more group. All groups together are the total.
    rest = len(shown)
    number_of = {model: number for number, model in enumerate(shown)}
    series = {series_id: number_of.get(model, rest) for series_id, model in model_of.items()}
    groups = GroupedRollups(rows, rows.group_numbers(series, default=rest), rest + 1)
    total = groups.total()
    figures = _figures(groups, filters)
    models = {
        model: figures[number] | {"in_flight": levels[model].in_flight if model in levels else None}
        for model, number in number_of.items()
    }
    overall = _figures(total, filters)[0] | {"in_flight": Level.sum_of(levels.values()).in_flight}
    wait = averages_and_percentiles(total.histograms(QUEUE_TIME, filters.outcome), ("p50", "p95"))[0]
    return Minute(round_for_tick(overall), round_for_tick(models), len(busiest) - rest, round_for_tick(wait))


def live_view(filters: Filters, now: datetime) -> dict[str, Any]:
    """Return the figures that a tick has as `overall`, for these filters. Raises QueryTooSlow."""
    with query_budget():
        return read_minute(filters, now, queue_levels(filters, now), most_models=0).overall


def _figures(groups: GroupedRollups, filters: Filters) -> list[dict[str, Any]]:
    """Return the figures of each group; None for what is unknown."""
    ok, failed = (groups.sums(column).tolist() for column in COUNTS)
    tokens = groups.totals(COMPLETION_TOKENS)
    times = {
        metric.short: averages_and_percentiles(groups.histograms(metric, filters.outcome), ("avg", "p50", "p95", "p99"))
        for metric in (RESPONSE_TIME, TTFT)
    }
    rows = []
    for group in range(groups.count):
        total, throughput = ok[group] + failed[group], tokens[group]
        rows.append(
            {
                "requests_per_second": total / WINDOW_SECONDS if total else None,
                "tokens_per_second": None if throughput is None else throughput / WINDOW_SECONDS,
                **{name: of_groups[group] for name, of_groups in times.items()},
                "error_rate_percent": 100 * failed[group] / total if total else None,
            }
        )
    return rows
