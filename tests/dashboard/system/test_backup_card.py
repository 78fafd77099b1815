"""The card of backups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dashboard.system.backup import Backup
from llmmonitor.backup.models import LastBackup

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def lines(backup: Backup) -> dict[str, str]:
    return {name: str(value).replace("\u00a0", " ") for name, value in backup.rows_of_card()}


class TheCard:
    def test_says_how_to_turn_the_schedule_on(self) -> None:
        off = "off: set LLMMONITOR_BACKUP_DIR to a directory and start the server again"
        assert lines(Backup(NOW)) == {"Last": "never", "Schedule": off}

    def test_has_the_last_backup_and_the_next(self) -> None:
        made = NOW - timedelta(hours=10)
        last = LastBackup(
            succeeded_at=made, size_bytes=1_200_000_000, row_count=18_300_000, duration_seconds=48.0, has_secrets=True
        )
        backup = Backup(NOW, DAY, 7, last, scheduled=last)

        assert lines(backup) == {
            "Last": str(made),
            "Took": "48.0 s",
            "Size": "1.12 GiB",
            "Rows": "18,300,000",
            "Secrets": "encrypted, in it",
            "Kept": "the newest 7",
            "Next": str(made + DAY),
        }
        assert not backup.is_late

    def test_says_that_a_backup_begins_or_is_being_written(self) -> None:
        made = NOW - timedelta(hours=10)

        def now(**state: Any) -> str | None:
            return lines(Backup(NOW, DAY, 7, scheduled=LastBackup(**state))).get("Now")

        assert now(succeeded_at=made, attempted_at=made) is None
        assert now(succeeded_at=made, attempted_at=made, asked_at=NOW) == "begins within 10 seconds"
        assert now(succeeded_at=made, attempted_at=NOW) == "being written"
        assert now(succeeded_at=made, attempted_at=NOW, error="disk full") is None
        assert now(attempted_at=NOW) == "being written"

    def test_names_the_error_of_the_newest_attempt(self) -> None:
        backup = Backup(NOW, DAY, 7, scheduled=LastBackup(error="disk full"))

        assert lines(backup)["Error"] == "disk full"
        part = backup.part()
        assert part is not None
        assert (part.problem, part.text) == ("the newest backup failed", "the newest attempt failed")

    def test_is_late_an_hour_after_a_backup_was_due(self) -> None:
        for hours, late in ((24.9, False), (25.1, True)):
            made = LastBackup(succeeded_at=NOW - timedelta(hours=hours))
            assert Backup(NOW, DAY, 7, scheduled=made).is_late is late
