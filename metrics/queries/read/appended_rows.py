"""How far back the rows go that were appended lately, so that a live page gets the figures that late events change.

Rows are inserted with increasing ids, by whatever process. A look reads the ids above those of the look before. It
reads raw samples and errors, which have exact times, and the rollups of requests, which also have the corrections of
older seconds. Compaction inserts the sum of a late bucket's rows after a minute; the bucket then counts as changed
once more.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db import connection
from django.db.models import Max, Min, Q

from metrics import catalogue
from metrics.aggregation import MAX_COUNTER_GAP, RESOLUTIONS
from metrics.catalogue import Kind
from metrics.models import ErrorMetrics, InferenceRollup, SystemMetrics
from metrics.queries.read.gauges import TABLES
from metrics.queries.time.plan import Retention

# On PostgreSQL, a transaction may commit after another one with higher ids. Rows are therefore read again for this
# time, which is many times as long as a commit.
READ_AGAIN_SECONDS = 3
LONGEST_PAUSE_SECONDS = 60  # between two looks; the rows of a longer time are too many to be read each second
KEPT_LOOKS = 60
APPENDED = (InferenceRollup, *dict.fromkeys((ErrorMetrics, *TABLES.values())))
# One statement for all tables, because a look is made each second and most tables have no new rows.
NEWEST_IDS = "SELECT " + ", ".join(f"(SELECT max(id) FROM {table._meta.db_table})" for table in APPENDED)  # noqa: S608
COUNTERS = [metric.column for metric in catalogue.of_type("system", "monitor") if metric.kind is Kind.COUNTER]
CHUNK_ROWS = 4_000
GAP = timedelta(seconds=MAX_COUNTER_GAP)


class AppendedRows:
    """The looks of one process at the tables. For one thread."""

    def __init__(self) -> None:
        # (unix second of the look, the newest id of each table), oldest first
        self._looks: deque[tuple[int, dict[Any, int]]] = deque()
        # (unix second of the look, oldest second with an appended row)
        self._changes: deque[tuple[int, int]] = deque(maxlen=KEPT_LOOKS)
        self._counters = _CounterSamples()

    def look(self, now: datetime) -> None:
        """Read what was appended since the last look. The first look, and that after a pause, only note the ids.

        Raises database errors. The next look then reads the same rows.
        """
        now_s = int(now.timestamp())
        if self._looks and not 0 <= now_s - self._looks[-1][0] <= LONGEST_PAUSE_SECONDS:
            self._looks.clear()
            self._changes.clear()
        newest_ids = _newest_ids()
        if self._looks:
            known = self._looks[0][1]
            appended = [table for table in APPENDED if newest_ids[table] > known[table]]
            oldest = [self._oldest(table, known[table], now_s) for table in appended]
            if seconds := [second for second in oldest if second is not None]:
                self._changes.append((now_s, min(seconds)))
        else:
            self._counters.start(now)
        self._looks.append((now_s, newest_ids))
        again = READ_AGAIN_SECONDS if connection.vendor == "postgresql" else 0
        while len(self._looks) > 1 and self._looks[1][0] <= now_s - again:
            self._looks.popleft()

    def oldest_since(self, second: int) -> int | None:
        """Return the oldest unix second with rows that were appended before a look after `second`; None without any."""
        return min((oldest for looked_at, oldest in self._changes if looked_at > second), default=None)

    def _oldest(self, table: Any, known_id: int, now_s: int) -> int | None:
        """Return the oldest unix second whose figures the rows of a table above this id have changed."""
        rows = table.objects.filter(id__gt=known_id)
        if table is InferenceRollup:
            bucket: int | None = rows.filter(_finest_kept(now_s)).aggregate(oldest=Min("bucket"))["oldest"]
            return bucket
        if table is SystemMetrics:
            at = self._counters.oldest_change(rows)
        else:
            at = rows.aggregate(oldest=Min("timestamp"))["oldest"]
        return None if at is None else int(at.timestamp())


def _newest_ids() -> dict[Any, int]:
    with connection.cursor() as cursor:
        cursor.execute(NEWEST_IDS)
        return {table: newest or 0 for table, newest in zip(APPENDED, cursor.fetchone(), strict=True)}


def _finest_kept(now_s: int) -> Q:
    """Return the condition for rollups of the finest resolution that is kept of their time. Only these are compared."""
    retention = Retention.current()
    finest = Q(resolution=RESOLUTIONS[0])
    for finer, coarser in pairwise(RESOLUTIONS):
        finest |= Q(resolution=coarser, bucket__lt=retention.oldest_complete(finer, now_s))
    return finest


class _CounterSamples:
    """The newest sample of each counter of each host; a host may have several senders with different counters.

    The growth of a counter up to a sample is spread over the time since the one before, whose figures change with it.
    """

    def __init__(self) -> None:
        self._newest: dict[tuple[int, str], datetime] = {}  # (label set, column) -> time
        self._begin: datetime | None = None
        self._seen: set[int] = set()  # the ids of the samples that were read last

    def start(self, now: datetime) -> None:
        """Read the stored samples from which the growth up to a later one may be counted."""
        newest = {column: Max("timestamp", filter=Q(**{f"{column}__isnull": False})) for column in COUNTERS}
        rows = SystemMetrics.objects.filter(timestamp__gt=now - GAP).order_by().values("labels_id")
        self._begin = now
        self._newest = {
            (labels, column): at
            for labels, *times in rows.annotate(**newest).values_list("labels_id", *newest)
            for column, at in zip(COUNTERS, times, strict=True)
            if at is not None
        }

    def oldest_change(self, samples: Any) -> datetime | None:
        """Return the oldest time whose figures the new samples have changed; None without any."""
        oldest: datetime | None = None
        seen = set()
        rows = samples.order_by("id").values_list("id", "labels_id", "timestamp", *COUNTERS)
        for row, labels, at, *values in rows.iterator(CHUNK_ROWS):
            seen.add(row)
            if row in self._seen:
                continue
            sent = [column for column, value in zip(COUNTERS, values, strict=True) if value is not None]
            oldest = min([oldest or at, at, *(self._start_of_growth((labels, column), at) for column in sent)])
        self._seen = seen
        return oldest

    def _start_of_growth(self, counter: tuple[int, str], at: datetime) -> datetime:
        """Return the time of the sample before, and note this one."""
        before = self._newest.get(counter)
        if before is None:
            is_first = self._begin is not None and at >= self._begin
            before = at if is_first else at - GAP
        elif at <= before:
            return at - GAP  # between older samples, of which the one before is not known
        self._newest[counter] = at
        return before if at - before <= GAP else at
