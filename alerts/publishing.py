"""Sends the changes of alerts to the live clients, and keeps the hot numbers of alerts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import partial

from django.db import transaction

from alerts import hot_numbers, queries
from alerts.models import AlertChange
from llmmonitor.infra.throttled_log import log_throttled
from metrics.live.messages import send_to_clients

logger = logging.getLogger(__name__)

REREAD = {"type": "alerts_changed"}


def publish(changes: Iterable[AlertChange]) -> None:
    """Send stored changes to the live clients when the transaction is committed. Does not raise."""
    transaction.on_commit(partial(_publish, list(changes)))


def _publish(changes: Sequence[AlertChange]) -> None:
    try:
        hot_numbers.refresh()
        send_to_clients(
            (
                {"type": "alert", "change": queries.change_as_dict(change), "alert": queries.as_dict(change.alert)}
                for change in changes
            ),
            or_else=REREAD,
        )
    except Exception as error:  # noqa: BLE001 (the changes are stored; clients read them after the next tick)
        log_throttled(logger, "publishing changes of alerts", error)
