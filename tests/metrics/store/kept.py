"""Events for the tests of upkeep, and functions that read the remaining rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from metrics.aggregation import OUTCOME_COLUMNS
from metrics.events import ErrorEvent, Event, GPUSample, InferenceEvent, QueueEvent, SystemEvent
from metrics.models import InferenceMetrics, InferenceRollup
from metrics.store.commit_result import CommitResult
from metrics.store.writing.transaction import Store

NOW = datetime(2026, 1, 20, 12, 0, 30, tzinfo=UTC)


def ago(**delta: float) -> datetime:
    """A time before NOW."""
    return NOW - timedelta(**delta)


def record(events: list[Any], at: datetime = NOW) -> CommitResult:
    """Commit events as a recorder does at this time."""
    return Store(clock=lambda: at).commit(events)


def request(at: datetime, name: str, model_name: str = "chatty", **more: Any) -> InferenceEvent:
    """A request that ended at this time."""
    fields = {"prompt_tokens": 10, "completion_tokens": 5, "response_time_ms": 120.0} | more
    return InferenceEvent(timestamp=at, request_id=name, model_name=model_name, **fields)


def failure(at: datetime, name: str, model_name: str = "chatty", **more: Any) -> ErrorEvent:
    """An error that counts as a failed request."""
    fields = {"error_type": "TimeoutError", "error_message": "no answer"} | more
    return ErrorEvent(timestamp=at, request_id=name, model_name=model_name, **fields)


def machine(at: datetime, host: str = "big", **more: Any) -> SystemEvent:
    """A sample of a host with one GPU."""
    gpu = GPUSample(gpu_id="0", utilization_percent=40.0)
    return SystemEvent(
        timestamp=at, host=host, cpu_percent=20.0, memory_percent=60.0, gpu_count=1, gpu_metrics=(gpu,), **more
    )


def queue(at: datetime, model_name: str = "chatty", **more: Any) -> QueueEvent:
    """A sample of a model's queue."""
    return QueueEvent(timestamp=at, source="gateway", model_name=model_name, pending=3, processing=1, **more)


def one_of_each(at: datetime, name: str, **more: Any) -> list[Event]:
    """A request, an error, a host sample and a queue sample."""
    return [
        request(at, name, **more),
        failure(at, f"{name}-error", **more),
        machine(at, is_demo=more.get("is_demo", False)),
        queue(at, **more),
    ]


def rolled_up(resolution: int, **series: Any) -> int:
    """The number of requests in the rollups of a resolution."""
    rows = InferenceRollup.objects.filter(resolution=resolution, **series)
    return sum(sum(counts) for counts in rows.values_list(*OUTCOME_COLUMNS))


def by_hand(**series: Any) -> Iterator[str]:
    """The ids of the raw rows, oldest first."""
    return iter(InferenceMetrics.objects.filter(**series).order_by("timestamp").values_list("request_id", flat=True))
