"""The newest value of each group of a metric, which alert rules are judged by.

It is over the last seconds, to the second. Several metrics of one window and one selection are read together.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from metrics.queries.answers.series import read_lines
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.series_spec import SeriesSpec
from metrics.queries.time.plan import Plan
from metrics.queries.time.window import end_of_now

ALL = sys.maxsize  # groups; LLMMONITOR_MAX_SERIES limits what is stored
REQUESTS = "inference.requests"
# The coarsest resolution that divides the length of a window is read, because less is to be added up.
EXACT_SECONDS, MINUTE, HOUR, DAY = 900, 60, 3_600, 86_400

Labels = tuple[tuple[str, str], ...]


class Evaluated(NamedTuple):
    """The value of a group, None without data, and the number of requests in the window (1 for samples)."""

    value: float | None
    requests: int


def evaluate(
    specs: Sequence[SeriesSpec], window_seconds: int, filters: Filters, at: datetime, *, before_seconds: int = 0
) -> dict[SeriesSpec, Mapping[Labels, Evaluated]]:
    """Return the values of the groups of each spec over the window that ends with the second of `at`.

    `before_seconds`: the window ends so much earlier. Windows of more than 900 s, and earlier ones than an hour, are of
    whole minutes; those of more than a day, and earlier ones than a day, of whole hours. Raises QueryTooSlow.
    """
    requested = {spec for spec in specs if spec.metric.type in ("inference", "error")}
    counts = list({SeriesSpec.of(REQUESTS, "sum", *spec.group_by) for spec in requested})
    plan = _plan(window_seconds, at, before_seconds)
    with query_budget():
        lines, _ = read_lines([*specs, *counts], plan, filters, at, ALL)
    requests = {
        spec.group_by: {tuple(line.labels.items()): int(line.values[0] or 0) for line in lines[spec]} for spec in counts
    }
    return {
        spec: {
            (labels := tuple(line.labels.items())): Evaluated(
                line.values[0], requests[spec.group_by].get(labels, 0) if spec in requested else 1
            )
            for line in lines[spec]
        }
        for spec in specs
    }


def resolution_of(window_seconds: int, before_seconds: int) -> int:
    """Return the length in seconds of the buckets that a window is read from."""
    if window_seconds > EXACT_SECONDS or before_seconds > HOUR:
        return HOUR if window_seconds % HOUR == 0 and max(window_seconds, before_seconds) > DAY else MINUTE
    return 1


def _plan(window_seconds: int, at: datetime, before_seconds: int) -> Plan:
    """Return the window as one step."""
    end = end_of_now(at) - before_seconds
    resolution = resolution_of(window_seconds, before_seconds)
    end -= end % resolution
    return Plan(window_seconds, resolution, end - window_seconds, end)
