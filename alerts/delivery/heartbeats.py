"""Heartbeats: messages that are sent while alerts are judged and delivered, so that a receiver notices when they cease.

A heartbeat that is not accepted is not tried again: the next one follows.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from django.db.models import Q

from alerts.channels.message import Message, MessageKind
from alerts.delivery.attempt import attempt
from alerts.delivery.composing import PAGE, url_of
from alerts.health import alerting_health
from alerts.models import Channel
from llmmonitor.infra.throttled_log import log_throttled
from metrics.store.write_lock import write_lock

logger = logging.getLogger(__name__)

MAX_ERROR = 500
EARLY = timedelta(seconds=5)  # half the time between two looks: the delays of tasks must not add one to each interval


def due_channels(now: datetime) -> list[str]:
    """Return the channels for which a heartbeat is due. None is due while alerts are not judged or not delivered."""
    channels = Channel.objects.filter(enabled=True, heartbeat_seconds__isnull=False)
    due = [channel.pk for channel in channels if _is_due(channel, now)]
    return due if due and alerting_health(now).delivers else []


def send(channel_id: str, now: datetime) -> bool:
    """Send a heartbeat, unless it is not due or another process sends it. Return whether it was accepted."""
    channel = Channel.objects.filter(pk=channel_id, enabled=True).first()
    if channel is None or not _is_due(channel, now):
        return False
    same = Q(heartbeat_at=channel.heartbeat_at)
    with write_lock():
        if not Channel.objects.filter(same, pk=channel_id).update(heartbeat_at=now):
            return False
    failure = attempt(channel, partial(heartbeat, now))
    if failure:
        log_throttled(logger, f"sending a heartbeat by the channel {channel_id}", failure)
    error = f"heartbeat: {failure}"[:MAX_ERROR] if failure else ""
    if error != channel.heartbeat_error:
        with write_lock():
            # Not if the channel was changed meanwhile.
            Channel.objects.filter(pk=channel_id, heartbeat_at=now).update(heartbeat_error=error)
    return not error


def heartbeat(now: datetime) -> Message:
    """Return a message without alerts."""
    return Message(str(uuid4()), MessageKind.HEARTBEAT, now, url=url_of(PAGE))


def _is_due(channel: Channel, now: datetime) -> bool:
    if channel.heartbeat_seconds is None:
        return False
    every = timedelta(seconds=channel.heartbeat_seconds)
    # A time in the future is from before the clock was set back.
    return channel.heartbeat_at is None or not timedelta(0) <= now - channel.heartbeat_at < every - EARLY
