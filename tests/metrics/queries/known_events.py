"""300 requests of two models over two hours, some of them failed, and samples of two hosts, three GPUs and four queues.

The store writes them at a fixed time, so that a test can compute every figure from these lists.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from metrics.events import Event, GPUSample, InferenceEvent, QueueEvent, SystemEvent
from metrics.queries import Window
from metrics.store.writing.transaction import Store

NOW = datetime(2026, 3, 1, 12, 34, 56, 250_000, tzinfo=UTC)
CHATTY = "meta-llama/Llama-3.1-8B"
SLOW = "gpt-4o 🐢"
ALPHA, BETA = "alpha", "beta"
TOLERANCE = 0.011  # of a percentile; the histogram guarantees 1.09 %
FAILURES = (
    (429, "RateLimitError"),
    (500, "ServerError"),
    (408, "Timeout"),
    (499, "Cancelled"),
    (400, "BadRequest"),
)


def write(events: Sequence[Event], now: datetime = NOW) -> None:
    """Store the events. None may be a duplicate."""
    recorded = Store(clock=lambda: now).commit(events)
    assert recorded.accepted == len(events), recorded


def request(at: datetime, number: int, **more: Any) -> InferenceEvent:
    """Return a request that ended at this time."""
    return InferenceEvent(timestamp=at, request_id=f"r-{number}", **({"model_name": CHATTY} | more))


def requests() -> list[InferenceEvent]:
    """Return 300 requests, none between 80 and 70 minutes ago. Every sixth failed; some lack tokens, some a cost."""
    draw = random.Random(20)
    begin = NOW - timedelta(hours=2)
    events = []
    while len(events) < 300:
        at = begin + timedelta(seconds=round(draw.uniform(0, 7_199.9), 3))
        if timedelta(minutes=70) <= NOW - at <= timedelta(minutes=80):
            continue
        number = len(events)
        slow = draw.random() < 0.3
        response = round(draw.lognormvariate(7.5 if slow else 5.5, 0.8), 3)
        fields: dict[str, Any] = {
            "model_name": SLOW if slow else CHATTY,
            "provider": "openai" if slow else "vllm",
            "service": draw.choice(("chat", "search")),
            "response_time_ms": response,
            "stream": draw.random() < 0.5,
        }
        if draw.random() < 0.9:
            fields |= {"prompt_tokens": draw.randrange(10, 4_000), "completion_tokens": draw.randrange(2, 900)}
        if draw.random() < 0.5:
            fields["queue_time_ms"] = round(response * draw.uniform(0, 0.3), 3)
        if draw.random() < 0.7:
            fields["ttft_ms"] = round(response * draw.uniform(0.3, 0.6), 3)
        if slow:
            fields["cost_usd"] = round(draw.uniform(0.0001, 0.02), 6)
        if number % 6 == 0:
            status, kind = FAILURES[number // 6 % len(FAILURES)]
            fields |= {"success": False, "status_code": status, "error_type": kind}
        else:
            fields["finish_reason"] = draw.choice(("stop", "length", "tool_calls"))
        events.append(request(at, number, **fields))
    return events


def machines() -> list[SystemEvent]:
    """Return samples of alpha every 20 s with two GPUs, one without its power, and of beta every 30 s with one GPU."""
    draw = random.Random(21)
    events = []
    for host, seconds, gpus in ((ALPHA, 20, ("0", "1")), (BETA, 30, ("0",))):
        for step in range(7_200 // seconds):
            at = NOW - timedelta(seconds=step * seconds + 1.5)
            events.append(
                SystemEvent(
                    timestamp=at,
                    host=host,
                    cpu_percent=round(draw.uniform(5, 95), 2),
                    memory_percent=round(draw.uniform(40, 80), 2),
                    memory_used_gb=round(draw.uniform(10, 20), 3),
                    load_average=[round(draw.uniform(0, 4), 2), 1.0, 1.0],
                    network_bytes_sent=10_000_000 - step * 1_000 * seconds,
                    gpu_count=len(gpus),
                    gpu_metrics=tuple(
                        GPUSample(
                            gpu_id=gpu,
                            name="H100",
                            utilization_percent=round(draw.uniform(0, 100), 1),
                            memory_percent=round(draw.uniform(10, 90), 1),
                            temperature=round(draw.uniform(40, 84), 1),
                            power_draw_watts=None if gpu == "1" else round(draw.uniform(80, 600), 1),
                        )
                        for gpu in gpus
                    ),
                )
            )
    return events


def queues() -> list[QueueEvent]:
    """Return samples of one model's queue from an SDK and from two `track` sources, and of the other's from an SDK."""
    draw = random.Random(22)
    sources = (
        ("pod-1", "sdk", CHATTY),
        ("gateway-1", "track", CHATTY),
        ("gateway-2", "track", CHATTY),
        ("pod-1", "sdk", SLOW),
    )
    return [
        QueueEvent(
            timestamp=NOW - timedelta(seconds=step * 15 + 2),
            source=source,
            kind=kind,
            model_name=model,
            pending=draw.randrange(0, 40),
            processing=draw.randrange(0, 8),
        )
        for source, kind, model in sources
        for step in range(7_200 // 15)
    ]


@dataclass
class Known:
    """The events that were written."""

    requests: list[InferenceEvent]
    machines: list[SystemEvent]
    queues: list[QueueEvent]

    def within(self, window: Window, of: Callable[[InferenceEvent], bool] = lambda _: True) -> list[InferenceEvent]:
        """Return the requests of a window."""
        return [event for event in self.requests if window.start <= event.timestamp < window.end and of(event)]


def values(events: Iterable[InferenceEvent], name: str) -> list[float]:
    """Return the values in a metric's distribution: times and speeds of successful requests, tokens of all."""
    field = "response_time_ms" if name.endswith("_response_time_ms") else name
    if name == "failed_response_time_ms":
        events = [event for event in events if not event.success]
    elif name == "timeout_response_time_ms":
        events = [event for event in events if event.outcome == "timeout"]
    elif name not in ("prompt_tokens", "completion_tokens"):
        events = [event for event in events if event.success]
    return [value for event in events if (value := getattr(event, field)) is not None]


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the percentile as numpy's inverted_cdf; None if there are no values."""
    return float(np.quantile(values, share, method="inverted_cdf")) if values else None


def mean(values: Sequence[float]) -> float | None:
    """Return the mean; None if there are no values."""
    return sum(values) / len(values) if values else None
