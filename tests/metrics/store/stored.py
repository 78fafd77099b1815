"""Events for the tests of commits, and a check that holds after each commit."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.test import override_settings

from metrics.aggregation import HISTOGRAM_COLUMNS, INTEGER_COLUMNS, OUTCOME_COLUMNS, RESOLUTIONS
from metrics.events import ErrorEvent, Event, InferenceEvent
from metrics.histogram import Histogram
from metrics.models import ErrorGroupRollup, ErrorMetrics, InferenceMetrics, InferenceRollup
from metrics.store.commit_result import CommitResult
from metrics.store.compaction import merge_keys
from metrics.store.writing.rollup_rows import TABLES
from metrics.store.writing.transaction import Store

NOW = datetime(2026, 3, 1, 12, 0, 30, 250_000, tzinfo=UTC)
OF_SUCCESSFUL = (
    "response_time_ms", "processing_time_ms", "queue_time_ms", "ttft_ms", "time_per_output_token_ms",
    "tokens_per_second",
)  # fmt: skip
TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")


def before(**delta: float) -> datetime:
    """A time before NOW."""
    return NOW - timedelta(**delta)


def request(name: str, at: datetime = NOW, model_name: str = "chatty", **more: Any) -> InferenceEvent:
    """A request with the usual figures."""
    fields = {"prompt_tokens": 10, "completion_tokens": 5, "response_time_ms": 120.5, "ttft_ms": 20.25} | more
    return InferenceEvent(timestamp=at, request_id=name, model_name=model_name, **fields)


def failed(name: str, at: datetime = NOW, model_name: str = "chatty", **more: Any) -> InferenceEvent:
    """A request that failed."""
    return request(name, at, model_name, **{"success": False, "status_code": 500} | more)


def error(name: str, at: datetime = NOW, **more: Any) -> ErrorEvent:
    """An error of severity ERROR, unless another is given."""
    fields = {"error_type": "TimeoutError", "model_name": "chatty"} | more
    return ErrorEvent(timestamp=at, request_id=name, **fields)


def commit(*events: Event, at: datetime = NOW) -> CommitResult:
    """Commit events as a process that has just started."""
    return Store(clock=lambda: at).commit(events)


def compact() -> None:
    """Merge the rollup rows of each bucket."""
    for table in TABLES:
        keys = list(table.model._default_manager.order_by().values_list(*table.key).distinct())
        if keys:
            merge_keys(table, keys)


def limited(label_sets: int) -> Any:
    """Set LLMMONITOR_MAX_SERIES and LLMMONITOR_MAX_ERROR_GROUPS in the block."""
    limits = {"max_series": label_sets, "max_error_groups": label_sets}
    return override_settings(LLMMONITOR=settings.LLMMONITOR.model_copy(update=limits))


def outcomes(resolution: int = 60) -> dict[str, int]:
    """Requests by outcome, over all series, without outcomes that have no request."""
    rows = InferenceRollup.objects.filter(resolution=resolution).values_list(*OUTCOME_COLUMNS)
    totals = [sum(column) for column in zip(*rows, strict=True)] or [0] * len(OUTCOME_COLUMNS)
    return {name: total for name, total in zip(OUTCOME_COLUMNS, totals, strict=True) if total}


def requests(resolution: int = 60) -> int:
    """The number of requests in the rollups."""
    return sum(outcomes(resolution).values())


def assert_raw_and_rollups_agree(resolutions: tuple[int, ...] = RESOLUTIONS) -> None:
    """Assert that each value of each rollup row equals the value computed from the raw rows."""
    for resolution in resolutions:
        assert _as_stored(resolution) == _as_computed(resolution)
    groups: Counter[tuple[int, int, int]] = Counter()
    for row in ErrorMetrics.objects.all():
        groups[_start(row.timestamp, 3600), row.group_id, row.series_id] += 1
    stored: Counter[tuple[int, int, int]] = Counter()
    for row in ErrorGroupRollup.objects.all():
        stored[row.bucket, row.group_id, row.series_id] += row.count
    assert +stored == groups


def _start(at: datetime, resolution: int) -> int:
    return int(at.timestamp()) // resolution * resolution


def _as_stored(resolution: int) -> dict[tuple[int, int], dict[str, Any]]:
    """The figures of each bucket and series, added up over its rows."""
    sums: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    histograms: dict[tuple[int, int], dict[str, Histogram]] = defaultdict(lambda: defaultdict(Histogram))
    for row in InferenceRollup.objects.filter(resolution=resolution):
        key = (row.bucket, row.series_id)
        for name in INTEGER_COLUMNS:
            sums[key][name] += getattr(row, name)
        for name in HISTOGRAM_COLUMNS:
            histograms[key][f"{name}()"].merge(Histogram.unpack(bytes(getattr(row, name))))
    stored = {
        key: {name: value for name, value in own.items() if value}
        | {name: histogram for name, histogram in histograms[key].items() if histogram.count}
        for key, own in sums.items()
    }
    return {key: figures for key, figures in stored.items() if figures}  # without errors that were subtracted


def _as_computed(resolution: int) -> dict[tuple[int, int], dict[str, Any]]:
    sums: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    values: dict[tuple[int, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in InferenceMetrics.objects.all():
        key = (_start(row.timestamp, resolution), row.series_id)
        own = sums[key]
        own[row.outcome] += 1
        own["streamed"] += bool(row.stream)
        for name in TOKENS:
            own[name] += getattr(row, name) or 0
        own["unpriced_requests"] += row.cost_usd is None
        own["cost_nanodollars"] += round((row.cost_usd or 0) * 1e9)
        if row.finish_reason:
            own["finish_" + {"stop": "stop", "length": "length"}.get(row.finish_reason, "other")] += 1
        timed = OF_SUCCESSFUL if row.success else ()
        pairs = [(name, getattr(row, name)) for name in timed]
        pairs += [(f"{name}_histogram", getattr(row, name)) for name in TOKENS[:2]]
        if not row.success:
            pairs.append(("failed_response_time_ms", row.response_time_ms))
        if row.outcome == "timeout":
            pairs.append(("timeout_response_time_ms", row.response_time_ms))
        for name, value in pairs:
            if value is not None:
                values[key][f"{name}()"].append(value)
    for row in ErrorMetrics.objects.exclude(counted_outcome=None):
        sums[_start(row.timestamp, resolution), row.series_id].update((row.counted_outcome, "unpriced_requests"))
    return {
        key: {name: n for name, n in own.items() if n}
        | {name: Histogram.of(listed) for name, listed in values[key].items()}
        for key, own in sums.items()
    }
