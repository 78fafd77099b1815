"""Sends the changes of alerts to the live clients, and keeps the hot numbers of alerts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction

from alerts import hot_numbers, queries
from alerts.models import AlertChange
from llmmonitor.infra.throttled_log import log_throttled
from metrics.live.messages import send_to_clients

logger = logging.getLogger(__name__)

REREAD = {"type": "alerts_changed"}


def publish(changes: Iterable[AlertChange]) -> None:
    """Send stored changes to the live clients when the transaction is committed. Does not raise."""
    changed = list(changes)
    transaction.on_commit(
        lambda: _publish(
            {"type": "alert", "change": queries.change_as_dict(change), "alert": queries.as_dict(change.alert)}
            for change in changed
        )
    )


def publish_reread() -> None:
    """Tell the live clients to read the alerts again when the transaction is committed. Does not raise."""
    transaction.on_commit(lambda: _publish([REREAD]))


def _publish(messages: Iterable[Mapping[str, Any]]) -> None:
    try:
        hot_numbers.refresh()
        send_to_clients(messages, or_else=REREAD)
    except Exception as error:  # noqa: BLE001 (the changes are stored; clients read them after the next tick)
        log_throttled(logger, "publishing changes of alerts", error)
