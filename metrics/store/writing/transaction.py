"""One transaction: validated events in; raw rows, rollups and their bookkeeping out, all of it or nothing.

SQLite takes its write lock at the beginning (`transaction_mode` IMMEDIATE), so transactions follow one another. On
PostgreSQL they run side by side: rows are inserted and locked in the order of their keys, the tables always in the
order of `Store._write`, and what concerns one failed request waits for an advisory lock.
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

from metrics.aggregation import rollup_events
from metrics.events import ErrorEvent, Event, InferenceEvent, Kind, QueueEvent, SeriesKey, SystemEvent
from metrics.store.availability import translate_database_errors
from metrics.store.disk import disk_limit_message, enforce_disk_limits
from metrics.store.labels.interning import SeriesInterner, SeriesLabels, SeriesRef, Times, labels_of_key, series_labels
from metrics.store.outcome import Recorded, Refusal
from metrics.store.raw_floors import locked_floors
from metrics.store.retention_policy import Policy
from metrics.store.write_lock import writing
from metrics.store.writing import rollup_rows
from metrics.store.writing.error_rows import ErrorRows, Report, stored_failures
from metrics.store.writing.request_rows import InferenceRows
from metrics.store.writing.sample_rows import SampleRows
from metrics.store.writing.statements import execute

KINDS: dict[type[Event], Kind] = {
    InferenceEvent: Kind.INFERENCE,
    ErrorEvent: Kind.ERROR,
    QueueEvent: Kind.QUEUE,
    SystemEvent: Kind.SYSTEM,
}
# Advisory locks are rows in shared memory: so many for a transaction at most, however many of its requests failed.
LOCK_CLASSES = 64
LOCK_SPACE = 0x4C4C4D02  # any number that nobody else takes in this database

Clock = Callable[[], datetime]
Placed = tuple[int, Any]  # an event and its place in the batch


class Store:
    """The way into the tables of measurements. For one thread; any number of stores may write to one database."""

    def __init__(self, clock: Clock = timezone.now) -> None:
        self._clock = clock
        self._series = SeriesInterner(settings.LLMMONITOR.max_series)
        self._inference = InferenceRows()
        self._errors = ErrorRows(settings.LLMMONITOR.max_error_groups)
        self._samples = SampleRows(settings.LLMMONITOR.max_series)

    def commit(self, events: Sequence[Event]) -> Recorded:
        """Store what is new of these events, each once, and answer what became of them.

        Raises StoreUnavailable when the database cannot commit now, another exception when it does not take the data.
        In both cases nothing was stored.
        """
        if not events:
            return Recorded(0, 0)
        for part in (self._series, self._samples, self._errors):
            part.begin()
        with writing(), translate_database_errors(disk_limit_message), transaction.atomic():
            enforce_disk_limits()
            recorded = self._write(events, self._clock())
        for part in (self._series, self._samples, self._errors):
            part.remember()
        return recorded

    def _write(self, events: Sequence[Event], now: datetime) -> Recorded:
        by_kind: dict[str, list[Placed]] = {kind: [] for kind in Kind}
        for place, event in enumerate(events):
            by_kind[KINDS[type(event)]].append((place, event))
        rejected = _take_out_too_old(by_kind)
        labels, beyond = self._samples.admit(by_kind[Kind.SYSTEM], by_kind[Kind.QUEUE], now)
        _take_out(by_kind, beyond)
        rejected += beyond
        inference, errors, queues = by_kind[Kind.INFERENCE], by_kind[Kind.ERROR], by_kind[Kind.QUEUE]
        resolutions_for = Policy.from_settings().resolver(now)

        own_errors = [(place, error) for place, event in inference if (error := event.as_error()) is not None]
        failed = {event.request_id for _, event in inference if not event.success}
        _lock_requests({event.request_id for _, event in (*errors, *own_errors)} | failed)
        failures = stored_failures(event.request_id for _, event in errors)
        # An error that belongs to a failed inference has its series, whatever it says itself (often no model at all).
        alone = [(place, event) for place, event in errors if event.request_id not in failures.keys() | failed]
        series_refs, times = self._intern([*inference, *queues, *alone], now)

        repeats = self._inference.write(inference, series_refs, now)
        new = [(place, event) for place, event in inference if place not in repeats]
        buckets = rollup_events(((event, series_refs[place].series) for place, event in new), resolutions_for)

        failures |= {event.request_id: series_refs[place] for place, event in new if not event.success}
        left = [
            (place, event) for place, event in errors if place not in series_refs and event.request_id not in failures
        ]
        if left:  # the failure that came with the error repeats a success: it is not stored, and the error is alone
            own, own_times = self._intern(left, now)
            series_refs |= own
            times |= {number: one.union(times.get(number, one)) for number, one in own_times.items()}
        reports = [Report(place, event, series_refs.get(place), direct=True) for place, event in errors]
        reports += [
            Report(place, event, series_refs[place], direct=False)
            for place, event in own_errors
            if place not in repeats
        ]
        reports.sort(key=attrgetter("place"))
        changes = self._errors.write(
            reports, [event for _, event in new if not event.success], failures, buckets, resolutions_for, now
        )
        gauges, known = self._samples.write(by_kind[Kind.SYSTEM], queues, labels, series_refs, resolutions_for)
        repeats |= changes.repeats | known

        rollup_rows.add_inference(buckets)
        rollup_rows.add_gauges(gauges)
        rollup_rows.add_groups(changes.group_counts)
        self._series.touch(times)
        self._errors.touch(changes.group_times)
        return Recorded(len(events) - len(repeats) - len(rejected), len(repeats), sorted(repeats), sorted(rejected))

    def _intern(self, events: Sequence[Placed], now: datetime) -> tuple[dict[int, SeriesRef], dict[int, Times]]:
        """What each event belongs to, by its place, and the times to widen the series to."""
        labels: dict[tuple[SeriesKey, bool], SeriesLabels] = {}
        by_labels: dict[SeriesLabels, list[Placed]] = {}
        for place, event in events:
            key = (event.labels, event.is_demo)
            known = labels.get(key)
            if known is None:
                known = labels[key] = series_labels(*key)
            by_labels.setdefault(known, []).append((place, event))
        times: dict[SeriesLabels, Times] = {}
        for name, some in by_labels.items():
            stamps = [event.timestamp for _, event in some]
            times[name] = Times(min(stamps), max(stamps))
        numbers, over = self._series.intern(times, now)
        series_refs: dict[int, SeriesRef] = {}
        touched: dict[int, Times] = {}
        for name, some in by_labels.items():
            number = numbers[name]
            own = SeriesRef(number, labels_of_key(some[0][1].labels) if name in over else None)
            series_refs.update((place, own) for place, _ in some)
            touched[number] = times[name].union(touched.get(number, times[name]))
        return series_refs, touched


def _lock_requests(request_ids: Iterable[str]) -> None:
    """On PostgreSQL: wait for other transactions with failures or errors of these requests, and let others wait.

    Two that do not see each other's rows would both count the request. SQLite has one writer at a time.
    """
    if connection.vendor == "postgresql":
        classes = sorted({zlib.crc32(name.encode(errors="replace")) % LOCK_CLASSES for name in request_ids})
        if classes:
            statement = "SELECT count(pg_advisory_xact_lock($1::int, n)) FROM unnest($2::int[]) AS n"
            execute(statement, (LOCK_SPACE, classes), True)


def _take_out(by_kind: Mapping[str, list[Placed]], refused: Iterable[Refusal]) -> None:
    places = {one.index for one in refused}
    if places:
        for events in by_kind.values():
            events[:] = [(place, event) for place, event in events if place not in places]


def _take_out_too_old(by_kind: Mapping[str, list[Placed]]) -> list[Refusal]:
    """Take out the events from before the raw floor of their kind, and say so of each.

    The door has checked it; but the floor may have risen since, and with it went the rows that recognise a repeat.
    """
    refused: list[Refusal] = []
    for name, floor in locked_floors().items():
        events = by_kind.get(name, [])
        old = [place for place, event in events if event.timestamp < floor]
        if old:
            events[:] = [(place, event) for place, event in events if event.timestamp >= floor]
            error = f"must not be before {floor:%Y-%m-%dT%H:%M:%S.%fZ}: older events are no longer kept one by one"
            refused += [Refusal(place, "timestamp", error) for place in old]
    return refused
