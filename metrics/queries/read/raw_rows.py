"""Reading single rows in the order of time: their columns, their filters, and pages that continue after a row.

Rows are ordered by time and id. They are read in chunks, and each chunk starts after a known row. No statement stays
open between two chunks, because an open read prevents SQLite from shortening its write-ahead log. Rows that arrive in
the meantime cause neither repeated nor missing rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, Q

from metrics.models import (
    EngineMetrics,
    ErrorMetrics,
    GPUMetrics,
    InferenceMetrics,
    QueueMetrics,
    Series,
    SystemMetrics,
)
from metrics.queries.read.aliases import names_as_sent
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import ERROR_FILTERS, LABELS, SERIES_COLUMN, TEXT_FILTERS, Filters
from metrics.queries.read.sql import filter_without_index
from metrics.queries.time.window import Window, iso

# Up to this number of label sets, each is read with its own index and the results are merged. Of more label sets, the
# rows are read in the order of time and the others skipped.
MAX_STATEMENTS = 16
SERIES_LABELS = tuple(SERIES_COLUMN.values())
NOT_LISTED = frozenset({"id", "timestamp", "series_id", "labels", "labels_id", "model_key", "content_key", "stamped"})
DEVICE_NUMBER = re.compile("0|[1-9][0-9]{0,14}")

Row = dict[str, Any]


class Key(NamedTuple):
    """The position of a row in the order of time and id."""

    timestamp: datetime
    id: int


@dataclass(frozen=True)
class RawTable:
    """A table of single rows. A row has its time, for requests and errors its labels, and every column of the table."""

    model: Any
    condition: Callable[[Filters], Q] = lambda _: Q()  # the filters of single rows
    gauge: str | None = None  # the type of gauge, whose labels are filtered; None: the labels of requests are
    has_series: bool = True
    shows_id: bool = False
    more: frozenset[str] = frozenset()  # columns that are read although lists do not have them

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The columns except the id, the time, the labels and the parts of keys."""
        columns = (field.attname for field in self.model._meta.concrete_fields)
        return tuple(name for name in columns if name not in NOT_LISTED or name in self.more)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of a row's values, in order."""
        head = ("id", "timestamp") if self.shows_id else ("timestamp",)
        first = self.fields[:1] if "request_id" in self.fields else ()
        labels = SERIES_LABELS if self.has_series else ()
        return (*head, *first, *labels, *self.fields[len(first) :], "is_demo")

    def querysets(self, filters: Filters, max_statements: int = MAX_STATEMENTS) -> list[Any]:
        """Return the filtered rows: one queryset, or one for each label set if there are few. They do not overlap."""
        rows = self.model.objects.filter(self.condition(filters))
        ids = filters.gauge_label_ids(self.gauge) if self.gauge else filters.series_ids()
        if ids is None:
            return [rows]
        if self.gauge:
            return [filter_without_index(rows, "labels_id", ids)] if ids else []
        others = self._rows_of_other(rows, filters)
        # Rows with a request id are read with its index. SQLite would prefer that of the series, which is in order.
        if len(ids) > max_statements or filters.request_id is not None:
            return [filter_without_index(rows, "series_id", ids), *others]
        return [*(rows.filter(series_id=series_id) for series_id in ids), *others]

    def _rows_of_other(self, rows: Any, filters: Filters) -> list[Any]:
        """Return the rows of the series `__other__` whose own labels match."""
        ids = list(Series.objects.filter(model_name=Series.OTHER).values_list("id", flat=True))
        if not ids:
            return []
        lookups = {f"labels__{SERIES_COLUMN[name]}__in": getattr(filters, name) for name in LABELS}
        lookups["labels__model_name__in"] = names_as_sent(filters.model) if filters.model else ()
        lookups |= {f"labels__tags__{key}__in": values for key, values in filters.tags.items()}
        rows = filter_without_index(rows, "series_id", ids) if filters.request_id else rows.filter(series_id__in=ids)
        return [rows.filter(**{name: list(values) for name, values in lookups.items() if values})]

    def read(
        self,
        querysets: Sequence[Any],
        limit: int,
        window: Window | None = None,
        after: Key | None = None,
        descending: bool = False,
    ) -> list[tuple[Key, Row]]:
        """Return the next `limit` rows of the window after a key in this order, each with its key."""
        order = ("-timestamp", "-id") if descending else ("timestamp", "id")
        condition = _range_condition(window, after, descending)
        labels = tuple(f"series__{name}" for name in SERIES_LABELS) if self.has_series else ()
        if self.has_series and self.gauge:  # the series may be `__other__`, but the labels have the model
            labels = ("labels__model_name", *labels[1:])
        elif self.has_series:
            labels = (*labels, "labels")
        is_demo = "labels__is_demo" if self.gauge else "series__is_demo"
        columns = ("timestamp", "id", is_demo, *labels, *self.fields)
        rows: list[tuple[Key, Row]] = []
        for queryset in querysets:
            selected = queryset.filter(condition).order_by(*order).values_list(*columns)[:limit]
            rows += [(Key(*values[:2]), self._row(*values)) for values in selected]
        if len(querysets) > 1:
            rows.sort(key=lambda row: row[0], reverse=descending)
        return rows[:limit]

    def _row(self, timestamp: datetime, row_id: int, is_demo: bool, *values: Any) -> Row:
        row: Row = {"id": row_id, "timestamp": iso(timestamp), "is_demo": is_demo}
        if self.has_series:
            row |= dict(zip(SERIES_LABELS, values, strict=False))
            values = values[len(SERIES_LABELS) :]
            if not self.gauge:
                # A row of the series `__other__` has its own labels.
                if isinstance(values[0], Mapping):
                    row |= {name: value for name, value in values[0].items() if name in SERIES_LABELS}
                values = values[1:]
        row |= dict(zip(self.fields, values, strict=True))
        if "gpu_id" in row:
            row["gpu_id"] = gpu_number(row["gpu_id"])
        return {name: row[name] for name in self.names}

    def iterate(self, querysets: Sequence[Any], window: Window, chunk: int) -> Iterator[Row]:
        """Yield all rows of a window, oldest first. Each chunk has a time budget of its own. Raises QueryTooSlow."""
        after: Key | None = None
        while True:
            with query_budget():
                rows = self.read(querysets, chunk, window, after)
            for _, row in rows:
                yield row
            if len(rows) < chunk:
                return
            after = rows[-1][0]


def gpu_number(stored: str) -> int | str:
    """Return a `gpu_id` as it was sent: a number if it is one, and exact in every parser of JSON."""
    return int(stored) if DEVICE_NUMBER.fullmatch(stored) else stored


def _range_condition(window: Window | None, after: Key | None, descending: bool) -> Q:
    """Return the condition of the rows of the window that follow a key.

    It has one lower and one upper limit. Given two lower limits, SQLite may start at that of the window, and read all
    rows before the key again for each chunk.
    """
    condition = Q()
    if window is not None:
        if after is not None and not window.start <= after.timestamp < window.end:
            precedes_window = after.timestamp >= window.end if descending else after.timestamp < window.start
            if not precedes_window:
                return Q(pk__in=())
            after = None
        if after is None or descending:
            condition &= Q(timestamp__gte=window.start)
        if after is None or not descending:
            condition &= Q(timestamp__lt=window.end)
    if after is None:
        return condition
    operator = "lt" if descending else "gt"
    same_time = Q(timestamp=after.timestamp) & Q(**{f"id__{operator}": after.id})
    return (
        condition
        & Q(**{f"timestamp__{operator}e": after.timestamp})
        & (Q(**{f"timestamp__{operator}": after.timestamp}) | same_time)
    )


# Django's lookup for each filter of single rows.
_REQUEST_LOOKUPS = {
    **{name: name for name in ("status_code", *TEXT_FILTERS, "stream")},
    "min_response_time_ms": "response_time_ms__gte",
    "above_response_time_ms": "response_time_ms__gt",
    "max_response_time_ms": "response_time_ms__lte",
    "min_ttft_ms": "ttft_ms__gte",
    "min_total_tokens": "total_tokens__gte",
}
_ERROR_LOOKUPS = {name: "group_id" if name == "group" else name for name in ERROR_FILTERS}


def _request_condition(filters: Filters) -> Q:
    """Return the condition of the filters of single requests, including the outcome."""
    condition = _lookup_condition(filters, _REQUEST_LOOKUPS)
    if filters.has_error is not None:
        failed = Q(success=False) | Q(error_type__isnull=False) | Q(error_message__isnull=False)
        condition &= failed if filters.has_error else ~failed
    if filters.search is not None:
        condition &= (
            Q(request_id=filters.search)
            | Q(error_type__icontains=filters.search)
            | Q(error_message__icontains=filters.search)
        )
    if filters.group is not None:
        condition &= _has_error_of(filters.group)
    match filters.outcome:
        case None | "all":
            return condition
        case "success" | "failed":
            return condition & Q(success=filters.outcome == "success")
        case "success_or_timeout":
            return condition & (Q(success=True) | Q(outcome="timeout"))
    return condition & Q(outcome=filters.outcome)


def _has_error_of(group: int) -> Q:
    """Return the condition of requests with an error of a group: one sent with them, or alone about their failure."""
    # With the index of request ids: a group may have many errors.
    errors = filter_without_index(ErrorMetrics.objects.filter(request_id=OuterRef("request_id")), "group_id", [group])
    sent_with = errors.filter(sent_with_request=True, timestamp=OuterRef("timestamp"), model_key=OuterRef("model_key"))
    sent_alone = errors.filter(sent_with_request=False)
    # The ids of the group are read once, so that few requests need a look-up of their own.
    of_group = Q(request_id__in=ErrorMetrics.objects.filter(group_id=group).values("request_id"))
    return of_group & (Exists(sent_with) | Q(Exists(sent_alone), success=False))


def _lookup_condition(filters: Filters, lookups: Mapping[str, str]) -> Q:
    """Return the condition of those of the filters that are set."""
    values = {lookup: getattr(filters, name) for name, lookup in lookups.items()}
    return Q(**{lookup: value for lookup, value in values.items() if value is not None})


REQUESTS = RawTable(InferenceMetrics, _request_condition, shows_id=True)
ERRORS = RawTable(ErrorMetrics, lambda filters: _lookup_condition(filters, _ERROR_LOOKUPS), shows_id=True)
# With what an import needs to store the same rows.
COMPLETE_ERRORS = replace(ERRORS, more=frozenset({"model_key", "stamped"}))
SYSTEM = RawTable(SystemMetrics, gauge="system", has_series=False)
GPUS = RawTable(GPUMetrics, gauge="gpu", has_series=False)
QUEUES = RawTable(QueueMetrics, gauge="queue")
ENGINES = RawTable(EngineMetrics, gauge="engine")
