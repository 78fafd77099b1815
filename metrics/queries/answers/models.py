"""The models seen: one row each, with the figures of the window beside those of the window before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from metrics.events.types import MODELLED_KEY
from metrics.models import InferenceMetrics, Series
from metrics.queries.answers.ranking import Ranking
from metrics.queries.answers.summary import Figures, elapsed_seconds, request_columns, request_figures
from metrics.queries.read.budget import check_budget, query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.request_rollups import MAX_IDS_IN_SQL, GroupedRollups, read_rows
from metrics.queries.time.window import Window, iso, segments

MAX_MODELS = 500  # the busiest
MAX_ASKED = 100  # how many models are asked whether their newest request was modelled


@dataclass
class _Seen:
    """What the label sets of one model say."""

    first: datetime
    last: datetime
    newest: int
    providers: set[str]
    is_demo: bool

    def add(self, other: _Seen) -> None:
        if other.last > self.last:
            self.newest = other.newest
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.providers |= other.providers
        self.is_demo = self.is_demo and other.is_demo


def models(window: Window, filters: Filters, now: datetime) -> Ranking:
    """The models that ended a request in the window or in the one before, the busiest first. Raises QueryTooSlow.

    Each: `model_name`, `providers`, `first_seen` and `last_seen` (in all that is kept), the figures of requests of a
    summary, `previous` with the same of the window before, `is_demo`, and `modelled` where the newest request's times
    were filled in by a model of latency.
    """
    with query_budget():
        return _rows(window, filters, now, ())


def model(name: str, window: Window, now: datetime) -> dict[str, Any] | None:
    """The row of one model; its figures are empty when it was silent. None when it was never seen."""
    with query_budget():
        found = _rows(window, Filters(model=(name,)), now, (name,))
    return found.results[0] if found.results else None


def _rows(window: Window, filters: Filters, now: datetime, always: Iterable[str]) -> Ranking:
    tiles = segments(window, now)
    before = segments(tiles.window.before(), now)
    ids, columns = filters.series_ids(), request_columns(filters)
    readings = [(read_rows(one.segments, columns, ids), elapsed_seconds(one, now)) for one in (tiles, before)]
    named = {number for rows, _ in readings for number in rows.series.tolist()}
    model_of, seen = _seen(named, always)

    volume: dict[str, int] = dict.fromkeys((name for name in always if name in seen), 0)
    for rows, _ in readings:
        requests = GroupedRollups(rows, np.arange(len(rows)), len(rows)).requests().tolist()
        for number, n in zip(rows.series.tolist(), requests, strict=True):
            if number in model_of:
                volume[model_of[number]] = volume.get(model_of[number], 0) + n
    shown = sorted(volume, key=lambda name: (-volume[name], name))[:MAX_MODELS]
    place = {name: number for number, name in enumerate(shown)}

    figures: list[list[Figures]] = []
    for rows, seconds in readings:
        check_budget()
        group = np.array([place.get(model_of.get(one, ""), -1) for one in rows.series.tolist()], dtype=np.int64)
        figures.append(request_figures(GroupedRollups(rows, group, len(shown)), filters, seconds))
    modelled = {name for name in shown[:MAX_ASKED] if _is_modelled(seen[name].newest)}
    found: list[dict[str, Any]] = [
        {
            "model_name": name,
            "providers": sorted(seen[name].providers - {""}),
            "first_seen": iso(seen[name].first),
            "last_seen": iso(seen[name].last),
            "is_demo": seen[name].is_demo,
            "modelled": name in modelled,
            **figures[0][number],
            "previous": figures[1][number],
        }
        for name, number in place.items()
    ]
    found.sort(key=lambda row: (-row["total_requests"], row["model_name"]))
    return Ranking(found, len(volume) - len(shown))


def _seen(numbers: Iterable[int], always: Iterable[str]) -> tuple[dict[int, str], Mapping[str, _Seen]]:
    """The model of each series, and what is known of each model."""
    wanted = sorted(numbers)
    parts = [
        Series.objects.filter(id__in=wanted[start : start + MAX_IDS_IN_SQL])
        for start in range(0, len(wanted), MAX_IDS_IN_SQL)
    ]
    names = list(always)
    if names:
        parts.append(Series.objects.filter(model_name__in=names))
    model_of: dict[int, str] = {}
    # A model is as old as its oldest series, also where that was silent in these windows.
    for part in parts:
        model_of.update(part.values_list("id", "model_name"))
    seen: dict[str, _Seen] = {}
    shown = sorted(set(model_of.values()))
    for start in range(0, len(shown), MAX_IDS_IN_SQL):
        rows = Series.objects.filter(model_name__in=shown[start : start + MAX_IDS_IN_SQL])
        for number, name, provider, is_demo, first, last in rows.values_list(
            "id", "model_name", "provider", "is_demo", "first_seen", "last_seen"
        ):
            one = _Seen(first, last, number, {provider}, is_demo)
            if name in seen:
                seen[name].add(one)
            else:
                seen[name] = one
    return model_of, seen


def _is_modelled(series: int) -> bool:
    newest = InferenceMetrics.objects.filter(series_id=series).order_by("-timestamp").values_list("metadata", flat=True)
    metadata = next(iter(newest[:1]), None)
    return isinstance(metadata, Mapping) and metadata.get(MODELLED_KEY) is True
