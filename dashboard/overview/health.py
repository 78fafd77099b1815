"""Thresholds by which a model counts as failing, slow or slow to start. Pure functions on a model's row.

Each returns how bad it is, as a number to sort by, and 0 where the model is healthy or has too few requests to judge.
"""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]

ENOUGH_REQUESTS = 20  # a P95 or an error rate of fewer requests is noise
ERROR_PERCENT = 5.0
SLOW_RATIO = 1.5  # P95 of the response time, to that of the window before
SLOW_LEAST_MS = 300.0  # a person does not notice less
# A full queue delays first tokens long before it shows in whole response times, which vary more by themselves.
LATE_RATIO = 2.0
LATE_LEAST_MS = 1_000.0


def failing(row: Row) -> float:
    """Return the error rate in percent where it is at least ERROR_PERCENT, else 0."""
    rate = row.get("error_rate_percent") or 0.0
    return float(rate) if _requests(row) >= ENOUGH_REQUESTS and rate >= ERROR_PERCENT else 0.0


def slowness(row: Row) -> float:
    """Return the ratio of the response time's P95 to that of the window before, where it is high, else 0."""
    return _ratio(row, "p95_response_time_ms", SLOW_LEAST_MS, SLOW_RATIO)


def lateness(row: Row) -> float:
    """Return the ratio of the first token's P95 to that of the window before, where it is high, else 0."""
    return _ratio(row, "p95_ttft_ms", LATE_LEAST_MS, LATE_RATIO)


def _ratio(row: Row, name: str, least: float, least_ratio: float) -> float:
    before = row.get("previous") or {}
    value, value_before = row.get(name), before.get(name)
    if not value or not value_before or value < least:
        return 0.0
    if min(_requests(row), _requests(before)) < ENOUGH_REQUESTS:
        return 0.0
    ratio = float(value / value_before)
    return ratio if ratio >= least_ratio else 0.0


def _requests(row: Row) -> int:
    return row.get("total_requests") or 0
