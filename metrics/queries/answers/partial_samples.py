"""Samples of one host from several senders, such as an agent for the host and an exporter for its GPUs.

Each sends some of the fields. A field that the newest sample does not have is taken from the newest sample that has it,
as long as that is valid. When each field was last sent, and in which interval, is read from the rollups of minutes:
there are few of them, and none of a field that nobody sends. Fields that are no metrics, such as the name of a GPU,
do not change from second to second; they are read every ten seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.core.cache import caches
from django.db.models import Max

from metrics.catalogue import Metric
from metrics.models import GaugeRollup
from metrics.queries.read.sql import chunks, one_of
from metrics.queries.time.window import EPOCH
from metrics.readings import (
    COLUMNS,
    COUNT,
    INSTANCE,
    LAST_AT,
    LOOKBACK_SECONDS,
    MAX_VALID_SECONDS,
    MINUTE,
    START,
    spans_of,
    validity,
)

FACTS_SECONDS = 10


def fill_missing(
    table: Any,
    metrics: Sequence[Metric],
    samples: Mapping[int, dict[str, Any]],
    at: Mapping[int, datetime],
    fields: Sequence[str],
) -> None:
    """Set those of the fields of samples that are None. Samples, and the times at which they are shown, by label set.

    metrics: those that the samples of this table have.
    """
    missing = [name for name in fields if any(sample[name] is None for sample in samples.values())]
    wanted = [metric for metric in metrics if metric.field in missing]
    others = [name for name in missing if name not in {metric.field for metric in metrics}]
    if others:
        for instance, values in _facts(table, others, max(at.values())).items():
            for name, value in values.items():
                if instance in samples and samples[instance][name] is None:
                    samples[instance][name] = value
    if not wanted:
        return
    fields_of: dict[tuple[datetime, int], set[str]] = defaultdict(set)
    for instance, metric, time, valid_for in _newest(wanted, samples, at):
        if samples[instance][metric.field] is None and at[instance] - time <= valid_for:
            fields_of[time, instance].add(metric.field)
    for times in chunks(sorted({time for time, _ in fields_of}, reverse=True)):
        rows = table.objects.filter(timestamp__in=times).order_by("-timestamp")
        for time, instance, *values in rows.values_list("timestamp", "labels_id", *missing):
            own = fields_of.get((time, instance), ())
            for name, value in zip(missing, values, strict=True):
                if name in own and samples[instance][name] is None:
                    samples[instance][name] = value


def _facts(table: Any, fields: Sequence[str], at: datetime) -> Mapping[int, Mapping[str, Any]]:
    """Return the newest known values of fields by label set, as they were at most ten seconds ago."""
    cache, key = caches["ring"], f"facts:{table._meta.db_table}:{','.join(fields)}"
    entry = cache.get(key)
    if entry is not None and abs((at - entry[0]).total_seconds()) < FACTS_SECONDS:
        return entry[1]  # type: ignore[no-any-return]
    facts: dict[int, dict[str, Any]] = defaultdict(dict)
    recent = table.objects.filter(timestamp__gt=at - timedelta(seconds=MAX_VALID_SECONDS), timestamp__lte=at)
    sent = recent.values("labels_id", *fields).annotate(newest=Max("timestamp")).order_by("newest")
    for instance, *values in sent.values_list("labels_id", *fields):
        facts[instance] |= {name: value for name, value in zip(fields, values, strict=True) if value not in (None, "")}
    cache.set(key, (at, dict(facts)), FACTS_SECONDS)
    return facts


def _newest(
    metrics: Sequence[Metric], ids: Any, at: Mapping[int, datetime]
) -> list[tuple[int, Metric, datetime, timedelta]]:
    """Return when each instance has sent each metric last, and for how long this is valid."""
    begin, end = int(min(at.values()).timestamp()) - LOOKBACK_SECONDS, max(at.values())
    rows = GaugeRollup.objects.filter(
        resolution=MINUTE, metric__in=[metric.name for metric in metrics], bucket__gte=begin - begin % MINUTE
    )
    # A minute with samples from ahead of the clock does not count yet.
    rows = rows.filter(bucket__lte=int(end.timestamp()), last_at__lte=(end - EPOCH) // timedelta(microseconds=1))
    rows = rows.filter(one_of("labels_id", ids))
    size = len(metrics)
    number_of = {metric.name: number for number, metric in enumerate(metrics)}
    listed = [
        (instance * size + number_of[name], *more)
        for instance, name, *more in rows.values_list("labels_id", "metric", "bucket", "count", "last_at")
    ]
    values = np.full((len(listed), COLUMNS), np.nan)
    values[:, [INSTANCE, START, COUNT, LAST_AT]] = np.array(listed, dtype=np.float64).reshape(-1, 4)
    minutes = spans_of(values)
    is_last = np.append(np.diff(minutes.instance) != 0, True)[: len(minutes)]
    newest = minutes.where(is_last)
    columns = (newest.instance, newest.last_at, validity(minutes)[is_last])
    return [
        (
            key // size,
            metrics[key % size],
            EPOCH + timedelta(microseconds=time),
            timedelta(seconds=valid),
        )
        for key, time, valid in zip(*(column.tolist() for column in columns), strict=True)
    ]
