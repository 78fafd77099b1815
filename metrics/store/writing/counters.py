"""The growth of counters, such as the bytes that a host has sent, in each minute.

The growth between two samples, at most MAX_COUNTER_GAP apart, is spread over the minutes between them. A sample may
arrive between two that are stored, so a commit reads the neighbours of its new samples, adds what is between the
samples now, and takes back what was between them before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from metrics import catalogue
from metrics.aggregation import MAX_COUNTER_GAP, CounterReading, GaugeBucket, pairs_of, parts
from metrics.catalogue import Kind
from metrics.levels import MINUTE
from metrics.models import SystemMetrics
from metrics.store.writing.rollup_rows import GaugeBucketKey
from metrics.store.writing.statements import column_of, db_time, execute, mark, table_of

COUNTERS = {metric.field: metric.name for metric in catalogue.of_type("system") if metric.kind is Kind.COUNTER}
GAP = timedelta(seconds=MAX_COUNTER_GAP)
LOCK_SPACE = 0x4C4C4D06  # a number that no other code uses in this database
LOCKS = 256  # PostgreSQL has room for a limited number
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

Sample = tuple[datetime, int, Any]  # the time, the label set, the event
Add = Callable[[GaugeBucketKey, GaugeBucket], None]


def lock_label_sets(ids: Iterable[int]) -> None:
    """On PostgreSQL, lock the counters of label sets until the commit. Call it before samples are inserted.

    Of two transactions with samples of one host, neither would see the uncommitted samples of the other. SQLite has one
    writer at a time.
    """
    numbers = sorted({labels % LOCKS for labels in ids})
    if numbers and connection.vendor == "postgresql":
        statement = "SELECT count(pg_advisory_xact_lock($1::int, n)) FROM unnest($2::int[]) AS n"
        execute(statement, (LOCK_SPACE, numbers), True)


def add_growth(samples: Iterable[Sample], floor: datetime | None, add: Add) -> None:
    """Add the growth that new samples, which have been inserted, make known. Samples before `floor` are not read."""
    by_labels: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        if any(getattr(sample[2], field) is not None for field in COUNTERS):
            by_labels[sample[1]].append(sample)
    for labels, of_labels in by_labels.items():
        of_labels.sort(key=lambda sample: sample[0])
        start = 0
        for number, (at, *_) in enumerate(of_labels):
            if number + 1 == len(of_labels) or of_labels[number + 1][0] - at > GAP:
                _add_growth(labels, of_labels[start : number + 1], floor, add)
                start = number + 1


def _add_growth(labels: int, new: Sequence[Sample], floor: datetime | None, add: Add) -> None:
    """Add the growth of new samples of a label set, given in the order of time without a longer gap than GAP."""
    fields = [field for field in COUNTERS if any(getattr(event, field) is not None for *_, event in new)]
    first, last = new[0][0], new[-1][0]
    rows = [(first, *(getattr(new[0][2], field) for field in fields))]
    if len(new) > 1:
        rows = _read(labels, fields, f"timestamp >= {mark(2)} AND timestamp <= {mark(3)}", (first, last))
    begin = first - GAP if floor is None else max(first - GAP, floor)
    before = _nearest(labels, fields, f"timestamp >= {mark(2)} AND timestamp < {mark(3)}", (begin, first), "DESC")
    after = _nearest(labels, fields, f"timestamp > {mark(2)} AND timestamp <= {mark(3)}", (last, last + GAP), "ASC")
    is_new = {_microseconds(at) for at, *_ in new}
    is_complete = begin == first - GAP
    for number, field in enumerate(fields):
        inside = [CounterReading(_microseconds(at), float(row[number])) for at, *row in rows if row[number] is not None]
        # The growth up to the next sample may have been counted from a sample before the floor.
        following = after.get(field, ()) if is_complete or field in before else ()
        chain = [*before.get(field, ()), *inside, *following]
        now = pairs_of(chain)
        then = pairs_of([reading for reading in chain if reading.at not in is_new])
        for sign, pairs in ((1, now - then), (-1, then - now)):
            for pair in sorted(pairs):
                _spread(COUNTERS[field], labels, *pair, sign, add)


def _spread(metric: str, labels: int, earlier: CounterReading, later: CounterReading, sign: int, add: Add) -> None:
    """Add the growth between two samples, times `sign`, to the minutes between them."""
    growth, whole = later.growth_since(earlier), later.at - earlier.at
    for minute, part in parts(earlier.at, later.at, 0, MINUTE * 1_000_000):
        value = earlier.value
        bucket = GaugeBucket(0, 0.0, value, value, value, earlier.at, sign * growth * part / whole, sign * part / 1e6)
        add((MINUTE, metric, minute * MINUTE, labels), bucket)


def _nearest(
    labels: int, fields: Sequence[str], condition: str, span: tuple[datetime, datetime], order: str
) -> dict[str, list[CounterReading]]:
    """Return the nearest stored reading of each field, as a list of at most one."""
    readings: dict[str, list[CounterReading]] = {}
    for row in _read(labels, fields, condition, span, order, "LIMIT 1"):
        missing = [field for field, value in zip(fields, row[1:], strict=True) if value is None]
        rows = [(row, fields)]
        for field in missing:  # the nearest sample is of a sender that does not have it
            present = f"{condition} AND {column_of(SystemMetrics, field)} IS NOT NULL"
            rows += [(other, [field]) for other in _read(labels, [field], present, span, order, "LIMIT 1")]
        for (at, *values), names in rows:
            for field, value in zip(names, values, strict=True):
                if value is not None:
                    readings[field] = [CounterReading(_microseconds(at), float(value))]
    return readings


def _read(
    labels: int,
    fields: Sequence[str],
    condition: str,
    span: tuple[datetime, datetime],
    order: str = "ASC",
    limit: str = "",
) -> list[tuple[Any, ...]]:
    columns = ", ".join(column_of(SystemMetrics, field) for field in fields)
    statement = (
        f"SELECT timestamp, {columns} FROM {table_of(SystemMetrics)} "
        f"WHERE {column_of(SystemMetrics, 'labels')} = {mark(1)} AND {condition} ORDER BY timestamp {order} {limit}"
    )
    rows = execute(statement, (labels, *map(db_time, span)), True)
    return [(at if at.tzinfo else at.replace(tzinfo=UTC), *values) for at, *values in rows]


def _microseconds(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND
