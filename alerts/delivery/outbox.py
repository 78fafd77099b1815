"""The messages that are due: they are stored in the transaction that stores the changes of the alerts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from django.db import connection

from alerts.channels.message import MessageKind
from alerts.delivery.due import due_of
from alerts.evaluation.judging import Status
from alerts.models import Alert, AlertChange, Channel, Delivery
from alerts.rules.spec import RuleSpec

MAX_IDS = 10_000  # of a statement

# channel, rule, kind -> ids of the changes
Messages = Mapping[tuple[str, str, MessageKind], Sequence[int]]


def add_messages(
    rules: Sequence[RuleSpec], alerts: Iterable[Alert], changes: Iterable[AlertChange], at: datetime
) -> None:
    """Store a message for each rule and channel.

    rules: those that were judged. alerts: all open ones, with their silences. changes: those of this evaluation,
    stored. The end of an alert is sent to the channels to which its beginning was.
    """
    messages: dict[tuple[str, str, MessageKind], list[int]] = defaultdict(list)
    for channel, alert, change in _ends(changes):
        messages[channel, alert.rule_id, MessageKind.CHANGE].append(change.pk)
    due = _due(rules, alerts, at)
    begins = _firing_changes([alert for alert, _, _ in due])
    for alert, kind, channels in due:
        for channel in channels if alert.pk in begins else ():
            messages[channel, alert.rule_id, kind].append(begins[alert.pk])
    for numbers in _cut([alert.pk for alert, _, _ in due]):
        Alert.objects.filter(pk__in=numbers).update(notified_at=at)
    _store(messages, at)


def _due(
    rules: Sequence[RuleSpec], alerts: Iterable[Alert], at: datetime
) -> list[tuple[Alert, MessageKind, Sequence[str]]]:
    """Return the alerts of which a message is due, which one, and the channels. Without a channel, none is due."""
    enabled = dict(
        Channel.objects.filter(enabled=True, heartbeat_seconds=None).order_by("pk").values_list("pk", "is_default")
    )
    defaults = [channel for channel, is_default in enabled.items() if is_default]
    channels = {
        rule.id: [name for name in rule.channels if name in enabled] if rule.channels else defaults for rule in rules
    }
    repeats = {rule.id: rule.repeat_seconds for rule in rules}
    return [
        (alert, kind, channels[alert.rule_id])
        for alert in alerts
        if channels.get(alert.rule_id) and (kind := due_of(alert, repeats[alert.rule_id], at))
    ]


def _ends(changes: Iterable[AlertChange]) -> Iterator[tuple[str, Alert, AlertChange]]:
    """Yield the ends of alerts with each channel to which their beginning was sent, or is still to be.

    Also a disabled one: when it is enabled again, its receiver must not keep the alert.
    """
    ends = {
        change.alert.pk: change
        for change in changes
        if change.to == Status.RESOLVED and change.alert.notified_at is not None
    }
    for numbers in _cut(list(ends)):
        sent = Delivery.objects.filter(changes__alert__in=numbers).order_by("channel_id")
        for channel, alert in sent.values_list("channel_id", "changes__alert_id").distinct():
            if alert in ends:
                yield channel, ends[alert].alert, ends[alert]


def _firing_changes(alerts: Sequence[Alert]) -> dict[int, int]:
    """Return the id of the change with which each alert began to fire."""
    begins: dict[int, int] = {}
    for numbers in _cut([alert.pk for alert in alerts]):
        rows = AlertChange.objects.filter(alert__in=numbers, to=Status.FIRING).order_by("pk")
        begins.update(rows.values_list("alert_id", "pk"))
    return begins


def _store(messages: Messages, at: datetime) -> None:
    if not messages:
        return
    rows = {
        key: Delivery(channel_id=key[0], rule_id=key[1], kind=key[2], created_at=at, next_attempt_at=at)
        for key in messages
    }
    Delivery.objects.bulk_create(rows.values())
    # Without an object for each: a thousand rules with many groups and channels have hundreds of thousands.
    prepared = Delivery._meta.pk.get_db_prep_value
    ids = {key: prepared(row.pk, connection) for key, row in rows.items()}
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {Delivery.changes.through._meta.db_table} (delivery_id, alertchange_id) VALUES (%s, %s)",  # noqa: S608
            [(ids[key], change) for key, changes in messages.items() for change in changes],
        )


def _cut(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[first : first + MAX_IDS] for first in range(0, len(numbers), MAX_IDS))
