"""How far back the rows go that were appended lately, so that a live page gets the figures that late events change.

Rows are inserted with increasing ids, by whatever process. A look reads the ids above those of the look before. It
reads raw samples and errors, which have exact times, and the rollups of requests, which also have the corrections of
older seconds. Compaction inserts the sum of a late bucket's rows after a minute; the bucket then counts as changed
once more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import Any

from django.db import connection
from django.db.models import Max, Min, Q

from metrics import catalogue
from metrics.aggregation import MAX_COUNTER_GAP, RESOLUTIONS
from metrics.catalogue import Kind
from metrics.models import ErrorMetrics, InferenceRollup, SystemMetrics
from metrics.queries.read.gauges import TABLES
from metrics.queries.read.sql import filter_without_index
from metrics.queries.time.plan import Retention

# On PostgreSQL, a transaction may commit after another one with higher ids. Rows are therefore read again for this
# time, which is many times as long as a commit.
READ_AGAIN_SECONDS = 3
LONGEST_PAUSE_SECONDS = 60  # between two looks; the rows of a longer time are too many to be read each second
KEPT_LOOKS = 60
HAS_COUNTER = reduce(
    or_,
    (Q(**{f"{metric.column}__isnull": False}) for metric in catalogue.of_type("system") if metric.kind is Kind.COUNTER),
)


class AppendedRows:
    """The looks of one process at the tables. For one thread."""

    def __init__(self) -> None:
        # (unix second of the look, the newest id of each table), oldest first
        self._looks: deque[tuple[int, dict[Any, int]]] = deque()
        # (unix second of the look, oldest second with an appended row)
        self._changes: deque[tuple[int, int]] = deque(maxlen=KEPT_LOOKS)

    def look(self, now: datetime) -> None:
        """Read what was appended since the last look. The first look, and that after a pause, only note the ids.

        Raises database errors. The next look then reads the same rows.
        """
        now_s = int(now.timestamp())
        if self._looks and not 0 <= now_s - self._looks[-1][0] <= LONGEST_PAUSE_SECONDS:
            self._looks.clear()
            self._changes.clear()
        known = self._looks[0][1] if self._looks else None
        ids: dict[Any, int] = {}
        oldest: list[int] = []
        for table, time in _times(now_s):
            if known is None:
                ids[table] = table.objects.aggregate(newest=Max("id"))["newest"] or 0
                continue
            read = table.objects.filter(id__gt=known[table]).aggregate(newest=Max("id"), oldest=time)
            ids[table] = max(known[table], read["newest"] or 0)
            if read["oldest"] is not None:
                at = read["oldest"]
                oldest.append(int(at.timestamp()) if isinstance(at, datetime) else at)
                if table is SystemMetrics:
                    oldest += _starts_of_growth(known[table])
        self._looks.append((now_s, ids))
        again = READ_AGAIN_SECONDS if connection.vendor == "postgresql" else 0
        while len(self._looks) > 1 and self._looks[1][0] <= now_s - again:
            self._looks.popleft()
        if oldest:
            self._changes.append((now_s, min(oldest)))

    def oldest_since(self, second: int) -> int | None:
        """Return the oldest unix second with rows that were appended before a look after `second`; None without any."""
        return min((oldest for looked_at, oldest in self._changes if looked_at > second), default=None)


def _starts_of_growth(newest_id: int) -> Iterator[int]:
    """Yield the unix second from which the samples of each host above this id have changed the growth of its counters.

    It is that of the sample before, because the growth is spread over the time between them.
    """
    samples = SystemMetrics.objects.filter(HAS_COUNTER)
    appended = samples.filter(id__gt=newest_id).values("labels_id").annotate(first=Min("timestamp"))
    for labels, first in appended.values_list("labels_id", "first"):
        before = samples.filter(timestamp__lt=first, timestamp__gte=first - timedelta(seconds=MAX_COUNTER_GAP))
        newest = filter_without_index(before, "labels_id", [labels]).order_by("-timestamp")
        for at in newest.values_list("timestamp", flat=True)[:1]:
            yield int(at.timestamp())


def _times(now_s: int) -> Iterator[tuple[Any, Min]]:
    """Yield each table with the oldest time of its rows. Of the rollups, only the finest that are kept are compared."""
    retention = Retention.current()
    finest = Q(resolution=RESOLUTIONS[0])
    for finer, coarser in pairwise(RESOLUTIONS):
        finest |= Q(resolution=coarser, bucket__lt=retention.oldest_complete(finer, now_s))
    yield InferenceRollup, Min("bucket", filter=finest)
    for table in dict.fromkeys((ErrorMetrics, *TABLES.values())):
        yield table, Min("timestamp")
