"""How long the queues are at this moment, by model.

For each model the first kind of engine, track and sdk that has a recent reading is used, and its sources are
added. A reading holds for three of its source's intervals, at least 15 s; an older one is no data.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Max, Min

from metrics.models import QueueMetrics
from metrics.queries.read.filters import Filters
from metrics.queries.read.gauges import (
    LONGEST_HOLD,
    PRECEDENCE,
    STALE_INTERVALS,
    STALE_SECONDS,
    hold_seconds,
    read_labels,
)
from metrics.queries.read.sql import narrow

UNKNOWN_INTERVAL = STALE_SECONDS / STALE_INTERVALS


@dataclass(frozen=True, slots=True)
class Level:
    """Requests that wait and requests worked on; None where nobody says."""

    pending: int | None = None
    processing: int | None = None

    @property
    def in_flight(self) -> int | None:
        """Both together."""
        known = [one for one in (self.pending, self.processing) if one is not None]
        return sum(known) if known else None

    @classmethod
    def together(cls, levels: Iterable[Level]) -> Level:
        """The sum of several; what is unknown in all of them stays so."""
        found = list(levels)
        pending = [one.pending for one in found if one.pending is not None]
        processing = [one.processing for one in found if one.processing is not None]
        return cls(sum(pending) if pending else None, sum(processing) if processing else None)


def held_for(newest: datetime, oldest: datetime, count: int) -> timedelta:
    """How long the newest of `count` readings holds, by the mean interval between them."""
    interval = (newest - oldest).total_seconds() / (count - 1) if count > 1 else UNKNOWN_INTERVAL
    return timedelta(seconds=hold_seconds(interval))


def queue_levels(filters: Filters, at: datetime) -> dict[str, Level]:
    """The level of each model's queue."""
    ids = filters.gauge_label_ids("queue")
    # A source whose clock runs ahead of ours still speaks of now.
    ahead = timedelta(seconds=settings.LLMMONITOR.future_tolerance_seconds)
    rows = QueueMetrics.objects.filter(timestamp__gt=at - timedelta(seconds=LONGEST_HOLD), timestamp__lte=at + ahead)
    if ids is not None:
        rows = narrow(rows, "labels_id", ids)
    newest = {
        labels: last
        for labels, last, first, count in rows.order_by()
        .values("labels_id")
        .annotate(last=Max("timestamp"), first=Min("timestamp"), n=Count("id"))
        .values_list("labels_id", "last", "first", "n")
        if at - last <= held_for(last, first, count)
    }
    if not newest:
        return {}
    # By kind, then by label set: two series of one model and source (two providers, say) share a label set and are
    # added.
    by_model: dict[str, dict[str, list[Level]]] = defaultdict(lambda: defaultdict(list))
    instances = read_labels(newest)
    found = QueueMetrics.objects.filter(timestamp__in=set(newest.values()))
    for stamp, labels, kind, pending, processing in found.values_list(
        "timestamp", "labels_id", "kind", "pending", "processing"
    ):
        if stamp == newest.get(labels) and labels in instances:
            by_model[instances[labels].model][kind].append(Level(pending, processing))
    return {
        model: Level.together(kinds[min(kinds, key=lambda kind: PRECEDENCE.get(kind, len(PRECEDENCE)))])
        for model, kinds in by_model.items()
    }
