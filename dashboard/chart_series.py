"""The series, histograms and heatmaps of a page's charts, in a form that is a third as long as that of the API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dashboard.page_query import PageQuery
from dashboard.reading import Reading
from metrics import queries
from metrics.catalogue import PERCENTILE, Metric
from metrics.queries import RANGES, Filters, SeriesSpec, Window
from metrics.queries.time.window import STEPS

Result = TypeVar("Result")

CHART_POINTS = 180  # at most, between two fixed times; a range has its own step
ENOUGH_FOR_P95 = 20  # requests in a step; of fewer, P95 and P99 are the same request
LEAST_POINTS = 12  # where the window has too few requests for more, because a chart also has rates and gauges
HEATMAP_COLUMNS = 60
HISTOGRAM_MODELS = 5


def chart_series(
    specs: Sequence[SeriesSpec],
    reading: Reading,
    *,
    window: Window | None = None,
    filters: Filters | None = None,
    models: Sequence[str] | None = None,
    busiest: int | None = None,
    requests: int | None = None,
) -> dict[str, Any]:
    """Return the values of series without their times. `models`: those that get a line, where a spec groups by model.
    `busiest`: the number of hosts that get one, where a spec groups by host; the others have one together.

    The window, the filters and the number of requests are those of the page, if others are not given. The window before
    has the step of the window. Raises QueryStopped.
    """
    chosen = window or reading.window, filters or reading.filters
    if not any(PERCENTILE.fullmatch(spec.stat) for spec in specs):
        requests = None
    elif requests is None:
        requests = reading.requests.summary["total_requests"]
    result = _with_step(
        chart_step(reading.query, reading.has_events, requests),
        lambda step: queries.series(specs, *chosen, step=step, models=models, busiest=busiest, now=reading.now),
    )
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


def series_before(specs: Sequence[SeriesSpec], reading: Reading, models: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the series of the window before, moved onto the window of the page. Raises QueryStopped."""
    result = chart_series(specs, reading, window=reading.window.before(), models=models)
    step_ms = result["step_seconds"] * 1000
    result["start"] += -(-reading.window.seconds * 1000 // step_ms) * step_ms
    return result


def chart_heatmap(metric: Metric, reading: Reading, filters: Filters | None = None) -> dict[str, Any]:
    """Return the distribution of a metric over time. Raises QueryStopped."""
    return _with_step(
        finest_step(reading.window, HEATMAP_COLUMNS),
        lambda step: queries.heatmap(
            metric, reading.window, filters or reading.filters, step=step, now=reading.now
        ).as_dict(),
    )


def chart_histogram(metric: Metric, reading: Reading) -> dict[str, Any]:
    """Return the distribution of a metric for the busiest models, with the window before where it can be compared.

    Raises QueryStopped.
    """
    return queries.model_histograms(
        metric,
        reading.window,
        reading.filters,
        reading.now,
        reading.model_names[:HISTOGRAM_MODELS],
        compare=bool(reading.requests.summary.get("comparable")),
    ).as_dict()


def chart_step(query: PageQuery, has_events: bool, requests: int | None = None) -> int | None:
    """Return the seconds between the points of the charts; None lets the query layer choose.

    `requests`: the number of those in the window, where the charts have percentiles. Then a point rests on
    ENOUGH_FOR_P95 on average, if LEAST_POINTS have as many.
    """
    if not has_events and query.window.seconds <= 300:
        return 1  # machines only, which are sampled each second
    step = RANGES[query.range].chart_step_seconds if query.range else finest_step(query.window, CHART_POINTS)
    if step is None or requests is None or requests < ENOUGH_FOR_P95:
        return step
    points = max(LEAST_POINTS, requests // ENOUGH_FOR_P95)
    return max(step, finest_step(query.window, points) or STEPS[-1])


def finest_step(window: Window, most: int) -> int | None:
    """Return the finest step that gives at most this number of points; None: there is none."""
    return next((step for step in STEPS if window.seconds / step <= most), None)


def _short(value: float | int | None) -> float | int | None:
    """Return a value with six significant digits, which no chart needs more of."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _with_step(step: int | None, read: Callable[[int | None], Result]) -> Result:
    """Read with `step`, or with a coarser one where the window is so old that only coarser steps are kept."""
    try:
        return read(step)
    except queries.BadQuery:
        return read(None)
