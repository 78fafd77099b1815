"""Stores each label set of requests (series) and of gauges once, up to a limit, so that rows refer to it by id.

A process remembers the ids, but checks them in each transaction that uses them, because another process may have
deleted a label set. Ids of a transaction are remembered after its commit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, models

from metrics.events import SeriesKey
from metrics.events.samples import MAX_GPUS, QueueKind
from metrics.models import GaugeLabels, Series
from metrics.store.writing.statements import Insert, db_time, execute, mark, marks

MAX_REMEMBERED = 50_000  # ids in one process, about 20 MiB; beyond, all are forgotten

SERIES_COLUMNS = ("model_name", "provider", "service", "endpoint", "tags", "is_demo")
GAUGE_COLUMNS = ("host", "gpu_id", "model_name", "provider", "service", "kind", "source", "is_demo")
OWN_HOST_LABEL_SETS = 1 + MAX_GPUS
FOLDED_SOURCE = "sdk"  # of the label set that SDK queues of a model share (`metrics.store.upkeep.sdk_queues`)
SDK_QUEUES = models.Q(kind=QueueKind.SDK) & ~models.Q(source=FOLDED_SOURCE)
# Counting reads a whole index, so at the limit not every commit with a new label set counts.
COUNT_INTERVAL = timedelta(seconds=10)
# Numbers that no other code uses in this database. There are two, because a commit acquires other locks between them.
_GAUGE_LOCK, _SERIES_LOCK = 0x4C4C4D03, 0x4C4C4D04


class SeriesLabels(NamedTuple):
    """The key of a `Series` row."""

    model_name: str
    provider: str
    service: str
    endpoint: str
    tags: str
    is_demo: bool


class GaugeKey(NamedTuple):
    """The key of a `GaugeLabels` row."""

    host: str = ""
    gpu_id: str = ""
    model_name: str = ""
    provider: str = ""
    service: str = ""
    kind: str = ""
    source: str = ""
    is_demo: bool = False


class SeriesRef(NamedTuple):
    """The series of an event. labels: stored in the raw row if the series is `__other__`, otherwise None."""

    series: int
    labels: dict[str, Any] | None


def labels_of_key(key: SeriesKey) -> dict[str, Any]:
    """Return the labels as a raw row of the series `__other__` stores them."""
    labels: dict[str, Any] = {name: value for name, value in key._asdict().items() if name != "tags" and value}
    return labels | ({"tags": dict(key.tags)} if key.tags else {})


def series_labels(key: SeriesKey, is_demo: bool) -> SeriesLabels:
    """Return the key of the series of a request."""
    tags = json.dumps(dict(key.tags), sort_keys=True, ensure_ascii=False, separators=(",", ":")) if key.tags else ""
    return SeriesLabels(key.model_name, key.provider, key.service, key.endpoint, tags, is_demo)


def other_labels(is_demo: bool) -> SeriesLabels:
    """Return the key of the series of requests beyond the limit."""
    return SeriesLabels(Series.OTHER, "", "", "", "", is_demo)


class Interner:
    """Ids of a table. In each transaction call `begin`, `find` and `add`; after it `remember`.

    columns: the columns of the key. more_columns: other columns of a new row.
    """

    def __init__(self, model: type[models.Model], columns: tuple[str, ...], more_columns: tuple[str, ...] = ()) -> None:
        self.model = model
        self.columns = columns
        self._known: dict[Any, int] = {}
        self._new: dict[Any, int] = {}
        self._insert = Insert(model, columns + more_columns, conflict=columns)

    def begin(self) -> None:
        """Forget the ids of a transaction that did not commit."""
        self._new = {}

    def remember(self) -> None:
        """Remember the ids of the transaction, which has committed."""
        if len(self._known) + len(self._new) > MAX_REMEMBERED:
            self._known = {}
        self._known.update(self._new)
        self._new = {}

    def find(self, keys: Collection[Any]) -> dict[Any, int]:
        """Return the ids of the keys that are stored."""
        ids = {key: row_id for key in keys if (row_id := self._known.get(key)) is not None}
        if ids:
            existing = self._existing(ids.values())
            for key, row_id in list(ids.items()):
                if row_id not in existing:
                    del ids[key], self._known[key]
        missing = [key for key in keys if key not in ids]
        if missing:
            ids |= self._select(missing)
        return ids

    def add(self, rows: Mapping[Any, tuple[Any, ...]]) -> dict[Any, int]:
        """Insert missing keys, each with the values of `more_columns`. Return their ids."""
        keys = sorted(rows)
        if not keys:
            return {}
        self._insert.run([(*key, *rows[key]) for key in keys])
        return self._select(keys)

    def _existing(self, ids: Iterable[int]) -> set[int]:
        ids = list(ids)
        existing: set[int] = set()
        for start in range(0, len(ids), 1_000):
            chunk = ids[start : start + 1_000]
            statement = (
                f"SELECT id FROM {self._table} WHERE id IN {marks(connection.vendor, len(chunk))}{self._lock_clause()}"
            )
            existing.update(row_id for (row_id,) in execute(statement, chunk, True))
        return existing

    def _select(self, keys: list[Any]) -> dict[Any, int]:
        ids: dict[Any, int] = {}
        columns = ", ".join(self.columns)
        key_type = type(keys[0])
        for start in range(0, len(keys), 500):
            chunk = keys[start : start + 500]
            values = marks(connection.vendor, len(chunk), len(self.columns))
            statement = f"SELECT id, {columns} FROM {self._table} WHERE ({columns}) IN {values}{self._lock_clause()}"
            for row_id, *labels in execute(statement, [value for key in chunk for value in key], True):
                ids[key_type(*labels)] = row_id  # (SQLite's 0 and 1 equal False and True in the key)
        self._new |= ids
        return ids

    @staticmethod
    def _lock_clause() -> str:
        # The rows are not deleted before the commit. They are locked in the order of ids to prevent deadlocks.
        return " ORDER BY id FOR KEY SHARE" if connection.vendor == "postgresql" else ""

    @property
    def _table(self) -> str:
        return connection.ops.quote_name(self.model._meta.db_table)


# Receives the ids of the stored keys and the number of rows that may be added. Returns rows for `Interner.add`.
Choose = Callable[[Mapping[Any, int], int], Mapping[Any, tuple[Any, ...]]]


class LimitedInterner(Interner):
    """An interner for a table with a limited number of rows, which applies to all processes together.

    counted: the rows that the limit is for. lock: the number of its advisory lock. A process that has seen a full table
    counts again after COUNT_INTERVAL; until then it does not see that rows were deleted. Before rows are added, they
    are counted again under the lock.
    """

    def __init__(
        self,
        counted: models.QuerySet[Any],
        columns: tuple[str, ...],
        more_columns: tuple[str, ...] = (),
        *,
        limit: int,
        lock: int,
    ) -> None:
        super().__init__(counted.model, columns, more_columns)
        self._counted = counted
        self._limit = limit
        self._lock = lock
        self._last_count: tuple[datetime, int] | None = None  # with its time; None after rows were added

    def intern(self, keys: Collection[Any], choose: Choose, now: datetime) -> dict[Any, int]:
        """Add the rows that `choose` returns. Return the ids of the keys that are stored."""
        ids = self.find(keys)
        if len(ids) == len(keys):
            return ids
        if self._last_count is not None:
            at, count = self._last_count
            if abs(now - at) < COUNT_INTERVAL and not choose(ids, self._limit - count):
                return ids
        if connection.vendor == "postgresql":
            # Two transactions that do not see each other's rows could both add the last one. SQLite has one writer.
            execute("SELECT pg_advisory_xact_lock($1::bigint)", (self._lock,), True)
            ids |= self.find([key for key in keys if key not in ids])
        count = self._counted.count()
        rows = choose(ids, self._limit - count)
        self._last_count = None if rows else (now, count)
        return ids | self.add(rows)


class Times(NamedTuple):
    """The times of the first and the last event of a series or group."""

    first: datetime
    last: datetime

    def union(self, other: Times) -> Times:
        """Return the first and last time of both."""
        return Times(min(self.first, other.first), max(self.last, other.last))


class SeriesInterner:
    """Ids of series. Label sets beyond the limit share the series `__other__`."""

    def __init__(self, max_series: int) -> None:
        self._interner = LimitedInterner(
            Series.objects.exclude(model_name=Series.OTHER),
            SERIES_COLUMNS,
            ("first_seen", "last_seen"),
            limit=max_series,
            lock=_SERIES_LOCK,
        )
        self.begin, self.remember = self._interner.begin, self._interner.remember

    def intern(
        self, times: Mapping[SeriesLabels, Times], now: datetime
    ) -> tuple[dict[SeriesLabels, int], set[SeriesLabels]]:
        """Return the id of each label set, and the label sets that share the series `__other__`."""

        def choose_first(stored: Mapping[SeriesLabels, int], room: int) -> Mapping[SeriesLabels, Times]:
            missing = [key for key in times if key not in stored]
            return {key: times[key] for key in missing[: max(0, room)]}

        ids = self._interner.intern(times, choose_first, now)
        over_limit = times.keys() - ids.keys()
        others: dict[SeriesLabels, Times] = {}
        for key in over_limit:
            other = other_labels(key.is_demo)
            others[other] = times[key].union(others.get(other, times[key]))
        other_ids = self._interner.find(others)
        other_ids |= self._interner.add({other: span for other, span in others.items() if other not in other_ids})
        return ids | {key: other_ids[other_labels(key.is_demo)] for key in over_limit}, over_limit

    @staticmethod
    def touch(times: dict[int, Times]) -> None:
        """Widen first_seen and last_seen of series to these times."""
        widen(Series._meta.db_table, times)


def widen(table: str, times: dict[int, Times]) -> None:
    """Widen first_seen and last_seen of rows to these times. The order of ids prevents deadlocks."""
    statement = (
        f"UPDATE {connection.ops.quote_name(table)} SET "
        f"first_seen = CASE WHEN first_seen > {mark(1)} THEN {mark(1)} ELSE first_seen END, "
        f"last_seen = CASE WHEN last_seen < {mark(2)} THEN {mark(2)} ELSE last_seen END "
        f"WHERE id = {mark(3)} AND (first_seen > {mark(1)} OR last_seen < {mark(2)})"
    )
    for row_id in sorted(times):
        first, last = db_time(times[row_id].first), db_time(times[row_id].last)
        execute(statement, (first, last, row_id))


class GaugeInterner:
    """Ids of label sets of gauges. Samples with label sets beyond the limit are rejected.

    The queues of the SDK have a limit of their own, half as high, because each process that uses the SDK is a source.
    Those beyond it share a label set for each model, provider and service.

    own_host: the host of this process. Its label sets may exceed the limit by OWN_HOST_LABEL_SETS, for all such hosts
    together, so that the monitor shows its own host even if others have used the limit.
    """

    def __init__(self, max_label_sets: int, own_host: str) -> None:
        self._interner = LimitedInterner(
            GaugeLabels.objects.exclude(SDK_QUEUES), GAUGE_COLUMNS, limit=max_label_sets, lock=_GAUGE_LOCK
        )
        self._sdk = LimitedInterner(
            GaugeLabels.objects.filter(SDK_QUEUES), GAUGE_COLUMNS, limit=max_label_sets // 2, lock=_GAUGE_LOCK
        )
        self._own_host = own_host

    def begin(self) -> None:
        """Forget the ids of a transaction that did not commit."""
        self._interner.begin()
        self._sdk.begin()

    def remember(self) -> None:
        """Remember the ids of the transaction, which has committed."""
        self._interner.remember()
        self._sdk.remember()

    def intern(
        self, needed: Sequence[tuple[int, Sequence[GaugeKey]]], now: datetime
    ) -> tuple[dict[GaugeKey, int], set[int]]:
        """Return the ids of the label sets, and the indexes of events with a label set beyond the limit.

        needed: (index, label sets) of each event. Label sets are added for whole events only, in this order.
        """
        sdk = [key for _, keys in needed for key in keys if key.kind == QueueKind.SDK and key.source != FOLDED_SOURCE]
        ids = self._intern_sdk(dict.fromkeys(sdk), now)
        shared = {key: key._replace(source=FOLDED_SOURCE) for key in sdk if key not in ids}
        others = [(index, [shared.get(key, key) for key in keys if key not in ids]) for index, keys in needed]
        ids |= self._intern_others(others, now)
        ids |= {key: ids[own] for key, own in shared.items() if own in ids}
        return ids, {index for index, keys in needed if not ids.keys() >= set(keys)}

    def _intern_sdk(self, keys: Mapping[GaugeKey, None], now: datetime) -> dict[GaugeKey, int]:
        def choose_first(stored: Mapping[GaugeKey, int], room: int) -> Mapping[GaugeKey, tuple[()]]:
            return dict.fromkeys([key for key in keys if key not in stored][: max(0, room)], ())

        return self._sdk.intern(keys.keys(), choose_first, now)

    def _intern_others(self, needed: Sequence[tuple[int, Sequence[GaugeKey]]], now: datetime) -> dict[GaugeKey, int]:
        def choose_whole_events(stored: Mapping[GaugeKey, int], room: int) -> Mapping[GaugeKey, tuple[()]]:
            rows: dict[GaugeKey, tuple[()]] = {}
            for _, keys in needed:
                new = set(keys) - stored.keys() - rows.keys()
                if len(rows) + len(new) <= room + (OWN_HOST_LABEL_SETS if self._is_own(keys) else 0):
                    rows |= dict.fromkeys(new, ())
            return rows

        return self._interner.intern({key for _, keys in needed for key in keys}, choose_whole_events, now)

    def _is_own(self, keys: Sequence[GaugeKey]) -> bool:
        return all(key.host == self._own_host and not key.is_demo for key in keys)
