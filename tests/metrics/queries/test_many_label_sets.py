"""LLMMONITOR_MAX_SERIES may be larger than the number of parameters of a statement, which is 32,766 in SQLite.

The limit is lowered here, so that few label sets exceed it. That of PostgreSQL (65,535) cannot be lowered.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from metrics import catalogue, queries
from metrics.histogram import Histogram
from metrics.models import (
    GaugeLabels,
    GaugeRollup,
    InferenceMetrics,
    InferenceRollup,
    QueueMetrics,
    Series,
    SystemMetrics,
)
from metrics.queries import Filters, SeriesSpec, Window
from metrics.store import forgetting
from tests.metrics.queries.known_events import NOW

pytestmark = [pytest.mark.store, pytest.mark.django_db]

MAX_PARAMETERS = 1_000
COUNT = 1_100
HOUR = Window.last(3_600, NOW)
MINUTE = NOW.replace(second=0, microsecond=0) - timedelta(minutes=10)
EVERYTHING = Filters(provider=("p",))


@pytest.fixture(scope="module")
def written(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Write 1,100 series of a model, hosts and queues, each with a row. They are removed after the module."""
    with django_db_blocker.unblock():
        transaction_of_module = transaction.atomic()
        transaction_of_module.__enter__()
        write()
        if connection.vendor == "sqlite":
            before = connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, MAX_PARAMETERS)
    yield
    with django_db_blocker.unblock():
        if connection.vendor == "sqlite":
            connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, before)
        transaction.set_rollback(True)
        transaction_of_module.__exit__(None, None, None)


def write() -> None:
    seen = {"first_seen": MINUTE, "last_seen": NOW}
    series = Series.objects.bulk_create(
        Series(model_name="m", provider="p", endpoint=str(number), **seen) for number in range(COUNT)
    )
    blob = Histogram.of([100.0]).pack()
    InferenceRollup.objects.bulk_create(
        InferenceRollup(resolution=60, bucket=int(MINUTE.timestamp()), series=of, ok=1, response_time_ms=blob)
        for of in series
    )
    InferenceMetrics.objects.create(
        timestamp=MINUTE, request_id="r", model_key=1, series=series[-1], success=True, outcome="ok"
    )
    hosts = GaugeLabels.objects.bulk_create(GaugeLabels(host=f"h{number}") for number in range(COUNT))
    queues = GaugeLabels.objects.bulk_create(
        GaugeLabels(model_name="m", kind="track", source=str(number)) for number in range(COUNT)
    )
    # No two samples have the same time.
    times = [NOW - timedelta(seconds=5, microseconds=number) for number in range(COUNT)]
    SystemMetrics.objects.bulk_create(
        SystemMetrics(timestamp=time, host=of.host, labels=of, cpu_percent=50.0)
        for time, of in zip(times, hosts, strict=True)
    )
    QueueMetrics.objects.bulk_create(
        QueueMetrics(timestamp=time, labels=of, series=series[0], kind="track", pending=1)
        for time, of in zip(times, queues, strict=True)
    )
    GaugeRollup.objects.bulk_create(
        GaugeRollup(
            resolution=resolution,
            bucket=int(MINUTE.timestamp()) // resolution * resolution,
            metric=metric,
            labels=of,
            count=1,
            sum=1.0,
            min=1.0,
            max=1.0,
            last=1.0,
            last_at=int(MINUTE.timestamp()) * 10**6,
        )
        for resolution, metric, label_sets in (
            (60, "queue.pending", queues),
            (3_600, "system.cpu_percent", hosts),
        )
        for of in label_sets
    )


def series(metric: str, stat: str, *group_by: str, filters: Filters = EVERYTHING, window: Window = HOUR) -> Any:
    return queries.series([SeriesSpec.of(metric, stat, *group_by)], window, filters, now=NOW)


READS = {
    "summary": lambda: queries.summary(HOUR, EVERYTHING, NOW),
    "models": lambda: queries.models(HOUR, EVERYTHING, NOW),
    "choices": lambda: queries.choices(HOUR, NOW),
    "search": lambda: queries.models(HOUR, EVERYTHING, NOW, search="m"),
    "series": lambda: series("inference.response_time_ms", "p95", "model"),
    "distribution": lambda: queries.distribution(catalogue.get("inference.response_time_ms"), HOUR, EVERYTHING, NOW),
    "queues": lambda: series("queue.pending", "avg", filters=Filters(model=("m",))),
    "single queues": lambda: series("queue.pending", "last", "model", filters=Filters(model=("m",))),
    "samples of queues": lambda: series(
        "queue.pending", "avg", filters=Filters(model=("m",)), window=Window.last(60, NOW)
    ),
    "requests": lambda: queries.requests(EVERYTHING),
    "errors": lambda: queries.errors(EVERYTHING, window=HOUR),
    "error groups": lambda: queries.error_groups(HOUR, EVERYTHING, NOW),
    "hosts": lambda: queries.host_states(NOW),
    "tick": lambda: queries.current(NOW),
    "live view": lambda: queries.live_view(Filters(model=("m",)), NOW),
}


class AStoreOfManyLabelSets:
    @pytest.mark.parametrize("read", READS)
    def test_can_be_read(self, written: None, db: None, read: str) -> None:
        READS[read]()

    def test_can_be_deleted(self, written: None, db: None) -> None:
        with transaction.atomic():
            counts = forgetting._finish(forgetting._label_sets("m", None, False))
            transaction.set_rollback(True)

        assert (counts["series"], counts["gauge_labels"]) == (COUNT, COUNT)
        assert counts["inference_rollup"] == counts["gauge_rollup"] == counts["queue_metrics"] == COUNT

    def test_are_all_counted(self, written: None, db: None) -> None:
        assert queries.summary(HOUR, EVERYTHING, NOW).figures["total_requests"] == COUNT
        assert queries.requests(EVERYTHING).results[0]["request_id"] == "r"
        assert len(queries.host_states(NOW)) == COUNT
        (line,) = series("queue.pending", "avg", filters=Filters(model=("m",))).lines
        assert COUNT in line.values
