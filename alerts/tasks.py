"""The tasks: the evaluation of the rules, and the delivery of messages."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

from celery import shared_task

from alerts.delivery import heartbeats
from alerts.delivery.sending import deliver, due_channels
from alerts.evaluation.evaluate import EVERY_SECONDS, evaluate
from alerts.health import alerting_health
from llmmonitor.infra.task_times import periodic
from llmmonitor.infra.throttled_log import LogThrottle
from metrics.live import ring
from metrics.tasks import sample

logger = logging.getLogger(__name__)

HELD_SECONDS = 30  # after so long, or when a worker has been killed, another evaluation may begin
_slow = LogThrottle()


@shared_task(name="alerts.tasks.evaluate_alerts", expires=float(EVERY_SECONDS))
@periodic("evaluating alerts")
def evaluate_alerts() -> None:
    """Judge all rules, once in five seconds regardless of the number of schedulers and workers, one after the other."""
    with ring.held("evaluation", HELD_SECONDS) as is_ours:
        number = newest(time.time())
        if is_ours and ring.claim(number, "alerts"):
            begin = time.monotonic()
            evaluate(datetime.fromtimestamp(number * EVERY_SECONDS, UTC))
            _warn_if_slow(begin, time.monotonic())


def newest(now: float) -> int:
    """Return the number of the newest multiple of five seconds whose second has ended, so that it can be read whole.

    A backtest judges at the same times, and reads the same seconds.
    """
    return int(now - 1) // EVERY_SECONDS


@shared_task(name="alerts.tasks.find_messages", expires=1.0)
@periodic("finding messages to send")
def find_messages() -> None:
    """Start to send to each channel that has a message to send now."""
    for channel_id in due_channels(datetime.now(UTC)):
        send_messages.delay(channel_id)


@shared_task(name="alerts.tasks.watch_alerting", expires=10.0)
@periodic("watching the evaluation of alerts")
def watch_alerting() -> None:
    """Send the heartbeats that are due. If no other worker judges the rules, do it here, so that an alert fires."""
    now = datetime.now(UTC)
    for channel_id in heartbeats.due_channels(now):
        send_heartbeat.delay(channel_id)
    health = alerting_health(now)
    if health.is_late or health.evaluated_at is None:
        sample()
        evaluate_alerts()


@shared_task(name="alerts.tasks.send_heartbeat", expires=10.0)
@periodic("sending a heartbeat by the channel {0}")
def send_heartbeat(channel_id: str) -> None:
    """Send a heartbeat that is due, unless another task does."""
    heartbeats.send(channel_id, datetime.now(UTC))


@shared_task(name="alerts.tasks.send_messages", expires=10.0)
@periodic("sending the messages of the channel {0}")
def send_messages(channel_id: str) -> None:
    """Send the due messages of a channel, unless another task does."""
    deliver(channel_id)


def _warn_if_slow(begin: float, end: float) -> None:
    if end - begin > EVERY_SECONDS and _slow.failed("slow", end):
        logger.warning(
            "Evaluating the alert rules took %.1f s, more than %d s: use fewer rules, or shorter windows.",
            end - begin,
            EVERY_SECONDS,
        )
