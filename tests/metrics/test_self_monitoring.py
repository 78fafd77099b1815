"""The figures of the monitor about itself: from what its processes counted to the fields of a sample."""

from __future__ import annotations

from typing import Any

import pytest

from llmmonitor.infra.telemetry import Telemetry
from metrics import catalogue
from metrics.events import EVENT_TYPES
from metrics.self_monitoring import WINDOW_SECONDS, SelfMonitor


class TheFieldsOfASample:
    @pytest.fixture
    def work(self) -> Telemetry:
        return Telemetry()

    @pytest.fixture
    def monitor(self) -> SelfMonitor:
        return SelfMonitor()

    def sample(self, monitor: SelfMonitor, work: Telemetry, at: float) -> dict[str, Any]:
        return monitor.fields(at, work.totals())

    def test_are_known_to_the_catalogue(self, monitor: SelfMonitor, work: Telemetry) -> None:
        known = {metric.field for metric in catalogue.ALL if metric.type == "monitor"}

        assert self.sample(monitor, work, 0).keys() <= known

    def test_know_no_duration_before_the_second_sample(self, monitor: SelfMonitor, work: Telemetry) -> None:
        work.observe("commit", 1.0)  # hours ago, perhaps, by another process

        assert self.sample(monitor, work, 0)["monitor_commit_p99_ms"] is None

    def test_begin_anew_after_the_clock_was_set_back(self, monitor: SelfMonitor, work: Telemetry) -> None:
        self.sample(monitor, work, 100)
        work.observe("commit", 1.0)

        assert self.sample(monitor, work, 50)["monitor_commit_ms"] is None

    def test_count_events_by_what_became_of_them(self, monitor: SelfMonitor, work: Telemetry) -> None:
        work.count("events", "accepted", 7)
        work.count("events", "duplicate", 2)
        work.count("rejected_events", "model_name", 3)
        work.count("rejected_events", "timestamp")
        work.count("refused_posts", "queue_full")

        fields = self.sample(monitor, work, 0)

        assert fields["monitor_events_accepted"] == 7
        assert fields["monitor_events_duplicate"] == 2
        assert fields["monitor_events_rejected"] == 4
        assert fields["monitor_posts_refused"] == 1

    def test_have_the_mean_since_the_sample_before(self, monitor: SelfMonitor, work: Telemetry) -> None:
        work.observe("commit", 1.0)
        self.sample(monitor, work, 0)
        work.observe("commit", 0.002)
        work.observe("commit", 0.004)

        assert self.sample(monitor, work, 1)["monitor_commit_ms"] == 3.0
        assert self.sample(monitor, work, 2)["monitor_commit_ms"] is None

    def test_have_percentiles_of_the_last_minute(self, monitor: SelfMonitor, work: Telemetry) -> None:
        self.sample(monitor, work, 0)
        work.observe("commit", 0.9)
        for name, label in (("task_lateness", "tick"), ("task_lateness", "maintain"), ("query", "read")):
            work.observe(name, 0.5, label)

        within = self.sample(monitor, work, WINDOW_SECONDS)
        after = [self.sample(monitor, work, WINDOW_SECONDS + seconds) for seconds in (1, WINDOW_SECONDS + 2)][-1]

        assert within["monitor_commit_p99_ms"] == pytest.approx(900, rel=0.1)
        assert within["monitor_task_lateness_ms"] == pytest.approx(500, rel=0.1)
        assert within["monitor_query_p95_ms"] == pytest.approx(500, rel=0.1)
        assert after["monitor_commit_p99_ms"] is None

    def test_have_the_longest_tick_lag(self, monitor: SelfMonitor, work: Telemetry) -> None:
        self.sample(monitor, work, 0)
        for seconds in (0.01, 0.2, 0.03):
            work.observe("tick_lag", seconds)

        assert self.sample(monitor, work, 1)["monitor_tick_lag_ms"] == pytest.approx(200, rel=0.1)

    def test_have_the_share_of_what_was_found_in_memory(self, monitor: SelfMonitor, work: Telemetry) -> None:
        work.count("cache_reads", "miss", 100)
        self.sample(monitor, work, 0)
        work.count("cache_reads", "hit", 3)
        work.count("cache_reads", "miss", 1)

        assert self.sample(monitor, work, 1)["monitor_cache_hit_percent"] == 75.0

    def test_have_the_levels_of_all_processes(self, monitor: SelfMonitor, work: Telemetry) -> None:
        work.level("queued_events", lambda: 12)
        work.level("live_clients", lambda: 3)

        fields = self.sample(monitor, work, 0)

        assert (fields["monitor_queued_events"], fields["monitor_live_clients"]) == (12, 3)

    def test_are_accepted_as_an_event(self, monitor: SelfMonitor, work: Telemetry) -> None:
        work.observe("commit", 0.01)
        fields = self.sample(monitor, work, 0)

        assert fields.keys() <= EVENT_TYPES["system"].model_fields.keys()
