"""Samples of one host from several senders, such as an agent for the host and an exporter for its GPUs.

Each sends some of the fields. A field that the newest sample does not have is taken from the newest sample that has it,
as long as that is valid: for three intervals of the samples with this field.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Min, Q

from metrics.levels import MAX_VALID_SECONDS
from metrics.queries.read.gauge_buckets import validity
from metrics.queries.read.sql import chunks, filter_without_index


def fill_missing(
    model: Any, samples: Mapping[int, dict[str, Any]], newest: Mapping[int, datetime], fields: Sequence[str]
) -> None:
    """Set the fields of the samples that are None. Samples and the times of the newest ones are by label set."""
    missing = [name for name in fields if any(sample[name] is None for sample in samples.values())]
    if not missing:
        return
    aggregates: dict[str, Any] = {}
    for name in missing:
        present = Q(**{f"{name}__isnull": False})
        aggregates |= {
            f"newest_{name}": Max("timestamp", filter=present),
            f"oldest_{name}": Min("timestamp", filter=present),
            f"count_{name}": Count("id", filter=present),
        }
    span = {
        "timestamp__gt": min(newest.values()) - timedelta(seconds=MAX_VALID_SECONDS),
        "timestamp__lte": max(newest.values()),
    }
    rows = filter_without_index(model.objects.filter(**span), "labels_id", samples).order_by()
    needed: dict[tuple[datetime, int], list[str]] = defaultdict(list)
    for instance, *values in rows.values("labels_id").annotate(**aggregates).values_list("labels_id", *aggregates):
        for position, name in enumerate(missing):
            last, first, count = values[3 * position : 3 * position + 3]
            if count and samples[instance][name] is None and newest[instance] - last <= validity(last, first, count):
                needed[last, instance].append(name)
    for times in chunks({time for time, _ in needed}):
        columns = ("timestamp", "labels_id", *missing)
        for time, instance, *values in model.objects.filter(timestamp__in=times).values_list(*columns):
            by_name = dict(zip(missing, values, strict=True))
            for name in needed.get((time, instance), ()):
                samples[instance][name] = by_name[name]
