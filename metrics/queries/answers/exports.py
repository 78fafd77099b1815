"""Rows as a table that is written to a file, oldest first, with constant memory.

Rows are read in chunks of a thousand. Each starts after the last row of the one before, and has its own time budget.
Nothing stays open in between.

The rows of requests and errors have more columns than those of the lists, so that `manage.py import` can store them as
they were: of a request, the severity and the stack trace that were sent with it; of an error, whether it was sent with
a time, and the model and provider that it named, because an error that belongs to a request is listed with those of the
request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from metrics import registers
from metrics.events.identity import NO_MODEL, UNKNOWN_MODEL, model_key
from metrics.models import ErrorMetrics
from metrics.queries.answers.results import round_figure
from metrics.queries.answers.series import SeriesResult, series, unit_of
from metrics.queries.exceptions import BadQuery
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.raw_rows import COMPLETE_ERRORS, ENGINES, GPUS, QUEUES, REQUESTS, SYSTEM, RawTable, Row
from metrics.queries.series_spec import SeriesSpec
from metrics.queries.time.window import Window, at_second, iso

CHUNK_ROWS = 1_000
TABLES: dict[str, RawTable] = {
    "inference": REQUESTS,
    "errors": COMPLETE_ERRORS,
    "system": SYSTEM,
    "gpu": GPUS,
    "queue": QUEUES,
    "engines": ENGINES,
}
SENT_WITH_REQUEST = ("severity", "stack_trace")  # columns of the error that was sent with a request
NAMED_BY_ERROR = ("named_model_name", "named_provider")
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
        rows = _rows(TABLES[kind], filters, window)
        if kind == "inference":
            return Table((*REQUESTS.names, *SENT_WITH_REQUEST), _with_sent_errors(rows))
        if kind == "errors":
            listed = (name for name in COMPLETE_ERRORS.names if name != "model_key")
            return Table((*listed, *NAMED_BY_ERROR), map(_with_named_model, rows))
        return Table(TABLES[kind].names, rows)
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


def _with_sent_errors(rows: Iterator[Row]) -> Iterator[Row]:
    """Yield requests with the severity and the stack trace of the error that was sent with each, or None."""
    while chunk := list(islice(rows, CHUNK_ROWS)):
        with query_budget():
            sent = _errors_sent_with(chunk)
        for row in chunk:
            key = row["timestamp"], row["request_id"], model_key(row["model_name"], row["provider"])
            yield row | dict(zip(SENT_WITH_REQUEST, sent.get(key, (None, None)), strict=True))


def _errors_sent_with(requests: Sequence[Row]) -> dict[tuple[str, str, int], tuple[str, str | None]]:
    errors = ErrorMetrics.objects.filter(request_id__in={row["request_id"] for row in requests}, sent_with_request=True)
    columns = ("timestamp", "request_id", "model_key", *SENT_WITH_REQUEST)
    return {(iso(at), name, key): (severity, trace) for at, name, key, severity, trace in errors.values_list(*columns)}


def _with_named_model(row: Row) -> Row:
    """Return an error with the model and the provider that it named instead of the hash of both."""
    named = row.pop("model_key")
    model, provider = row["model_name"], row["provider"]
    if named == NO_MODEL:
        names = (None, provider if model == UNKNOWN_MODEL else "")
    else:
        names = (model, provider if named == model_key(model, provider) else "")
    return row | dict(zip(NAMED_BY_ERROR, names, strict=True))


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
