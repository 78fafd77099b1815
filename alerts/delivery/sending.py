"""Sends the messages of a channel, one after the other.

A process leases the channel while it sends, so that two do not send the same message. A process that is killed between
the receiver's acceptance and the note of it has sent a message that is sent again, with the same id.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from alerts.channels.failure import SendFailed
from alerts.channels.kind import SEND_SECONDS
from alerts.delivery.attempt import attempt
from alerts.delivery.composing import message_of
from alerts.delivery.retries import LONGEST_PAUSE_SECONDS, is_given_up, next_attempt
from alerts.delivery.summaries import summarize
from alerts.models import AlertChange, Channel, Delivery
from llmmonitor.infra.throttled_log import log_throttled
from metrics.store.write_lock import write_lock

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=3 * SEND_SECONDS)  # after so long, or when a process was killed, another one may send
MAX_MESSAGES = 100  # of one task
MAX_WAITING = 1_000  # that are looked at to choose the next one
MAX_ERROR = 500
MINUTE = timedelta(minutes=1)
# Nothing waits longer. A time further off is from before the clock was set back.
FURTHEST = timedelta(seconds=LONGEST_PAUSE_SECONDS) + MINUTE

Clock = Callable[[], datetime]


def due_channels(now: datetime) -> list[str]:
    """Return the channels that have a message to send now, and to which no process sends."""
    waiting = Delivery.objects.filter(channel=OuterRef("pk"), state=Delivery.State.WAITING)
    due = Exists(waiting.filter(_has_come("next_attempt_at", now)))
    return list(Channel.objects.filter(due, _free(now), enabled=True).values_list("pk", flat=True))


def deliver(channel_id: str, clock: Clock = timezone.now) -> int:
    """Send the due messages of a channel, until one fails or the rate limit is reached. Return how many were sent."""
    sent = 0
    while sent < MAX_MESSAGES and (channel := _lease(channel_id, clock())) is not None:
        try:
            delivery = _next(channel, clock)
            if delivery is None or not _send(channel, delivery, clock):
                break
        finally:
            Channel.objects.filter(pk=channel_id, leased_until=channel.leased_until).update(leased_until=None)
        sent += 1
    return sent


def _free(now: datetime) -> Q:
    is_not_leased = Q(leased_until=None) | _has_come("leased_until", now)
    is_not_paused = Q(paused_until=None) | _has_come("paused_until", now)
    return is_not_leased & is_not_paused


def _has_come(field: str, now: datetime) -> Q:
    return Q(**{f"{field}__lte": now}) | Q(**{f"{field}__gt": now + FURTHEST})


def _lease(channel_id: str, now: datetime) -> Channel | None:
    """Return the channel if this process may send to it now."""
    until = now + LEASE
    with write_lock():
        if not Channel.objects.filter(_free(now), pk=channel_id, enabled=True).update(leased_until=until):
            return None
    return Channel.objects.filter(pk=channel_id, leased_until=until).first()


def _next(channel: Channel, clock: Clock) -> Delivery | None:
    """Return the message to send: the oldest that is due. One of a rule waits for the earlier ones of the rule.

    If more are due than the channel may get in this minute, they become one.
    """
    now = clock()
    waiting = channel.deliveries.filter(state=Delivery.State.WAITING).order_by("created_at", "kind", "pk")
    due: list[Delivery] = []
    delayed: set[str] = set()
    for delivery in waiting[:MAX_WAITING]:
        if now < delivery.next_attempt_at <= now + FURTHEST:
            delayed |= _rules_of(delivery)
        elif delivery.rule_id not in delayed:
            due.append(delivery)
    if not due:
        return None
    sent = channel.deliveries.filter(state=Delivery.State.SENT, ended_at__gt=now - MINUTE, ended_at__lte=now)
    newest = sent.order_by("-ended_at")[: channel.max_per_minute]
    times = [delivery.ended_at for delivery in newest if delivery.ended_at is not None]
    if len(times) == channel.max_per_minute:
        Channel.objects.filter(pk=channel.pk).update(paused_until=min(times) + MINUTE)
        return None
    return due[0] if len(due) <= channel.max_per_minute - len(times) else summarize(due, now)


def _rules_of(delivery: Delivery) -> set[str]:
    if delivery.rule_id:
        return {delivery.rule_id}
    changes = AlertChange.objects.filter(deliveries=delivery)  # of a summary
    return set(changes.values_list("alert__rule_id", flat=True))


def _send(channel: Channel, delivery: Delivery, clock: Clock) -> bool:
    """Send a message and store the result. Return whether it was accepted."""
    failure = attempt(channel, partial(message_of, delivery))
    if failure:
        _failed(channel, delivery, failure, clock())
    else:
        _accepted(channel, delivery, clock())
    return failure is None


def _accepted(channel: Channel, delivery: Delivery, now: datetime) -> None:
    with write_lock(), transaction.atomic():
        Channel.lock(channel.pk)
        # It is gone if the channel was deleted meanwhile.
        Delivery.objects.filter(pk=delivery.pk).update(
            state=Delivery.State.SENT, ended_at=now, last_error="", attempts=delivery.attempts + 1
        )
        # The receiver is there again: the others need not wait.
        channel.deliveries.filter(state=Delivery.State.WAITING, attempts__gt=0).update(next_attempt_at=now)


def _failed(channel: Channel, delivery: Delivery, failure: SendFailed, now: datetime) -> None:
    attempts = delivery.attempts + 1
    result: dict[str, Any] = {"attempts": attempts, "last_error": str(failure)[:MAX_ERROR]}
    paused_until = None
    if failure.is_final or is_given_up(delivery.created_at, now):
        result |= {"state": Delivery.State.DEAD, "ended_at": now}
        logger.error("Message %s of the channel %s is given up: %s.", delivery.pk, channel.pk, failure)
    else:
        chance = random.random()  # noqa: S311 (not a secret)
        next_at = next_attempt(attempts, now, chance, failure.retry_after_seconds)
        result["next_attempt_at"] = next_at
        paused_until = next_at if failure.retry_after_seconds else None
        log_throttled(logger, f"sending a message by the channel {channel.pk}", failure)
    with write_lock(), transaction.atomic():
        Channel.lock(channel.pk)
        # Not if another process, which got the lease when this one was slow, has sent it.
        Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.WAITING).update(**result)
        if paused_until:
            Channel.objects.filter(pk=channel.pk).update(paused_until=paused_until)


def retry(delivery_id: UUID, now: datetime) -> bool:
    """Try a dead message again. Return whether there was one. Its time until it is given up begins again."""
    with write_lock():
        dead = Delivery.objects.filter(pk=delivery_id, state=Delivery.State.DEAD)
        return bool(dead.update(state=Delivery.State.WAITING, next_attempt_at=now, ended_at=None, created_at=now))
