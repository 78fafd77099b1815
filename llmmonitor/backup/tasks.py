"""The periodic task of backups."""

from __future__ import annotations

from datetime import UTC, datetime

from celery import shared_task

from llmmonitor.infra.task_times import periodic


@shared_task(name="llmmonitor.backup.tasks.back_up", expires=10.0)
@periodic("backup")
def back_up() -> None:
    """Start a backup if one is due."""
    from llmmonitor.backup import schedule

    if schedule.is_due(datetime.now(UTC)):
        schedule.start_in_child()
