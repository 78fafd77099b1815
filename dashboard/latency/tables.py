"""The partials of the page: percentiles of each model, and the parts of its mean response time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.template.loader import render_to_string

from dashboard.formatting import NO_FIGURE, Change, Figure, duration, whole
from dashboard.health import ENOUGH_REQUESTS
from dashboard.latency.parts_of_time import parts_of
from dashboard.models.table import p95_change

Row = dict[str, Any]

# name of the figure -> column, for those that need ENOUGH_REQUESTS
PERCENTILES = {
    "p50_response_time_ms": "P50",
    "p75_response_time_ms": "P75",
    "p90_response_time_ms": "P90",
    "p95_response_time_ms": "P95",
    "p99_response_time_ms": "P99",
}
FURTHER = {"p95_ttft_ms": "First token P95", "p50_time_per_output_token_ms": "Per output token P50"}
NARROW = ("P50", "P95")  # shown on a phone
ALL_MODELS = ""  # the name of the row of all models together
SPLIT_MODELS = 7  # the busiest, as in the charts


@dataclass(frozen=True)
class Recent:
    """The figures of the models in the last minutes of the window, by name, and those for which an alert fires.

    `rows` has those of all models together as ALL_MODELS.
    """

    rows: Mapping[str, Row] = field(default_factory=dict)
    firing: frozenset[str] = frozenset()

    def p95(self, name: str) -> Figure:
        """Return the P95 of a model, where it rests on enough requests."""
        row = self.rows.get(name, {})
        enough = (row.get("total_requests") or 0) >= ENOUGH_REQUESTS
        return duration(row.get("p95_response_time_ms")) if enough else NO_FIGURE


@dataclass(frozen=True)
class PercentileRow:
    """A row of the table; that of all models together is named ALL_MODELS."""

    name: str
    requests: Figure
    percentiles: list[tuple[str, Figure]]
    change: Change
    recent: Figure
    fires: bool
    further: list[Figure]


@dataclass(frozen=True)
class SplitRow:
    """A model with its parts (name, width in % of the widest bar, time) in the window and in the one before."""

    name: str
    total: Figure
    parts: list[tuple[str, float, Figure]]
    total_before: Figure
    before: list[tuple[str, float, Figure]]


def percentile_rows(summary: Row, models: Sequence[Row], recent: Recent) -> list[PercentileRow]:
    """Return the rows of the models, then that of all of them."""
    comparable = bool(summary.get("comparable"))
    rows = [_percentile_row(str(row["model_name"]), row, comparable, recent) for row in models if row["total_requests"]]
    return [*rows, _percentile_row(ALL_MODELS, summary, comparable, recent)] if rows else []


def _percentile_row(name: str, row: Row, comparable: bool, recent: Recent) -> PercentileRow:
    enough = row["total_requests"] >= ENOUGH_REQUESTS
    change = p95_change(row, comparable)

    def shown(figure: str) -> Figure:
        return duration(row.get(figure)) if enough else NO_FIGURE

    return PercentileRow(
        name,
        whole(row["total_requests"]),
        [("" if column in NARROW else "wide", shown(figure)) for figure, column in PERCENTILES.items()],
        change if name else change._replace(judgement=""),  # the models have different speeds
        recent.p95(name),
        name in recent.firing,
        [shown(figure) for figure in FURTHER],
    )


def split_rows(summary: Row, models: Sequence[Row]) -> list[SplitRow]:
    """Return the parts of the mean response time of each of the busiest models."""
    comparable = bool(summary.get("comparable"))
    known = [
        (str(row["model_name"]), parts, parts_of(row["previous"]) if comparable else {})
        for row in models[:SPLIT_MODELS]
        if (parts := parts_of(row))
    ]
    widest = max((sum(parts.values()) for _, *both in known for parts in both), default=0.0) or 1.0

    def bar(parts: Mapping[str, float]) -> list[tuple[str, float, Figure]]:
        return [(name, round(100 * value / widest, 2), duration(value)) for name, value in parts.items()]

    def total(parts: Mapping[str, float]) -> Figure:
        return duration(sum(parts.values())) if parts else NO_FIGURE

    return [SplitRow(name, total(now), bar(now), total(before), bar(before)) for name, now, before in known]


def render(
    summary: Row, models: Sequence[Row], omitted: int, span: str, span_before: str, recent: Recent, no_rows: str = ""
) -> dict[str, str]:
    """Return the HTML of the partials by name. `no_rows`: what the table of percentiles says without rows."""
    columns = [(column, "" if column in NARROW else "wide") for column in PERCENTILES.values()]
    further = [(column, "wide") for column in FURTHER.values()]
    context = {"columns": columns, "further": further, "omitted": omitted, "least": ENOUGH_REQUESTS, "no_rows": no_rows}
    return {
        "percentiles": render_to_string(
            "latency/percentiles.html", context | {"rows": percentile_rows(summary, models, recent), "span": span}
        ),
        "split": render_to_string(
            "latency/split.html",
            {
                "rows": split_rows(summary, models),
                "span": span,
                "span_before": span_before,
                "omitted": omitted + max(0, len(models) - SPLIT_MODELS),
            },
        ),
    }
