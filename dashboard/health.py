"""Thresholds by which a model counts as failing, slow or slow to start. Pure functions on a model's row.

They return a number that is larger for a worse model: 0 if it is healthy or has too few requests to assess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]

ENOUGH_REQUESTS = 20  # a P95 or an error rate of fewer requests is noise
ERROR_PERCENT = 5.0


@dataclass(frozen=True)
class Increase:
    """A duration that is at least `least_ms`, and at least `least_ratio` times that of the window before."""

    name: str
    least_ms: float
    least_ratio: float

    def ratio(self, row: Row) -> float:
        """Return the ratio to the window before, where the duration has increased, else 0."""
        before = row.get("previous") or {}
        value, value_before = row.get(self.name), before.get(self.name)
        enough = min(_requests(row), _requests(before)) >= ENOUGH_REQUESTS
        if not enough or not value or not value_before or value < self.least_ms:
            return 0.0
        ratio = float(value / value_before)
        return ratio if ratio >= self.least_ratio else 0.0

    def is_over(self, row: Row, recent: Row) -> bool:
        """Return whether the duration of the last minutes is back to that of the window before."""
        value = recent.get(self.name)
        return value is not None and (value < self.least_ms or value < self.least_ratio * row["previous"][self.name])


SLOW = Increase("p95_response_time_ms", 300.0, 1.5)  # a person does not notice less than 300 ms
# A full queue delays first tokens long before it shows in whole response times, which vary more by themselves.
LATE = Increase("p95_ttft_ms", 1_000.0, 2.0)


def error_rate(row: Row) -> float:
    """Return the error rate in percent where it is at least ERROR_PERCENT, else 0."""
    rate = row.get("error_rate_percent") or 0.0
    return float(rate) if _requests(row) >= ENOUGH_REQUESTS and rate >= ERROR_PERCENT else 0.0


def _requests(row: Row) -> int:
    return row.get("total_requests") or 0
