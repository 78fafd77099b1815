"""Deletes rows that are older than their retention.

Rows are deleted in short steps (`metrics.store.upkeep.deleting`). Raw rows are deleted oldest first, and the raw
floor of their kind rises in the same transaction (`metrics.store.raw_floors`). Rollups keep their figures when the raw
rows of their bucket are deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef

from llmmonitor.access.retention import expired_rows
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
    RequestTotal,
    Series,
    TableSize,
)
from metrics.readings import MINUTE
from metrics.retention_policy import RetentionPolicy
from metrics.store.demo_claim import is_filling
from metrics.store.rollup_floors import raise_rollup_floor
from metrics.store.upkeep import level_hours, request_totals, sdk_queues
from metrics.store.upkeep.archiving import Archive, archive_old
from metrics.store.upkeep.deleting import Step, Steps, matching_rows, oldest_raw_rows
from metrics.store.upkeep.tables import RAW_TABLES, manager, referring_tables, table_name

# Rollups are deleted this much later, so that a query that began before still reads complete buckets.
READERS_GRACE = timedelta(minutes=1)
GAUGE_LABELS_EVERY = timedelta(hours=1)

# When this process last saw that all label sets of gauges are in use.
_gauge_labels_clean_at: datetime | None = None


def deletions(
    now: datetime, policy: RetentionPolicy, steps: Steps, archive: Archive | None
) -> Iterator[tuple[str, Callable[[], int]]]:
    """Yield each table with the task that deletes its old rows and returns their number. Run one before the next."""
    for model, kind in RAW_TABLES:
        yield table_name(model), partial(_delete_raw, model, kind, now - policy.raw(kind), steps, archive)
    yield table_name(RequestTotal), partial(_add_to_totals, now, steps, policy)
    in_totals = request_totals.boundary()
    for resolution in RESOLUTIONS:
        of_resolution = manager(InferenceRollup).filter(resolution=resolution)
        if resolution == HOUR:
            of_resolution = of_resolution.filter(bucket__lt=in_totals)
        yield table_name(InferenceRollup), partial(steps.run, _old_buckets(of_resolution, resolution, policy, now))
    hours = manager(ErrorGroupRollup).all()
    yield table_name(ErrorGroupRollup), partial(steps.run, _old_buckets(hours, HOUR, policy, now))
    for query in _outdated(policy, now):
        yield table_name(query.model), partial(steps.run, matching_rows(query))
    for resolution in GAUGE_RESOLUTIONS:
        yield table_name(GaugeRollup), partial(_clean_gauges, resolution, policy, now, steps)
    yield table_name(GaugeLabels), partial(_clean_gauge_labels, now, steps)
    for query in expired_rows(now):
        yield table_name(query.model), partial(steps.run, matching_rows(query))


def _delete_raw(model: type[models.Model], kind: str, before: datetime, steps: Steps, archive: Archive | None) -> int:
    """Delete the raw rows of a kind that are too old. Return their number.

    Not while demo data is filled in: the raised floor would reject the older samples that follow.
    """
    if is_filling():
        return 0
    if archive is not None and archive.has(kind):
        return archive_old(archive, model, kind, before, steps)
    return steps.run(oldest_raw_rows(model, kind, before))


def _add_to_totals(now: datetime, steps: Steps, policy: RetentionPolicy) -> int:
    """Add the hours that do not change any more to the totals of requests. No row is deleted."""
    request_totals.add_ended_hours(now - READERS_GRACE, steps, policy)
    return 0


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


def _without_references(query: models.QuerySet[Any]) -> models.QuerySet[Any]:
    for model, column in referring_tables(query.model):
        query = query.filter(~Exists(manager(model).filter(**{column: OuterRef("pk")})))
    return query.order_by("pk")
