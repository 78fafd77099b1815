"""What people and programs are shown of a channel: never its secrets."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from alerts.channels import secrets
from alerts.channels.failure import SendFailed
from alerts.channels.kinds import KINDS
from alerts.channels.stored import known, secret_names, settings_of
from alerts.channels.writing import FIELDS, IS_SET
from alerts.models import Channel, Delivery
from metrics.queries.time.window import iso


def counted(channels: QuerySet[Channel]) -> QuerySet[Any]:
    """Add what has become of the messages.

    `waiting` and `dead`: their numbers. `last_sent_at`, `last_dead_at`: when the last one was sent, or given up.
    `waiting_error`: why the newest one was not sent yet. `dead_error`: why the last one was given up.
    """
    # In subqueries, which an index answers without reading the messages that were sent.
    of_channel = Delivery.objects.filter(channel=OuterRef("pk"))
    sent = of_channel.filter(state=Delivery.State.SENT).order_by("-ended_at")
    dead = of_channel.filter(state=Delivery.State.DEAD).order_by("-ended_at")
    waiting = of_channel.filter(state=Delivery.State.WAITING).order_by("-created_at")
    return channels.annotate(
        waiting=_number(waiting),
        dead=_number(dead),
        last_sent_at=Subquery(sent.values("ended_at")[:1]),
        last_dead_at=Subquery(dead.values("ended_at")[:1]),
        waiting_error=Subquery(waiting.exclude(last_error="").values("last_error")[:1]),
        dead_error=Subquery(dead.values("last_error")[:1]),
    )


def as_dict(channel: Any) -> dict[str, Any]:
    """Return a channel of `counted`. A secret is `{"is_set": true}`."""
    secret = {name: {IS_SET: is_set} for name, is_set in secrets_set(channel).items()}
    shown, problem = shown_of(channel)
    return {
        **{name: getattr(channel, name) for name in FIELDS},
        "settings": {**channel.settings, **secret},
        "title": KINDS[channel.kind].title,
        "shown": shown,
        "problem": problem,
        "waiting": channel.waiting,
        "dead": channel.dead,
        "last_sent_at": iso(channel.last_sent_at) if channel.last_sent_at else None,
        "created_at": iso(channel.created_at),
    }


def secrets_set(channel: Channel) -> dict[str, bool]:
    """Return the names of the secret settings, and whether each has a value that can be used."""
    try:
        values = known(channel)
    except secrets.CannotDecrypt:
        values = {}
    return {name: bool(values.get(name)) for name in secret_names(KINDS[channel.kind])}


def shown_of(channel: Channel) -> tuple[str, str | None]:
    """Return what a person recognizes the channel by, and why nothing can be sent by it; None if it can."""
    try:
        settings = settings_of(channel)
    except SendFailed as failure:
        return "", str(failure)
    return KINDS[channel.kind].shown(settings), None


def _number(deliveries: QuerySet[Delivery]) -> Coalesce:
    numbers = deliveries.order_by().values("channel").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(numbers), 0)
