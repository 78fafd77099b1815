"""The periodic task."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

from celery import shared_task

from alerts.evaluation.evaluate import EVERY_SECONDS, evaluate
from llmmonitor.infra.throttled_log import LogThrottle, log_throttled
from metrics.live import ring

logger = logging.getLogger(__name__)

HELD_SECONDS = 30  # after so long, or when a worker has been killed, another evaluation may begin
_slow = LogThrottle()


@shared_task(name="alerts.tasks.evaluate_alerts", expires=float(EVERY_SECONDS))
def evaluate_alerts() -> None:
    """Judge all rules, once in five seconds regardless of the number of schedulers and workers, one after the other."""
    try:
        with ring.held("evaluation", HELD_SECONDS) as is_ours:
            at = datetime.now(UTC)
            if is_ours and ring.claim(int(at.timestamp()) // EVERY_SECONDS, "alerts"):
                begin = time.monotonic()
                evaluate(at)
                _warn_if_slow(begin, time.monotonic())
    except Exception as error:  # noqa: BLE001 (the task runs again in five seconds)
        log_throttled(logger, "evaluating alerts", error)


def _warn_if_slow(begin: float, end: float) -> None:
    if end - begin > EVERY_SECONDS and _slow.failed("slow", end):
        logger.warning(
            "Evaluating the alert rules took %.1f s, more than %d s: use fewer rules, or shorter windows.",
            end - begin,
            EVERY_SECONDS,
        )
