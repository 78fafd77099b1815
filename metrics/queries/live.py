"""What a page that is live reads each second: the minute's figures for its filters, and the newest two buckets of its
charts, equal to what `series` answers for the same window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from metrics import catalogue
from metrics.queries.budget import query_budget
from metrics.queries.errors import BadQuery
from metrics.queries.filters import Filters
from metrics.queries.minute import read_minute
from metrics.queries.queue_levels import queue_levels
from metrics.queries.series import held_for, parse_group_by, read_lines
from metrics.queries.window import newest, parse_step

MAX_SPECS = 24


@dataclass(frozen=True, slots=True)
class LiveSpec:
    """One chart line that a page follows; with `group_by`, one for each value of these labels."""

    metric: catalogue.Metric
    stat: str
    group_by: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: Any) -> LiveSpec:
        """A spec out of `{"metric", "stat", "group_by"?}` as a page sends it. Raises BadQuery."""
        if isinstance(given, LiveSpec):
            return given
        if not isinstance(given, Mapping):
            raise BadQuery("series", "each must be an object with `metric`, `stat` and, where wanted, `group_by`.")
        named, stat, group_by = given.get("metric"), given.get("stat"), given.get("group_by")
        try:
            metric = catalogue.resolve(str(named))
        except catalogue.UnknownMetric as error:
            raise BadQuery("metric", f"{str(named)[:80]!r} is not one metric.", error.candidates) from None
        try:
            metric.check_stat(str(stat) if stat else metric.default_stat)
        except catalogue.UnknownStat as error:
            raise BadQuery("stat", str(error)[:300], error.candidates) from None
        if group_by and not (
            isinstance(group_by, str)
            or (isinstance(group_by, Sequence) and all(isinstance(one, str) for one in group_by))
        ):
            raise BadQuery("group_by", "must be a label, or a list of labels.")
        return cls(metric, str(stat) if stat else metric.default_stat, parse_group_by(group_by))


def parse_specs(given: Any) -> tuple[LiveSpec, ...]:
    """The specs of a subscription. Raises BadQuery."""
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise BadQuery("series", "must be a list of objects with `metric` and `stat`.")
    if len(given) > MAX_SPECS:
        raise BadQuery("series", f"{len(given)} series asked; at most {MAX_SPECS} at once.")
    return tuple(LiveSpec.of(one) for one in given)


def check_step(step: Any, specs: Iterable[LiveSpec], now: datetime) -> int:
    """The step of a subscription in seconds. Raises BadQuery when nothing is kept in such steps."""
    found = parse_step(step)
    if found is None:
        raise BadQuery("step", "say how many seconds a bucket is.")
    newest(found, now, held_for([(one.metric, one.stat) for one in specs]))
    return found


def live_view(filters: Filters, specs: Sequence[Any], step: int, now: datetime) -> dict[str, Any]:
    """`{"view", "buckets"}` of a subscribed tick. Raises BadQuery and QueryTooSlow.

    `view` has the figures of a tick's `overall` for the filters; `buckets` are `{"metric", "stat", "labels", "points"}`
    with the newest closed bucket and the open one, in the order of the specs.
    """
    asked = parse_specs(specs)
    step = check_step(step, asked, now)
    with query_budget():
        view = read_minute(filters, now, queue_levels(filters, now), most_models=0).overall
        lines: dict[LiveSpec, list[dict[str, Any]]] = {}
        for group_by in dict.fromkeys(one.group_by for one in asked):
            together = list(dict.fromkeys(one for one in asked if one.group_by == group_by))
            pairs = [(one.metric, one.stat) for one in together]
            plan = newest(step, now, held_for(pairs))
            found, _ = read_lines(pairs, plan, filters, group_by, now)
            for one in together:
                lines[one] = [
                    {
                        "metric": line.metric.name,
                        "stat": line.stat,
                        "labels": line.labels,
                        "points": line.points(plan.start, plan.step_seconds),
                    }
                    for line in found
                    if (line.metric, line.stat) == (one.metric, one.stat)
                ]
    return {"view": view, "buckets": [line for one in dict.fromkeys(asked) for line in lines[one]]}
