"""The last hour of the metric of an alert, as a table: the mean or percentile of each five minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.channels.message import MessageAlert
from alerts.models import AlertRule
from alerts.rules.spec import filters_of_group
from alerts.rules.words import measured_in_words, stat_in_words
from metrics import catalogue, queries
from metrics.queries import SeriesSpec, Window
from metrics.queries.answers.series import unit_of
from metrics.queries.time.window import at_second

ROWS, STEP_SECONDS = 12, 300
BUDGET_SECONDS = 2.0  # of the tables of a message; a message without a table is better than none


@dataclass(frozen=True, slots=True)
class Row:
    """Five minutes from `start`. value: in words; empty without data. percent: of the highest value of the table."""

    start: datetime
    value: str
    percent: int


@dataclass(frozen=True, slots=True)
class LastHour:
    """A table. title: what the values are, such as `P95 response time`. No rows: there was no data."""

    title: str
    rows: Sequence[Row]


def last_hour(alert: MessageAlert, end: datetime, now: datetime) -> LastHour | None:
    """Return the table of the hour up to `end`; None if the figures of that time are not kept. Raises QueryStopped."""
    rule = AlertRule.objects.filter(pk=alert.rule).first()
    start = int(end.timestamp()) // STEP_SECONDS * STEP_SECONDS - (ROWS - 1) * STEP_SECONDS
    window = Window.of_seconds(start, start + ROWS * STEP_SECONDS)
    try:
        spec = SeriesSpec.of(alert.metric, alert.stat)
        filters = filters_of_group(rule.filters if rule else {}, alert.labels)
        result = queries.series([spec], window, filters, step=STEP_SECONDS, now=now)
    except (catalogue.UnknownMetric, catalogue.UnknownStat, queries.BadQuery):
        return None
    values = result.lines[0].values if result.lines else ()
    known = [value for value in values if value is not None]
    highest = max(known, default=0) or 1
    unit = unit_of(spec.metric, spec.stat)
    rows = [
        Row(
            at_second(second),
            "" if value is None else measured_in_words(value, unit),
            0 if value is None else max(0, round(100 * value / highest)),
        )
        for second, value in zip(result.plan.starts, values, strict=True)
    ]
    return LastHour(stat_in_words(spec.metric, spec.stat), rows if known else ())
