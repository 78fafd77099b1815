"""Rows as a table that is written to a file, oldest first, with constant memory.

Rows are read in chunks of a thousand. Each starts after the last row of the one before, and has its own time budget.
Nothing stays open in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from metrics import registers
from metrics.queries.answers.results import round_figure
from metrics.queries.answers.series import SeriesResult, series, unit_of
from metrics.queries.exceptions import BadQuery
from metrics.queries.read.filters import Filters
from metrics.queries.read.raw_rows import ENGINES, ERRORS, GPUS, QUEUES, REQUESTS, SYSTEM, RawTable, Row
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
    """The names of the columns, and an iterator that reads the rows as it advances. It can be used once."""

    columns: tuple[str, ...]
    rows: Iterator[Row]


class _Kinds(Collection[str]):
    """The kinds of exports: those of this app, and those that other apps add when the process starts."""

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
    """Return the rows of a window. `specs` and `step` are for the kind `history`, which has a row for each point.

    Raises BadQuery. Raises QueryTooSlow here or while the rows are read.
    """
    if kind == HISTORY:
        if not specs:
            raise BadQuery("metric", "is required.")
        return Table(HISTORY_COLUMNS, _points(series(specs, window, filters, step=step, now=now)))
    if kind in TABLES:
        return Table(TABLES[kind].names, _rows(TABLES[kind], filters, window))
    read_table = registers.exports.get(kind)
    if read_table is None:
        raise BadQuery("kind", f"must be a kind of export, not {kind[:40]!r}.", EXPORT_KINDS)
    table: Table = read_table(window, filters, now)
    return table


def _rows(table: RawTable, filters: Filters, window: Window) -> Iterator[Row]:
    # A generator, so that nothing is read before the first row is requested, in the thread that requests it.
    # If each label set has its own statement, each reads a whole chunk, of which few rows may be used. So only one or
    # two label sets have their own statements; more are read with one statement.
    yield from table.iterate(table.querysets(filters, max_statements=2), window, CHUNK_ROWS)


def _points(result: SeriesResult) -> Iterator[Row]:
    for line in result.lines:
        unit = unit_of(line.metric, line.stat)
        for start, value in zip(result.plan.starts, line.values, strict=True):
            yield {
                "timestamp": iso(at_second(start)),
                "metric": line.metric.name,
                "stat": line.stat,
                "unit": unit,
                "labels": line.labels,
                "value": round_figure(value),
            }
