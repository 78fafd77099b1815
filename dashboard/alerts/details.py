"""What the card of an alert shows besides the alert: the chart of the last half hour, and the context."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from alerts.context import context_of_number
from metrics import queries
from metrics.queries import BadQuery, QueryStopped, SeriesSpec, Window
from metrics.queries.parameters import parse_filters_object

logger = logging.getLogger(__name__)

SECONDS = 1_800
STEP_SECONDS = 30


def chart_of(alert: Mapping[str, Any], rule: Mapping[str, Any] | None, now: datetime) -> dict[str, Any] | None:
    """Return `{"start", "step", "values"}`, times in epoch milliseconds; None if the series cannot be read."""
    labels: dict[str, str] = alert["labels"]
    filters = {name: [value] for name, value in labels.items() if name != "source"}
    try:
        spec = SeriesSpec.of(alert["metric_name"], alert["stat"], *labels)
        selected = parse_filters_object({**(rule["filters"] if rule else {}), **filters})
        result = queries.series([spec], Window.last(SECONDS, now), selected, step=STEP_SECONDS, now=now)
    except (QueryStopped, BadQuery, ValueError) as error:
        logger.warning("alerts: the chart of %s: %s", alert["name"], error)
        return None
    line = next((line for line in result.lines if line.labels == labels), None)
    starts = result.plan.starts
    if line is None or not len(starts):
        return None
    values = [float(f"{value:.6g}") if value is not None else None for value in line.values]
    return {"start": int(starts[0]) * 1000, "step": STEP_SECONDS * 1000, "values": values}


def context_of(alert: Mapping[str, Any], now: datetime) -> dict[str, Any] | None:
    """Return the context of an alert; None if it cannot be read."""
    try:
        return context_of_number(alert["id"], now)
    except QueryStopped as error:
        logger.warning("alerts: the context of %s: %s", alert["name"], error)
        return None
