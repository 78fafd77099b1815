"""Messages to the live clients that do not belong to a second: other apps send them when something has changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from metrics.live.outbox import MAX_MESSAGES
from metrics.live.ring import encode
from metrics.live.ticker import send_to_group

KIND = "live.messages"


def send_to_clients(messages: Iterable[Mapping[str, Any]], or_else: Mapping[str, Any]) -> None:
    """Send the messages to the clients of all processes, in this order.

    If there are more than MAX_MESSAGES, or if a client has not read earlier ones, `or_else` is sent in their place.
    """
    # One more than an outbox accepts shows it that there are too many.
    texts = [encode(message).decode() for message in islice(messages, MAX_MESSAGES + 1)]
    if texts:
        send_to_group({"type": KIND, "texts": texts, "or_else": encode(or_else).decode()})
