"""One transaction: validated events in; raw rows, rollups and their bookkeeping out, all of it or nothing.

SQLite takes its write lock at the beginning (`transaction_mode` IMMEDIATE), so transactions follow one another. On
PostgreSQL they run side by side: rows are inserted and locked in the order of their keys, and the tables always in the
order of `Store._write`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from metrics.events import ErrorEvent, Event, InferenceEvent, Kind, QueueEvent, SystemEvent
from metrics.retention import Policy
from metrics.rollup import rollup_events
from metrics.store import rollups
from metrics.store.disk import make_room_or_refuse
from metrics.store.floors import locked_floors
from metrics.store.inference import InferenceRows
from metrics.store.recorded import Recorded, Refusal
from metrics.store.samples import SampleRows
from metrics.store.series import SeriesInterner, SeriesLabels, Times, series_labels
from metrics.store.unavailable import unavailable_as_such

KINDS: dict[type[Event], Kind] = {
    InferenceEvent: Kind.INFERENCE,
    ErrorEvent: Kind.ERROR,
    QueueEvent: Kind.QUEUE,
    SystemEvent: Kind.SYSTEM,
}

Clock = Callable[[], datetime]
Placed = tuple[int, Any]  # an event and its place in the batch


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Store:
    """The way into the tables of measurements. For one thread; any number of stores may write to one database."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._series = SeriesInterner(settings.LLMMONITOR.max_series)
        self._inference = InferenceRows()
        self._samples = SampleRows()

    def commit(self, events: Sequence[Event]) -> Recorded:
        """Store what is new of these events, each once, and answer what became of them.

        Raises StoreUnavailable when the database cannot commit now, another exception when it does not take the data.
        In both cases nothing was stored.
        """
        if not events:
            return Recorded(0, 0)
        self._series.begin()
        self._samples.begin()
        with unavailable_as_such(), transaction.atomic():
            make_room_or_refuse()
            recorded = self._write(events, self._clock())
        self._series.remember()
        self._samples.remember()
        return recorded

    def _write(self, events: Sequence[Event], now: datetime) -> Recorded:
        by_kind: dict[str, list[Placed]] = {kind: [] for kind in Kind}
        for place, event in enumerate(events):
            by_kind[KINDS[type(event)]].append((place, event))
        rejected = _take_out_too_old(by_kind)
        inference, queues = by_kind[Kind.INFERENCE], by_kind[Kind.QUEUE]
        resolutions_for = Policy.from_settings().resolver(now)

        series, over, times = self._intern([*inference, *queues])
        repeats = self._inference.write(inference, series, over, now)
        new = [(event, series[place]) for place, event in inference if place not in repeats]
        buckets = rollup_events(new, resolutions_for)
        gauges, known = self._samples.write(by_kind[Kind.SYSTEM], queues, series, resolutions_for)
        repeats |= known

        rollups.add_inference(buckets)
        rollups.add_gauges(gauges)
        self._series.touch(times)
        return Recorded(len(events) - len(repeats) - len(rejected), len(repeats), sorted(repeats), sorted(rejected))

    def _intern(self, events: Sequence[Placed]) -> tuple[dict[int, int], set[int], dict[int, Times]]:
        """Of each event's place the id of its series; places beyond the cap of series; the times to widen series to."""
        labels: dict[tuple[Any, ...], SeriesLabels] = {}
        by_labels: dict[SeriesLabels, list[Placed]] = {}
        for place, event in events:
            key = (event.labels, event.is_demo)
            known = labels.get(key)
            if known is None:
                known = labels[key] = series_labels(*key)
                by_labels.setdefault(known, [])
            by_labels[known].append((place, event))
        times = {
            key: Times(min(event.timestamp for _, event in some), max(event.timestamp for _, event in some))
            for key, some in by_labels.items()
        }
        numbers, over = self._series.intern(times)
        series: dict[int, int] = {}
        beyond: set[int] = set()
        touched: dict[int, Times] = {}
        for key, some in by_labels.items():
            number = numbers[key]
            series.update((place, number) for place, _ in some)
            if key in over:
                beyond.update(place for place, _ in some)
            first, last = touched.get(number, times[key])
            touched[number] = Times(min(first, times[key].first), max(last, times[key].last))
        return series, beyond, touched


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
