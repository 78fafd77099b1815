"""The values of a label with requests in a window, for the menus of the pages."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from metrics.queries.answers.hosts import host_states
from metrics.queries.answers.results import SeriesCounts
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import tag_labels
from metrics.queries.read.request_rollups import count_requests, series_labels
from metrics.queries.time.plan import split_window
from metrics.queries.time.window import Window

MAX_CHOICES = 50
REQUEST_LABELS = ("model", "provider", "service")


def choices(
    window: Window, now: datetime, *, search: str = "", counts: SeriesCounts | None = None
) -> dict[str, dict[str, Any]]:
    """Return `{label: {"choices": [{"value", "count"}, …], "total"}}` for the labels of requests, tags and hosts.

    Models, providers, services and values of promoted tags have requests in the window or in the previous one; `count`
    is the number of requests in the window, and those with the most come first. Hosts have samples in the last day and
    no count. At most MAX_CHOICES are returned of the `total`. With `search`, only the values that contain it.
    `counts` are the requests without filters, if they are known.
    """
    with query_budget():
        in_window, before = counts or _count(window, now)
        names = (*REQUEST_LABELS, *tag_labels())
        labels_of = series_labels({*in_window, *before}, names)
        hosts = [host["host"] for host in host_states(now)]
    result: dict[str, dict[str, Any]] = {}
    for position, label in enumerate(names):
        counted, order = Counter[str](), Counter[str]()
        for series_id, labels in labels_of.items():
            counted[labels[position]] += in_window.get(series_id, 0)
            order[labels[position]] += in_window.get(series_id, 0) + before.get(series_id, 0)
        ranked = sorted(filter(None, order), key=lambda value: (-order[value], value))
        result[label] = _first(ranked, search, counted)
    result["host"] = _first(hosts, search, {})
    return result


def _count(window: Window, now: datetime) -> SeriesCounts:
    """Count the requests without reading histograms."""
    split = split_window(window, now)
    before = split_window(split.window.before(), now)
    return SeriesCounts(count_requests(split.segments), count_requests(before.segments))


def _first(values: list[str], search: str, counts: dict[str, int]) -> dict[str, Any]:
    text = search.casefold()
    matching = [value for value in values if text in value.casefold()]
    shown = [{"value": value, "count": counts.get(value)} for value in matching[:MAX_CHOICES]]
    return {"choices": shown, "total": len(matching)}
