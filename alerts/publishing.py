"""Logs the changes of alerts, sends them to the live clients, and keeps the hot numbers of alerts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import chain

from django.db import transaction

from alerts import hot_numbers, queries
from alerts.change_log import log_change
from alerts.models import AlertChange
from llmmonitor.infra.throttled_log import log_throttled
from metrics.live.messages import send_to_clients

logger = logging.getLogger(__name__)

REREAD = {"type": "alerts_changed"}


def announce(changes: Iterable[AlertChange], reread: bool = False) -> None:
    """Log changes and send them to the live clients when the transaction that stores them is committed.

    reread: the clients read the alerts again, because of what is no change, such as a new name of a rule. A process
    that ends between the commit and the log has stored a change that is not logged.
    """
    announced = list(changes)
    transaction.on_commit(lambda: _announce(announced, reread))


def _announce(changes: Sequence[AlertChange], reread: bool) -> None:
    for change in changes:
        log_change(change)
    messages = (
        {"type": "alert", "change": queries.change_as_dict(change), "alert": queries.as_dict(change.alert)}
        for change in changes
    )
    try:
        hot_numbers.refresh()
        send_to_clients(chain([REREAD] if reread else [], messages), or_else=REREAD)
    except Exception as error:  # noqa: BLE001 (the changes are stored; clients read them after the next tick)
        log_throttled(logger, "publishing changes of alerts", error)
