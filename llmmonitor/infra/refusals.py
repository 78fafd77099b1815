"""Events and posts that were not stored: how many, for which reason, from which senders, and when the last one was.

They are counters of the telemetry. A sender is what is known where events are counted: the name of an API key, or the
kind of the events. Nothing of an event is kept.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from llmmonitor.infra.telemetry import Totals, telemetry

REJECTED_EVENTS, REFUSED_POSTS = "rejected_events", "refused_posts"
EVENTS, DUPLICATE = "events", "duplicate"
# A label has a reason and a sender, each shortened so that the telemetry shortens neither.
SEPARATOR = "\x1e"
MAX_PART = 39


def count(name: str, reason: str, amount: int = 1, *, sender: str = "") -> None:
    """Count what was not stored, as the counter of this name and label, and who sent it."""
    if amount:
        telemetry.count(name, reason, amount)
        telemetry.note(f"{name}_last_at", time.time(), reason)
        count_sender(name, reason, amount, sender=sender)


def count_sender(name: str, reason: str, amount: int = 1, *, sender: str) -> None:
    """Count who sent what is counted already, where that is known later. Nothing without a sender."""
    if sender:
        telemetry.count(f"{name}_from", _label(reason, sender), amount)


def last_at(totals: Totals, name: str, reason: str) -> float | None:
    """Return when the last one was, in unix seconds; None if there was none."""
    return totals.latest.get((f"{name}_last_at", reason))


def main_sender(totals: Totals, name: str, reason: str) -> str:
    """Return the sender of most of them; empty if none is known."""
    start = _label(reason, "")
    senders = {label: number for label, number in totals.by_label(f"{name}_from").items() if label.startswith(start)}
    if not senders:
        return ""
    return max(senders, key=lambda label: (senders[label], label)).removeprefix(start)


def by_reason(fields: Iterable[str | None]) -> Counter[str]:
    """Return the number of rejected events by their invalid field; None: the whole event is invalid."""
    return Counter(field or "event" for field in fields)


def _label(reason: str, sender: str) -> str:
    reason, sender = (part.replace(SEPARATOR, " ")[:MAX_PART] for part in (reason, sender))
    return f"{reason}{SEPARATOR}{sender}"
