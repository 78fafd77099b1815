"""Adds the hours of requests that do not change any more to the totals since the first request (`RequestTotal`).

Hours of rollups are deleted after their retention, and the counters of `GET /metrics` must not fall then. So the sums
of an hour are added to totals before it is deleted, and the boundary (`TotalsBoundary`) rises in the same transaction:
each hour is either before the boundary and in the totals, or it is read from rollups.

The sums are computed outside of the transaction. It begins with a check that the boundary and the rows of the hours are
still the same, so any number of processes may do this at the same time, and `forget` may delete rows meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db.models import Count, QuerySet

from metrics.aggregation import HISTOGRAM_COLUMNS, INTEGER_COLUMNS, Row, merge_rows
from metrics.label_sets import MAX_SHOWN, REST, LabelSet, shown_label_sets
from metrics.levels import HOUR
from metrics.models import InferenceRollup, RequestTotal, RollupFloor, Series, TotalsBoundary
from metrics.models.checksum import Checksum
from metrics.retention_policy import RetentionPolicy
from metrics.store.raw_floors import raw_floor
from metrics.store.rollup_floors import raise_rollup_floor
from metrics.store.upkeep.deleting import Steps
from metrics.store.upkeep.tables import manager
from metrics.store.write_lock import upkeep_transaction
from metrics.store.writing.statements import Insert

# A failed request may take back the count of an error that was reported before it. That of a request that lasted longer
# than this stays in the totals.
LATE = timedelta(days=1)
MAX_ROWS = 2_000  # that are added at a time, unless one hour has more
MAX_HOURS = 168
LABELS = ("model_name", "provider", "service", "is_demo")
SUMS = INTEGER_COLUMNS + HISTOGRAM_COLUMNS

_insert = Insert(RequestTotal, LABELS + SUMS, conflict=LABELS)
_upsert = Insert(RequestTotal, LABELS + SUMS, conflict=LABELS, update=SUMS)

Key = tuple[LabelSet, bool]  # and whether it is demo data


@dataclass(frozen=True)
class _Hours:
    """Hours to add, from `start` to `end` in unix seconds, their rows, and the totals with them by label set."""

    start: int
    end: int
    rows: Checksum
    totals: Mapping[Key, Row]


def boundary() -> int:
    """Return the start of the oldest hour that is not in the totals, in unix seconds."""
    return manager(TotalsBoundary).values_list("bucket", flat=True).first() or 0


def add_ended_hours(now: datetime, steps: Steps, policy: RetentionPolicy) -> None:
    """Add the hours in which no request is counted any more, oldest first, until the deadline of the steps.

    These are the hours before the raw floor, and those older than their retention, whose floor is raised here.
    """
    _register_label_sets()
    until = _raised_floor(policy.oldest_bucket(HOUR, now))
    floor = raw_floor("inference")
    if floor is not None:
        until = max(until, int((floor - LATE).timestamp()) // HOUR * HOUR)
    while (start := boundary()) < until:
        hours = _read(start, until)
        if hours is None or not steps.run(partial(_add, hours), until=lambda: True) or steps.is_over:
            return


def delete_totals(**labels: Any) -> int:
    """Delete the totals with these labels, because a person removes what was recorded. Return the number of rows."""
    with upkeep_transaction():
        totals = manager(RequestTotal).filter(**labels)
        return int(totals._raw_delete(totals.db))


def _raised_floor(bucket: int) -> int:
    floor = manager(RollupFloor).filter(resolution=HOUR).values_list("bucket", flat=True).first()
    if floor is not None and floor >= bucket:
        return int(floor)
    with upkeep_transaction():
        return raise_rollup_floor(HOUR, bucket)


def _label_sets_with_totals() -> list[Key]:
    rows = manager(RequestTotal).order_by("pk").values_list(*LABELS)
    return [(LabelSet(*labels), is_demo) for *labels, is_demo in rows]


def _keys_of_series() -> dict[int, Key]:
    return {pk: (LabelSet(*labels), is_demo) for pk, *labels, is_demo in manager(Series).values_list("pk", *LABELS)}


def _register_label_sets() -> None:
    """Add rows without requests for the label sets that are shown and have no row, in their order."""
    of_series = _keys_of_series()
    known = _label_sets_with_totals()
    shown = shown_label_sets((labels for labels, _ in known), {pk: labels for pk, (labels, _) in of_series.items()})
    place = {labels: number for number, labels in enumerate(shown)}
    missing = {*of_series.values()} - {*known}
    new = sorted((place[labels], is_demo, labels) for labels, is_demo in missing if labels in place)
    if new:
        empty = (*(0 for _ in INTEGER_COLUMNS), *(b"" for _ in HISTOGRAM_COLUMNS))
        with upkeep_transaction():
            _insert.run([(*labels, is_demo, *empty) for _, is_demo, labels in new])


def _read(start: int, until: int) -> _Hours | None:
    """Return the next hours and the totals with them; None if they have a label set that is not registered yet."""
    of_hour = _rows(start, until).values("bucket").annotate(Count("pk")).order_by("bucket")
    counts = list(of_hour.values_list("bucket", "pk__count")[:MAX_HOURS])
    end, number = until, 0
    for place, (bucket, of_bucket) in enumerate(counts):
        if place and number + of_bucket > MAX_ROWS:
            end = bucket
            break
        number += of_bucket
    else:
        if len(counts) == MAX_HOURS:
            end = counts[-1][0] + HOUR
    rows = list(_rows(start, end).values_list("pk", "series", *SUMS))
    of_series, totals = _keys_of_series(), _totals()
    known = {labels for labels, _ in totals}
    keys: dict[Key, int] = {}
    numbered: list[Row] = []
    for _, series_id, *sums in rows:
        labels, is_demo = of_series.get(series_id, (REST, False))  # it has been deleted: `_add` will notice
        if labels not in known:
            if labels != REST and len(known - {REST}) < MAX_SHOWN:
                return None
            labels = REST
        numbered.append((0, 0, keys.setdefault((labels, is_demo), len(keys)), *sums))
    numbered += [(0, 0, number, *totals[key]) for key, number in keys.items() if key in totals]
    key_of = {number: key for key, number in keys.items()}
    merged = {key_of[number]: tuple(sums) for _, _, number, *sums in merge_rows(numbered)}
    return _Hours(start, end, Checksum.of(pk for pk, *_ in rows), merged)


def _totals() -> dict[Key, Row]:
    rows = manager(RequestTotal).values_list(*LABELS, *SUMS)
    return {(LabelSet(*row[: len(LABELS) - 1]), row[len(LABELS) - 1]): row[len(LABELS) :] for row in rows}


def _add(hours: _Hours, _: int) -> int:
    """Store the totals with the hours, in a transaction. Return 1, or 0 if the hours or the boundary have changed.

    Only this function changes totals, and it raises the boundary. `forget` deletes totals after the rows of its hours.
    """
    if boundary() != hours.start or Checksum.stored(_rows(hours.start, hours.end)) != hours.rows:
        return 0
    _upsert.run([(*labels, is_demo, *sums) for (labels, is_demo), sums in hours.totals.items()])
    if not manager(TotalsBoundary).update(bucket=hours.end):
        manager(TotalsBoundary).create(bucket=hours.end)
    return 1


def _rows(start: int, end: int) -> QuerySet[InferenceRollup]:
    return manager(InferenceRollup).filter(resolution=HOUR, bucket__gte=start, bucket__lt=end)
