"""Migrations keep the rows that are there, on a store that has been used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from metrics.events import ErrorEvent, GPUSample, InferenceEvent, Outcome, Severity, SystemEvent
from metrics.histogram import Histogram
from metrics.models import (
    EngineMetrics,
    ErrorMetrics,
    GaugeRollup,
    GPUMetrics,
    InferenceMetrics,
    InferenceRollup,
    QueueMetrics,
    RawFloor,
    SystemMetrics,
)
from metrics.store.commit_result import CommitResult
from metrics.store.labels.interning import labels_of_key
from tests.metrics.store.kept import NOW, ago, failure, machine, queue, record, request

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

SAMPLES = (SystemMetrics, GPUMetrics, QueueMetrics, EngineMetrics)


def migrate_to(name: str) -> Any:
    """Bring the tables of measurements to a migration; the models as they are there."""
    executor = MigrationExecutor(connection)
    return executor.migrate([("metrics", name)]).apps


@pytest.fixture
def models(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The models at the migration that a class is marked with. After the test, all migrations are applied."""
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes("metrics")
    yield migrate_to(request.param)
    MigrationExecutor(connection).migrate(newest)


def starting_at(name: str) -> pytest.MarkDecorator:
    """Mark a class whose tests begin at this migration."""
    return pytest.mark.parametrize("models", [name], indirect=True)


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
    return rows(apps)


def rows(apps: Any) -> list[Any]:
    """All samples, with their numbers and the columns that the tables have at a migration."""
    columns = [
        [field.attname for field in apps.get_model("metrics", table.__name__)._meta.concrete_fields]
        for table in SAMPLES
    ]
    return [list(table.objects.order_by("pk").values(*of)) for table, of in zip(SAMPLES, columns, strict=True)]


@starting_at("0002_drop_doubled_indexes")
class TheKeyOfSamplesByLabelSet:
    def test_keeps_every_row_as_it_was(self, models: Any) -> None:
        before = sampled(models)

        migrate_to("0003_samples_by_label_set")

        assert [len(table) for table in before] == [2, 2, 2, 2]
        assert rows(models) == before

    def test_still_recognises_what_was_stored_before(self, models: Any) -> None:
        sampled(models)

        migrate_to("0020_backup_age_and_archive")

        same = SystemEvent(timestamp=NOW, host="big", cpu_percent=20.0, gpu_metrics=(GPUSample(gpu_id="0"),))
        only_pending = queue(NOW).model_copy(update={"processing": None})
        assert record([same, only_pending]) == CommitResult(0, 2, [0, 1], [])
        assert record([machine(NOW, is_demo=True), queue(NOW, provider="west")]) == CommitResult(2, 0, [], [])


def store_as_before(apps: Any, *events: InferenceEvent | ErrorEvent) -> None:
    """Store requests and errors as the version before did, those of the model `beyond` in the series `__other__`."""
    names = ("Series", "InferenceMetrics", "ErrorMetrics", "ErrorGroup", "RecentId")
    series, requests, errors, groups, recent = (apps.get_model("metrics", name).objects for name in names)
    group, _ = groups.get_or_create(fingerprint="f", defaults={"first_seen": NOW, "last_seen": NOW})
    for event in events:
        labels = labels_of_key(event.labels)
        is_beyond = labels["model_name"] == "beyond"
        key = {"provider": "", "service": ""} | ({"model_name": "__other__"} if is_beyond else labels)
        own, _ = series.get_or_create(**key, defaults={"first_seen": NOW, "last_seen": NOW})
        table = requests if isinstance(event, InferenceEvent) else errors
        columns = {field.name for field in table.model._meta.concrete_fields}
        values = {name: value for name, value in event.model_dump().items() if name in columns}
        more = {} if table is requests else {"group": group}
        table.create(**values, series=own, labels=labels if is_beyond else None, **more)
        if not event.stamped:
            recent.create(request_id=values["request_id"], at=NOW)


@starting_at("0004_demo_claim")
class TheIdentityByModel:
    def test_of_stored_rows_is_that_of_their_repeats(self, models: Any) -> None:
        stored = [
            request(NOW, "a"),
            request(ago(days=3), "b", provider="vllm", service="shop"),
            request(NOW, "c", "beyond", provider="vllm"),
            request(NOW, "d", "beyond"),
            request(ago(seconds=2), "e", stamped=False),
            failure(NOW, "f", severity=Severity.WARNING),
            failure(NOW, "g", "beyond", error_message=None),
            failure(NOW, "h", "unknown"),
            failure(ago(seconds=90), "i", stamped=False),
        ]
        store_as_before(models, *stored)

        migrate_to("0005_write_path")

        repeats = [event.model_copy(update={"timestamp": NOW}) if not event.stamped else event for event in stored]
        assert record(repeats) == CommitResult(0, 9, list(range(9)), [])
        other_models = [event.model_copy(update={"model_name": "new"}) for event in repeats]
        assert record(other_models) == CommitResult(9, 0, [], [])
        assert InferenceMetrics.objects.filter(host=None, user=None).count() == 10


@starting_at("0004_demo_claim")
class TheTimesOfTimeouts:
    def test_of_stored_requests_are_added_to_the_buckets_that_are_stored(self, models: Any) -> None:
        late = {"outcome": Outcome.TIMEOUT, "success": False, "status_code": 504}
        stored = [
            request(NOW, "a"),
            request(NOW, "b", response_time_ms=60_000.0, **late),
            request(ago(seconds=1), "c", response_time_ms=30_000.0, **late),
            request(ago(days=4), "d", response_time_ms=10_000.0, **late),
            request(NOW, "e", response_time_ms=None, **late),
        ]
        store_as_before(models, *stored)
        rollups = models.get_model("metrics", "InferenceRollup").objects
        hour, series = int(NOW.timestamp()) // 3600 * 3600, models.get_model("metrics", "Series").objects.get()
        rollups.create(resolution=3600, bucket=hour - 5 * 24 * 3600, series=series)
        rollups.create(resolution=60, bucket=hour, series=series)

        migrate_to("0005_write_path")

        assert sorted(
            (row.resolution, row.bucket - hour, Histogram.unpack(row.timeout_response_time_ms))
            for row in InferenceRollup.objects.exclude(timeout_response_time_ms=b"")
        ) == [
            (60, 0, Histogram.of([60_000.0, 30_000.0])),
            (3600, -4 * 24 * 3600, Histogram.of([10_000.0])),
            (3600, 0, Histogram.of([60_000.0, 30_000.0])),
        ]


@starting_at("0005_write_path")
class TheMetadataAsText:
    def test_has_the_numbers_that_were_stored(self, models: Any) -> None:
        series, requests, errors, groups = (
            models.get_model("metrics", name).objects
            for name in ("Series", "InferenceMetrics", "ErrorMetrics", "ErrorGroup")
        )
        own = series.create(model_name="m", first_seen=NOW, last_seen=NOW)
        metadata = {"loss": 3.4028234663852886e38, "big": 2**70, "n": 5, "list": [1e20, 1.0, None, "é"]}
        row = {"series": own, "timestamp": NOW, "request_id": "r", "model_key": 1, "metadata": metadata}
        requests.create(**row, success=True, outcome="ok")
        group = groups.create(fingerprint="f", first_seen=NOW, last_seen=NOW)
        errors.create(**row, content_key=1, group=group)

        migrate_to("0007_metadata_as_text")

        for table in (InferenceMetrics, ErrorMetrics):
            stored = table.objects.values_list("metadata", flat=True).get()
            assert stored == metadata
            assert type(stored["loss"]) is type(stored["big"]) is float


@starting_at("0007_metadata_as_text")
class TheIndexOfTheSamplesOfAnInstance:
    def test_replaces_that_of_label_sets_and_keeps_every_row(self, models: Any) -> None:
        before = sampled(models)
        assert {tuple(columns) for columns in self.indexes()} == {("labels_id",)}

        migrate_to("0008_samples_of_an_instance")

        assert {tuple(columns) for columns in self.indexes()} == {("labels_id", "timestamp")}
        assert rows(models) == before

    def indexes(self) -> Iterator[list[str]]:
        """The columns of the indexes that begin with the label set."""
        for table in SAMPLES:
            with connection.cursor() as cursor:
                of_table = connection.introspection.get_constraints(cursor, table._meta.db_table).values()
            yield from (own["columns"] for own in of_table if own["index"] and own["columns"][0] == "labels_id")


@starting_at("0005_write_path")
class TheHoursOfLevels:
    FIRST = int(NOW.timestamp()) // 3600 * 3600 - 2 * 3600

    def store(self, apps: Any, metric: str, minutes: list[int], hours: list[int]) -> None:
        """Store rows of a host with two samples of 3 and 5, at these minutes and hours after the first hour."""
        labels, _ = apps.get_model("metrics", "GaugeLabels").objects.get_or_create(host="big")
        for resolution, starts in ((60, minutes), (3600, hours)):
            for start in starts:
                apps.get_model("metrics", "GaugeRollup").objects.create(
                    resolution=resolution,
                    bucket=self.FIRST + resolution * start,
                    metric=metric,
                    labels=labels,
                    count=2,
                    sum=8,
                    min=3,
                    max=5,
                    last=5,
                    last_at=0,
                )

    def hours(self, metric: str) -> list[Any]:
        rows = GaugeRollup.objects.filter(metric=metric, resolution=3600).order_by("bucket")
        return [((bucket - self.FIRST) // 3600, *more) for bucket, *more in rows.values_list(*self.COLUMNS)]

    COLUMNS = ("bucket", "count", "sum", "min", "max", "minutes")
    EVERY_MINUTE = (60, 240, 3, 5, 2**60 - 1)

    def test_of_queues_are_those_of_the_preferred_kind(self, models: Any) -> None:
        label_sets = models.get_model("metrics", "GaugeLabels").objects
        rows = models.get_model("metrics", "GaugeRollup").objects
        values = {"metric": "queue.pending", "count": 2, "sum": 8, "min": 3, "max": 5, "last": 5, "last_at": 1}
        for kind, hours in (("sdk", (0, 1)), ("track", (1, 2))):
            labels = label_sets.create(model_name="chatty", kind=kind, source="gateway")
            for hour in hours:
                rows.create(resolution=3600, bucket=self.FIRST + 3600 * hour, labels=labels, **values)

        migrate_to("0006_level_hours")

        kept = GaugeRollup.objects.filter(resolution=3600).order_by("bucket").values_list("bucket", "labels__kind")
        assert [((bucket - self.FIRST) // 3600, kind) for bucket, kind in kept] == [
            (0, "sdk"),
            (1, "track"),
            (2, "track"),
        ]

    def test_are_those_whose_minutes_are_not_all_stored(self, models: Any) -> None:
        # The first of the two minutes of hour 0 is no longer stored. Hour -1 has two rows, of two commits.
        self.store(models, "system.gpu_count", [30, 70, 80], [-1, -1, 0, 0, 1, 1])

        migrate_to("0006_level_hours")

        assert self.hours("system.gpu_count") == [(-1, *self.EVERY_MINUTE), (0, *self.EVERY_MINUTE)]
        assert GaugeRollup.objects.filter(resolution=60).count() == 3
        assert [(kind, at.timestamp()) for kind, at in RawFloor.objects.values_list("kind", "at")] == [
            ("system", self.FIRST + 3600)
        ]

    def test_of_waiting_times_are_those_whose_minutes_are_not_all_stored(self, models: Any) -> None:
        self.store(models, "queue.wait_time_ms", [70, 80], [0, 1, 1])
        migrate_to("0008_samples_of_an_instance")

        migrate_to("0009_waiting_times_by_minute")

        assert self.hours("queue.wait_time_ms") == [(0, *self.EVERY_MINUTE)]
        assert list(RawFloor.objects.values_list("kind", flat=True)) == ["queue"]

    def test_are_deleted_if_all_minutes_are_stored(self, models: Any) -> None:
        self.store(models, "queue.pending", [30, 70, 80], [0, 1, 1])

        migrate_to("0006_level_hours")

        assert self.hours("queue.pending") == []
        assert not RawFloor.objects.exists()

    def test_of_counters_have_the_rate_between_them(self, models: Any) -> None:
        sent = "system.network_bytes_sent"
        rows = models.get_model("metrics", "GaugeRollup").objects
        # 1,000 bytes per second. The host started again in hour -2 and at minute 2.
        self.store(models, sent, [0, 1, 2, 9], [-4, -3, -2, -1])
        values = {-4: 0, -3: 3_600_000, -2: 1_800_000, -1: 5_400_000}
        for row in rows.filter(metric=sent):
            start = (row.bucket - self.FIRST) // row.resolution
            last = (values if row.resolution == 3600 else {0: 0, 1: 60_000, 2: 60_000, 9: 480_000})[start]
            rows.filter(id=row.id).update(last=last, last_at=row.bucket * 10**6)

        migrate_to("0006_level_hours")

        hours = GaugeRollup.objects.filter(metric=sent, resolution=3600, minutes__isnull=False)
        assert sorted(hours.values_list("bucket", "sum", "count", "minutes")) == [
            (self.FIRST - 3 * 3600, 60_000, 60, 2**60 - 1),
            (self.FIRST - 2 * 3600, 30_000, 60, 2**60 - 1),
            (self.FIRST - 3600, 60_000, 60, 2**60 - 1),
        ]
        minutes = GaugeRollup.objects.filter(metric=sent, resolution=60).order_by("bucket")
        assert list(minutes.values_list("growth", "covered_seconds")) == [
            (None, None), (60_000, 60), (0, 60), (None, None)
        ]  # fmt: skip

    def test_are_kept_without_minutes(self, models: Any) -> None:
        self.store(models, "gpu.memory_used_mb", [], [-5])
        self.store(models, "system.cpu_percent", [], [-5])

        migrate_to("0006_level_hours")

        assert self.hours("gpu.memory_used_mb") == [(-5, *self.EVERY_MINUTE)]
        assert self.hours("system.cpu_percent") == [(-5, 2, 8, 3, 5, None)]
