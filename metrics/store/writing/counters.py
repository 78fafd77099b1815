"""The growth of counters, such as the bytes that a host has sent, in each minute.

The growth between two samples, at most `max_counter_gap` apart, is spread over the minutes between them. A sample may
arrive between two that are stored, so a commit reads the neighbours of its new samples, adds what is between the
samples now, and takes back what was between them before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from django.db import connection

from metrics import catalogue
from metrics.aggregation import MAX_COUNTER_GAP, GaugeBucket, max_counter_gap
from metrics.catalogue import Kind
from metrics.models import SystemMetrics
from metrics.readings import COUNT, INSTANCE, LAST, LAST_AT, MINUTE, START, SUM, spread_growth
from metrics.store.writing.rollup_rows import GaugeBucketKey
from metrics.store.writing.statements import column_of, db_time, execute, mark, table_of

COUNTERS = {metric.field: metric for metric in catalogue.of_type("system", "monitor") if metric.kind is Kind.COUNTER}
GAP = timedelta(seconds=MAX_COUNTER_GAP)  # the longest of any counter
LOCK_SPACE = 0x4C4C4D06  # a number that no other code uses in this database
LOCKS = 256  # PostgreSQL has room for a limited number
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# The comparisons with the start and the end of a span, and the order: that of the nearest sample first.
BEFORE, WITHIN, AFTER = (">=", "<", "DESC"), (">=", "<=", "ASC"), (">", "<=", "ASC")


class Reading(NamedTuple):
    """A sample of a counter: its time in unix microseconds, and its value."""

    at: int
    value: float


class Change(NamedTuple):
    """The growth between two samples, which a commit adds (`sign` 1) or takes back (−1)."""

    metric: str
    labels: int
    pair: tuple[Reading, Reading]
    sign: int


Sample = tuple[datetime, int, Any]  # the time, the label set, the event
Side = tuple[str, str, str]
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
    changes: list[Change] = []
    for labels, of_labels in by_labels.items():
        of_labels.sort(key=lambda sample: sample[0])
        start = 0
        for number, (at, *_) in enumerate(of_labels):
            if number + 1 == len(of_labels) or of_labels[number + 1][0] - at > GAP:
                changes += _changes(labels, of_labels[start : number + 1], floor)
                start = number + 1
    if not changes:
        return
    pairs = np.repeat(np.arange(len(changes)), 2)
    times, values = np.array([reading for change in changes for reading in change.pair]).T
    for row in spread_growth(pairs, times.astype(np.int64), values, 0, MINUTE).tolist():
        change, last = changes[int(row[INSTANCE])], row[LAST]
        bucket = GaugeBucket(
            0, 0.0, last, last, last, int(row[LAST_AT]), change.sign * row[SUM], change.sign * row[COUNT]
        )
        add((MINUTE, change.metric, int(row[START]), change.labels), bucket)


def _changes(labels: int, new: Sequence[Sample], floor: datetime | None) -> Iterator[Change]:
    """Yield the changes by new samples of a label set, given in the order of time without a longer gap than GAP."""
    fields = [field for field in COUNTERS if any(getattr(event, field) is not None for *_, event in new)]
    first, last = new[0][0], new[-1][0]
    rows = [(first, *(getattr(new[0][2], field) for field in fields))]
    if len(new) > 1:
        rows = _read(labels, fields, WITHIN, (first, last))
    begin = first - GAP if floor is None else max(first - GAP, floor)
    before = _nearest(labels, fields, BEFORE, (begin, first))
    after = _nearest(labels, fields, AFTER, (last, last + GAP))
    is_new = {_microseconds(at) for at, *_ in new}
    is_complete = begin == first - GAP
    for number, field in enumerate(fields):
        metric = COUNTERS[field]
        max_gap = max_counter_gap(metric) * 1_000_000
        inside = [Reading(_microseconds(at), float(row[number])) for at, *row in rows if row[number] is not None]
        # The growth up to the next sample may have been counted from a sample before the floor.
        following = after.get(field, ()) if is_complete or field in before else ()
        chain = [*before.get(field, ()), *inside, *following]
        now = set(pairwise(chain))
        then = set(pairwise([reading for reading in chain if reading.at not in is_new]))
        for sign, pairs in ((1, now - then), (-1, then - now)):
            for pair in sorted(pairs):
                if pair[1].at - pair[0].at <= max_gap:
                    yield Change(metric.name, labels, pair, sign)


def _nearest(
    labels: int, fields: Sequence[str], side: Side, span: tuple[datetime, datetime]
) -> dict[str, list[Reading]]:
    """Return the nearest stored reading of each field, as a list of at most one."""
    readings: dict[str, list[Reading]] = {}
    for row in _read(labels, fields, side, span, "LIMIT 1"):
        missing = [field for field, value in zip(fields, row[1:], strict=True) if value is None]
        rows = [(row, fields)]
        for field in missing:  # the nearest sample is of a sender that does not have it
            rows += [(other, [field]) for other in _read(labels, [field], side, span, "LIMIT 1", is_known=True)]
        for (at, *values), names in rows:
            for field, value in zip(names, values, strict=True):
                if value is not None:
                    readings[field] = [Reading(_microseconds(at), float(value))]
    return readings


def _read(
    labels: int,
    fields: Sequence[str],
    side: Side,
    span: tuple[datetime, datetime],
    limit: str = "",
    is_known: bool = False,
) -> list[tuple[Any, ...]]:
    """Return the time and these fields of samples; `is_known`: of those that have the first field."""
    names = [column_of(SystemMetrics, field) for field in fields]
    own = column_of(SystemMetrics, "labels")
    first, last, order = side
    # Pairs, because PostgreSQL would read all hosts' samples of the time if the label set were compared alone.
    statement = (
        f"SELECT timestamp, {', '.join(names)} FROM {table_of(SystemMetrics)} WHERE ({own}, timestamp) {first}"
        f" ({mark(1)}, {mark(2)}) AND ({own}, timestamp) {last} ({mark(1)}, {mark(3)})"
        f"{f' AND {names[0]} IS NOT NULL' if is_known else ''} ORDER BY {own} {order}, timestamp {order} {limit}"
    )
    rows = execute(statement, (labels, *map(db_time, span)), True)
    return [(at if at.tzinfo else at.replace(tzinfo=UTC), *values) for at, *values in rows]


def _microseconds(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND
