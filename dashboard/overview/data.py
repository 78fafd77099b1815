"""Everything that the Overview shows, gathered once: for its first rendering and for each change of window or filters.

One function answers both, so that a page that was changed on the spot equals one that was loaded. It reads
`metrics.queries` and nothing else. A part that takes too long is left out and named; the others are shown.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from dashboard.overview import sentence
from dashboard.parameters import PageQuery
from metrics import catalogue, queries
from metrics.queries import Filters, QueryTooSlow, Ranking, SeriesSpec, Window
from metrics.queries.time.window import DEFAULT_RANGE, STEPS

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

RESPONSE = "inference.response_time_ms"
# Of all requests in the window together.
SERIES = tuple(
    SeriesSpec(catalogue.get(name), stat)
    for name, stat in (
        (RESPONSE, "p50"),
        (RESPONSE, "p90"),
        (RESPONSE, "p95"),
        (RESPONSE, "p99"),
        (RESPONSE, "avg"),
        (RESPONSE, "count"),
        ("inference.queue_time_ms", "avg"),
        ("inference.ttft_ms", "avg"),
        ("inference.requests", "rate"),
        ("inference.failed_requests", "rate"),
        ("inference.error_rate_percent", "avg"),
        ("inference.prompt_tokens", "rate"),
        ("inference.completion_tokens", "rate"),
        ("queue.pending", "avg"),
        ("queue.processing", "avg"),
        ("system.cpu_percent", "avg"),
        ("system.memory_percent", "avg"),
        ("gpu.utilization_percent", "avg"),
        ("gpu.memory_percent", "avg"),
    )
)
# Of each model.
SERIES_BY_MODEL = tuple(
    SeriesSpec(catalogue.get(name), stat, ("model",))
    for name, stat in (("inference.completion_tokens", "rate"), (RESPONSE, "p95"))
)
HEATMAP_COLUMNS = 60
RECENT_SECONDS = 300  # what was wrong in the window and is not in these is over
YOUNG_SECONDS = 900  # a store whose first request is younger than this is looked at closely
# Coarser than the API's own choice: a percentile of three requests is noise. The open bucket moves each second.
CHART_POINTS = 180
STEPS_OF_RANGES = {"5m": 5, "15m": 10, "1h": 30, "6h": 120, "24h": 600, "7d": 3_600, "30d": 10_800}
EMPTY_SUMMARY: dict[str, Any] = {"total_requests": 0, "previous": {}, "change_percent": {}}


def gather(asked: PageQuery, now: datetime) -> dict[str, Any]:
    """The page's data, ready for JSON. Raises what the store raises when it cannot be read at all."""
    found = figures(asked, now)
    parts = _Parts(found["notices"])
    step = chart_step(asked, found["has_events"])
    return found | {
        "history": parts.read("The history", lambda: _series(SERIES, asked, step, now)),
        "by_model": parts.read("The history by model", lambda: _series(SERIES_BY_MODEL, asked, step, now)),
        "current": queries.current(now),
    }


def figures(asked: PageQuery, now: datetime) -> dict[str, Any]:
    """The part of the data that no tick carries: an open page reads it again every few seconds."""
    window, filters = asked.window, asked.filters
    notices = list(asked.notices)
    parts = _Parts(notices)
    summary = parts.read("The summary", lambda: queries.summary(window, filters, now).as_dict()) or EMPTY_SUMMARY
    shown = parts.read("The table of models", lambda: queries.models(window, filters, now)) or Ranking([], 0)
    if shown.omitted:
        notices.append(f"The table shows the busiest {len(shown.results)} models; {shown.omitted} more had requests.")
    rows = shown.results
    everything: Ranking | None = shown
    if narrows(filters):
        everything = parts.read("The list of models", lambda: queries.models(window, Filters(), now))
    hosts = parts.read("The list of machines", lambda: queries.hosts(now)) or []
    return {
        "now": int(now.timestamp() * 1000),
        "params": asked.as_dict(),
        "summary": summary,
        "heatmap": parts.read("The distribution", lambda: _heatmap(asked, now)),
        "models": rows,
        "hosts": hosts,
        "options": options(everything.results if everything else [], hosts),
        "sentence": _sentence(asked, summary, rows, hosts, parts, now),
        "has_events": queries.has_events(),
        "demo": {"present": queries.has_demo()},
        "notices": notices,
    }


def _sentence(
    asked: PageQuery,
    summary: dict[str, Any],
    rows: list[dict[str, Any]],
    hosts: list[dict[str, Any]],
    parts: _Parts,
    now: datetime,
) -> dict[str, str]:
    recent = Window.last(min(RECENT_SECONDS, asked.window.seconds // 3), now)
    chosen = [host for host in hosts if not asked.filters.host or host["host"] in asked.filters.host]
    found = sentence.describe_state(
        summary, rows, asked.span, asked.span_before,
        past=asked.range is None,
        hosts=chosen,
        recent=lambda: (parts.read("What happened last", lambda: queries.models(recent, asked.filters, now))
                        or Ranking([], 0)).results,
    )  # fmt: skip
    return found.as_dict()


class _Parts:
    """Reads parts of the page; one that takes too long is None and named in the notices."""

    def __init__(self, notices: list[str]) -> None:
        self._notices = notices

    def read(self, title: str, ask: Callable[[], Answer]) -> Answer | None:
        try:
            return ask()
        except QueryTooSlow as error:
            logger.warning("overview: %s: %s", title, error)
            self._notices.append(f"{title} is not shown: {error}")
            return None


def default_range(now: datetime) -> str:
    """The range of an address that names none: short while there is little to see."""
    if not queries.has_events():
        return "5m"
    seen = [row["first_seen"] for row in queries.models(Window.last(2 * YOUNG_SECONDS, now), Filters(), now).results]
    young = seen and min(datetime.fromisoformat(one) for one in seen) > now - timedelta(seconds=YOUNG_SECONDS)
    return "15m" if young else DEFAULT_RANGE


def specs() -> list[dict[str, Any]]:
    """Return the series as the page subscribes to them."""
    return [spec.as_dict() for spec in (*SERIES, *SERIES_BY_MODEL)]


def chart_step(asked: PageQuery, has_events: bool) -> int | None:
    """Seconds between the points of the charts; None leaves it to the query layer."""
    if not has_events and asked.window.seconds <= 300:
        return 1  # machines alone, which are sampled each second
    if asked.range:
        return STEPS_OF_RANGES[asked.range]
    return next((one for one in STEPS if asked.window.seconds / one <= CHART_POINTS), None)


def _series(specs: Sequence[SeriesSpec], asked: PageQuery, step: int | None, now: datetime) -> dict[str, Any]:
    try:
        answer = queries.series(specs, asked.window, asked.filters, step=step, now=now)
    except queries.BadQuery:  # so old that only coarser steps are kept
        answer = queries.series(specs, asked.window, asked.filters, now=now)
    return answer.as_dict()


def _heatmap(asked: PageQuery, now: datetime) -> dict[str, Any]:
    try:
        step = next(one for one in STEPS if asked.window.seconds / one <= HEATMAP_COLUMNS)
        answer = queries.heatmap(catalogue.get(RESPONSE), asked.window, asked.filters, step=step, now=now)
    except (StopIteration, queries.BadQuery):  # so old that only coarser steps are kept
        answer = queries.heatmap(catalogue.get(RESPONSE), asked.window, asked.filters, step=None, now=now)
    return answer.as_dict()


def narrows(filters: Filters) -> bool:
    """Whether any filter is set."""
    return bool(filters.as_dict())


def options(models: Iterable[dict[str, Any]], hosts: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What the filters offer: values with the number of requests in the window, the busiest first."""
    by_model: dict[str, int] = {}
    by_provider: dict[str, int] = {}
    for row in models:
        count = row["total_requests"]
        by_model[row["model_name"]] = by_model.get(row["model_name"], 0) + count
        for name in row["providers"]:
            by_provider[name] = by_provider.get(name, 0) + count
    found = {
        name: [
            {"value": value, "count": count}
            for value, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        ]
        for name, counts in (("model", by_model), ("provider", by_provider))
    }
    found["host"] = [{"value": row["host"], "count": None} for row in hosts]
    return found
