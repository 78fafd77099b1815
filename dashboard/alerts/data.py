"""The data of the Alerts page, for its first rendering and for each update.

The state (`figures`) is always that of now. The time range applies to the history only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from alerts import queries as alert_queries
from alerts.cutting import Cut
from alerts.health import alerting_health
from alerts.rules.words import SEVERITIES
from alerts.silencing import silences
from dashboard.alerts import alerting, sentence
from dashboard.alerts.details import add_charts, add_contexts
from dashboard.alerts.filters import STATES, AlertFilters, importance, state_of
from dashboard.alerts.rule_table import rule_table
from dashboard.alerts.timeline import timeline
from dashboard.page_query import PageQuery
from dashboard.parts import Parts
from metrics import queries
from metrics.queries.read.filters import tag_labels

DEFAULT_RANGE = "24h"
MAX_ALERTS = 60  # that are sent; the filters choose others
MAX_CHARTS = 8
MAX_CONTEXTS = 2  # those of the large cards

Row = dict[str, Any]


def gather(query: PageQuery, filters: AlertFilters, now: datetime) -> Row:
    """Return the page's data, ready for JSON."""
    rules = alert_queries.rules()
    state = _state(query, filters, rules, now)
    parts = Parts(state["notices"])
    return state | {
        "timeline": timeline(query, filters, rules, parts, now),
        "options": _options(query, parts, now),
    }


def figures(query: PageQuery, filters: AlertFilters, now: datetime) -> Row:
    """Return the part of the data that is of now."""
    return _state(query, filters, alert_queries.rules(), now)


def _state(query: PageQuery, filters: AlertFilters, rules: Sequence[Row], now: datetime) -> Row:
    notices = list(query.notices)
    parts = Parts(notices)
    by_id = {rule["id"]: rule for rule in rules}
    known = parts.read("The active alerts", alert_queries.active_alerts)
    everything = selected = known or Cut([], 0)
    if filters.as_dict():
        read_selected = partial(alert_queries.active_alerts, selects=filters.selects)
        selected = parts.read("The alerts that the filters select", read_selected) or Cut([], 0)
    active, shown = (
        sorted((_with_rule(alert, by_id.get(alert["rule"])) for alert in read.results), key=importance)
        for read in (everything, selected)
    )
    number, number_shown = (len(read.results) + read.omitted for read in (everything, selected))
    parts.read("The charts of the alerts", lambda: add_charts(shown[:MAX_CHARTS], by_id, now))
    parts.read("The context of the alerts", lambda: add_contexts(shown[:MAX_CONTEXTS], now))
    evaluation = alert_queries.newest_evaluation()
    judged_at = datetime.fromisoformat(evaluation["at"]) if evaluation["at"] else None
    return {
        "now": int(now.timestamp() * 1000),
        "params": query.as_dict() | {"filters": filters.as_dict()},
        "has_events": True,
        "demo": {"present": queries.has_demo(), "stopped": queries.demo_has_stopped()},
        "notices": notices,
        "sentence": (
            sentence.describe(active, rules, judged_at, now, everything.omitted) if known else sentence.UNKNOWN
        ).as_dict(),
        "evaluation": evaluation | {"rules": sum(rule["enabled"] for rule in rules)},
        "alerting": alerting.describe(
            alerting_health(now), {rule["id"]: rule["name"] for rule in rules}, alert_queries.number_of_channels()
        ),
        "alerts": shown[:MAX_ALERTS],
        "alerts_omitted": number_shown - len(shown[:MAX_ALERTS]),
        "alerts_hidden": number - number_shown,
        "silences": silences.listed(now, with_ended=False),
        **rule_table(rules, active, now),
    }


def _with_rule(alert: Row, rule: Row | None) -> Row:
    """Add what the alert's card shows of its rule, which may have been deleted."""
    shown = {
        name: rule[name] if rule else None
        for name in (
            "comparison",
            "clear_threshold",
            "for_seconds",
            "window_seconds",
            "kind",
            "runbook_url",
            "filters",
        )
    }
    fires_at = None
    if alert["state"] == "pending" and rule:
        since = datetime.fromisoformat(alert["since"])
        fires_at = (since + timedelta(seconds=rule["for_seconds"])).isoformat()
    return alert | shown | {"has_rule": rule is not None, "fires_at": fires_at, "chart": None, "context": None}


def _options(query: PageQuery, parts: Parts, now: datetime) -> Row:
    """Return the choices of the filters."""
    active = alert_queries.states_of_active()

    def counted(names: Sequence[str], read: Any) -> Row:
        values = [read(alert) for alert in active]
        return {"choices": [{"value": name, "count": values.count(name)} for name in names], "total": len(names)}

    choices = parts.read("The choices of the filters", lambda: queries.choices(query.window, now)) or {}
    return {
        "state": counted(STATES, state_of),
        "severity": counted(SEVERITIES, lambda alert: alert["severity"]),
        **{name: choices[name] for name in ("model", "host", *tag_labels()) if name in choices},
    }
