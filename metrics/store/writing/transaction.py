"""The transaction that stores a batch of validated events: raw rows, rollups and their bookkeeping.

On SQLite it acquires the write lock at its beginning (`transaction_mode` IMMEDIATE), so transactions run one after the
other. On PostgreSQL they run in parallel. There rows are inserted and locked in the order of their keys, tables in the
order of `Store._write`, and an advisory lock serializes the transactions that write the same failed request. Rollup
rows are only inserted.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from metrics import aggregation
from metrics.aggregation import Row
from metrics.events import ErrorEvent, Event, InferenceEvent, Kind, QueueEvent, Rejection, SystemEvent
from metrics.events.rejections import before_floor
from metrics.retention_policy import RetentionPolicy
from metrics.store.commit_result import CommitResult
from metrics.store.compaction import Compactor
from metrics.store.disk import disk_limit_message, enforce_disk_limits
from metrics.store.labels.interning import SeriesInterner, SeriesLabels, SeriesRef, Times, labels_of_key, series_labels
from metrics.store.raw_floors import locked_floors
from metrics.store.rollup_floors import current_floors
from metrics.store.unavailable import translate_database_errors
from metrics.store.write_lock import write_lock
from metrics.store.writing import rollup_rows
from metrics.store.writing.error_rows import ErrorRows
from metrics.store.writing.request_rows import InferenceRows
from metrics.store.writing.rollup_rows import RollupTable
from metrics.store.writing.sample_rows import SampleRows
from metrics.store.writing.statements import execute

KINDS: dict[type[Event], Kind] = {
    InferenceEvent: Kind.INFERENCE,
    ErrorEvent: Kind.ERROR,
    QueueEvent: Kind.QUEUE,
    SystemEvent: Kind.SYSTEM,
}
# PostgreSQL has room for a limited number of locks (6,400 by default). A transaction with more failures than this locks
# all request ids with one lock.
MAX_REQUEST_LOCKS = 256
LOCK_SPACE = 0x4C4C4D02  # a number that no other code uses in this database
ALL_REQUESTS = 0

Clock = Callable[[], datetime]
Indexed = tuple[int, Any]  # the index in the batch, the event


class Store:
    """Writes events to the tables of measurements. For one thread. Several stores may write to one database."""

    def __init__(self, clock: Clock = timezone.now) -> None:
        self._clock = clock
        self._series = SeriesInterner(settings.LLMMONITOR.max_series)
        self._inference = InferenceRows()
        self._errors = ErrorRows(settings.LLMMONITOR.max_error_groups)
        self._samples = SampleRows(settings.LLMMONITOR.max_series)
        self._compactor = Compactor()
        self._appended: tuple[tuple[RollupTable, list[Row]], ...] = ()

    def commit(self, events: Sequence[Event]) -> CommitResult:
        """Store the new events, each once. Return the numbers of accepted, duplicate and rejected events.

        Raise StoreUnavailable when the database cannot commit now, or the database's error when it does not accept the
        data. In both cases no event is stored.
        """
        return self._commit(events, is_restored=False)

    def restore(self, events: Sequence[Event]) -> CommitResult:
        """Store requests and errors again that upkeep has deleted, each once, and do not count them.

        Their rollups were not deleted, so they count them. Only events before the raw floor are such events; the caller
        checks this. Raises as `commit` does.
        """
        return self._commit(events, is_restored=True)

    def _commit(self, events: Sequence[Event], *, is_restored: bool) -> CommitResult:
        if not events:
            return CommitResult(0, 0)
        for part in (self._series, self._samples, self._errors):
            part.begin()
        with write_lock(), translate_database_errors(disk_limit_message), transaction.atomic():
            enforce_disk_limits()
            result = self._write(events, self._clock(), is_restored=is_restored)
        for part in (self._series, self._samples, self._errors):
            part.remember()
        self._compactor.add(self._appended, self._clock())
        return result

    def compact(self) -> bool:
        """Merge some of the rollup rows that commits have added. Return whether more are due. Raise database errors."""
        return self._compactor.step(self._clock())

    def _write(self, events: Sequence[Event], now: datetime, *, is_restored: bool) -> CommitResult:
        by_kind: dict[str, list[Indexed]] = {kind: [] for kind in Kind}
        for index, event in enumerate(events):
            by_kind[KINDS[type(event)]].append((index, event))
        raw_floors = locked_floors()
        rejected = [] if is_restored else _remove_too_old(by_kind, raw_floors)
        labels, over_limit = self._samples.intern(by_kind[Kind.SYSTEM], by_kind[Kind.QUEUE], now)
        _remove(by_kind, over_limit)
        rejected += over_limit
        inference, errors, queues = by_kind[Kind.INFERENCE], by_kind[Kind.ERROR], by_kind[Kind.QUEUE]
        resolutions_for = RetentionPolicy.current().resolver(now)

        failed = [event for _, event in inference if not event.success]
        _lock_requests({event.request_id for event in (*failed, *(event for _, event in errors))})
        error_batch = self._errors.load(errors, failed, now)
        # An error of a failed inference gets the inference's series. The error itself often names no model.
        series_refs, times = self._intern([*inference, *queues, *error_batch.without_request], now)

        duplicates = self._inference.write(inference, series_refs, now)
        new = [(index, event) for index, event in inference if index not in duplicates]

        error_batch.confirm([(event, series_refs[index]) for index, event in new if not event.success])
        remaining = [(index, event) for index, event in error_batch.without_request if index not in series_refs]
        if remaining:  # their failed inference is a duplicate of a stored success, so they need a series of their own
            more_refs, more_times = self._intern(remaining, now)
            series_refs |= more_refs
            times |= {series: span.union(times.get(series, span)) for series, span in more_times.items()}
        new_requests = [(event, series_refs[index]) for index, event in new]
        changes = self._errors.write(error_batch, new_requests, series_refs, now)
        gauges, sample_duplicates = self._samples.write(
            by_kind[Kind.SYSTEM], queues, labels, series_refs, resolutions_for, raw_floors.get(Kind.SYSTEM)
        )
        duplicates |= error_batch.duplicates | sample_duplicates

        requests = [(event, series_refs[index].series) for index, event in new]
        floors = current_floors(now)
        self._appended = ()
        if not is_restored:
            self._append(
                (rollup_rows.INFERENCE, aggregation.rollup_rows(requests, changes.failure_counts, floors)),
                (rollup_rows.GAUGES, rollup_rows.rows_of_gauges(gauges)),
                (rollup_rows.GROUPS, rollup_rows.rows_of_groups(changes.group_counts, floors)),
            )
        self._series.touch(times)
        self._errors.touch(changes.group_times)
        rejected.sort(key=attrgetter("index"))
        accepted = len(events) - len(duplicates) - len(rejected)
        return CommitResult(accepted, len(duplicates), sorted(duplicates), rejected)

    def _append(self, *rows_by_table: tuple[RollupTable, list[Row]]) -> None:
        for table, rows in rows_by_table:
            table.insert.run(rows)
        self._appended = rows_by_table

    def _intern(self, events: Sequence[Indexed], now: datetime) -> tuple[dict[int, SeriesRef], dict[int, Times]]:
        """Return the series of each event by its index, and the first and last time of the events of each series."""
        # By the fields of the labels, because creating a key object for each event takes longer than the rest.
        by_fields: dict[tuple[Any, ...], list[Indexed]] = {}
        for index, event in events:
            own = event.__dict__
            fields = (
                own["model_name"],
                own["provider"],
                own["service"],
                own.get("endpoint"),
                own.get("tags"),
                own["is_demo"],
            )
            members = by_fields.get(fields)
            if members is None:
                by_fields[fields] = [(index, event)]
            else:
                members.append((index, event))
        by_labels: dict[SeriesLabels, list[Indexed]] = {}
        for members in by_fields.values():
            event = members[0][1]
            by_labels.setdefault(series_labels(event.labels, event.is_demo), []).extend(members)
        times: dict[SeriesLabels, Times] = {}
        for label_set, members in by_labels.items():
            timestamps = [event.timestamp for _, event in members]
            times[label_set] = Times(min(timestamps), max(timestamps))
        ids, over_limit = self._series.intern(times, now)
        series_refs: dict[int, SeriesRef] = {}
        series_times: dict[int, Times] = {}
        for label_set, members in by_labels.items():
            series = ids[label_set]
            ref = SeriesRef(series, labels_of_key(members[0][1].labels) if label_set in over_limit else None)
            series_refs.update((index, ref) for index, _ in members)
            series_times[series] = times[label_set].union(series_times.get(series, times[label_set]))
        return series_refs, series_times


def _lock_requests(request_ids: Iterable[str]) -> None:
    """On PostgreSQL, lock requests until the commit, so that two transactions do not both count one failure.

    Neither would see the uncommitted rows of the other. SQLite has one writer at a time.
    """
    if connection.vendor != "postgresql":
        return
    numbers = sorted({1 + zlib.crc32(name.encode()) % (2**31 - 2) for name in request_ids})
    if len(numbers) > MAX_REQUEST_LOCKS:
        execute("SELECT pg_advisory_xact_lock($1::int, $2::int)", (LOCK_SPACE, ALL_REQUESTS), True)
    elif numbers:
        execute("SELECT pg_advisory_xact_lock_shared($1::int, $2::int)", (LOCK_SPACE, ALL_REQUESTS), True)
        statement = "SELECT count(pg_advisory_xact_lock($1::int, n)) FROM unnest($2::int[]) AS n"
        execute(statement, (LOCK_SPACE, numbers), True)


def _remove(by_kind: Mapping[str, list[Indexed]], rejected: Iterable[Rejection]) -> None:
    indexes = {rejection.index for rejection in rejected}
    if indexes:
        for events in by_kind.values():
            events[:] = [(index, event) for index, event in events if index not in indexes]


def _remove_too_old(by_kind: Mapping[str, list[Indexed]], floors: Mapping[str, datetime]) -> list[Rejection]:
    """Remove and return the events before the raw floor of their kind.

    Validation has checked this, but the floor may have risen since then.
    """
    rejected: list[Rejection] = []
    for kind, floor in floors.items():
        events = by_kind.get(kind, [])
        old = [(index, event.timestamp) for index, event in events if event.timestamp < floor]
        if old:
            events[:] = [(index, event) for index, event in events if event.timestamp >= floor]
            rejected += [Rejection(index, "timestamp", before_floor(at, floor)) for index, at in old]
    return rejected
