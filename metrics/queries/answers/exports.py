"""Rows as a table to be written to a file, oldest first, in constant memory.

Rows are read a thousand at a time, each piece by its key and within the time budget; nothing stays open in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from metrics import registers
from metrics.queries.answers.series import SeriesAnswer, series, unit_of
from metrics.queries.exceptions import BadQuery
from metrics.queries.numbers import exact
from metrics.queries.read.filters import Filters
from metrics.queries.read.raw_rows import (
    ENGINES,
    ERRORS,
    GPUS,
    QUEUES,
    REQUESTS,
    SYSTEM,
    RawTable,
    Row,
    error_condition,
    request_condition,
)
from metrics.queries.series_spec import SeriesSpec
from metrics.queries.time.window import Window, at_second, iso

CHUNK_ROWS = 1_000
TABLES: dict[str, RawTable] = {
    "inference": REQUESTS,
    "errors": ERRORS,
    "system": SYSTEM,
    "gpu": GPUS,
    "queue": QUEUES,
    "engines": ENGINES,
}
HISTORY = "history"
HISTORY_COLUMNS = ("timestamp", "metric", "stat", "unit", "labels", "value")


@dataclass(frozen=True)
class Table:
    """Named columns and an iterator over the rows, which reads as it is asked and may be walked once."""

    columns: tuple[str, ...]
    rows: Iterator[Row]


class _Kinds(Collection[str]):
    """The kinds of exports: our own, and those that other apps add while the program starts."""

    def __iter__(self) -> Iterator[str]:
        return iter((*TABLES, HISTORY, *registers.exports.names()))

    def __len__(self) -> int:
        return len(tuple(iter(self)))

    def __contains__(self, kind: object) -> bool:
        return kind in tuple(iter(self))


EXPORT_KINDS: Collection[str] = _Kinds()


def export(
    kind: str,
    window: Window,
    filters: Filters,
    *,
    now: datetime,
    specs: Sequence[SeriesSpec] = (),
    step: int | None = None,
) -> Table:
    """Return the rows of a window. `specs` and `step` are for the kind `history`: one row for each point.

    Raises BadQuery, and QueryTooSlow here or while the rows are read.
    """
    if kind == HISTORY:
        if not specs:
            raise BadQuery("metric", "is required.")
        return Table(HISTORY_COLUMNS, _points(series(specs, window, filters, step=step, now=now)))
    if kind in TABLES:
        table = TABLES[kind]
        condition = {"inference": request_condition, "errors": error_condition}.get(kind, lambda _: Q())(filters)
        return Table(table.names, _rows(table, filters, window, condition))
    added = registers.exports.get(kind)
    if added is None:
        raise BadQuery("kind", f"{kind[:40]!r} cannot be exported.", EXPORT_KINDS)
    found: Table = added(window, filters, now)
    return found


def _rows(table: RawTable, filters: Filters, window: Window, condition: Q) -> Iterator[Row]:
    # A generator: nothing is read before the first row is asked, on whichever thread asks.
    # Each label set's own statement reads a whole piece of which the merge may use little: so for one or two only.
    yield from table.walk(table.querysets(filters, condition, few=2), window, CHUNK_ROWS)


def _points(answer: SeriesAnswer) -> Iterator[Row]:
    plan = answer.plan
    for line in answer.lines:
        unit = unit_of(line.metric, line.stat)
        for index, value in enumerate(line.values):
            yield {
                "timestamp": iso(at_second(plan.start + index * plan.step_seconds)),
                "metric": line.metric.name,
                "stat": line.stat,
                "unit": unit,
                "labels": line.labels,
                "value": exact(value),
            }
