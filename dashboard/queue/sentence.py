"""The sentence of the Queue page. A pure function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboard.formatting import duration, whole
from dashboard.health import ENOUGH_REQUESTS
from dashboard.sentence import Sentence

Row = dict[str, Any]
SHORT_MS = 100.0  # a median wait that nobody notices
LONG_SECONDS = 120.0  # a request in flight for so long may hang


def describe(summary: Row, models: Sequence[Row], sources: Sequence[Row], span: str, *, past: bool = False) -> Sentence:
    """Return what waits at the end of the window, which is now unless it is past, and how long requests waited in it.

    models: rows with `p50_queue_time_ms`, `p95_queue_time_ms` and `total_requests`; sources: rows with `model`,
    `pending`, `processing` and `oldest` (seconds), as they are at that time.
    """
    waiting = [row for row in sources if row["pending"]]
    known = [
        row for row in models if row.get("p50_queue_time_ms") is not None and row["total_requests"] >= ENOUGH_REQUESTS
    ]
    slowest = max(known, key=lambda row: row["p50_queue_time_ms"], default=None)
    hanging = [row for row in sources if (row["oldest"] or 0) >= LONG_SECONDS]
    then = f" at the end of {span}" if past else ""
    text = _text(summary, slowest, span)
    if waiting:
        by_model: dict[str, float] = {}
        for row in waiting:
            by_model[row["model"]] = by_model.get(row["model"], 0) + row["pending"]
        model, count = max(by_model.items(), key=lambda item: item[1])
        total = sum(by_model.values())
        name = model or "all models together"
        is_one = round(total) == 1
        title = f"{whole(total)} request{'' if is_one else 's'} {'waited' if past else 'waits' if is_one else 'wait'}"
        title += f" for {name}{then}." if len(by_model) == 1 else f"{then}, {whole(count)} of them for {name}."
        is_slow = slowest is not None and slowest["p50_queue_time_ms"] > SHORT_MS
        # The median of the window is low while a queue has just begun to grow.
        is_long = total > sum(row.get("processing") or 0 for row in sources)
        return Sentence("warning" if is_slow or is_long else "ok", title, text, "pending")
    if hanging:
        oldest = max(hanging, key=lambda row: row["oldest"])
        title = (
            f"A request of {oldest['model'] or oldest['source']} {'was' if past else 'is'} in flight for"
            f" {duration(1000 * oldest['oldest'])}{then}."
        )
        return Sentence("warning", title, f"It may {'have hung' if past else 'hang'}. {text}", "processing")
    if slowest is not None and slowest["p50_queue_time_ms"] > SHORT_MS:
        title = f"Requests of {slowest['model_name']} waited {duration(slowest['p50_queue_time_ms'])} at the median."
        return Sentence("warning", title, text, "wait-p95")
    if not sources and not known:
        return Sentence(
            "quiet",
            "No queue is known." if not past else "No queue was known in this time range.",
            "Queues appear when a client sends its requests in flight, a service posts to /track/queue, or requests"
            " have a queue time.",
        )
    if past and not sources:
        return Sentence("ok", f"Most requests hardly waited in {span}.", text)
    return Sentence("ok", f"Nothing waited{then}." if past else "Nothing waits.", text)


def _text(summary: Row, slowest: Row | None, span: str) -> str:
    p95 = summary.get("p95_queue_time_ms")
    if p95 is None:
        return f"No request of {span} has a queue time."
    parts = f"In {span}, 95 % of requests waited at most {duration(p95)}."
    if slowest is not None and slowest.get("p95_queue_time_ms") is not None:
        parts += f" The longest median is that of {slowest['model_name']}: {duration(slowest['p50_queue_time_ms'])}."
    return parts
