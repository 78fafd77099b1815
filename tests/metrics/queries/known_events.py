"""300 requests over two hours, two models, some failed; two machines, three GPUs and three queues beside them.

Written through the store's own transaction at a fixed time, so that a test can compute every figure from these lists.
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
TOLERANCE = 0.011  # of a percentile; the histogram promises 1.09 %
FAILURES = (
    (429, "RateLimitError"),
    (500, "ServerError"),
    (408, "Timeout"),
    (499, "Cancelled"),
    (400, "BadRequest"),
)


def write(events: Sequence[Event], now: datetime = NOW) -> None:
    """Store them all, as new."""
    recorded = Store(clock=lambda: now).commit(events)
    assert recorded.accepted == len(events), recorded


def request(at: datetime, number: int, **more: Any) -> InferenceEvent:
    """A request that ended at this time."""
    return InferenceEvent(timestamp=at, request_id=f"r-{number}", **({"model_name": CHATTY} | more))


def requests() -> list[InferenceEvent]:
    """The 300. Nothing ended between 80 and 70 minutes ago; every sixth failed; some lack tokens, some a price."""
    draw = random.Random(20)
    begin = NOW - timedelta(hours=2)
    found = []
    while len(found) < 300:
        at = begin + timedelta(seconds=round(draw.uniform(0, 7_199.9), 3))
        if timedelta(minutes=70) <= NOW - at <= timedelta(minutes=80):
            continue
        number = len(found)
        slow = draw.random() < 0.3
        response = round(draw.lognormvariate(7.5 if slow else 5.5, 0.8), 3)
        own: dict[str, Any] = {
            "model_name": SLOW if slow else CHATTY,
            "provider": "openai" if slow else "vllm",
            "service": draw.choice(("chat", "search")),
            "response_time_ms": response,
            "stream": draw.random() < 0.5,
        }
        if draw.random() < 0.9:
            own |= {"prompt_tokens": draw.randrange(10, 4_000), "completion_tokens": draw.randrange(2, 900)}
        if draw.random() < 0.5:
            own["queue_time_ms"] = round(response * draw.uniform(0, 0.3), 3)
        if draw.random() < 0.7:
            own["ttft_ms"] = round(response * draw.uniform(0.3, 0.6), 3)
        if slow:
            own["cost_usd"] = round(draw.uniform(0.0001, 0.02), 6)
        if number % 6 == 0:
            status, kind = FAILURES[number // 6 % len(FAILURES)]
            own |= {"success": False, "status_code": status, "error_type": kind}
        else:
            own["finish_reason"] = draw.choice(("stop", "length", "tool_calls"))
        found.append(request(at, number, **own))
    return found


def machines() -> list[SystemEvent]:
    """Alpha speaks each 20 s and has two GPUs, of which one cannot say its power; beta each 30 s, with one."""
    draw = random.Random(21)
    found = []
    for host, seconds, gpus in ((ALPHA, 20, ("0", "1")), (BETA, 30, ("0",))):
        for step in range(7_200 // seconds):
            at = NOW - timedelta(seconds=step * seconds + 1.5)
            found.append(
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
    return found


def queues() -> list[QueueEvent]:
    """One model counted by its SDK and by two sources of its own, which are preferred; the other by its SDK alone."""
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
    """What was written."""

    requests: list[InferenceEvent]
    machines: list[SystemEvent]
    queues: list[QueueEvent]

    def within(self, window: Window, of: Callable[[InferenceEvent], bool] = lambda _: True) -> list[InferenceEvent]:
        """The requests of a window."""
        return [one for one in self.requests if window.start <= one.timestamp < window.end and of(one)]


def values(events: Iterable[InferenceEvent], name: str) -> list[float]:
    """A metric's values as its distribution counts them: times and speeds of successes, tokens of all."""
    own = "response_time_ms" if name == "failed_response_time_ms" else name
    if name == "failed_response_time_ms":
        events = [one for one in events if not one.success]
    elif name not in ("prompt_tokens", "completion_tokens"):
        events = [one for one in events if one.success]
    return [value for one in events if (value := getattr(one, own)) is not None]


def percentile(found: Sequence[float], share: float) -> float | None:
    """As numpy's inverted_cdf; None of nothing."""
    return float(np.quantile(found, share, method="inverted_cdf")) if found else None


def mean(found: Sequence[float]) -> float | None:
    """None of nothing."""
    return sum(found) / len(found) if found else None
