"""Upkeep with an archive: which rows are in it, in which files, and what is deleted when it cannot be written."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches

from metrics import queries, readiness, tasks
from metrics.archive import writing
from metrics.ingest.recorder import close_recorder
from metrics.models import ErrorMetrics, InferenceMetrics, SystemMetrics
from metrics.sizes.database import used_bytes
from metrics.store.raw_floors import raw_floor
from metrics.store.upkeep import archiving, disk_limit
from metrics.traffic.demo.filling import fill
from metrics.traffic.demo.workload import Workload
from tests.metrics.archive.stored_rows import archived, exported, maintain, names, raising
from tests.metrics.store.kept import NOW, ago, by_hand, failure, machine, record, request

pytestmark = [pytest.mark.store, pytest.mark.django_db]

MAX_BYTES_OF_EVENT = 60
LOCKS = """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _no_notice() -> Iterator[None]:
    caches["default"].clear()
    yield
    caches["default"].clear()


def disk_detail() -> str:
    return str(readiness.check()["parts"]["disk"].get("detail"))


class TheArchive:
    def test_has_the_deleted_rows_of_each_day_in_a_file(self, tmp_path: Path) -> None:
        record([request(ago(days=days, minutes=n), f"r{days}-{n}") for days in (35, 33, 29) for n in range(3)])
        record([failure(ago(days=95), "e"), machine(ago(days=35))])
        rows = exported("inference")
        error = exported("errors")

        counts = maintain(tmp_path)

        assert names(tmp_path) == [
            "errors-2025-10-17.0001.jsonl.xz",
            "inference-2025-12-16.0001.jsonl.xz",
            "inference-2025-12-18.0001.jsonl.xz",
        ]
        assert archived(tmp_path) == rows[:6]
        assert archived(tmp_path, "errors") == error
        assert exported("inference") == rows[6:]
        assert (counts["inference_metrics"], counts["error_metrics"]) == (6, 1)
        assert not SystemMetrics.objects.exists()  # samples are not archived

    def test_has_a_day_as_soon_as_all_of_it_is_too_old(self, tmp_path: Path) -> None:
        record([request(ago(days=30, hours=1), "same day"), request(ago(days=30, hours=13), "the day before")])

        maintain(tmp_path)

        assert list(by_hand()) == ["same day"]
        assert [row["request_id"] for row in archived(tmp_path)] == ["the day before"]
        assert raw_floor("inference") == ago(days=30, hours=13) + timedelta(microseconds=1)

    def test_has_a_full_file_of_a_day_before_its_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archiving, "FILE_ROWS", 4)
        record([request(ago(days=30, minutes=60 - n), f"r{n}") for n in range(10)])

        maintain(tmp_path)

        assert names(tmp_path) == [f"inference-2025-12-21.000{number}.jsonl.xz" for number in (1, 2)]
        assert list(by_hand()) == ["r8", "r9"]
        maintain(tmp_path, NOW + timedelta(days=1))
        assert names(tmp_path)[-1] == "inference-2025-12-21.0003.jsonl.xz"
        assert [row["request_id"] for row in archived(tmp_path)] == [f"r{n}" for n in range(10)]

    def test_can_be_read_by_its_owner_only(self, tmp_path: Path) -> None:
        record([request(ago(days=35), "r")])
        maintain(tmp_path)
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}

    def test_can_be_checked_and_read_with_ordinary_tools(self, tmp_path: Path) -> None:
        record([request(ago(days=35), "r")])
        maintain(tmp_path)
        path = tmp_path / names(tmp_path)[0]
        assert b"SHA-256" in subprocess.run(["xz", "-lv", path], check=True, capture_output=True).stdout
        subprocess.run(["xz", "-t", path], check=True)
        text = subprocess.run(["xz", "-dc", path], check=True, capture_output=True).stdout
        assert text.startswith(b'{"kind":"inference","rows":1,"columns":{"timestamp":["2025-12-16T12:00:30Z"],')

    def test_leaves_the_figures_of_a_longer_window_as_they_were(self, tmp_path: Path) -> None:
        record([request(ago(days=25 + n, minutes=n), f"r{n}", response_time_ms=100.0 + n) for n in range(20)])
        record([failure(ago(days=95, minutes=1), "f")])

        def figures() -> dict[str, Any]:
            window = queries.Window.last(100 * 86_400, NOW)
            summary = queries.summary(window, queries.Filters(), NOW).as_dict()
            return {name: value for name, value in summary.items() if name != "age_seconds"}

        before = figures()
        maintain(tmp_path)

        assert before["total_requests"] == 21
        assert InferenceMetrics.objects.count() == 6
        assert figures() == before

    def test_is_written_by_the_periodic_task_if_its_directory_is_set(self, tmp_path: Path, settings: Any) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"archive_dir": tmp_path})
        at = datetime.now(UTC) - timedelta(days=32)
        record([request(at, "r")], at=at)
        tasks.maintain()
        assert names(tmp_path) == [f"inference-{at:%Y-%m-%d}.0001.jsonl.xz"]
        assert not InferenceMetrics.objects.exists()


@pytest.mark.django_db(transaction=True)
class AnArchiveOfDemoData:
    def test_is_small_and_equal_to_the_export(self, tmp_path: Path) -> None:
        noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
        fill(Workload(noon, days=0.06), noon)
        close_recorder(10)
        rows = exported("inference")

        counts = maintain(tmp_path, noon + timedelta(days=31))

        size = sum((tmp_path / name).stat().st_size for name in names(tmp_path))
        assert len(rows) > 3_000
        assert archived(tmp_path) == rows
        assert counts["inference_metrics"] == len(rows)
        assert size / len(rows) <= MAX_BYTES_OF_EVENT


class WhenAProcessIsKilled:
    @pytest.fixture
    def rows(self) -> list[dict[str, Any]]:
        record([request(ago(days=35, minutes=n), f"r{n}") for n in range(8)])
        return exported("inference")

    def test_before_the_file_has_its_name_no_row_is_deleted(
        self, tmp_path: Path, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(writing, "name_file", raising(KeyboardInterrupt()))
            patch.setattr(Path, "unlink", lambda *args, **options: None)  # a killed process removes nothing
            with pytest.raises(KeyboardInterrupt):
                maintain(tmp_path)
        assert names(tmp_path) == [".inference-2025-12-16.0001.jsonl.xz.partial"]
        assert exported("inference") == rows
        assert archived(tmp_path) == []

        maintain(tmp_path)
        assert names(tmp_path) == ["inference-2025-12-16.0001.jsonl.xz"]
        assert archived(tmp_path) == rows

    @pytest.mark.parametrize("deleted", [0, 5])
    def test_before_the_rows_are_deleted_they_are_archived_again_and_read_once(
        self, tmp_path: Path, rows: list[dict[str, Any]], deleted: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(self: Any, keys: list[Any], delete: Callable[[list[Any]], object]) -> int:
            if deleted:
                delete(keys[:deleted])
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("metrics.store.upkeep.deleting.Steps.run_all", killed)
            with pytest.raises(KeyboardInterrupt):
                maintain(tmp_path)
        assert exported("inference") == rows[deleted:]
        record([request(ago(days=35, minutes=0.5), "late")])

        maintain(tmp_path)

        assert len(names(tmp_path)) == 2
        assert not InferenceMetrics.objects.exists()
        assert sorted(row["request_id"] for row in archived(tmp_path)) == ["late", *(f"r{n}" for n in range(8))]


class ARowThatArrivesWhileAFileIsWritten:
    def test_is_not_deleted_with_it_but_archived_next(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        record([request(ago(days=35, minutes=n), f"r{n}") for n in range(3)])
        with monkeypatch.context() as patch:
            late = [request(ago(days=35, minutes=1.5), "late")]
            patch.setattr(writing, "sync_directory", lambda directory: record(late))
            due = iter([True, False, False])
            patch.setattr(archiving, "_is_due", lambda *args: next(due))
            maintain(tmp_path)
        assert list(by_hand()) == ["late"]
        assert len(archived(tmp_path)) == 3

        maintain(tmp_path)
        assert sorted(row["request_id"] for row in archived(tmp_path)) == ["late", "r0", "r1", "r2"]
        assert not InferenceMetrics.objects.exists()


class AnArchiveThatCannotBeWritten:
    @pytest.fixture(autouse=True)
    def _rows(self) -> None:
        record([request(ago(days=35), "r"), failure(ago(days=95), "e"), machine(ago(days=35))])

    def assert_kept(self) -> None:
        assert (InferenceMetrics.objects.count(), ErrorMetrics.objects.count()) == (1, 1)

    def test_because_its_directory_is_missing_keeps_the_rows_and_is_reported(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.ERROR, "metrics")

        maintain(tmp_path / "missing")

        self.assert_kept()
        assert not SystemMetrics.objects.exists()  # which are not archived
        assert "archiving rows (LLMMONITOR_ARCHIVE_DIR) failed" in caplog.text
        assert "Rows cannot be archived, so none are deleted by age: No such file or directory" in disk_detail()
        assert str(tmp_path) not in disk_detail()

        (tmp_path / "missing").mkdir()
        maintain(tmp_path / "missing")
        assert not InferenceMetrics.objects.exists()
        assert "archived" not in disk_detail()

    @pytest.mark.parametrize("step", ["fsync", "link"])
    def test_because_its_disk_is_full_keeps_the_rows_and_leaves_no_file(
        self, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, step, raising(OSError(errno.ENOSPC, "No space left on device")))
            patch.setattr(os, "rename", raising(OSError(errno.ENOSPC, "No space left on device")))
            maintain(tmp_path)
        self.assert_kept()
        assert names(tmp_path) == []
        assert "No space left on device" in disk_detail()

    def test_because_its_disk_is_nearly_full_keeps_the_rows(self, tmp_path: Path, settings: Any) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"disk_floor": 2**60})
        maintain(tmp_path)
        self.assert_kept()
        assert names(tmp_path) == []
        assert "LLMMONITOR_DISK_FLOOR" in str(archiving.archive_notice())

    def test_because_its_rows_cannot_be_read_keeps_them(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(queries, "export", raising(queries.QueryTooSlow(5)))
        maintain(tmp_path)
        self.assert_kept()
        assert names(tmp_path) == []

    def test_because_another_process_writes_it_keeps_the_rows(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", LOCKS, str(tmp_path / ".lock")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            assert other.stdin is not None
            assert other.stdout.readline() == b"locked\n"
            maintain(tmp_path)
            self.assert_kept()
            assert names(tmp_path) == []
            assert archiving.archive_notice() is None  # the other process archives them
            other.stdin.close()
        maintain(tmp_path)
        assert len(names(tmp_path)) == 2


class TheDiskLimit:
    @pytest.fixture(autouse=True)
    def _limit(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        # PostgreSQL's table may have free space of earlier tests, and is then not full.
        full = disk_limit._PostgresTable(1, True, 0)
        monkeypatch.setattr(disk_limit, "_postgres_table", lambda model: full)
        record([request(ago(hours=3, minutes=n), f"r{n}", metadata={"text": "x" * 900}) for n in range(900)])
        limit = used_bytes() - 400_000
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"max_disk": limit})

    def test_deletes_rows_after_they_are_archived(self, tmp_path: Path) -> None:
        rows = exported("inference")
        counts = maintain(tmp_path)
        left = exported("inference")
        assert len(left) < 900  # PostgreSQL's files do not shrink, so all may be deleted
        assert archived(tmp_path) + left == rows
        assert counts["inference_metrics"] == len(rows) - len(left)

    def test_deletes_rows_also_if_they_cannot_be_archived(self, tmp_path: Path) -> None:
        maintain(tmp_path / "missing")
        assert InferenceMetrics.objects.count() < 900
        assert "cannot be archived" in disk_detail()
