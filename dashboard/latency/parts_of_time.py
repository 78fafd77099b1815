"""The parts of a mean response time: queue, prompt and decode. Pure functions on a row of figures.

Means are used, because they add up to the response time. The first token includes the queue, so *prompt* is what is
between the two. A model whose requests report no first token has two parts: queue and processing. Without queue times
there is no part for the queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

QUEUE, PROMPT, DECODE, PROCESSING = "queue", "prompt", "decode", "processing"
EXPLAINS = 0.5  # a part is the cause of a rise where its own rise is more than this share of it


def parts_of(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the parts in ms, in the order of their time; empty where no response time is known."""
    response = row.get("avg_response_time_ms")
    if response is None:
        return {}
    wait = row.get("avg_queue_time_ms")
    queue = min(wait or 0.0, response)
    parts = {} if wait is None else {QUEUE: queue}
    first_token = row.get("avg_ttft_ms")
    if first_token is None:
        return parts | {PROCESSING: response - queue}
    prompt_end = min(max(first_token, queue), response)
    return parts | {PROMPT: prompt_end - queue, DECODE: response - prompt_end}


def cause_of_rise(now: Mapping[str, float], before: Mapping[str, float]) -> str:
    """Return the part that explains over half of a rise of the mean; empty where none does, or the parts differ."""
    rise = sum(now.values()) - sum(before.values())
    if rise <= 0 or now.keys() != before.keys():
        return ""
    return next((name for name in now if now[name] - before[name] > EXPLAINS * rise), "")
