"""The current queue length of each model.

For each model and field, the first kind of engine, track and sdk that has a valid value is used. The lengths of its
sources are added; of the ages of their oldest requests, the highest counts, and of what their rate limits still allow,
the lowest. A sample counts from its time on, for three intervals of its source, at least 15 s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from metrics import catalogue
from metrics.models import QueueMetrics
from metrics.queries.answers.partial_samples import fill_missing
from metrics.queries.read.aliases import model_as_read
from metrics.queries.read.filters import Filters
from metrics.queries.read.newest_samples import newest_samples
from metrics.queries.read.sql import chunks
from metrics.readings import rank_of_kind

# field -> how the values of several sources are combined
FIELDS: dict[str, Callable[[Iterable[Any]], Any]] = {
    "pending": sum,
    "processing": sum,
    "oldest_seconds": max,
    "ratelimit_remaining_requests": min,
    "ratelimit_remaining_tokens": min,
}
METRICS = [catalogue.get(f"queue.{field}") for field in FIELDS]


@dataclass(frozen=True, slots=True)
class Level:
    """The number of waiting requests and of requests in processing, the age of the oldest, and the rate limit's rest.

    What no source reports is None.
    """

    pending: int | None = None
    processing: int | None = None
    oldest_seconds: float | None = None
    ratelimit_remaining_requests: int | None = None
    ratelimit_remaining_tokens: int | None = None

    @property
    def in_flight(self) -> int | None:
        """The sum of both."""
        known = [value for value in (self.pending, self.processing) if value is not None]
        return sum(known) if known else None

    @classmethod
    def sum_of(cls, levels: Iterable[Level]) -> Level:
        """Return the combined level. What is unknown in all levels is unknown in it."""
        known: dict[str, list[Any]] = {field: [] for field in FIELDS}
        for level in levels:
            for field, values in known.items():
                if (value := getattr(level, field)) is not None:
                    values.append(value)
        return cls(**{field: FIELDS[field](values) for field, values in known.items() if values})


def queue_levels(filters: Filters, at: datetime) -> dict[str, Level]:
    """Return the current level of each model's queue."""
    newest = {
        instance: sample
        for instance, sample in newest_samples(QueueMetrics, at, filters.gauge_label_ids("queue")).items()
        if at - sample.at <= sample.valid_for
    }
    samples: dict[int, dict[str, int | None]] = {}
    kinds: dict[int, str] = {}
    group_of: dict[str, str] = {}  # of each model, the name under which it is read
    for times in chunks({sample.at for sample in newest.values()}):
        rows = QueueMetrics.objects.filter(timestamp__in=times)
        columns = ("timestamp", "labels_id", "kind", model_as_read("labels__model_name"), *FIELDS)
        for time, instance, kind, model, *values in rows.values_list(*columns):
            if instance in newest and time == newest[instance].at:
                samples[instance] = dict(zip(FIELDS, values, strict=True))
                kinds[instance] = kind
                group_of[newest[instance].model] = model
    # A source may have several senders, each with some of the fields.
    fill_missing(QueueMetrics, METRICS, samples, dict.fromkeys(samples, at), tuple(FIELDS))
    by_model: dict[str, dict[str, dict[str, list[Any]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for instance, sample in samples.items():
        for field, value in sample.items():
            if value is not None:
                by_model[newest[instance].model][field][kinds[instance]].append(value)
    groups: dict[str, list[Level]] = defaultdict(list)
    for model, fields in by_model.items():
        level = {field: FIELDS[field](of_kind[min(of_kind, key=rank_of_kind)]) for field, of_kind in fields.items()}
        groups[group_of[model]].append(Level(**level))
    return {group: Level.sum_of(levels) for group, levels in groups.items()}
