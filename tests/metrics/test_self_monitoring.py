"""The figures of the monitor about itself: from what its processes counted to the fields of a sample."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.conf import settings
from django.core.cache import caches
from django.test import override_settings

from llmmonitor.backup.models import LastBackup
from llmmonitor.infra.telemetry import Telemetry
from metrics import catalogue
from metrics.events import EVENT_TYPES
from metrics.self_monitoring import WINDOW_SECONDS, SelfMonitor, monitor_fields
from metrics.store.upkeep import archiving


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


@pytest.mark.store
@pytest.mark.django_db
class TheSampleOfAMonitorWithCopies:
    AT = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)

    @pytest.fixture(autouse=True)
    def _no_problem(self) -> Iterator[None]:
        caches["default"].clear()
        yield
        caches["default"].clear()

    def fields(self, at: datetime = AT, **changes: Any) -> dict[str, Any]:
        with override_settings(LLMMONITOR=settings.LLMMONITOR.model_copy(update=changes)):
            fields = monitor_fields(at)
        return {name: value for name, value in fields.items() if "backup" in name or "archive" in name}

    def test_has_none_of_their_figures_if_they_are_not_configured(self) -> None:
        LastBackup.objects.create(by=LastBackup.By.COMMAND, succeeded_at=self.AT)

        assert self.fields() == {}

    def test_has_the_age_of_the_newest_backup(self, tmp_path: Path) -> None:
        LastBackup.objects.create(by=LastBackup.By.SCHEDULE, succeeded_at=self.AT - timedelta(hours=30))

        assert self.fields(backup_dir=tmp_path) == {"monitor_backup_age_seconds": 108_000}

    def test_has_the_time_since_the_start_before_the_first_backup(self, tmp_path: Path) -> None:
        start = datetime.fromtimestamp(psutil.Process().create_time(), UTC)
        tenth = (start + timedelta(days=3)).replace(second=10, microsecond=0)

        age = self.fields(tenth, backup_dir=tmp_path)["monitor_backup_age_seconds"]

        assert age == pytest.approx((tenth - start).total_seconds(), abs=0.1)

    def test_has_whether_the_archive_fails(self, tmp_path: Path) -> None:
        assert self.fields(archive_dir=tmp_path) == {"monitor_archive_problems": 0}
        archiving.note_problem(archiving.ArchiveProblem("Read-only file system"))
        assert self.fields(archive_dir=tmp_path) == {"monitor_archive_problems": 1}
