"""Folds label sets of SDK queues that have been silent for a day into one for each model, provider and service.

Each process that uses the SDK is a source, `service@host#slot`, and has a label set. Without folding, processes on
hosts that come and go, such as pods, would use up the limit on label sets, which are kept as long as their history.

The rows of a label set move to the shared one, metric by metric, each in one transaction. Where several have a row of
the same minute or hour, one row has their combined level (`metrics.levels`). Sums, and all values by minute, are
those of before. A label set without rows is deleted by retention.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from django.db.models import Count, Exists, Max, OuterRef, Q

from metrics import catalogue
from metrics.events.samples import QueueKind
from metrics.levels import HOUR, columns_of, folded_hour, folded_minutes
from metrics.models import GaugeLabels, GaugeRollup, QueueMetrics
from metrics.readings import LOOKBACK_SECONDS, MINUTE, spans_of, with_held
from metrics.store.labels.interning import FOLDED_SOURCE, SDK_QUEUES
from metrics.store.upkeep.deleting import Steps, delete_keys
from metrics.store.upkeep.level_hours import LEVEL_ROWS
from metrics.store.upkeep.tables import manager

SILENT = timedelta(days=1)
SHARED = ("model_name", "provider", "service", "is_demo")
MAX_LABEL_SETS, MAX_ROWS = 200, 2_000  # of a step; a label set may have more rows


def fold(now: datetime, steps: Steps) -> int:
    """Fold the label sets that are silent. Return 0 if there were none."""
    return steps.run(partial(_fold_some, now))


def _fold_some(now: datetime, rows: int) -> int:
    """Fold a metric of some label sets of one model, provider and service. Return 0 if there are none, else `rows`."""
    without_samples = ~Exists(manager(QueueMetrics).filter(labels=OuterRef("pk")))
    label_sets = manager(GaugeLabels).filter(SDK_QUEUES, without_samples).order_by(*SHARED, "pk")
    shared_of = {pk: tuple(labels) for pk, *labels in label_sets.values_list("pk", *SHARED)}
    keys = list(shared_of)
    for start in range(0, len(keys), MAX_LABEL_SETS):
        silent = sorted(
            (shared_of[pk], metric, pk, count) for pk, metric, count in _silent(keys[start:][:MAX_LABEL_SETS], now)
        )
        if silent:
            _fold_first(silent)
            return rows
    return 0


def _silent(label_sets: list[int], now: datetime) -> list[tuple[int, str, int]]:
    """Return (label set, metric, number of rollups) of those without a rollup of the last day."""
    newest = Max("bucket", filter=Q(resolution=MINUTE))
    rows = manager(GaugeRollup).filter(labels__in=label_sets).values_list("labels", "metric").order_by()
    counts = list(rows.annotate(Count("pk"), newest=newest))
    since = int((now - SILENT).timestamp())
    recent = {labels for labels, *_, bucket in counts if bucket is not None and bucket >= since}
    return [(labels, metric, count) for labels, metric, count, _ in counts if labels not in recent]


def _fold_first(silent: list[tuple[Any, str, int, int]]) -> None:
    """Fold the first metric of the first model, provider and service. silent: (these, metric, label set, rollups)."""
    shared, metric, *_ = silent[0]
    chosen: list[int] = []
    left = MAX_ROWS
    for *of, label_set, count in silent:
        if of != [shared, metric] or (chosen and count > left):
            break
        chosen.append(label_set)
        left -= count
    key: dict[str, Any] = {"kind": QueueKind.SDK, "source": FOLDED_SOURCE, "host": "", "gpu_id": ""}
    target, _ = manager(GaugeLabels).get_or_create(**key, **dict(zip(SHARED, shared, strict=True)))
    _fold_minutes(metric, chosen, target.pk)
    _fold_hours(metric, chosen, target.pk)


def _fold_minutes(metric: str, label_sets: list[int], target: int) -> None:
    own = _rows(metric, MINUTE, label_sets)
    if not own:
        return
    first, last = min(own, key=itemgetter(2))[2], max(own, key=itemgetter(2))[2]
    # Readings of the target are held in these minutes, too, and these in later ones.
    own += _rows(metric, MINUTE, [target], first - LOOKBACK_SECONDS, last + LOOKBACK_SECONDS)
    spans = with_held(spans_of(np.array([row[1:-1] for row in own], dtype=np.float64)), last + LOOKBACK_SECONDS)
    minutes = set(spans.start[spans.instance != target].tolist())
    delete_keys(GaugeRollup, [pk for pk, labels, bucket, *_ in own if labels != target or bucket in minutes])
    spans = spans.where(np.isin(spans.start, list(minutes)))
    LEVEL_ROWS.run(
        [
            (MINUTE, metric, start, target, *values, None)
            for start, *values in folded_minutes(catalogue.get(metric), spans)
        ]
    )


def _fold_hours(metric: str, label_sets: list[int], target: int) -> None:
    own = _rows(metric, HOUR, label_sets)
    if not own:
        return
    hours = {bucket for _, _, bucket, *_ in own}
    own += [row for row in _rows(metric, HOUR, [target], min(hours), max(hours)) if row[2] in hours]
    delete_keys(GaugeRollup, [pk for pk, *_ in own])
    known = sorted((row[2:] for row in own if row[-1]), key=itemgetter(0))
    LEVEL_ROWS.run(
        [
            (HOUR, metric, hour, target, *folded_hour(catalogue.get(metric), [row[1:] for row in rows]))
            for hour, rows in groupby(known, key=itemgetter(0))
        ]
    )


def _rows(metric: str, resolution: int, label_sets: list[int], *buckets: int) -> list[tuple[Any, ...]]:
    """Return (key, label set, bucket, …, minutes) of the rows, between two buckets if they are given."""
    rows = manager(GaugeRollup).filter(metric=metric, resolution=resolution, labels__in=label_sets)
    if buckets:
        rows = rows.filter(bucket__range=buckets)
    return list(rows.values_list("pk", *columns_of(metric), "minutes"))
