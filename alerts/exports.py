"""Alerts and their changes as tables that are written to files, oldest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from alerts.models import Alert, AlertChange
from alerts.queries import as_dict, change_as_dict, has_labels, preselect
from metrics.queries import Filters, Table, Window
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import HOST_LABELS, LABELS, TAG_PREFIX

CHUNK_ROWS = 1_000


def export_alerts(window: Window, filters: Filters, now: datetime) -> Table:
    """Return the alerts that a window has a part of."""
    rows = Alert.objects.filter(Q(ended_at=None) | Q(ended_at__gt=window.start), since__lt=window.end)
    return _table(rows, "labels", filters, as_dict, lambda alert: alert, Alert(since=now, updated_at=now))


def export_history(window: Window, filters: Filters, now: datetime) -> Table:
    """Return the changes of a window."""
    rows = AlertChange.objects.filter(at__gte=window.start, at__lt=window.end).select_related("alert")
    empty = AlertChange(at=now, alert=Alert())
    return _table(rows, "alert__labels", filters, change_as_dict, lambda change: change.alert, empty)


def _table(
    rows: QuerySet[Any],
    field: str,
    filters: Filters,
    write: Callable[[Any], dict[str, Any]],
    alert_of: Callable[[Any], Alert],
    empty: Any,
) -> Table:
    """Return the rows whose alerts have the labels of the filters: they are in this field. `empty` has the columns."""
    labels = {name: getattr(filters, name) for name in (*LABELS, *HOST_LABELS)}
    labels |= {TAG_PREFIX + key: values for key, values in filters.tags.items()}
    chosen = preselect(rows, labels, field)
    read = (write(row) for row in _in_chunks(chosen) if has_labels(alert_of(row), labels))
    return Table(tuple(write(empty)), read)


def _in_chunks(rows: QuerySet[Any]) -> Iterator[Any]:
    """Yield the rows by their ids. Each chunk has its own time budget."""
    last = 0
    while True:
        with query_budget():
            chunk = list(rows.filter(pk__gt=last).order_by("pk")[:CHUNK_ROWS])
        yield from chunk
        if len(chunk) < CHUNK_ROWS:
            return
        last = chunk[-1].pk
