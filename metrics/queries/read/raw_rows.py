"""Single rows of each table: which fields they show, what narrows them, and reading them in order without holding on.

Rows are ordered by time and then by their own number, and read in pieces that each begin after a known row. So no
statement stays open between two pieces (an open read keeps SQLite from shortening its log), and rows that arrive
meanwhile neither repeat nor hide any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from django.db.models import Q

from metrics.models import (
    EngineMetrics,
    ErrorMetrics,
    GPUMetrics,
    InferenceMetrics,
    QueueMetrics,
    Series,
    SystemMetrics,
)
from metrics.queries.numbers import gpu_number
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import LABELS, SERIES_COLUMN, Filters
from metrics.queries.read.sql import narrow
from metrics.queries.time.window import Window, iso

# With this many label sets or fewer, each is read by its own index and the pieces are merged; with more, rows are
# read in order of time and others skipped.
FEW_SERIES = 16
SERIES_LABELS = ("model_name", "provider", "service", "endpoint")

Row = dict[str, Any]


class Key(NamedTuple):
    """A row's place in the order."""

    timestamp: datetime
    id: int


@dataclass(frozen=True)
class RawTable:
    """A table of single rows: the time, for requests the labels, and then every other column as it is stored."""

    model: Any
    gauge: str | None = None  # the type of gauge whose labels narrow it; those of a request when None
    has_series: bool = True
    shows_id: bool = False

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The columns beside the id, the time and the labels."""
        columns = (field.attname for field in self.model._meta.concrete_fields)
        return tuple(name for name in columns if name not in ("id", "timestamp", "series_id", "labels", "labels_id"))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of a row's values, in order."""
        head = ("id", "timestamp") if self.shows_id else ("timestamp",)
        first = self.fields[:1] if "request_id" in self.fields else ()
        labels = SERIES_LABELS if self.has_series else ()
        return (*head, *first, *labels, *self.fields[len(first) :], "is_demo")

    def querysets(self, filters: Filters, condition: Q | None = None, few: int = FEW_SERIES) -> list[Any]:
        """The rows that are asked, in one statement or, of `few` label sets, one for each. Together they are all."""
        rows = self.model.objects.filter(condition) if condition else self.model.objects.all()
        ids = filters.gauge_label_ids(self.gauge) if self.gauge else filters.series_ids()
        if ids is None:
            return [rows]
        if self.gauge:
            return [narrow(rows, "labels_id", ids)] if ids else []
        others = self._beyond_the_cap(rows, filters)
        if len(ids) > few:
            return [narrow(rows, "series_id", ids), *others]
        return [*(rows.filter(series_id=one) for one in ids), *others]

    def _beyond_the_cap(self, rows: Any, filters: Filters) -> list[Any]:
        """Rows of the series `__other__` that keep the labels asked for themselves."""
        ids = list(Series.objects.filter(model_name=Series.OTHER).values_list("id", flat=True))
        if not ids:
            return []
        named = {f"labels__{SERIES_COLUMN[name]}__in": getattr(filters, name) for name in LABELS}
        named |= {f"labels__tags__{key}__in": values for key, values in filters.tags.items()}
        return [rows.filter(series_id__in=ids, **{name: list(values) for name, values in named.items() if values})]

    def read(
        self,
        querysets: Sequence[Any],
        limit: int,
        window: Window | None = None,
        after: Key | None = None,
        descending: bool = False,
    ) -> list[tuple[Key, Row]]:
        """The next `limit` rows of the window after a place in this order, each with its own place."""
        signs = ("-timestamp", "-id") if descending else ("timestamp", "id")
        bounds = _bounds(window, after, descending)
        labels = (*(f"series__{name}" for name in SERIES_LABELS), "labels") if self.has_series else ()
        if self.gauge and self.has_series:
            labels = labels[:-1]  # there, `labels` is the label set of the gauge
        demo = "labels__is_demo" if self.gauge else "series__is_demo"
        columns = ("timestamp", "id", demo, *labels, *self.fields)
        found: list[tuple[Key, Row]] = []
        for rows in querysets:
            for stamp, number, is_demo, *values in rows.filter(bounds).order_by(*signs).values_list(*columns)[:limit]:
                found.append((Key(stamp, number), self._row(stamp, number, is_demo, values)))
        if len(querysets) > 1:
            found.sort(key=lambda one: one[0], reverse=descending)
        return found[:limit]

    def _row(self, stamp: datetime, number: int, is_demo: bool, values: Sequence[Any]) -> Row:
        own: Row = {"id": number, "timestamp": iso(stamp), "is_demo": is_demo}
        if self.has_series:
            own |= dict(zip(SERIES_LABELS, values, strict=False))
            values = values[len(SERIES_LABELS) :]
            if not self.gauge:
                # A row beyond the cap on label sets keeps its own labels.
                if isinstance(values[0], Mapping):
                    own |= {name: value for name, value in values[0].items() if name in SERIES_LABELS}
                values = values[1:]
        own |= dict(zip(self.fields, values, strict=True))
        if "gpu_id" in own:
            own["gpu_id"] = gpu_number(own["gpu_id"])
        return {name: own[name] for name in self.names}

    def walk(self, querysets: Sequence[Any], window: Window, chunk: int) -> Iterator[Row]:
        """All rows of a window, oldest first, `chunk` at a time, each piece in the time budget. Raises QueryTooSlow."""
        after: Key | None = None
        while True:
            with query_budget():
                found = self.read(querysets, chunk, window, after)
            for _, row in found:
                yield row
            if len(found) < chunk:
                return
            after = found[-1][0]


def _bounds(window: Window | None, after: Key | None, descending: bool) -> Q:
    """The rows of the window that lie beyond a place.

    One bound each way: of two lower ones SQLite may seek by the window's, and read all before the place once a piece.
    """
    found = Q()
    if window is not None:
        if after is not None and not window.start <= after.timestamp < window.end:
            ahead = after.timestamp >= window.end if descending else after.timestamp < window.start
            if not ahead:
                return Q(pk__in=())
            after = None
        if after is None or descending:
            found &= Q(timestamp__gte=window.start)
        if after is None or not descending:
            found &= Q(timestamp__lt=window.end)
    if after is None:
        return found
    way = "lt" if descending else "gt"
    same = Q(timestamp=after.timestamp) & Q(**{f"id__{way}": after.id})
    return found & Q(**{f"timestamp__{way}e": after.timestamp}) & (Q(**{f"timestamp__{way}": after.timestamp}) | same)


REQUESTS = RawTable(InferenceMetrics, shows_id=True)
ERRORS = RawTable(ErrorMetrics, shows_id=True)
SYSTEM = RawTable(SystemMetrics, gauge="system", has_series=False)
GPUS = RawTable(GPUMetrics, gauge="gpu", has_series=False)
QUEUES = RawTable(QueueMetrics, gauge="queue")
ENGINES = RawTable(EngineMetrics, gauge="engine")


def request_condition(filters: Filters) -> Q:
    """The filters of single requests, and the outcome, as a condition."""
    found = Q()
    for name in ("request_id", "status_code", "finish_reason", "error_type", "operation", "trace_id", "stream"):
        value = getattr(filters, name)
        if value is not None:
            found &= Q(**{name: value})
    for name, column in (
        ("min_response_time_ms", "response_time_ms__gte"),
        ("max_response_time_ms", "response_time_ms__lte"),
        ("min_ttft_ms", "ttft_ms__gte"),
        ("min_total_tokens", "total_tokens__gte"),
    ):
        value = getattr(filters, name)
        if value is not None:
            found &= Q(**{column: value})
    if filters.has_error is not None:
        failed = Q(success=False) | Q(error_type__isnull=False) | Q(error_message__isnull=False)
        found &= failed if filters.has_error else ~failed
    match filters.outcome:
        case None | "all":
            return found
        case "success" | "failed":
            return found & Q(success=filters.outcome == "success")
    return found & Q(outcome=filters.outcome)


def error_condition(filters: Filters) -> Q:
    """The filters of single errors as a condition."""
    named = {name: getattr(filters, name) for name in ("request_id", "error_type", "severity")}
    return Q(**{name: value for name, value in named.items() if value is not None})
