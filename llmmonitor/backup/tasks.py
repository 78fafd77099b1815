"""The periodic task of backups."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from celery import shared_task

from llmmonitor.infra.throttled_log import log_throttled

logger = logging.getLogger(__name__)


@shared_task(name="llmmonitor.backup.tasks.back_up", expires=60.0)
def back_up() -> None:
    """Start a backup if one is due."""
    from llmmonitor.backup import schedule

    try:
        if schedule.is_due(datetime.now(UTC)):
            schedule.start_in_child()
    except Exception as error:  # noqa: BLE001 (the task runs again in a minute)
        log_throttled(logger, "backup", error)
