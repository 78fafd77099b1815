"""`manage.py archive restore`: rows that were deleted are stored again, and no figure changes."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from metrics import queries
from metrics.models import ErrorGroupRollup, ErrorMetrics, InferenceMetrics, InferenceRollup, RawFloor
from metrics.store.unavailable import StoreUnavailable
from metrics.store.upkeep import maintenance
from metrics.store.writing.transaction import Store
from tests.metrics.archive.stored_rows import exported, maintain, names, raising
from tests.metrics.importing.test_round_trip import HARD_TEXTS
from tests.metrics.store.kept import failure, record, request

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime.now(UTC).replace(microsecond=0)
OLD = NOW - timedelta(days=100)
COUNT = len(HARD_TEXTS)


def keep(settings: Any, days: float) -> None:
    kept = {"raw_inference_days": days, "errors_days": days}
    settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update=kept)


def restore(directory: Path, *arguments: str) -> str:
    out = io.StringIO()
    call_command("archive", "restore", "--dir", str(directory), *arguments, stdout=out)
    return out.getvalue()


def figures() -> dict[str, Any]:
    window = queries.Window.last(399 * 86_400, NOW)
    summary = queries.summary(window, queries.Filters(), NOW).as_dict()
    counts = [sorted(model.objects.values_list()) for model in (InferenceRollup, ErrorGroupRollup)]
    return {name: value for name, value in summary.items() if name != "age_seconds"} | {"rows": counts}


@pytest.fixture
def rows(tmp_path: Path, settings: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What was stored before upkeep archived it: requests, failed ones with their errors, and errors alone."""
    for n, text in enumerate(HARD_TEXTS):
        at = OLD + timedelta(seconds=20 * n)
        failed = {"success": n % 3 > 0, "error_message": text, "status_code": 500, "severity": "CRITICAL"}
        record([request(at, f"r{n}", metadata={"note": text}, **failed if n % 3 == 0 else {})], at=NOW)
        record([failure(at, f"r{n}"), failure(at, f"e{n}", error_message=text, provider="vllm")], at=NOW)
    keep(settings, 400)
    before = exported("inference"), exported("errors")
    keep(settings, 30)
    maintain(tmp_path, NOW)
    assert not InferenceMetrics.objects.exists()
    assert not ErrorMetrics.objects.exists()
    return before


class ARestore:
    def test_stores_the_rows_as_they_were_and_changes_no_figure(
        self, tmp_path: Path, rows: tuple[Any, Any], settings: Any
    ) -> None:
        keep(settings, 400)
        before = figures()

        report = restore(tmp_path)

        assert f"inference:\n{COUNT:,} rows read: {COUNT} stored, 0 rejected" in report
        assert exported("inference") == rows[0]
        assert sorted(exported("errors"), key=repr) == sorted(rows[1], key=repr)
        assert figures() == before
        assert before["total_requests"] > COUNT

        assert f"{COUNT} duplicates" in restore(tmp_path)
        assert InferenceMetrics.objects.count() == COUNT
        assert figures() == before

    def test_of_rows_that_would_be_deleted_at_once_names_the_setting(self, tmp_path: Path, rows: Any) -> None:
        report = restore(tmp_path)
        assert f"{COUNT}  older than 30 days, which LLMMONITOR_RAW_INFERENCE_DAYS keeps" in report
        assert "older than 30 days, which LLMMONITOR_ERRORS_DAYS keeps" in report
        assert not InferenceMetrics.objects.exists()

    def test_stores_rows_of_a_window(self, tmp_path: Path, rows: Any, settings: Any) -> None:
        keep(settings, 400)
        start, end = OLD + timedelta(seconds=20), OLD + timedelta(seconds=60)
        restore(tmp_path, "--from", start.isoformat(), "--to", end.isoformat())
        assert sorted(InferenceMetrics.objects.values_list("request_id", flat=True)) == ["r1", "r2"]

    def test_can_be_tried(self, tmp_path: Path, rows: Any, settings: Any) -> None:
        keep(settings, 400)
        report = restore(tmp_path, "--dry-run")
        assert f"{COUNT} valid" in report
        assert report.endswith("Nothing is stored.\n")
        assert not InferenceMetrics.objects.exists()

    def test_in_an_instance_that_has_not_deleted_rows_stores_none(
        self, tmp_path: Path, rows: Any, settings: Any
    ) -> None:
        keep(settings, 400)
        RawFloor.objects.update(at=OLD - timedelta(days=1))
        assert f"{COUNT}  of a time whose rows this instance has not deleted" in restore(tmp_path)
        assert not InferenceMetrics.objects.exists()
        RawFloor.objects.all().delete()
        assert "of a time whose rows this instance has not deleted" in restore(tmp_path)
        assert not InferenceMetrics.objects.exists()

    def test_is_deleted_and_archived_again_by_a_shorter_retention(
        self, tmp_path: Path, rows: tuple[Any, Any], settings: Any
    ) -> None:
        keep(settings, 400)
        restore(tmp_path)
        maintenance.maintain(NOW, 10.0)
        assert InferenceMetrics.objects.count() == COUNT  # they are kept as long as the setting says
        keep(settings, 30)
        maintain(tmp_path, NOW)
        assert not InferenceMetrics.objects.exists()
        keep(settings, 400)
        assert f"inference:\n{COUNT:,} rows read" in restore(tmp_path)

    def test_from_a_damaged_file_fails_with_its_name(self, tmp_path: Path, rows: Any, settings: Any) -> None:
        keep(settings, 400)
        path = tmp_path / next(name for name in names(tmp_path) if name.startswith("inference"))
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(CommandError, match=path.name):
            restore(tmp_path)
        assert not InferenceMetrics.objects.exists()

    @pytest.mark.parametrize(
        ("error", "text"),
        [
            (KeyboardInterrupt(), "Stopped in inference. What is stored stays"),
            (StoreUnavailable("locked", "No."), "No."),
        ],
    )
    def test_that_is_stopped_can_be_continued(
        self, tmp_path: Path, rows: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException, text: str
    ) -> None:
        keep(settings, 400)
        monkeypatch.setattr(Store, "restore", raising(error))
        with pytest.raises(CommandError, match=text):
            restore(tmp_path)
