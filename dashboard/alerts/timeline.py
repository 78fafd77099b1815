"""The history on the Alerts page: a row for each rule and group that was pending or firing in the time range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from alerts import queries as alert_queries
from dashboard.alerts.details import add_lines
from dashboard.alerts.filters import AlertFilters
from dashboard.reading import Reading

MAX_ROWS = 25
ROW_FIELDS = (
    "id", "since", "started_at", "ended_at", "peak", "value", "threshold", "acknowledged_at", "acknowledged_by", "note",
    "silence",
)  # fmt: skip
EMPTY = {"rows": [], "alerts_not_read": 0, "alerts_omitted": 0, "groups_without": 0}


def timeline(reading: Reading, filters: AlertFilters, rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the rows, and how many alerts and groups have none. Firing ones are first, then the newest."""
    selects = filters.selects_ever if filters.as_dict() else None
    read = partial(alert_queries.alerts_between, reading.window.start, reading.window.end, selects)
    alerts = reading.read("The history", read)
    if alerts is None:
        return EMPTY
    rows: dict[Any, dict[str, Any]] = {}
    for alert in alerts.results:
        key = (alert["rule"], tuple(sorted(alert["labels"].items())))
        row = rows.setdefault(
            key,
            {name: alert[name] for name in ("rule", "name", "labels", "unit", "metric_name")}
            | {"alerts": [], "line": None},
        )
        row["alerts"].append({name: alert[name] for name in (*ROW_FIELDS, "severity")})
    listed = sorted(rows.values(), key=_row_importance)
    by_id = {rule["id"]: rule for rule in rules}
    reading.read("The values of the history", lambda: add_lines(listed[:MAX_ROWS], by_id, reading.window, reading.now))
    return {
        "rows": listed[:MAX_ROWS],
        "alerts_not_read": alerts.omitted,
        "alerts_omitted": alerts.omitted + sum(len(row["alerts"]) for row in listed[MAX_ROWS:]),
        "groups_without": 0
        if alerts.omitted or selects
        else max(0, sum(rule["groups"] for rule in rules) - len(listed)),
    }


def _row_importance(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Firing before pending, then those that ended last; of each, the newest first, as they are."""
    newest = row["alerts"][0]
    if newest["ended_at"] is None:
        return (newest["started_at"] is None, 0.0)
    return (2, -datetime.fromisoformat(newest["ended_at"]).timestamp())
