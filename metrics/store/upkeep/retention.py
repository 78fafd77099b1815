"""The task that keeps what is kept within its policy.

`maintain` deletes what is older than `metrics.store.retention_policy` says, in small timed steps
(`metrics.store.upkeep.deleting`), and keeps the store below its bound on the disk (`metrics.store.upkeep.shedding`).
Raw rows go from the old end, and the raw floor of their kind moves in the same transaction
(`metrics.store.raw_floors`); a rollup bucket whose raw rows are gone keeps its figures.
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

from metrics import registers
from metrics.aggregation import GAUGE_RESOLUTIONS, RESOLUTIONS
from metrics.models import ErrorGroup, ErrorGroupRollup, GaugeLabels, GaugeRollup, InferenceRollup, RecentId, Series
from metrics.store.retention_policy import Policy
from metrics.store.tables import RAW, referring_tables
from metrics.store.upkeep import disk_limit
from metrics.store.upkeep.deleting import Steps, manager, matching, oldest_raw, table_name

logger = logging.getLogger(__name__)

# Rollups go this much later than they are promised: a question that began before still finds what it counts on.
READERS_GRACE = timedelta(minutes=1)
GAUGE_LABELS_EVERY = timedelta(hours=1)

# When this process last found every label set of gauges in use.
_gauge_labels_clean_at: datetime | None = None


def maintain(now: datetime, budget_seconds: float, policy: Policy | None = None) -> dict[str, int]:
    """Delete what is older than the policy and what is too much for the disk; the number of rows by table.

    It stops when the time is used up and goes on at the next call; every table gets at least one step. Any number of
    processes may run it at once. Raises the database's first error after it has tried all tables.
    """
    policy = policy or Policy.from_settings()
    steps = Steps(time.monotonic() + budget_seconds)
    counts: dict[str, int] = {}
    failed: DatabaseError | None = None

    def attempt(what: str, task: Callable[[], Mapping[str, int]]) -> None:
        nonlocal failed
        try:
            for name, rows in task().items():
                counts[name] = counts.get(name, 0) + rows
        except DatabaseError as error:
            logger.warning("retention: %s: %s", what, error)
            failed = failed or error

    def run(name: str, task: Callable[[], int]) -> None:
        attempt(name, lambda: {name: task()})

    def give_back() -> dict[str, int]:
        disk_limit.shrink_file(steps)
        return {}

    # The bound first: a full disk stops everything, a row that is a minute too old nothing.
    attempt("the bound on the disk", lambda: disk_limit.enforce_max_disk(now, steps))
    for model, kind in RAW:
        run(table_name(model), partial(steps.run, oldest_raw(model, kind, now - policy.raw(kind))))
    for found in _outdated(policy, now):
        run(table_name(found.model), partial(steps.run, matching(found)))
    for resolution in GAUGE_RESOLUTIONS:
        run(table_name(GaugeRollup), partial(_clean_gauges, resolution, policy, now, steps))
    run(table_name(GaugeLabels), partial(_clean_gauge_labels, now, steps))
    for name, function in registers.retention:
        run(name, partial(function, now, steps.deadline))
    attempt("free pages", give_back)
    if failed:
        raise failed
    return counts


def _outdated(policy: Policy, now: datetime) -> Iterator[models.QuerySet[Any]]:
    """The other rows that are too old, in the order of the index that finds them. (It asks the database nothing.)"""
    yield manager(RecentId).filter(at__lt=now - policy.recent_ids).order_by("at")
    for resolution in RESOLUTIONS:
        before = policy.oldest_bucket(resolution, now - READERS_GRACE)
        yield manager(InferenceRollup).filter(resolution=resolution, bucket__lt=before).order_by("bucket")
    hours_since = policy.oldest_bucket(3600, now - READERS_GRACE)
    yield manager(ErrorGroupRollup).filter(bucket__lt=hours_since).order_by("bucket")
    yield from _unused(policy, now)


def _clean_gauges(resolution: int, policy: Policy, now: datetime, steps: Steps) -> int:
    """Delete the gauges of this resolution that are too old; how many went."""
    before = policy.oldest_bucket(resolution, now - READERS_GRACE)
    deleted = 0
    # One query a metric: the index has the metric before the bucket.
    for metric in _metrics(resolution):
        found = manager(GaugeRollup).filter(resolution=resolution, metric=metric, bucket__lt=before)
        deleted += steps.run(matching(found.order_by("bucket")))
    return deleted


def _metrics(resolution: int) -> Iterator[str]:
    """The gauges that have rows at this resolution, each found by one step into the index."""
    last = ""
    while True:
        after = manager(GaugeRollup).filter(resolution=resolution, metric__gt=last).order_by("metric")
        found = after.values_list("metric", flat=True).first()
        if found is None:
            return
        last = found
        yield last


def _unused(policy: Policy, now: datetime) -> Iterator[models.QuerySet[Any]]:
    """Series and error groups that nothing refers to any more: they would use up their caps."""
    longest = max(policy.raw_inferences, policy.errors, policy.samples, *policy.rollups.values())
    old = manager(Series).filter(last_seen__lt=now - longest - READERS_GRACE)
    yield _unreferred(old)
    groups = manager(ErrorGroup).filter(last_seen__lt=now - policy.errors)
    yield _unreferred(groups)


def _clean_gauge_labels(now: datetime, steps: Steps) -> int:
    """Delete the label sets of gauges that nothing refers to; how many went.

    Nothing says when one was last used, so it looks at all of them, and does so an hour after it last found none.
    """
    global _gauge_labels_clean_at
    if _gauge_labels_clean_at is not None and abs(now - _gauge_labels_clean_at) < GAUGE_LABELS_EVERY:
        return 0
    deleted = steps.run(matching(_unreferred(manager(GaugeLabels).all())))
    if not deleted:
        _gauge_labels_clean_at = now
    return deleted


def _unreferred(found: models.QuerySet[Any]) -> models.QuerySet[Any]:
    for model, column in referring_tables(found.model):
        found = found.filter(~Exists(manager(model).filter(**{column: OuterRef("pk")})))
    return found.order_by("pk")
