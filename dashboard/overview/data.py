"""The data of the Overview, for its first rendering and for each change of the window or the filters.

One function returns it for both, so that an update shows the same data as a reload. It reads only through
`metrics.queries`. A part that takes too long is None and named in a notice; the other parts are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from dashboard.overview import health, sentence
from dashboard.overview.alerts import OverviewAlerts
from dashboard.page_query import PageQuery
from dashboard.parts import Parts
from metrics import catalogue, queries
from metrics.queries import RANGES, Filters, Ranking, SeriesSpec, Window
from metrics.queries.time.window import DEFAULT_RANGE, STEPS

Result = TypeVar("Result")

RESPONSE = "inference.response_time_ms"
# Series of all requests in the window together.
SERIES = (
    *(SeriesSpec.of(RESPONSE, stat) for stat in ("p50", "p90", "p95", "p99", "avg", "count")),
    SeriesSpec.of("inference.queue_time_ms", "avg"),
    SeriesSpec.of("inference.ttft_ms", "avg"),
    SeriesSpec.of("inference.requests", "rate"),
    SeriesSpec.of("inference.failed_requests", "rate"),
    SeriesSpec.of("inference.error_rate_percent", "avg"),
    SeriesSpec.of("inference.prompt_tokens", "rate"),
    SeriesSpec.of("inference.completion_tokens", "rate"),
    SeriesSpec.of("queue.pending", "avg"),
    SeriesSpec.of("queue.processing", "avg"),
    SeriesSpec.of("system.cpu_percent", "avg"),
    SeriesSpec.of("system.memory_percent", "avg"),
    SeriesSpec.of("gpu.utilization_percent", "avg"),
    SeriesSpec.of("gpu.memory_percent", "avg"),
)
# Series of each model.
SERIES_BY_MODEL = (
    SeriesSpec.of("inference.completion_tokens", "rate", "model"),
    SeriesSpec.of(RESPONSE, "p95", "model"),
)
MODELS_ASSESSED = 100  # for the sentence; those with the most failed requests are added
MODELS_SHOWN = 25  # in the table, with a sparkline each; the others can be searched for
# What the table shows of a model's row
MODEL_FIELDS = (
    "model_name", "modelled", "total_requests", "p50_response_time_ms", "p95_response_time_ms", "p99_response_time_ms",
    "p95_ttft_ms", "avg_tokens_per_second", "error_rate_percent",
)  # fmt: skip
HEATMAP_COLUMNS = 60
RECENT_SECONDS = 300  # a problem in the window that does not occur in these is over
YOUNG_SECONDS = 900  # the default range is short while the first request is younger than this
CHART_POINTS = 180  # at most, between two fixed times; a range has its own step
EMPTY_SUMMARY: dict[str, Any] = {"total_requests": 0, "previous": {}, "change_percent": {}}


def gather(query: PageQuery, now: datetime) -> dict[str, Any]:
    """Return the page's data, ready for JSON. Raises the errors of the store where it cannot be read at all."""
    data = figures(query, now)
    parts = Parts(data["notices"])
    step = chart_step(query, data["has_events"])
    return data | {
        "history": parts.read(
            "The charts",
            lambda: _series(
                (*SERIES, *SERIES_BY_MODEL), query.window, query.filters, step, now, _names(data["models"])
            ),
        ),
        "current": parts.read("The live figures", lambda: queries.current(now)),
    }


def figures(query: PageQuery, now: datetime) -> dict[str, Any]:
    """Return the part of the data that ticks do not carry. An open page reads it again every few seconds."""
    window, filters = query.window, query.filters
    notices = list(query.notices)
    parts = Parts(notices)
    read = parts.read(
        "The summary with the models",
        lambda: queries.summary_and_models(window, filters, now, limit=MODELS_ASSESSED),
    )
    summary = read[0].as_dict() if read else EMPTY_SUMMARY
    ranking = read[1] if read else Ranking([], 0)
    # The menus also have what the filters hide.
    counts = read[2] if read and not filters.as_dict() else None
    hosts = parts.read("The list of machines", lambda: queries.host_states(now)) or []
    has_events = queries.has_events()
    alerts = OverviewAlerts(window, filters, parts)
    return {
        "now": int(now.timestamp() * 1000),
        "params": query.as_dict(),
        "summary": summary,
        "heatmap": parts.read("The response time distribution", lambda: _heatmap(query, now)),
        **_table(ranking),
        "options": parts.read("The choices of the filters", lambda: queries.choices(window, now, counts=counts)) or {},
        "sentence": (
            _sentence(query, summary, ranking, hosts, alerts.spans, parts, now)
            if has_events or alerts.fires
            else sentence.NO_EVENTS
        ).as_dict(),
        "alerts": alerts.as_dict(spec.metric.name for spec in SERIES),
        "has_events": has_events,
        "demo": {"present": queries.has_demo(), "stopped": queries.demo_has_stopped()},
        "notices": notices,
    }


def search_models(query: PageQuery, text: str, now: datetime) -> dict[str, Any]:
    """Return the rows of the models whose names contain a text, with their series. Raises QueryStopped."""
    ranking = queries.models(
        query.window, query.filters, now, limit=MODELS_SHOWN, search=text, figure_set=queries.TIMES
    )
    table = _table(ranking)
    filters = replace(query.filters, model=_names(table["models"]))
    step = chart_step(query, has_events=True)
    return {**table, "history": _series(SERIES_BY_MODEL, query.window, filters, step, now) if filters.model else None}


def _table(ranking: Ranking) -> dict[str, Any]:
    """Return the rows of the table of models, and how many further models have requests."""
    rows = [
        {name: row.get(name) for name in MODEL_FIELDS}
        | {"is_failing": bool(health.error_rate(row)), "is_slow": ranking.comparable and bool(health.SLOW.ratio(row))}
        for row in ranking.results[:MODELS_SHOWN]
    ]
    return {"models": rows, "models_omitted": ranking.omitted + len(ranking.results) - len(rows)}


def _names(models: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(row["model_name"] for row in models)


def _sentence(
    query: PageQuery,
    summary: dict[str, Any],
    assessed: Ranking,
    hosts: list[dict[str, Any]],
    alerts: Sequence[dict[str, Any]],
    parts: Parts,
    now: datetime,
) -> sentence.Sentence:
    window = Window.last(min(RECENT_SECONDS, query.window.seconds // 3), now)

    rows = assessed.results
    filters = replace(query.filters, model=_names(rows))

    def recent() -> list[dict[str, Any]]:
        ranking = parts.read(
            "The state of the last minutes",
            lambda: queries.models(window, filters, now, limit=len(rows), figure_set=queries.TIMES),
        )
        return ranking.results if ranking else []

    # The hosts of demo data end with it.
    named = query.filters.host
    chosen = [host for host in hosts if not host["is_demo"] and (not named or host["host"] in named)]
    return sentence.describe_state(
        summary,
        rows,
        query.span,
        query.span_before,
        past=query.range is None,
        hosts=chosen,
        recent=recent,
        not_assessed=assessed.omitted,
        alerts=alerts,
    )


def default_range(now: datetime) -> str:
    """Return the range for an address that names none: a short one while there is little data."""
    if not queries.has_events():
        return "5m"
    first = queries.first_request_at()
    return "15m" if first and first > now - timedelta(seconds=YOUNG_SECONDS) else DEFAULT_RANGE


def specs() -> list[dict[str, Any]]:
    """Return the series as the page subscribes to them."""
    return [spec.as_dict() for spec in (*SERIES, *SERIES_BY_MODEL)]


def chart_step(query: PageQuery, has_events: bool) -> int | None:
    """Return the seconds between the points of the charts; None lets the query layer choose."""
    if not has_events and query.window.seconds <= 300:
        return 1  # machines only, which are sampled each second
    if query.range:
        return RANGES[query.range].chart_step_seconds
    return _finest_step(query.window, CHART_POINTS)


def _finest_step(window: Window, most: int) -> int | None:
    return next((step for step in STEPS if window.seconds / step <= most), None)


def _series(
    specs: Sequence[SeriesSpec],
    window: Window,
    filters: Filters,
    step: int | None,
    now: datetime,
    models: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return the series in a form that is a third as long as that of the API: values without their times."""
    result = _with_step(step, lambda step: queries.series(specs, window, filters, step=step, models=models, now=now))
    start = result.plan.starts[0] * 1000 if result.plan.points else 0
    lines = [
        {
            "metric": line.metric.name,
            "stat": line.stat,
            "labels": line.labels,
            "values": [_short(value) for value in line.values],
        }
        for line in result.lines
    ]
    head = {name: value for name, value in result.as_dict(with_series=False).items() if name not in ("from", "to")}
    return {**head, "start": start, "series": lines}


def _short(value: float | int | None) -> float | int | None:
    """Return a value with six significant digits, which no chart needs more of."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _heatmap(query: PageQuery, now: datetime) -> dict[str, Any]:
    metric = catalogue.get(RESPONSE)
    return _with_step(
        _finest_step(query.window, HEATMAP_COLUMNS),
        lambda step: queries.heatmap(metric, query.window, query.filters, step=step, now=now).as_dict(),
    )


def _with_step(step: int | None, read: Callable[[int | None], Result]) -> Result:
    """Read with `step`, or with a coarser one where the window is so old that only coarser steps are kept."""
    try:
        return read(step)
    except queries.BadQuery:
        return read(None)
