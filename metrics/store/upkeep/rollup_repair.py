"""Compares rollups with the raw rows that they sum up, and computes those that differ again.

A commit stores raw rows and rollups together, so they agree. A fault of the disk, of the database or of a program, or
a person who changes rows, can end that. A bucket can be judged if all its requests and errors are stored, which is so
from the raw floor on, and if all of them were added to it, which is so from the floor of its resolution on.

No lock is held while rows are read and compared: they are read in one state of the database (`snapshot`). Rollup rows
are never updated, so what is committed afterwards is in other rows. A short transaction deletes exactly the rows that
were read, by their ids, and inserts the right one. If one of them is missing, because rows were merged, deleted or
forgotten meanwhile, the transaction is rolled back and the buckets are compared again; also if a bucket had no rows
and has some now.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from django.db import IntegrityError
from django.db.models import Count, Min, QuerySet

from llmmonitor.infra.snapshot import snapshot
from metrics.aggregation import (
    KEY_LENGTH,
    OUTCOME_COLUMNS,
    REQUEST_FIELDS,
    RESOLUTIONS,
    FailureCount,
    Row,
    merge_rows,
    rollup_rows_of_fields,
)
from metrics.events import Kind, finish_class
from metrics.levels import HOUR
from metrics.models import ErrorGroupRollup, ErrorMetrics, InferenceMetrics, InferenceRollup
from metrics.store.raw_floors import stored_floors
from metrics.store.rollup_floors import stored_rollup_floors
from metrics.store.upkeep.deleting import Steps, delete_keys
from metrics.store.upkeep.tables import manager
from metrics.store.writing.rollup_rows import GROUPS, INFERENCE, RollupTable

logger = logging.getLogger(__name__)

CHUNK_ROWS = 2_000  # raw rows in memory
MERGE_ROWS = 5_000  # computed rows in memory, unless there are more after they were merged
DELETED_IDS = 5_000  # in one statement
MAX_TRIES = 3  # while other processes merge the rows

_FIELDS = tuple(name for name in REQUEST_FIELDS if name != "finish_class")


class Difference(NamedTuple):
    """A bucket of a series whose rows are not what they should be.

    ids: of its rows. before: their sum; None if there is none or it cannot be read. after: the right row, if any.
    """

    key: Row
    ids: tuple[int, ...]
    before: Row | None
    after: Row | None


@dataclass(frozen=True)
class Comparison:
    """The number of buckets of series that were compared, and those that differ."""

    checked: int
    differences: Sequence[Difference] = ()


@dataclass(frozen=True)
class Rollups:
    """The rollups of a table and a resolution.

    span: the seconds whose rows are compared together, which limits the memory. computed: returns the right rows of
    the buckets from a start to an end. number: returns how many requests or errors a row counts.
    """

    name: str
    table: RollupTable
    resolution: int
    span: int
    computed: Callable[[int, int], list[Row]]
    number: Callable[[Row], int]


@dataclass
class Repaired:
    """What was done in a range: the numbers of buckets of series.

    left: those that differ and were not to be repaired.
    """

    checked: int = 0
    differing: int = 0
    repaired: int = 0
    left: int = 0

    def add(self, other: Repaired) -> None:
        """Add the numbers of another range."""
        self.checked += other.checked
        self.differing += other.differing
        self.repaired += other.repaired
        self.left += other.left


class _ChangedMeanwhile(Exception):
    """Raised in the transaction that replaces rows if they are not those that were compared."""


def differences(table: RollupTable, stored: Sequence[tuple[int, Row]], computed: Sequence[Row]) -> Comparison:
    """Compare the rows of a table, given with their ids, with one right row for each bucket and series.

    All values are compared, histograms byte by byte: equal histograms have equal bytes.
    """
    length = len(table.key)
    ids: dict[Row, list[int]] = defaultdict(list)
    for row_id, row in stored:
        ids[row[:length]].append(row_id)
    before, unreadable = _sums_by_key(table, [row for _, row in stored])
    after = {row[:length]: row for row in computed}
    keys = ids.keys() | after.keys()
    different = [
        Difference(key, tuple(ids.get(key, ())), before.get(key), after.get(key))
        for key in sorted(keys)
        if key in unreadable or before.get(key) != after.get(key)
    ]
    return Comparison(len(keys), different)


def _sums_by_key(table: RollupTable, rows: Sequence[Row]) -> tuple[dict[Row, Row], set[Row]]:
    """Return the sum of the rows of each key, and the keys whose histograms cannot be read."""
    length = len(table.key)
    try:
        return {row[:length]: row for row in table.merge(rows)}, set()
    except ValueError:
        pass
    sums: dict[Row, Row] = {}
    unreadable: set[Row] = set()
    by_key: dict[Row, list[Row]] = defaultdict(list)
    for row in rows:
        by_key[row[:length]].append(row)
    for key, own in by_key.items():
        try:
            sums.update((key, row) for row in table.merge(own))
        except ValueError:
            unreadable.add(key)
    return sums, unreadable


def repair_hour(rollups: Rollups, hour: int, steps: Steps, is_wanted: Callable[[Difference], bool]) -> Repaired:
    """Compare the rollups of an hour (its start, unix seconds), and compute those that differ and are wanted again."""
    total = Repaired()
    first = first_judged(rollups.resolution)  # read again in each span
    for start in range(hour, hour + HOUR, rollups.span):
        if start + rollups.span > first:
            total.add(_repair_span(rollups, start, start + rollups.span, steps, is_wanted))
    return total


def _repair_span(
    rollups: Rollups, start: int, end: int, steps: Steps, is_wanted: Callable[[Difference], bool]
) -> Repaired:
    comparison = _compare(rollups, start, end)
    checked, differing = comparison.checked, len(comparison.differences)
    first = wanted = [one for one in comparison.differences if is_wanted(one)]
    for _ in range(MAX_TRIES):
        if not wanted:
            break
        # An IntegrityError: their label set or group was deleted meanwhile.
        with suppress(_ChangedMeanwhile, IntegrityError):
            steps.run_all(wanted, partial(_replace, rollups))
        wanted = [one for one in _compare(rollups, start, end).differences if is_wanted(one)]
    repaired = max(0, len(first) - len(wanted))
    if repaired:
        logger.warning("%s", _as_text(rollups, first, start, end, repaired))
    return Repaired(checked, differing, repaired, differing - len(first))


def _as_text(rollups: Rollups, found: Sequence[Difference], start: int, end: int, repaired: int) -> str:
    before, after = (
        sum(rollups.number(row) for row in rows if row is not None)
        for rows in ([one.before for one in found], [one.after for one in found])
    )
    what = "errors" if rollups.table is GROUPS else "requests"
    return (
        f"rollups: {repaired:,} of {rollups.name} from {_text(start)} to {_text(end)} UTC differed from "
        f"the stored {what} and were computed again ({before:,} {what} before, {after:,} after)"
    )


def _text(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


def _compare(rollups: Rollups, start: int, end: int) -> Comparison:
    """Compare the buckets of a span that can be judged."""
    with snapshot():
        first = max(start, first_judged(rollups.resolution))
        if first >= end:
            return Comparison(0)
        columns = ("pk", *rollups.table.key, *rollups.table.values)
        stored = [(pk, tuple(row)) for pk, *row in rows_of(rollups, first, end).values_list(*columns)]
        try:
            computed = rollups.computed(first, end)
        except (KeyError, ValueError) as error:
            logger.warning("rollups: those from %s UTC cannot be computed from stored rows: %r", _text(first), error)
            return Comparison(0)
        return differences(rollups.table, stored, computed)


def rows_of(rollups: Rollups, start: int, end: int) -> QuerySet[Any]:
    """Return the stored rows of the buckets from a start to an end."""
    rows = manager(rollups.table.model).filter(bucket__gte=start, bucket__lt=end)
    return rows.filter(resolution=rollups.resolution) if "resolution" in rollups.table.key else rows


def first_judged(resolution: int) -> int:
    """Return the start of the first bucket of a resolution whose raw rows and rollups are complete."""
    floor = stored_rollup_floors().get(resolution)
    if floor is None:
        return 2**62  # nothing was ever counted
    raw_floor = stored_floors().get(Kind.INFERENCE)  # that of errors, too
    if raw_floor is None:
        return floor
    # A bucket that the raw floor divides lacks requests.
    return max(floor, math.ceil(raw_floor.timestamp() / resolution) * resolution)


def oldest_hour() -> int | None:
    """Return the start of the oldest hour whose raw rows are all stored. None: there are no rows."""
    floor = stored_floors().get(Kind.INFERENCE)
    if floor is not None:
        return math.ceil(floor.timestamp() / HOUR) * HOUR
    times = [manager(model).aggregate(oldest=Min("timestamp")) for model in (InferenceMetrics, ErrorMetrics)]
    hours = manager(InferenceRollup).filter(resolution=HOUR), manager(ErrorGroupRollup)
    oldest = [int(found["oldest"].timestamp()) for found in times if found["oldest"] is not None]
    oldest += [found["oldest"] for rows in hours if (found := rows.aggregate(oldest=Min("bucket")))["oldest"]]
    return min(oldest) // HOUR * HOUR if oldest else None


def _replace(rollups: Rollups, found: list[Difference]) -> None:
    """Replace the rows that differ. Call it in a transaction. Raises _ChangedMeanwhile."""
    floor = stored_rollup_floors()[rollups.resolution]
    if any(rollups.table.end_of(one.key) - rollups.resolution < floor for one in found):
        raise _ChangedMeanwhile
    ids = [row_id for one in found for row_id in one.ids]
    for start in range(0, len(ids), DELETED_IDS):
        part = ids[start : start + DELETED_IDS]
        if delete_keys(rollups.table.model, part) != len(part):
            raise _ChangedMeanwhile
    if _any_has_rows(rollups, {one.key for one in found if not one.ids}):  # another process may have repaired them
        raise _ChangedMeanwhile
    rollups.table.insert.run([one.after for one in found if one.after is not None])


def _any_has_rows(rollups: Rollups, keys: Collection[Row]) -> bool:
    if not keys:
        return False
    ends = [rollups.table.end_of(key) for key in keys]
    rows = rows_of(rollups, min(ends) - rollups.resolution, max(ends))
    return any(key in keys for key in rows.values_list(*rollups.table.key))


def _rows_of_requests(resolution: int, start: int, end: int) -> list[Row]:
    """Compute the rollup rows of a resolution from the stored requests, and errors that count as requests."""
    # A request belongs to no bucket of another resolution that begins at `end` or later.
    floors = {other: start if other == resolution else end for other in RESOLUTIONS}
    rows: list[Row] = []
    limit = MERGE_ROWS

    def add(more: list[Row]) -> None:
        nonlocal rows, limit
        rows += more
        if len(rows) > limit:
            rows = merge_rows(rows)
            limit = MERGE_ROWS + 2 * len(rows)

    for chunk in _chunks(in_span(InferenceMetrics, start, end).values_list("series_id", "finish_reason", *_FIELDS)):
        fields = [
            dict(zip(_FIELDS, values, strict=True), finish_class=finish_class(reason)) for _, reason, *values in chunk
        ]
        add(rollup_rows_of_fields(fields, [series for series, *_ in chunk], (), floors))
    errors = in_span(ErrorMetrics, start, end).exclude(counted_outcome=None)
    for chunk in _chunks(errors.values_list("series_id", "timestamp", "counted_outcome")):
        counts = [FailureCount(series, int(at.timestamp()), outcome, 1) for series, at, outcome in chunk]
        add(rollup_rows_of_fields((), (), counts, floors))
    return merge_rows(rows)


def _rows_of_groups(start: int, end: int) -> list[Row]:
    """Compute the numbers of errors of each group and series in an hour from the stored errors."""
    errors = in_span(ErrorMetrics, start, end).values("group_id", "series_id").annotate(number=Count("pk"))
    return [(start, *row) for row in errors.values_list("group_id", "series_id", "number")]


def in_span(model: Any, start: int, end: int) -> QuerySet[Any]:
    """Return the raw rows of a table from a time to another, in any order."""
    since, until = (datetime.fromtimestamp(at, UTC) for at in (start, end))
    return manager(model).filter(timestamp__gte=since, timestamp__lt=until).order_by()


def _chunks(query: QuerySet[Any, Any]) -> Iterator[list[Row]]:
    rows = iter(query.iterator(CHUNK_ROWS))
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield chunk


def _requests_in(row: Row) -> int:
    return sum(row[KEY_LENGTH : KEY_LENGTH + len(OUTCOME_COLUMNS)])


def _of_requests(name: str, resolution: int, span: int) -> Rollups:
    return Rollups(name, INFERENCE, resolution, span, partial(_rows_of_requests, resolution), _requests_in)


OF_REQUESTS = (
    _of_requests("hours", HOUR, HOUR),
    _of_requests("minutes", 60, 600),
    _of_requests("seconds", 1, 60),
)
OF_GROUPS = Rollups("hours of errors", GROUPS, HOUR, HOUR, _rows_of_groups, lambda row: row[-1])
ALL = (*OF_REQUESTS, OF_GROUPS)
