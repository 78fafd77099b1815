"""What a page that is live may follow: the minute's figures for its filters, and the lines of its charts by a step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from metrics import catalogue
from metrics.queries.answers.minute import read_minute
from metrics.queries.answers.queue_levels import queue_levels
from metrics.queries.answers.series import held_for, parse_group_by
from metrics.queries.exceptions import BadQuery
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.time.window import check_kept, parse_step

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
    check_kept(found, now, held_for([(one.metric, one.stat) for one in specs]))
    return found


def live_view(filters: Filters, now: datetime) -> dict[str, Any]:
    """The figures of a tick's `overall` for these filters. Raises QueryTooSlow."""
    with query_budget():
        return read_minute(filters, now, queue_levels(filters, now), most_models=0).overall
