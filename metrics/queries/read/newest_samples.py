"""The newest sample of each instance, and how long it is valid.

The index of the label set and the time has the samples of an instance in their order, so a look-up for each label set
reads the few newest. The cost does not depend on how often the instances send.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Q, TextField
from django.db.models.expressions import RawSQL

from metrics.models import GaugeLabels, GPUMetrics, QueueMetrics, SystemMetrics
from metrics.queries.read.sql import one_of
from metrics.readings import DEFAULT_INTERVAL, LOOKBACK_SECONDS, MAX_VALID_SECONDS, valid_seconds

# The interval of a source is the mean between this number of its newest samples.
NEWEST = 5
LABELS: dict[Any, Q] = {
    SystemMetrics: ~Q(host="") & Q(gpu_id=""),
    GPUMetrics: ~Q(gpu_id=""),
    QueueMetrics: ~Q(model_name=""),
}
LIST_OF = {"sqlite": "group_concat(timestamp)", "postgresql": "array_agg(timestamp)"}


class NewestSample(NamedTuple):
    """The time of the newest sample of an instance, how long it is valid, and the host or the model of the instance."""

    at: datetime
    valid_for: timedelta
    host: str
    model: str


def newest_samples(
    table: Any, at: datetime, ids: Sequence[int] | None = None, *, ahead: bool = False
) -> dict[int, NewestSample]:
    """Return the newest sample of each instance up to `at`, by the ids of the label sets, of all or of some.

    `ahead`: an instance without a valid sample has the first one after `at`, if its clock is ahead.
    """
    labels = GaugeLabels.objects.filter(LABELS[table])
    if ids is not None:
        labels = labels.filter(one_of("id", ids))
    earliest = at - timedelta(seconds=LOOKBACK_SECONDS)
    latest = at + timedelta(seconds=settings.LLMMONITOR.future_tolerance_seconds if ahead else 0)
    rows = labels.annotate(
        recent=_times(table, earliest, at, "DESC", NEWEST), later=_times(table, at, latest, "ASC", 1)
    )
    rows = rows.filter(Q(recent__isnull=False) | Q(later__isnull=False))
    samples = {}
    for instance, recent, later, *more in rows.values_list("id", "recent", "later", "host", "model_name"):
        time, valid_for = _newest(recent or later)
        if later and at - time > valid_for:
            time, valid_for = _newest(later)
        samples[instance] = NewestSample(time, valid_for, *more)
    return samples


def _times(table: Any, after: datetime, until: datetime, order: str, limit: int) -> RawSQL:
    """Return the first times of samples of the label set of a row, after one time until another."""
    return RawSQL(  # noqa: S611 (names of tables and columns only)
        f"(SELECT {LIST_OF[connection.vendor]} FROM (SELECT timestamp FROM {table._meta.db_table}"  # noqa: S608
        # Pairs, because PostgreSQL would read all samples of the time if the label set were compared alone.
        f" WHERE (labels_id, timestamp) > ({GaugeLabels._meta.db_table}.id, %s)"
        f" AND (labels_id, timestamp) <= ({GaugeLabels._meta.db_table}.id, %s)"
        f" ORDER BY labels_id {order}, timestamp {order} LIMIT {limit}) AS times)",
        [connection.ops.adapt_datetimefield_value(time) for time in (after, until)],
        TextField(),
    )


def _newest(times: Any) -> tuple[datetime, timedelta]:
    """Return the newest of some times, and how long it is valid. `times`: a list, on SQLite as text."""
    if isinstance(times, str):
        times = [datetime.fromisoformat(time).replace(tzinfo=UTC) for time in times.split(",")]
    ordered = sorted(set(times))
    for number in range(len(ordered) - 1, 0, -1):
        if (ordered[number] - ordered[number - 1]).total_seconds() > MAX_VALID_SECONDS:
            ordered = ordered[number:]  # before that, the source was silent
            break
    interval = DEFAULT_INTERVAL
    if len(ordered) > 1:
        interval = (ordered[-1] - ordered[0]).total_seconds() / (len(ordered) - 1)
    return ordered[-1], timedelta(seconds=valid_seconds(interval))
