"""Label sets become numbers: series of requests, and label sets of gauges; of each so many and no more.

A process remembers what it has seen, but a remembered number is checked in every transaction that uses it, because
another process may have forgotten the series meanwhile. What a transaction interned is remembered after its commit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, models

from metrics.events import SeriesKey
from metrics.events.samples import MAX_GPUS
from metrics.models import GaugeLabels, Series
from metrics.store.writing.statements import Insert, db_time, execute, mark, marks

MAX_REMEMBERED = 50_000  # of one kind in one process, some 20 MB; beyond, the memory starts anew

SERIES_COLUMNS = ("model_name", "provider", "service", "endpoint", "tags", "is_demo")
GAUGE_COLUMNS = ("host", "gpu_id", "model_name", "kind", "source", "is_demo")
OWN_RESERVE = 1 + MAX_GPUS
# Counting reads the whole index. At the cap, not every commit that brings something new may cost that.
COUNT_AGAIN = timedelta(seconds=10)
# Any numbers that nobody else takes in this database. Two, because a commit takes other locks between them.
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
    kind: str = ""
    source: str = ""
    is_demo: bool = False


class SeriesRef(NamedTuple):
    """The series of an event, and the labels that its raw row keeps itself when that is `__other__`."""

    series: int
    labels: dict[str, Any] | None


def labels_of_key(key: SeriesKey) -> dict[str, Any]:
    """The labels that a raw row keeps itself."""
    labels: dict[str, Any] = {name: value for name, value in key._asdict().items() if name != "tags" and value}
    return labels | ({"tags": dict(key.tags)} if key.tags else {})


def series_labels(key: SeriesKey, is_demo: bool) -> SeriesLabels:
    """The key under which a request's labels are stored."""
    tags = json.dumps(dict(key.tags), sort_keys=True, ensure_ascii=False, separators=(",", ":")) if key.tags else ""
    return SeriesLabels(key.model_name, key.provider, key.service, key.endpoint, tags, is_demo)


def other_labels(is_demo: bool) -> SeriesLabels:
    """The series of what came beyond the cap."""
    return SeriesLabels(Series.OTHER, "", "", "", "", is_demo)


class Interner:
    """One table of label sets. One transaction at a time: `begin`, `find` and `add`, `remember` after the commit.

    columns: those of the key. more: further ones that a new row is given.
    """

    def __init__(self, model: type[models.Model], columns: tuple[str, ...], more: tuple[str, ...] = ()) -> None:
        self.model = model
        self.columns = columns
        self._known: dict[Any, int] = {}
        self._new: dict[Any, int] = {}
        self._insert = Insert(model, columns + more, conflict=columns)

    def begin(self) -> None:
        """Forget what a transaction that did not commit has interned."""
        self._new = {}

    def remember(self) -> None:
        """The transaction has committed."""
        if len(self._known) + len(self._new) > MAX_REMEMBERED:
            self._known = {}
        self._known.update(self._new)
        self._new = {}

    def find(self, keys: Collection[Any]) -> dict[Any, int]:
        """The numbers of those keys that are stored."""
        found = {key: number for key in keys if (number := self._known.get(key)) is not None}
        if found:
            here = self._existing(found.values())
            for key, number in list(found.items()):
                if number not in here:
                    del found[key], self._known[key]
        missing = [key for key in keys if key not in found]
        if missing:
            found |= self._select(missing)
        return found

    def add(self, rows: Mapping[Any, tuple[Any, ...]]) -> dict[Any, int]:
        """Store keys that are not there, each with the values of the further columns, and answer their numbers."""
        keys = sorted(rows)
        if not keys:
            return {}
        self._insert.run([(*key, *rows[key]) for key in keys])
        return self._select(keys)

    def _existing(self, numbers: Iterable[int]) -> set[int]:
        numbers = list(numbers)
        here: set[int] = set()
        for start in range(0, len(numbers), 1_000):
            some = numbers[start : start + 1_000]
            statement = f"SELECT id FROM {self._table} WHERE id IN {marks(connection.vendor, len(some))}{self._held()}"
            here.update(number for (number,) in execute(statement, some, True))
        return here

    def _select(self, keys: list[Any]) -> dict[Any, int]:
        found: dict[Any, int] = {}
        columns = ", ".join(self.columns)
        make = type(keys[0])
        for start in range(0, len(keys), 500):
            some = keys[start : start + 500]
            values = marks(connection.vendor, len(some), len(self.columns))
            statement = f"SELECT id, {columns} FROM {self._table} WHERE ({columns}) IN {values}{self._held()}"
            for number, *labels in execute(statement, [value for key in some for value in key], True):
                found[make(*labels)] = number  # (SQLite's 0 and 1 equal the key's False and True)
        self._new |= found
        return found

    @staticmethod
    def _held() -> str:
        # Nobody removes them before the commit; in the order of ids, so that no two transactions wait for each other.
        return " ORDER BY id FOR KEY SHARE" if connection.vendor == "postgresql" else ""

    @property
    def _table(self) -> str:
        return connection.ops.quote_name(self.model._meta.db_table)


# Of the keys that are not among the found ones, those to add where there is room for so many, as `Interner.add` takes
# them.
Choose = Callable[[Mapping[Any, int], int], Mapping[Any, tuple[Any, ...]]]


class CappedInterner(Interner):
    """A table that holds so many label sets at most; all processes together.

    `counted` are the rows that the cap is for, `lock` the number of its advisory lock. A process whose count is younger
    than COUNT_AGAIN takes its word that the table is full, so room that others have made is seen after that. Who adds
    counts anew, and alone.
    """

    def __init__(
        self,
        counted: models.QuerySet[Any],
        columns: tuple[str, ...],
        more: tuple[str, ...] = (),
        *,
        cap: int,
        lock: int,
    ) -> None:
        super().__init__(counted.model, columns, more)
        self._counted = counted
        self._cap = cap
        self._lock = lock
        self._last_count: tuple[datetime, int] | None = None  # and when it was taken; None: something was added since

    def intern(self, keys: Collection[Any], choose: Choose, now: datetime) -> dict[Any, int]:
        """The numbers of those keys that are stored, after those that `choose` names were added."""
        found = self.find(keys)
        if len(found) == len(keys):
            return found
        if self._last_count is not None:
            at, count = self._last_count
            if abs(now - at) < COUNT_AGAIN and not choose(found, self._cap - count):
                return found
        if connection.vendor == "postgresql":
            # Two that do not see each other's label sets would both take the last place. SQLite has one writer.
            execute("SELECT pg_advisory_xact_lock($1::bigint)", (self._lock,), True)
            found |= self.find([key for key in keys if key not in found])
        count = self._counted.count()
        wanted = choose(found, self._cap - count)
        self._last_count = None if wanted else (now, count)
        return found | self.add(wanted)


class Times(NamedTuple):
    """When the first and the last event of a series happened."""

    first: datetime
    last: datetime

    def union(self, other: Times) -> Times:
        """Of both together."""
        return Times(min(self.first, other.first), max(self.last, other.last))


class SeriesInterner:
    """Series, with their times of first and last event. Those beyond the cap share the series `__other__`."""

    def __init__(self, max_series: int) -> None:
        self._interner = CappedInterner(
            Series.objects.exclude(model_name=Series.OTHER),
            SERIES_COLUMNS,
            ("first_seen", "last_seen"),
            cap=max_series,
            lock=_SERIES_LOCK,
        )
        self.begin, self.remember = self._interner.begin, self._interner.remember

    def intern(
        self, times: Mapping[SeriesLabels, Times], now: datetime
    ) -> tuple[dict[SeriesLabels, int], set[SeriesLabels]]:
        """The number of each label set, and those of them that share the series `__other__` because of the cap."""

        def first_come(found: Mapping[SeriesLabels, int], room: int) -> Mapping[SeriesLabels, Times]:
            missing = [key for key in times if key not in found]
            return {key: times[key] for key in missing[: max(0, room)]}

        found = self._interner.intern(times, first_come, now)
        over = times.keys() - found.keys()
        others: dict[SeriesLabels, Times] = {}
        for key in over:
            other = other_labels(key.is_demo)
            others[other] = times[key].union(others.get(other, times[key]))
        numbers = self._interner.find(others)
        numbers |= self._interner.add({other: span for other, span in others.items() if other not in numbers})
        return found | {key: numbers[other_labels(key.is_demo)] for key in over}, over

    @staticmethod
    def touch(times: dict[int, Times]) -> None:
        """Widen first_seen and last_seen of series to these times. Exact, and in the order of ids: no two deadlock."""
        widen(Series._meta.db_table, times)


def widen(table: str, times: dict[int, Times]) -> None:
    """Widen first_seen…last_seen of some rows of a table to these times."""
    statement = (
        f"UPDATE {connection.ops.quote_name(table)} SET "
        f"first_seen = CASE WHEN first_seen > {mark(1)} THEN {mark(1)} ELSE first_seen END, "
        f"last_seen = CASE WHEN last_seen < {mark(2)} THEN {mark(2)} ELSE last_seen END "
        f"WHERE id = {mark(3)} AND (first_seen > {mark(1)} OR last_seen < {mark(2)})"
    )
    for number in sorted(times):
        first, last = db_time(times[number].first), db_time(times[number].last)
        execute(statement, (first, last, number))


class GaugeInterner:
    """Label sets of gauges. What is beyond the cap has no place to go, so it is refused.

    `own_host` is the machine that this process runs on. Its new label sets may go beyond the cap by OWN_RESERVE, all
    such machines together: a monitor that others have filled still shows its own machine.
    """

    def __init__(self, max_label_sets: int, own_host: str) -> None:
        self._interner = CappedInterner(GaugeLabels.objects.all(), GAUGE_COLUMNS, cap=max_label_sets, lock=_GAUGE_LOCK)
        self._own_host = own_host
        self.begin, self.remember = self._interner.begin, self._interner.remember

    def intern(
        self, needed: Sequence[tuple[int, Sequence[GaugeKey]]], now: datetime
    ) -> tuple[dict[GaugeKey, int], set[int]]:
        """The numbers of label sets, and the places that need one beyond the cap. `needed`: label sets by place.

        A place gets all that it needs or nothing, earlier places first.
        """

        def share_out(found: Mapping[GaugeKey, int], room: int) -> Mapping[GaugeKey, tuple[()]]:
            wanted: dict[GaugeKey, tuple[()]] = {}
            for _, keys in needed:
                new = set(keys) - found.keys() - wanted.keys()
                if len(wanted) + len(new) <= room + (OWN_RESERVE if self._is_own(keys) else 0):
                    wanted |= dict.fromkeys(new, ())
            return wanted

        found = self._interner.intern({key for _, keys in needed for key in keys}, share_out, now)
        return found, {place for place, keys in needed if not found.keys() >= set(keys)}

    def _is_own(self, keys: Sequence[GaugeKey]) -> bool:
        return all(key.host == self._own_host and not key.is_demo for key in keys)
