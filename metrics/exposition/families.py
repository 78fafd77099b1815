"""Makes families of metrics. A label set occurs once in a family: the first value counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from llmmonitor.infra.telemetry import Durations

Labels = tuple[str, ...]
Values = Iterable[tuple[Labels, float | None]]  # by the values of the labels
# The powers of two, in seconds, between the buckets of durations of the monitor.
SHORTEST, LONGEST = -12, 7
PER_DOUBLING = 4


def counter(name: str, text: str, labels: Labels, values: Values) -> Any:
    """Return a counter, whose `name` ends in `_total`. Unknown values are omitted."""
    return _filled(CounterMetricFamily(f"llmmonitor_{name}", text, labels=labels), values)


def gauge(name: str, text: str, labels: Labels, values: Values) -> Any:
    """Return a gauge. Unknown values are omitted."""
    return _filled(GaugeMetricFamily(f"llmmonitor_{name}", text, labels=labels), values)


def _filled(family: Any, values: Values) -> Any:
    known: dict[Labels, float] = {}
    for labels, value in values:
        if value is not None:
            known.setdefault(labels, value)
    for labels, value in known.items():
        family.add_metric(labels, value)
    return family


class Histogram:
    """Makes a histogram."""

    def __init__(self, name: str, text: str, labels: Labels) -> None:
        self.family: Any = HistogramMetricFamily(f"llmmonitor_{name}", text, labels=labels)

    def add(self, labels: Labels, bounds: Sequence[float], counts: Sequence[int], sum_seconds: float) -> None:
        """Add the counts of buckets; there is one more than there are bounds."""
        names = [*map(floatToGoString, bounds), "+Inf"]
        self.family.add_metric(labels, list(zip(names, accumulate(counts), strict=True)), sum_seconds)

    def add_durations(self, labels: Labels, durations: Durations) -> None:
        """Add durations of the monitor. Their buckets fit into powers of two exactly."""
        counts = [0] * (LONGEST - SHORTEST + 2)
        for index, count in durations.counts.items():
            power = -(-index // PER_DOUBLING)
            counts[min(max(power, SHORTEST), LONGEST + 1) - SHORTEST] += count
        bounds = [2.0**power for power in range(SHORTEST, LONGEST + 1)]
        self.add(labels, bounds, counts, durations.sum_seconds)
