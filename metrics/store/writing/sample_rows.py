"""Samples of machines, GPUs and queues: raw rows, and their gauges for the rollups.

Each is known by its time and its label set, a reading of a queue by its series, too: two hosts, or a host and its
namesake in the demo, may speak in the same microsecond, and so may two providers of one model and source.
Which metrics a sample has is read off the catalogue.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from metrics import catalogue
from metrics.aggregation import GAUGE_RESOLUTIONS, GaugeBucket, ResolutionsFor, bucket_start
from metrics.events import GPUSample, QueueEvent, SystemEvent
from metrics.models import GPUMetrics, QueueMetrics, SystemMetrics
from metrics.store.labels.interning import GaugeInterner, GaugeKey, SeriesRef
from metrics.store.outcome import Refusal
from metrics.store.writing.rollup_rows import GaugeBucketKey
from metrics.store.writing.statements import Insert, db_time, shared_fields

# Fields of a sample that have a column of the same name.
SYSTEM_FIELDS = shared_fields(SystemMetrics, SystemEvent)
GPU_FIELDS = shared_fields(GPUMetrics, GPUSample)
QUEUE_FIELDS = shared_fields(QueueMetrics, QueueEvent)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

_system_row = attrgetter(*SYSTEM_FIELDS)
_gpu_row = attrgetter(*GPU_FIELDS)
_queue_row = attrgetter(*QUEUE_FIELDS)

Read = Callable[[Any], float | None]


def _reader(metric: catalogue.Metric) -> Read:
    if metric.name == "system.load_1m":
        return lambda sample: sample.load_average[0] if sample.load_average else None
    return attrgetter(metric.field)


def _readers(*types: str) -> list[tuple[str, Read]]:
    return [(metric.name, _reader(metric)) for metric in catalogue.ALL if metric.type in types]


SYSTEM_GAUGES = _readers("system", "monitor")
GPU_GAUGES = _readers("gpu")
QUEUE_GAUGES = _readers("queue")

Gauges = dict[GaugeBucketKey, GaugeBucket]


class SampleRows:
    """Writes raw rows of samples. One transaction at a time: `begin`, `admit`, `write`, `remember` after the commit.

    max_label_sets: so many may be stored, of which each costs rollup rows that no disk bound sheds.
    """

    def __init__(self, max_label_sets: int) -> None:
        self._max_label_sets = max_label_sets
        self._interner = GaugeInterner(max_label_sets, own_host=socket.gethostname())
        self.begin, self.remember = self._interner.begin, self._interner.remember
        self._system = _insert(SystemMetrics, ("labels", *SYSTEM_FIELDS), ("timestamp", "labels"))
        self._gpu = _insert(GPUMetrics, ("timestamp", "host", "labels", *GPU_FIELDS), ("timestamp", "labels"))
        self._queue = _insert(QueueMetrics, ("series", "labels", *QUEUE_FIELDS), ("timestamp", "labels", "series"))

    def admit(
        self, systems: Sequence[tuple[int, SystemEvent]], queues: Sequence[tuple[int, QueueEvent]], now: datetime
    ) -> tuple[dict[GaugeKey, int], list[Refusal]]:
        """The numbers of the label sets, for `write`, and the events whose label sets are beyond the cap."""
        if not systems and not queues:
            return {}, []
        needed = [(place, _system_keys(event)) for place, event in systems]
        needed += [(place, [_queue_key(reading)]) for place, reading in queues]
        labels, beyond = self._interner.intern(sorted(needed), now)
        error = (
            f"is new, and the {self._max_label_sets} label sets of samples that LLMMONITOR_MAX_SERIES allows are in use"
        )
        refused = [Refusal(place, "host", error) for place, _ in systems if place in beyond]
        return labels, refused + [Refusal(place, "source", error) for place, _ in queues if place in beyond]

    def write(
        self,
        systems: Sequence[tuple[int, SystemEvent]],
        queues: Sequence[tuple[int, QueueEvent]],
        labels: Mapping[GaugeKey, int],
        series_refs: Mapping[int, SeriesRef],
        resolutions_for: ResolutionsFor,
    ) -> tuple[Gauges, set[int]]:
        """The gauges of what is new, and the places of events that brought nothing new. `series_refs`: by place."""
        if not systems and not queues:
            return {}, set()
        gauges = _GaugeSums(resolutions_for)
        places = {place for place, _ in systems} | {place for place, _ in queues}

        rows: dict[tuple[Any, ...], tuple[int, tuple[Any, ...], Any, int]] = {}
        for place, event in systems:
            number = labels[_host_key(event)]
            rows.setdefault((event.timestamp, number), (place, (number, *_system_row(event)), event, number))
        new = _insert_new(self._system, rows, gauges, SYSTEM_GAUGES)

        rows = {}
        for place, event in systems:
            for gpu in event.gpu_metrics:
                number = labels[_gpu_key(event, gpu)]
                row = (event.timestamp, event.host, number, *_gpu_row(gpu))
                rows.setdefault((event.timestamp, number), (place, row, gpu, number))
        new |= _insert_new(self._gpu, rows, gauges, GPU_GAUGES)

        rows = {}
        for place, reading in queues:
            number, series = labels[_queue_key(reading)], series_refs[place].series
            row = (series, number, *_queue_row(reading))
            rows.setdefault((reading.timestamp, number, series), (place, row, reading, number))
        new |= _insert_new(self._queue, rows, gauges, QUEUE_GAUGES)
        return gauges.buckets, places - new


def _insert(model: Any, columns: tuple[str, ...], key: tuple[str, ...]) -> Insert:
    return Insert(model, columns, conflict=key, returning=key)


def _host_key(event: SystemEvent) -> GaugeKey:
    return GaugeKey(host=event.host, is_demo=event.is_demo)


def _gpu_key(event: SystemEvent, gpu: GPUSample) -> GaugeKey:
    return GaugeKey(host=event.host, gpu_id=gpu.gpu_id, is_demo=event.is_demo)


def _system_keys(event: SystemEvent) -> list[GaugeKey]:
    return [_host_key(event), *(_gpu_key(event, gpu) for gpu in event.gpu_metrics)]


def _queue_key(event: QueueEvent) -> GaugeKey:
    return GaugeKey(model_name=event.model_name, kind=event.kind, source=event.source, is_demo=event.is_demo)


def _insert_new(
    insert: Insert,
    rows: Mapping[tuple[Any, ...], tuple[int, tuple[Any, ...], Any, int]],
    gauges: _GaugeSums,
    readers: Iterable[tuple[str, Read]],
) -> set[int]:
    """Insert rows by their key, which begins with the time; the places of events whose row is new.

    A row is (place, values, sample, label set).
    """
    ordered = sorted(rows.items(), key=lambda item: item[0])
    written = set(insert.run([row for _, (_, row, _, _) in ordered]))
    places = set()
    for (at, *rest), (place, _, sample, number) in ordered:
        if (db_time(at), *rest) in written:
            places.add(place)
            gauges.add(at, number, sample, readers)
    return places


class _GaugeSums:
    """Gauges by bucket."""

    def __init__(self, resolutions_for: ResolutionsFor) -> None:
        self.buckets: Gauges = {}
        self._resolutions_for = resolutions_for

    def add(self, at: datetime, labels: int, sample: Any, readers: Iterable[tuple[str, Read]]) -> None:
        """Add what a sample says; what it leaves open adds nothing."""
        microseconds = (at - EPOCH) // MICROSECOND
        starts = [
            (resolution, bucket_start(microseconds // 1_000_000, resolution))
            for resolution in self._resolutions_for(at)
            if resolution in GAUGE_RESOLUTIONS
        ]
        for metric, read in readers:
            value = read(sample)
            if value is None:
                continue
            for resolution, start in starts:
                key = (resolution, metric, start, labels)
                found = self.buckets.get(key)
                # One object for each bucket: `merge` changes it.
                if found is None:
                    self.buckets[key] = GaugeBucket.of(float(value), microseconds)
                else:
                    found.merge(GaugeBucket.of(float(value), microseconds))
