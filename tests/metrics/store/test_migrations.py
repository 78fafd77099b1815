"""Migrations keep the rows that are there, on a store that has been used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from metrics.models import EngineMetrics, GPUMetrics, QueueMetrics, SystemMetrics
from metrics.store.commit_result import CommitResult
from tests.metrics.store.kept import NOW, ago, machine, queue, record

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

SAMPLES = (SystemMetrics, GPUMetrics, QueueMetrics, EngineMetrics)


def migrate_to(name: str) -> Any:
    """Bring the tables of measurements to a migration; the models as they are there."""
    executor = MigrationExecutor(connection)
    return executor.migrate([("metrics", name)]).apps


@pytest.fixture
def samples_by_name() -> Iterator[Any]:
    """The tables before samples were known by their label sets; afterwards they are as they should be."""
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes("metrics")
    yield migrate_to("0002_drop_doubled_indexes")
    MigrationExecutor(connection).migrate(newest)


def sampled(apps: Any) -> list[Any]:
    """One sample of each table for each of two seconds, as an older version stored them."""
    model = {
        name: apps.get_model("metrics", name) for name in ("Series", "GaugeLabels", *(t.__name__ for t in SAMPLES))
    }
    series = model["Series"].objects.create(model_name="chatty", first_seen=NOW, last_seen=NOW)
    labels = model["GaugeLabels"].objects
    host, gpu = labels.create(host="big"), labels.create(host="big", gpu_id="0")
    gateway = labels.create(model_name="chatty", kind="track", source="gateway")
    engine = labels.create(model_name="chatty", kind="engine", source="vllm:8000")
    for at in (ago(seconds=1), NOW):
        model["SystemMetrics"].objects.create(timestamp=at, host="big", labels=host, cpu_percent=20.0)
        model["GPUMetrics"].objects.create(timestamp=at, host="big", gpu_id="0", labels=gpu)
        model["QueueMetrics"].objects.create(timestamp=at, source="gateway", series=series, labels=gateway, pending=3)
        model["EngineMetrics"].objects.create(timestamp=at, source="vllm:8000", series=series, labels=engine)
    return rows()


def rows() -> list[Any]:
    """All samples, with their numbers."""
    return [list(table.objects.order_by("pk").values()) for table in SAMPLES]


class TheKeyOfSamplesByLabelSet:
    def test_keeps_every_row_as_it_was(self, samples_by_name: Any) -> None:
        before = sampled(samples_by_name)

        migrate_to("0003_samples_by_label_set")

        assert [len(table) for table in before] == [2, 2, 2, 2]
        assert rows() == before

    def test_still_recognises_what_was_stored_before(self, samples_by_name: Any) -> None:
        sampled(samples_by_name)

        migrate_to("0005_rollup_rows")

        assert record([machine(NOW), queue(NOW)]) == CommitResult(0, 2, [0, 1], [])
        assert record([machine(NOW, is_demo=True), queue(NOW, provider="west")]) == CommitResult(2, 0, [], [])
