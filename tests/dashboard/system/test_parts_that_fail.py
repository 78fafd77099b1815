"""The System page while a part of the monitor does not work and events are stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from alerts.models import AlertRule, Evaluation
from dashboard.system import page
from llmmonitor.backup.models import LastBackup
from llmmonitor.infra.telemetry import Telemetry
from metrics import readiness
from metrics.store.upkeep.archiving import NOTICE, ArchiveProblem, note_problem

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Later, it would be late that no task has run."""
    monkeypatch.setattr(page, "telemetry", Telemetry())
    monkeypatch.setattr(readiness, "_cached_report", None)
    yield
    caches["default"].delete(NOTICE)


def read_page() -> dict[str, Any]:
    client = Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")
    figures: dict[str, Any] = client.get(reverse("system-figures")).json()
    return figures


class ThePage:
    def test_is_green_while_all_parts_work(self) -> None:
        figures = read_page()

        assert figures["sentence"]["state"] == "ok"
        assert "needs attention" not in figures["tables"]["parts"]

    def test_names_an_archive_that_cannot_be_written(self) -> None:
        note_problem(ArchiveProblem("No such file or directory"))

        figures = read_page()

        assert figures["sentence"]["state"] == "warning"
        assert figures["sentence"]["title"] == "The monitor is not well: requests and errors cannot be archived."
        assert "Disk<span" in figures["tables"]["parts"]
        assert figures["tables"]["parts"].count("needs attention") == 1

    def test_names_a_backup_that_failed(self, settings: Any, tmp_path: Any) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"backup_dir": tmp_path / "missing"})
        LastBackup.objects.create(
            by=LastBackup.By.SCHEDULE, attempted_at=timezone.now(), error="No such file or directory"
        )

        assert read_page()["sentence"]["title"] == "The monitor is not well: the newest backup failed."

    def test_names_a_rule_that_cannot_be_judged(self) -> None:
        rule = AlertRule.objects.filter(enabled=True).first()
        assert rule is not None
        Evaluation.objects.create(at=timezone.now(), duration_ms=2.0, errors={rule.pk: "no such metric"})

        assert read_page()["sentence"]["title"] == "The monitor is not well: 1 alert rule cannot be judged."
