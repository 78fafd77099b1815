"""The periodic task."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from celery import shared_task

from alerts.evaluation.evaluate import EVERY_SECONDS, evaluate
from alerts.publishing import publish
from llmmonitor.infra.throttled_log import log_throttled
from metrics.live import ring

logger = logging.getLogger(__name__)


@shared_task(name="alerts.tasks.evaluate_alerts", expires=float(EVERY_SECONDS))
def evaluate_alerts() -> None:
    """Judge all rules, once in five seconds regardless of the number of schedulers and workers."""
    try:
        at = datetime.now(UTC)
        if ring.claim(int(at.timestamp()) // EVERY_SECONDS, "alerts"):
            publish(evaluate(at))
    except Exception as error:  # noqa: BLE001 (the task runs again in five seconds)
        log_throttled(logger, "evaluating alerts", error)
