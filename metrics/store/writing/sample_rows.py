"""Raw rows of host, GPU and queue samples, and the gauges that they add to the rollups.

A duplicate has the same time and label set; a duplicate of a queue sample has the same series, too. Time alone is not
enough: two hosts, or a host and a demo host of the same name, can send a sample of the same microsecond. The catalogue
defines which metrics a sample has.

Several senders may report one host or one queue, each some of the fields. If their samples have the same time, the
fields that the stored row lacks are added to it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from metrics import catalogue
from metrics.aggregation import GAUGE_RESOLUTIONS, GaugeBucket, ResolutionsFor, bucket_start
from metrics.events import GPUSample, QueueEvent, Rejection, SystemEvent
from metrics.levels import LEVELS
from metrics.models import GPUMetrics, QueueMetrics, SystemMetrics
from metrics.readings import MINUTE
from metrics.store.labels.interning import GaugeInterner, GaugeKey, SeriesRef
from metrics.store.writing import counters
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

Reader = Callable[[Any], float | None]


def _reader(metric: catalogue.Metric) -> Reader:
    if metric.name == "system.load_1m":
        return lambda sample: sample.load_average[0] if sample.load_average else None
    return attrgetter(metric.field)


def _readers(*types: str) -> list[tuple[str, Reader]]:
    return [(metric.name, _reader(metric)) for metric in catalogue.ALL if metric.type in types]


SYSTEM_GAUGES = _readers("system", "monitor")
GPU_GAUGES = _readers("gpu")
QUEUE_GAUGES = _readers("queue")

Gauges = dict[GaugeBucketKey, GaugeBucket]
# The rows to insert, by key, which begins with the time: (index of the event, values, sample, label set)
Rows = dict[tuple[Any, ...], tuple[int, tuple[Any, ...], Any, int]]
Sample = tuple[int, tuple[Any, ...], Any]  # (index of the event, key of its row, sample)


class SampleRows:
    """Writes raw rows of samples. In each transaction call `begin`, `intern` and `write`; after it `remember`.

    max_label_sets: the limit on stored label sets. It exists because the disk limit does not delete their rollup rows.
    """

    def __init__(self, max_label_sets: int) -> None:
        self._max_label_sets = max_label_sets
        self._interner = GaugeInterner(max_label_sets, own_host=socket.gethostname())
        self.begin, self.remember = self._interner.begin, self._interner.remember
        self._system = _insert(SystemMetrics, ("labels", *SYSTEM_FIELDS), ("timestamp", "labels"))
        self._gpu = _insert(GPUMetrics, ("timestamp", "host", "labels", *GPU_FIELDS), ("timestamp", "labels"))
        self._queue = _insert(QueueMetrics, ("series", "labels", *QUEUE_FIELDS), ("timestamp", "labels", "series"))

    def intern(
        self, systems: Sequence[tuple[int, SystemEvent]], queues: Sequence[tuple[int, QueueEvent]], now: datetime
    ) -> tuple[dict[GaugeKey, int], list[Rejection]]:
        """Return the ids of the label sets, for `write`, and the events whose label sets are beyond the limit."""
        if not systems and not queues:
            return {}, []
        needed = [(index, _system_keys(event)) for index, event in systems]
        needed += [(index, [_queue_key(reading)]) for index, reading in queues]
        labels, over_limit = self._interner.intern(sorted(needed), now)
        error = f"is new, and all {self._max_label_sets} label sets of samples (LLMMONITOR_MAX_SERIES) are in use"
        rejected = [Rejection(index, "host", error) for index, _ in systems if index in over_limit]
        return labels, rejected + [Rejection(index, "source", error) for index, _ in queues if index in over_limit]

    def write(
        self,
        systems: Sequence[tuple[int, SystemEvent]],
        queues: Sequence[tuple[int, QueueEvent]],
        labels: Mapping[GaugeKey, int],
        series_refs: Mapping[int, SeriesRef],
        resolutions_for: ResolutionsFor,
        floor: datetime | None,
    ) -> tuple[Gauges, set[int]]:
        """Insert the new samples. Return their gauges and the indexes of the duplicates.

        series_refs: by index. floor: the raw floor of hosts.
        """
        if not systems and not queues:
            return {}, set()
        gauges = _GaugeSums(resolutions_for)
        indexes = {index for index, _ in systems} | {index for index, _ in queues}

        hosts = [(index, event.timestamp, labels[_host_key(event)], event) for index, event in systems]
        counters.lock_label_sets(label_set for _, _, label_set, _ in hosts)
        rows: Rows = {}
        for index, at, label_set, event in hosts:
            rows.setdefault((at, label_set), (index, (label_set, *_system_row(event)), event, label_set))
        written = _insert_new(self._system, rows, gauges, SYSTEM_GAUGES)
        new = {rows[key][0] for key in written}
        counters.add_growth(((*key, rows[key][2]) for key in written), floor, gauges.merge)
        sent: list[Sample] = [(index, (at, label_set), event) for index, at, label_set, event in hosts]
        for index, key, added in _complete(SystemMetrics, SYSTEM_FIELDS, sent, rows, written):
            new.add(index)
            gauges.add(key[0], key[1], added, SYSTEM_GAUGES)
            counters.add_growth([(*key, added)], floor, gauges.merge)

        gpus = [
            (index, event.timestamp, labels[_gpu_key(event, gpu)], gpu)
            for index, event in systems
            for gpu in event.gpu_metrics
        ]
        host_of = {index: event.host for index, event in systems}
        rows = {}
        for index, at, label_set, gpu in gpus:
            rows.setdefault((at, label_set), (index, (at, host_of[index], label_set, *_gpu_row(gpu)), gpu, label_set))
        written = _insert_new(self._gpu, rows, gauges, GPU_GAUGES)
        new |= {rows[key][0] for key in written}
        sent = [(index, (at, label_set), gpu) for index, at, label_set, gpu in gpus]
        for index, key, added in _complete(GPUMetrics, GPU_FIELDS, sent, rows, written):
            new.add(index)
            gauges.add(key[0], key[1], added, GPU_GAUGES)

        readings = [
            (index, (reading.timestamp, labels[_queue_key(reading)], series_refs[index].series), reading)
            for index, reading in queues
        ]
        rows = {}
        for index, key, reading in readings:
            _, label_set, series = key
            rows.setdefault(key, (index, (series, label_set, *_queue_row(reading)), reading, label_set))
        written = _insert_new(self._queue, rows, gauges, QUEUE_GAUGES)
        new |= {rows[key][0] for key in written}
        for index, key, added in _complete(QueueMetrics, QUEUE_FIELDS, readings, rows, written):
            new.add(index)
            gauges.add(key[0], key[1], added, QUEUE_GAUGES)
        return gauges.buckets, indexes - new


def _insert(model: Any, columns: tuple[str, ...], key: tuple[str, ...]) -> Insert:
    return Insert(model, columns, conflict=key, returning=key)


def _host_key(event: SystemEvent) -> GaugeKey:
    return GaugeKey(host=event.host, is_demo=event.is_demo)


def _gpu_key(event: SystemEvent, gpu: GPUSample) -> GaugeKey:
    return GaugeKey(host=event.host, gpu_id=gpu.gpu_id, is_demo=event.is_demo)


def _system_keys(event: SystemEvent) -> list[GaugeKey]:
    return [_host_key(event), *(_gpu_key(event, gpu) for gpu in event.gpu_metrics)]


def _queue_key(event: QueueEvent) -> GaugeKey:
    return GaugeKey(
        model_name=event.model_name,
        provider=event.provider,
        service=event.service,
        kind=event.kind,
        source=event.source,
        is_demo=event.is_demo,
    )


def _insert_new(
    insert: Insert, rows: Rows, gauges: _GaugeSums, readers: Iterable[tuple[str, Reader]]
) -> set[tuple[Any, ...]]:
    """Insert rows and add the new ones to the gauges. Return their keys."""
    ordered = sorted(rows.items(), key=lambda item: item[0])
    written = set(insert.run([row for _, (_, row, _, _) in ordered]))
    keys = set()
    for key, (_, _, sample, label_set) in ordered:
        if (db_time(key[0]), *key[1:]) in written:
            keys.add(key)
            gauges.add(key[0], label_set, sample, readers)
    return keys


def _complete(
    model: Any, fields: Sequence[str], samples: Iterable[Sample], rows: Rows, written: Set[tuple[Any, ...]]
) -> Iterator[Sample]:
    """Replace stored rows that lack fields which another sample of their time has by rows with these fields.

    Yield these samples with the added fields only. `samples` are all that were sent, `written` the keys of new rows.
    """
    for index, key, sample in samples:
        if key in written and rows[key][0] == index:
            continue
        columns = dict(zip(("timestamp", "labels_id", "series_id"), key, strict=False))
        stored = model.objects.filter(**columns).select_for_update().first()
        added = {
            name: getattr(sample, name)
            for name in fields
            if stored and getattr(stored, name) is None and getattr(sample, name) is not None
        }
        if added:
            # Under a new id, by which live pages detect the change.
            model.objects.filter(pk=stored.pk).delete()
            for name, value in (added | {"pk": None}).items():
                setattr(stored, name, value)
            stored.save(force_insert=True)
            without = dict.fromkeys(name for name in fields if name not in added)
            yield index, key, sample.model_copy(update=without)


class _GaugeSums:
    """Sums gauges by bucket."""

    def __init__(self, resolutions_for: ResolutionsFor) -> None:
        self.buckets: Gauges = {}
        self._resolutions_for = resolutions_for

    def add(self, at: datetime, labels: int, sample: Any, readers: Iterable[tuple[str, Reader]]) -> None:
        """Add the values of a sample that are not None."""
        microseconds = (at - EPOCH) // MICROSECOND
        starts = [
            (resolution, bucket_start(microseconds // 1_000_000, resolution))
            for resolution in self._resolutions_for(at)
            if resolution in GAUGE_RESOLUTIONS
        ]
        # Levels are stored in minutes, whatever their retention is. Upkeep turns the minutes of an hour into its rows
        # (`metrics.store.upkeep.level_hours`).
        minute = [(MINUTE, bucket_start(microseconds // 1_000_000, MINUTE))]
        for metric, read in readers:
            value = read(sample)
            if value is None:
                continue
            for resolution, start in minute if metric in LEVELS else starts:
                self.merge((resolution, metric, start, labels), GaugeBucket.of(float(value), microseconds))

    def merge(self, key: GaugeBucketKey, bucket: GaugeBucket) -> None:
        """Add a bucket, which must not be used afterwards."""
        known = self.buckets.setdefault(key, bucket)
        if known is not bucket:
            known.merge(bucket)
