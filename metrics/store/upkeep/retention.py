"""Deletes rows that are older than their retention, and keeps the store below its disk limit.

Beside that, it merges rollup rows that other processes have left, and checks rollups against raw rows.

`maintain` deletes rows in short steps (`metrics.store.upkeep.deleting`). Raw rows are deleted oldest first, and the raw
floor of their kind rises in the same transaction (`metrics.store.raw_floors`). Rollups keep their figures when the raw
rows of their bucket are deleted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import DatabaseError, models
from django.db.models import Exists, OuterRef

from llmmonitor.access.retention import expired_rows
from metrics import registers
from metrics.aggregation import GAUGE_RESOLUTIONS, RESOLUTIONS
from metrics.levels import HOUR, LEVELS
from metrics.models import (
    ErrorGroup,
    ErrorGroupRollup,
    GaugeLabels,
    GaugeRollup,
    InferenceRollup,
    MonitorOutage,
    RecentId,
    Series,
    TableSize,
)
from metrics.readings import MINUTE
from metrics.retention_policy import RetentionPolicy, changed_within
from metrics.store import compaction
from metrics.store.demo_claim import is_filling
from metrics.store.rollup_floors import raise_rollup_floor
from metrics.store.upkeep import disk_limit, level_hours, request_totals, rollup_checks, sdk_queues, table_sizes
from metrics.store.upkeep.archiving import Archive, archive_old
from metrics.store.upkeep.deleting import Step, Steps, matching_rows, oldest_raw_rows
from metrics.store.upkeep.tables import RAW_TABLES, manager, referring_tables, table_name

logger = logging.getLogger(__name__)

# Rollups are deleted this much later, so that a query that began before still reads complete buckets.
READERS_GRACE = timedelta(minutes=1)
GAUGE_LABELS_EVERY = timedelta(hours=1)

COMPACTION_EVERY = timedelta(minutes=10)

# When this process last saw that all label sets of gauges are in use, and that no ended bucket has several rows.
_gauge_labels_clean_at: datetime | None = None
_compacted_at: datetime | None = None


def maintain(
    now: datetime, budget_seconds: float, policy: RetentionPolicy | None = None, archive: Archive | None = None
) -> dict[str, int]:
    """Delete rows that are too old or too many for the disk limit. Return the number of rows by table.

    With an archive, requests and errors are archived before they are deleted (`metrics.store.upkeep.archiving`).

    It stops after `budget_seconds` and continues at the next call; each table gets at least one step. Any number of
    processes may run it at the same time. After all tables, it raises the first error of the database.

    In the minute after a person has changed a retention, it keeps only to the disk limit: other processes do not know
    the change yet, and a query that began before still reads complete buckets.
    """
    waits = policy is None and changed_within(now - READERS_GRACE, now)
    policy = policy or RetentionPolicy.current(fresh=True)
    steps = Steps(time.monotonic() + budget_seconds)
    counts: dict[str, int] = {}
    failed: DatabaseError | None = None

    def attempt(subject: str, task: Callable[[], Mapping[str, int]]) -> None:
        nonlocal failed
        try:
            for name, rows in task().items():
                counts[name] = counts.get(name, 0) + rows
        except DatabaseError as error:
            logger.warning("retention: %s: %s", subject, error)
            failed = failed or error

    def run(name: str, task: Callable[[], int]) -> None:
        attempt(name, lambda: {name: task()})

    def shrink_file() -> dict[str, int]:
        disk_limit.shrink_file(steps)
        return {}

    def measure_sizes() -> dict[str, int]:
        table_sizes.measure_each_hour(now)
        return {}

    def check_rollups() -> dict[str, int]:
        rollup_checks.check_due_hours(now, steps)
        return {}

    # The disk limit comes first: a full store rejects events, but a row that is a minute too old does no harm.
    attempt("disk limit", lambda: disk_limit.enforce_max_disk(now, steps, archive))
    if waits:
        if failed:
            raise failed
        return counts
    for model, kind in RAW_TABLES:
        run(table_name(model), partial(_delete_raw, model, kind, now - policy.raw(kind), steps, archive))
    attempt("totals of requests", lambda: _add_to_totals(now, steps, policy))
    in_totals = request_totals.boundary()
    for resolution in RESOLUTIONS:
        of_resolution = manager(InferenceRollup).filter(resolution=resolution)
        if resolution == HOUR:
            of_resolution = of_resolution.filter(bucket__lt=in_totals)
        run(table_name(InferenceRollup), partial(steps.run, _old_buckets(of_resolution, resolution, policy, now)))
    hours = manager(ErrorGroupRollup).all()
    run(table_name(ErrorGroupRollup), partial(steps.run, _old_buckets(hours, 3600, policy, now)))
    for query in _outdated(policy, now):
        run(table_name(query.model), partial(steps.run, matching_rows(query)))
    for resolution in GAUGE_RESOLUTIONS:
        run(table_name(GaugeRollup), partial(_clean_gauges, resolution, policy, now, steps))
    run(table_name(GaugeLabels), partial(_clean_gauge_labels, now, steps))
    attempt("access", lambda: _delete_access_rows(now, steps))
    attempt("compaction", lambda: _merge_leftovers(now, steps))
    attempt("check of rollups", check_rollups)
    for name, function in registers.retention:
        run(name, partial(function, now, steps.deadline))
    attempt("free pages", shrink_file)
    attempt("sizes", measure_sizes)
    if failed:
        raise failed
    return counts


def _delete_raw(model: type[models.Model], kind: str, before: datetime, steps: Steps, archive: Archive | None) -> int:
    """Delete the raw rows of a kind that are too old. Return their number.

    Not while demo data is filled in: the raised floor would reject the older samples that follow.
    """
    if is_filling():
        return 0
    if archive is not None and archive.has(kind):
        return archive_old(archive, model, kind, before, steps)
    return steps.run(oldest_raw_rows(model, kind, before))


def _add_to_totals(now: datetime, steps: Steps, policy: RetentionPolicy) -> dict[str, int]:
    """Add the hours that do not change any more to the totals of requests. No row counts as deleted."""
    request_totals.add_ended_hours(now - READERS_GRACE, steps, policy)
    return {}


def _outdated(policy: RetentionPolicy, now: datetime) -> Iterator[models.QuerySet[Any]]:
    """Return queries for the other rows that are too old, in the order of an index. They are not run yet."""
    yield manager(RecentId).filter(at__lt=now - policy.recent_ids).order_by("at")
    yield manager(MonitorOutage).filter(end__lt=now - policy.rollups[HOUR]).order_by("end")
    yield manager(TableSize).filter(at__lt=now - policy.rollups[HOUR]).order_by("at")
    yield from _unused_labels(policy, now)


def _old_buckets(rollups: models.QuerySet[Any], resolution: int, policy: RetentionPolicy, now: datetime) -> Step:
    """Return a step that deletes those of the rollups of a resolution that are too old, and raises its floor."""
    before = policy.oldest_bucket(resolution, now - READERS_GRACE)
    delete = matching_rows(rollups.filter(bucket__lt=before).order_by("bucket"))

    def step(rows: int) -> int:
        raise_rollup_floor(resolution, before)
        return delete(rows)

    return step


def _clean_gauges(resolution: int, policy: RetentionPolicy, now: datetime, steps: Steps) -> int:
    """Delete the gauge rollups of a resolution that are too old. Return the number of rows."""
    before = policy.oldest_bucket(resolution, now - READERS_GRACE)
    deleted = 0
    # A query for each metric, because the index has the metric before the bucket.
    for metric in _metrics(resolution):
        if metric in LEVELS and resolution == MINUTE:
            deleted += level_hours.convert_and_delete(metric, before, steps)
            continue
        query = manager(GaugeRollup).filter(resolution=resolution, metric=metric, bucket__lt=before)
        deleted += steps.run(matching_rows(query.order_by("bucket")))
    return deleted


def _metrics(resolution: int) -> Iterator[str]:
    """Return the gauges that have rows at a resolution. SELECT DISTINCT would read the whole index."""
    last: str | None = ""
    while True:
        after = manager(GaugeRollup).filter(resolution=resolution, metric__gt=last).order_by("metric")
        last = after.values_list("metric", flat=True).first()
        if last is None:
            return
        yield last


def _unused_labels(policy: RetentionPolicy, now: datetime) -> Iterator[models.QuerySet[Any]]:
    """Return series and error groups that no row refers to. They count towards the limits on their numbers."""
    longest = max(policy.raw_inferences, policy.errors, policy.samples, *policy.rollups.values())
    old = manager(Series).filter(last_seen__lt=now - longest - READERS_GRACE)
    yield _without_references(old)
    groups = manager(ErrorGroup).filter(last_seen__lt=now - policy.errors)
    yield _without_references(groups)


def _delete_access_rows(now: datetime, steps: Steps) -> dict[str, int]:
    """Delete expired sessions and login links, and old entries of the logs. Return the number of rows by table."""
    return {table_name(query.model): steps.run(matching_rows(query)) for query in expired_rows(now)}


def _clean_gauge_labels(now: datetime, steps: Steps) -> int:
    """Delete the label sets of gauges that no row refers to. Return the number of rows.

    They have no time of last use, so all are checked: each minute while there are unused ones, and otherwise each hour.
    Those of SDK queues that have no rows after they were folded are deleted a minute later, because a query that has
    read the rows also reads their labels.
    """
    global _gauge_labels_clean_at
    if _gauge_labels_clean_at is not None and abs(now - _gauge_labels_clean_at) < GAUGE_LABELS_EVERY:
        return 0
    deleted = steps.run(matching_rows(_without_references(manager(GaugeLabels).all())))
    if not sdk_queues.fold(now, steps) and not deleted:
        _gauge_labels_clean_at = now
    return deleted


def _merge_leftovers(now: datetime, steps: Steps) -> dict[str, int]:
    """Merge the rollup rows that other processes have left, once in COMPACTION_EVERY. No row counts as deleted."""
    global _compacted_at
    if _compacted_at is None or abs(now - _compacted_at) >= COMPACTION_EVERY:
        compaction.merge_leftovers(now, steps)
        if not steps.is_over:
            _compacted_at = now
    return {}


def _without_references(query: models.QuerySet[Any]) -> models.QuerySet[Any]:
    for model, column in referring_tables(query.model):
        query = query.filter(~Exists(manager(model).filter(**{column: OuterRef("pk")})))
    return query.order_by("pk")
