"""Send the requests of a trace to a monitor, at the recorded pace or faster."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from metrics.events.types import MODELLED_KEY
from metrics.traffic.replay.formats import TracedRequest
from metrics.traffic.replay.latency import modelled_latency
from metrics.traffic.sender import Sender

EVENTS_PER_POST = 1_000
# Requests that are due within this time are sent together.
GATHER_SECONDS = 0.2


@dataclass
class Played:
    """The results of the requests that were sent."""

    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    first_error: str | None = None


@dataclass(frozen=True)
class Plan:
    """How a trace is replayed.

    speed: 60 replays an hour in a minute; None does not wait.
    start: None gives each event the time when it is sent. With a time, events keep the intervals of the trace from that
    time on, at any speed.
    """

    model_name: str
    run: str
    speed: float | None = 1.0
    start: datetime | None = None


def event(request: TracedRequest, index: int, plan: Plan, sent_at: float) -> dict[str, Any]:
    """Return the event for a request of the trace."""
    model = plan.model_name if request.model_name is None else request.model_name
    at = sent_at if plan.start is None else plan.start.timestamp() + request.offset_seconds
    body: dict[str, Any] = {
        "timestamp": datetime.fromtimestamp(at, UTC).isoformat(),
        # A second replay of the same file with the same start sends duplicates, not new requests.
        "request_id": f"replay-{plan.run}-{index:08d}",
        "model_name": model,
        "service": "replay",
        "prompt_tokens": request.prompt_tokens,
        "completion_tokens": request.completion_tokens,
        "success": not request.failed,
    }
    if request.response_time_ms is not None:
        body["response_time_ms"] = request.response_time_ms
    elif not request.failed:
        modelled = modelled_latency(request.prompt_tokens, request.completion_tokens, index)
        body |= {
            "response_time_ms": modelled.response_time_ms,
            "ttft_ms": modelled.ttft_ms,
            "metadata": {MODELLED_KEY: True},
        }
    if request.failed:
        body |= {"error_type": "Failed", "error_message": "The trace has no response."}
    return body


def run_name(path: str, plan_start: datetime | None, sent_at: float) -> str:
    """Return a name that makes request ids unique to a file and its start."""
    text = f"{path}|{plan_start.isoformat() if plan_start else sent_at}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:10]


def play(
    requests: Iterable[TracedRequest],
    plan: Plan,
    sender: Sender,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    progress: Callable[[Played], None] = lambda played: None,
) -> Played:
    """Send the requests when they are due. Raises SendingFailed."""
    played = Played()
    began = clock()
    for batch in batches(requests, plan.speed):
        if plan.speed:
            due = began + batch[0][1].offset_seconds / plan.speed
            if due > clock():
                sleep(due - clock())
        now = clock()
        result = sender.post("/track/inference", [event(request, index, plan, now) for index, request in batch])
        played.sent += len(batch)
        played.accepted += result["accepted"]
        played.duplicates += result["duplicates"]
        played.rejected += len(result["rejected"])
        if result["rejected"] and played.first_error is None:
            played.first_error = result["rejected"][0]["error"]
        progress(played)
    return played


def batches(requests: Iterable[TracedRequest], speed: float | None) -> Iterator[list[tuple[int, TracedRequest]]]:
    """Yield requests that are due together, with their indexes in the trace."""
    batch: list[tuple[int, TracedRequest]] = []
    for index, request in enumerate(requests):
        apart = speed and batch and (request.offset_seconds - batch[0][1].offset_seconds) / speed > GATHER_SECONDS
        if apart or len(batch) == EVENTS_PER_POST:
            yield batch
            batch = []
        batch.append((index, request))
    if batch:
        yield batch
