"""Samples of machines, GPUs and queues: once each, with the gauges that the catalogue names."""

from __future__ import annotations

import socket
from datetime import datetime
from typing import Any

import pytest

from metrics import catalogue
from metrics.events import GPUSample, QueueEvent, SystemEvent
from metrics.events.samples import MAX_GPUS
from metrics.levels import LEVELS
from metrics.models import GaugeLabels, GaugeRollup, GPUMetrics, QueueMetrics, Series, SystemMetrics
from metrics.store.commit_result import CommitResult
from metrics.store.writing.transaction import Store
from tests.metrics.store.stored import NOW, before, commit, compact, limited, request

pytestmark = [pytest.mark.store, pytest.mark.django_db]

FULL_GPU = {
    "gpu_id": 0,
    "name": "H100",
    "uuid": "GPU-1",
    "temperature": 60.0,
    "utilization_percent": 90.0,
    "memory_used_mb": 70_000.0,
    "memory_total_mb": 81_559.0,
    "memory_percent": 86.0,
    "power_draw_watts": 600.0,
    "power_limit_watts": 700.0,
    "memory_utilization_percent": 40.0,
    "sm_clock_mhz": 1_980.0,
    "memory_clock_mhz": 2_619.0,
    "fan_percent": 0.0,
    "performance_state": 0,
    "throttle_reasons": ["sw_power_limit"],
    "ecc_uncorrected_total": 2**40,
    "energy_joules": 1e9,
}
FULL_SYSTEM = {
    "host": "big",
    "platform": "Linux",
    "cpu_percent": 20.0,
    "cpu_count": 64.0,
    "per_core_percent": [10.0, 30.0],
    "load_average": [1.0, 2.0, 3.0],
    "memory_percent": 60.0,
    "memory_used_gb": 300.0,
    "memory_total_gb": 500.0,
    "swap_percent": 1.0,
    "disk_percent": 40.0,
    "disk_read_bytes": 2**50,
    "disk_write_bytes": 2**51,
    "network_bytes_sent": 2**52,
    "network_bytes_recv": 2**53,
    "monitor_cpu_percent": 2.0,
    "monitor_memory_mb": 103.0,
    "monitor_events_accepted": 3,
    "monitor_events_duplicate": 4,
    "monitor_events_rejected": 5,
    "monitor_posts_refused": 6,
    "monitor_queued_events": 7.0,
    "monitor_commit_ms": 8.0,
    "monitor_commit_p99_ms": 9.0,
    "monitor_tick_lag_ms": 10.0,
    "monitor_live_clients": 11.0,
    "monitor_task_lateness_ms": 12.0,
    "monitor_query_ms": 13.0,
    "monitor_query_p95_ms": 14.0,
    "monitor_cache_hit_percent": 15.0,
    "monitor_database_mb": 16.0,
    "monitor_backup_age_seconds": 17.0,
    "monitor_archive_problems": 1.0,
    "monitor_alert_evaluation_ms": 41.0,
    "monitor_alert_lag_seconds": 3.0,
    "monitor_alert_rules_in_error": 1.0,
    "monitor_messages_waiting": 2.0,
    "monitor_messages_dead": 1.0,
    "monitor_alerting_problems": 2.0,
    "gpu_count": 1,
}


def machine(at: datetime = NOW, *gpus: dict[str, Any], **more: Any) -> SystemEvent:
    return SystemEvent(timestamp=at, gpu_metrics=tuple(map(GPUSample.model_validate, gpus)), **{"host": "big"} | more)


def queue(at: datetime = NOW, source: str = "gateway", **more: Any) -> QueueEvent:
    return QueueEvent(timestamp=at, source=source, **{"model_name": "chatty", "pending": 3} | more)


def gauge(metric: str, resolution: int = 60, **more: Any) -> GaugeRollup:
    compact()
    return GaugeRollup.objects.get(metric=metric, resolution=resolution, **more)


class ASample:
    def test_keeps_every_field_as_it_was(self) -> None:
        event = machine(NOW, FULL_GPU, **FULL_SYSTEM)
        commit(event)
        system, gpu = SystemMetrics.objects.get(), GPUMetrics.objects.get()
        assert {name: getattr(system, name) for name in FULL_SYSTEM} == FULL_SYSTEM
        assert {name: getattr(gpu, name) for name in FULL_GPU} == FULL_GPU | {"gpu_id": "0"}
        assert (system.timestamp, gpu.timestamp, gpu.host) == (NOW, NOW, "big")

    def test_adds_to_each_gauge_of_the_catalogue(self) -> None:
        headroom = {"ratelimit_remaining_requests": 9, "ratelimit_remaining_tokens": 800}
        commit(
            machine(NOW, FULL_GPU, **FULL_SYSTEM), queue(processing=2, wait_time_ms=5.0, oldest_seconds=4.0, **headroom)
        )
        named = {one.name for one in catalogue.ALL if one.type in ("system", "monitor", "gpu", "queue")}
        for resolution, expected in ((60, named), (3600, named - LEVELS)):
            assert set(GaugeRollup.objects.filter(resolution=resolution).values_list("metric", flat=True)) == expected
        assert not GaugeRollup.objects.exclude(resolution__in=(60, 3600)).exists()
        assert gauge("system.load_1m").sum == 1.0
        assert gauge("gpu.temperature", labels__gpu_id="0").last == 60.0
        assert gauge("monitor.memory_mb").max == 103.0
        assert gauge("queue.pending", labels__source="gateway", labels__kind="track").min == 3

    def test_adds_nothing_to_a_gauge_that_it_leaves_open(self) -> None:
        commit(machine(NOW, {"gpu_id": 0}))
        assert (SystemMetrics.objects.count(), GPUMetrics.objects.count()) == (1, 1)
        assert not GaugeRollup.objects.exists()

    def test_of_zero_is_a_sample(self) -> None:
        commit(machine(cpu_percent=0.0))
        assert (gauge("system.cpu_percent").count, gauge("system.cpu_percent").last) == (1, 0.0)

    def test_of_the_demo_is_marked(self) -> None:
        commit(machine(NOW, {"gpu_id": 0}, is_demo=True), queue(is_demo=True))
        assert list(GaugeLabels.objects.values_list("is_demo", flat=True)) == [True] * 3

    def test_too_old_for_minutes_keeps_its_hour(self) -> None:
        commit(machine(before(days=10), cpu_percent=3.0))
        assert list(GaugeRollup.objects.values_list("resolution", flat=True)) == [3600]

    def test_too_old_for_minutes_keeps_the_minute_of_a_level_until_upkeep_makes_its_hour(self) -> None:
        commit(machine(before(days=10), gpu_count=3))
        assert list(GaugeRollup.objects.values_list("resolution", flat=True)) == [60]


class ARepeat:
    def test_is_a_duplicate_and_changes_nothing(self) -> None:
        events = [machine(NOW, FULL_GPU, **FULL_SYSTEM), queue()]
        assert commit(*events, *events) == CommitResult(2, 2, [2, 3], [])
        figures = list(GaugeRollup.objects.order_by("id").values())
        assert commit(*events) == CommitResult(0, 2, [0, 1], [])
        assert list(GaugeRollup.objects.order_by("id").values()) == figures
        assert [one.objects.count() for one in (SystemMetrics, GPUMetrics, QueueMetrics)] == [1, 1, 1]

    def test_is_told_by_time_host_and_gpu(self) -> None:
        commit(machine(NOW, {"gpu_id": 0, "temperature": 50.0}))
        both = [{"gpu_id": 0, "temperature": 50.0}, {"gpu_id": "0:1", "temperature": 40.0}]
        assert commit(machine(NOW, *both)) == CommitResult(1, 0, [], [])  # its second GPU is new
        assert commit(machine(NOW, *both)) == CommitResult(0, 1, [0], [])
        assert commit(machine(NOW, *both, host="small"), machine(before(seconds=1), *both)).accepted == 2
        assert gauge("gpu.temperature", labels__host="big", labels__gpu_id="0").count == 2
        assert GPUMetrics.objects.count() == 6

    def test_is_told_by_time_source_kind_and_series(self) -> None:
        others = [
            queue(source="other"),
            queue(model_name="slow"),
            queue(before(seconds=1)),
            queue(provider="vllm"),
            queue(kind="sdk"),
        ]
        assert commit(queue(), *others) == CommitResult(6, 0, [], [])
        assert commit(queue(pending=9), *others) == CommitResult(0, 6, [0, 1, 2, 3, 4, 5], [])


class TheSamplesOfOneTime:
    """Of several senders, each with some of the fields of a host and its GPUs."""

    PARTS = (
        {"cpu_percent": 10.0, "network_bytes_sent": 2_000},
        {"cpu_percent": 99.0, "memory_percent": 50.0, "load_average": [1.0, 2.0, 3.0]},
        {"network_bytes_recv": 3_000, "gpus": [{"gpu_id": 0, "temperature": 50.0}]},
        {"gpus": [{"gpu_id": 0, "temperature": 99.0, "fan_percent": 30.0}]},
    )

    def parts(self) -> list[SystemEvent]:
        return [machine(NOW, *part.pop("gpus", ()), **part) for part in map(dict, self.PARTS)]

    @pytest.mark.parametrize("together", [True, False])
    def test_are_merged_by_field(self, together: bool) -> None:
        commit(machine(before(seconds=10), network_bytes_sent=1_000, network_bytes_recv=1_000))
        batches = [self.parts()] if together else [[part] for part in self.parts()]
        assert sum(commit(*batch).accepted for batch in batches) == 4

        stored = SystemMetrics.objects.get(timestamp=NOW)
        assert (stored.cpu_percent, stored.memory_percent, stored.load_average) == (10.0, 50.0, [1.0, 2.0, 3.0])
        assert (stored.network_bytes_sent, stored.network_bytes_recv) == (2_000, 3_000)
        gpu = GPUMetrics.objects.get()
        assert (gpu.temperature, gpu.fan_percent) == (50.0, 30.0)
        for metric, value in (("system.cpu_percent", 10.0), ("system.memory_percent", 50.0), ("system.load_1m", 1.0)):
            assert (gauge(metric).count, gauge(metric).sum) == (1, value)
        assert gauge("gpu.temperature").sum == 50.0
        for metric, growth in (("system.network_bytes_sent", 1_000), ("system.network_bytes_recv", 2_000)):
            compact()
            rows = GaugeRollup.objects.filter(metric=metric).values_list("growth", "covered_seconds")
            known = [(growth or 0.0, seconds or 0.0) for growth, seconds in rows]
            assert [sum(column) for column in zip(*known, strict=True)] == pytest.approx([growth, 10])

    def test_that_were_merged_are_duplicates_when_they_are_repeated(self) -> None:
        commit(*self.parts())
        figures = list(GaugeRollup.objects.order_by("id").values())
        assert commit(*self.parts()) == CommitResult(0, 4, [0, 1, 2, 3], [])
        assert list(GaugeRollup.objects.order_by("id").values()) == figures


class TheReadingsOfOneMicrosecond:
    """Nothing but the label set tells them apart, and for queues the series."""

    def test_of_two_hosts_are_two(self) -> None:
        events = [machine(NOW, {"gpu_id": 0}, host=host) for host in ("big", "small")]
        assert commit(*events) == CommitResult(2, 0, [], [])
        assert (SystemMetrics.objects.count(), GPUMetrics.objects.count()) == (2, 2)

    def test_of_a_host_and_of_its_namesake_in_the_demo_are_two(self) -> None:
        measured, made_up = (machine(NOW, {"gpu_id": 0}, is_demo=demo, cpu_percent=1.0) for demo in (False, True))
        assert commit(measured) == CommitResult(1, 0, [], [])
        assert commit(made_up, measured) == CommitResult(1, 1, [1], [])
        assert set(SystemMetrics.objects.values_list("labels__is_demo", flat=True)) == {False, True}
        assert set(GPUMetrics.objects.values_list("labels__is_demo", flat=True)) == {False, True}
        assert gauge("system.cpu_percent", labels__is_demo=True).count == 1

    def test_of_two_providers_of_one_model_and_source_are_two(self) -> None:
        readings = [queue(provider="west", pending=3), queue(provider="east", pending=4)]
        assert commit(*readings) == CommitResult(2, 0, [], [])
        assert commit(*readings) == CommitResult(0, 2, [0, 1], [])
        assert [gauge("queue.pending", labels__provider=provider).sum for provider in ("west", "east")] == [3, 4]

    def test_of_one_queue_by_two_senders_are_one_with_the_fields_of_both(self) -> None:
        first, second = queue(pending=3), queue(pending=None, processing=7, oldest_seconds=9.0)
        assert commit(first) == CommitResult(1, 0, [], [])
        assert commit(second) == CommitResult(1, 0, [], [])
        assert commit(first, second) == CommitResult(0, 2, [0, 1], [])
        (row,) = QueueMetrics.objects.values_list("pending", "processing", "oldest_seconds")
        assert row == (3, 7, 9.0)
        assert [gauge(f"queue.{name}").sum for name in ("pending", "processing", "oldest_seconds")] == [3, 7, 9]

    def test_of_two_models_beyond_the_limit_of_series_are_two(self) -> None:
        """They share the series, but not the label set, which has the name of the model."""
        Series.objects.create(model_name="the one that fits", first_seen=NOW, last_seen=NOW)
        GaugeLabels.objects.bulk_create(
            GaugeLabels(model_name=name, kind="track", source="gateway") for name in ("chatty", "slow")
        )
        with limited(1):
            readings = [queue(model_name="chatty"), queue(model_name="slow")]
            assert commit(*readings) == CommitResult(2, 0, [], [])
            assert commit(*readings) == CommitResult(0, 2, [0, 1], [])
        assert set(QueueMetrics.objects.values_list("series__model_name", flat=True)) == {"__other__"}


class AGauge:
    def test_has_count_sum_extremes_and_the_latest_by_its_own_time(self) -> None:
        commit(machine(before(seconds=10), cpu_percent=30.0), machine(before(seconds=2), cpu_percent=50.0))
        commit(machine(before(seconds=20), cpu_percent=10.0))
        rollup = gauge("system.cpu_percent")
        assert (rollup.count, rollup.sum, rollup.min, rollup.max, rollup.last) == (3, 90.0, 10.0, 50.0, 50.0)
        assert rollup.last_at == int(before(seconds=2).timestamp() * 1e6)
        assert gauge("system.cpu_percent", 3600).count == 3

    def test_is_apart_by_minute_and_host(self) -> None:
        commit(
            machine(cpu_percent=1.0),
            machine(before(minutes=1), cpu_percent=2.0),
            machine(host="small", cpu_percent=3.0),
        )
        assert GaugeRollup.objects.filter(metric="system.cpu_percent", resolution=60).count() == 3
        assert GaugeRollup.objects.filter(metric="system.cpu_percent", resolution=3600).count() == 3


def label_sets() -> set[tuple[str, str, str]]:
    return set(GaugeLabels.objects.values_list("host", "gpu_id", "source"))


class AMachineBeyondTheLimit:
    """A label set of samples costs rollup rows for 400 days, and clients choose the names."""

    def test_is_refused_by_name_and_the_others_go_on(self) -> None:
        with limited(2):
            commit(machine(before(seconds=9)), queue(before(seconds=9)))
            answer = commit(
                machine(host="new", cpu_percent=1.0),
                machine(),
                queue(source="new"),
                queue(),
                request("a"),
                machine(before(seconds=9)),
            )
        assert (answer.accepted, answer.duplicates, answer.duplicate_indexes) == (3, 1, [5])
        assert [(one.index, one.field) for one in answer.rejected] == [(0, "host"), (2, "source")]
        assert all("2 label sets" in one.error and "LLMMONITOR_MAX_SERIES" in one.error for one in answer.rejected)
        assert label_sets() == {("big", "", ""), ("", "", "gateway")}
        assert not SystemMetrics.objects.filter(host="new").exists()
        assert not GaugeRollup.objects.filter(metric="system.cpu_percent").exists()

    def test_leaves_the_series_of_its_model_alone(self) -> None:
        with limited(1):
            commit(queue(before(hours=1)))
            commit(queue(source="new"), queue(source="new", model_name="unheard of"))
        assert list(Series.objects.values_list("model_name", "last_seen")) == [("chatty", before(hours=1))]

    def test_is_stored_with_all_its_gpus_or_not_at_all(self) -> None:
        with limited(3):
            gpus = [{"gpu_id": number} for number in range(3)]
            answer = commit(machine(NOW, *gpus), machine(NOW, *gpus[:1], host="small"), machine(host="last"))
        assert [one.index for one in answer.rejected] == [0]
        assert label_sets() == {("small", "", ""), ("small", "0", ""), ("last", "", "")}
        assert GPUMetrics.objects.count() == 1

    def test_does_not_keep_out_the_machine_that_the_monitor_runs_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "gethostname", lambda: "here")
        with limited(1):
            store = Store(clock=lambda: NOW)
            store.commit([machine()])
            assert store.commit([machine(host="new"), machine(NOW, {"gpu_id": 0}, host="here")]).accepted == 1
            assert store.commit([machine(before(seconds=1), {"gpu_id": 0}, host="here")]).accepted == 1
            # Nor is its name a way past the limit.
            many = [machine(NOW, {"gpu_id": f"made up {number}"}, host="here") for number in range(200)]
            assert store.commit(many).accepted == MAX_GPUS - 1
            assert store.commit([machine(is_demo=True, host="here")]).rejected
        assert len(label_sets()) == 1 + 1 + MAX_GPUS
