"""Which series a chart, a request or a subscription asks for: the one form in code and in messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from metrics import catalogue
from metrics.catalogue import Metric

OTHERS = "__others__"  # in place of a label's value: all values together that have no series of their own


@dataclass(frozen=True, slots=True)
class SeriesSpec:
    """A statistic of a metric over time; with `group_by`, one series for each combination of these labels' values.

    groups: of a gauge that is grouped by one label, the values that have a series of their own. The others have one
    together, under the name OTHERS. Empty: each has its own.
    """

    metric: Metric
    stat: str
    group_by: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @classmethod
    def of(cls, metric: str, stat: str, *group_by: str) -> SeriesSpec:
        """Return the spec of the metric with this name. Raises UnknownMetric and UnknownStat."""
        described = catalogue.get(metric)
        return cls(described, described.check_stat(stat), group_by)

    def as_dict(self) -> dict[str, Any]:
        """Return the spec as `subscribe` messages and pages write it."""
        named = {"groups": list(self.groups)} if self.groups else {}
        return {"metric": self.metric.name, "stat": self.stat, "group_by": list(self.group_by), **named}
