"""The parts of a response time, of one request or on average: queue, prompt and decode. Pure.

The first token includes the queue, so *prompt* is what is between the two. Where no first token is known there are two
parts: queue and processing. Without a queue time there is no part for the queue.
"""

from __future__ import annotations

QUEUE, PROMPT, DECODE, PROCESSING = "queue", "prompt", "decode", "processing"


def parts_of_time(response: float | None, queue: float | None, first_token: float | None) -> dict[str, float]:
    """Return the parts in ms, in the order of their time. They add up to the response time; empty where it is unknown.

    The scripts have the same rules for each point of a chart, in `js/widgets/parts-of-time.js`.
    """
    if response is None:
        return {}
    queue_end = min(queue or 0.0, response)
    parts = {} if queue is None else {QUEUE: queue_end}
    if first_token is None:
        return parts | {PROCESSING: response - queue_end}
    prompt_end = min(max(first_token, queue_end), response)
    return parts | {PROMPT: prompt_end - queue_end, DECODE: response - prompt_end}
