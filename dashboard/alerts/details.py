"""What the page shows besides alerts: the chart of the last half hour, the context, and the lines of the history."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from alerts.backtest.group import judged_values_of
from alerts.context import context_of_number
from alerts.evaluation.newest_values import share_of_threshold
from alerts.rules.spec import BadRule, filters_of
from alerts.spans import read_spans
from metrics import queries
from metrics.queries import BadQuery, SeriesSpec, Window
from metrics.queries.read.budget import query_budget
from metrics.queries.time.window import STEPS

logger = logging.getLogger(__name__)

SECONDS = 1_800
STEP_SECONDS = 15
POINTS = 150  # at most, of a line of the history


def add_charts(alerts: Sequence[dict[str, Any]], now: datetime) -> None:
    """Add their charts to the alerts, within one budget. Raises QueryStopped."""
    with query_budget():
        spans = read_spans(now - timedelta(seconds=SECONDS), now).results
        for alert in alerts:
            alert["chart"] = _chart_of(alert, now)
            if alert["chart"]:
                alert["chart"]["earlier"] = _earlier(alert, spans)


def add_contexts(alerts: Sequence[dict[str, Any]], now: datetime) -> None:
    """Add their context to the alerts, within one budget. Raises QueryStopped."""
    with query_budget():
        for alert in alerts:
            alert["context"] = context_of_number(alert["id"], now)


def _earlier(alert: Mapping[str, Any], spans: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return when earlier alerts of the same rule and group were pending and firing: `{"state", "from", "to"}`."""
    return [
        {name: span[name] for name in ("state", "from", "to")}
        for span in spans
        if span["rule"] == alert["rule"] and span["labels"] == alert["labels"] and span["alert"] != alert["id"]
    ]


def _chart_of(alert: Mapping[str, Any], now: datetime) -> dict[str, Any] | None:
    """Return what the rule judged: `{"start", "step", "values"}`, times in epoch milliseconds; None if it cannot."""
    try:
        judged = judged_values_of(alert["rule"], alert["labels"], SECONDS, STEP_SECONDS, now)
    except BadRule as error:
        logger.warning("alerts: the chart of %s: %s", alert["name"], error)
        return None
    if judged is None:
        return None
    values = [float(f"{value:.6g}") if value is not None else None for value in judged.values]
    return {"start": judged.start * 1000, "step": judged.step * 1000, "values": values}


def add_lines(
    rows: Sequence[dict[str, Any]], rules: Mapping[str, Mapping[str, Any]], window: Window, now: datetime
) -> None:
    """Add the values of each row's group over the window, as shares of the threshold: `{"start", "step", "values"}`.

    All are read within one budget. Raises QueryStopped; the rows that were read before have their lines.
    """
    with query_budget():
        _add_lines(rows, rules, window, now)


def _add_lines(
    rows: Sequence[dict[str, Any]], rules: Mapping[str, Mapping[str, Any]], window: Window, now: datetime
) -> None:
    step = next((step for step in STEPS if window.seconds / step <= POINTS and (step <= 30 or step % 60 == 0)), None)
    for name in {row["rule"] for row in rows if row["rule"] in rules and rules[row["rule"]]["kind"] == "threshold"}:
        rule = rules[name]
        try:
            spec = SeriesSpec.of(f"{rule['metric_type']}.{rule['metric_name']}", rule["stat"], *rule["group_by"])
            result = queries.series([spec], window, filters_of(rule["filters"]), step=step, now=now)
        except (BadQuery, ValueError) as error:
            logger.warning("alerts: the history of %s: %s", rule["name"], error)
            continue
        lines = {tuple(sorted(line.labels.items())): line.values for line in result.lines}
        for row in rows:
            values = lines.get(tuple(sorted(row["labels"].items())))
            if row["rule"] == name and values is not None and result.plan.points:
                start, seconds = int(result.plan.starts[0]), result.plan.step_seconds
                row["line"] = {
                    "start": start * 1000,
                    "step": seconds * 1000,
                    "values": [_share(rule, value) for value in values],
                }


def _share(rule: Mapping[str, Any], value: float | int | None) -> float | None:
    share = None if value is None else share_of_threshold(rule["comparison"], rule["threshold"], value)
    return None if share is None else round(share, 3)
