"""The rules on the Alerts page: their states, their values, and when they fired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from alerts import queries as alert_queries
from alerts.rules.defaults import default_rules
from dashboard.alerts.filters import importance, state_of

MAX_RULES = 100  # that are sent; the administration has all
FIRED_DAYS = 8  # seven whole days in every time zone
RULE_FIELDS = (
    "id", "name", "kind", "metric_type", "metric_name", "stat", "window_seconds", "comparison", "threshold",
    "for_seconds", "compare_to_seconds", "filters", "severity", "enabled", "unit", "not_judged", "value", "group",
    "share_of_threshold",
)  # fmt: skip

Row = Mapping[str, Any]


def rule_table(rules: Sequence[Row], active: Sequence[Row], now: datetime) -> dict[str, Any]:
    """Return the rules: those that fire first, then pending ones, then those nearest to their threshold."""
    states: dict[str, Row] = {}
    for alert in active:
        states.setdefault(alert["rule"], alert)
    fired = alert_queries.firings(now - timedelta(days=FIRED_DAYS), now)
    last = alert_queries.last_fired()

    def order(rule: Row) -> tuple[Any, ...]:
        alert = states.get(rule["id"])
        share = rule["share_of_threshold"]
        return (not rule["enabled"], importance(alert) if alert else (2,), share is None, -(share or 0), rule["name"])

    listed = []
    for rule in sorted(rules, key=order)[:MAX_RULES]:
        row = {name: rule[name] for name in RULE_FIELDS} | {
            "state": "ok",
            "is_firing": False,
            "last_fired": last.get(rule["id"]),
        }
        if rule["id"] in states:  # the group that fires is not always the nearest one
            alert = states[rule["id"]]
            row |= {"state": state_of(alert), "is_firing": alert["state"] == "firing"}
            row |= {"value": alert["value"], "group": alert["labels"]}
            if row["is_firing"]:
                row["last_fired"] = {"from": alert["started_at"], "to": None, "silenced": bool(alert["silence"])}
        listed.append(row | {"fired": fired.get(rule["id"], [])})
    defaults = [] if rules else default_rules()
    return {"rules": listed, "rules_omitted": len(rules) - len(listed), "default_rules": defaults}
