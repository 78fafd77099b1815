"""The Alerts page: what fires, what fired, and what may fire.

The state (`figures`) is always that of now. The time range applies to the history only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.http import HttpRequest

from alerts import queries as alert_queries
from alerts.cutting import Cut
from alerts.health import alerting_health
from alerts.rules.words import SEVERITIES
from alerts.silencing import silences
from dashboard.alert_words import subject_of
from dashboard.alerts import alerting, sentence
from dashboard.alerts.details import add_charts, add_contexts
from dashboard.alerts.filters import FILTERS, STATES, AlertFilters, importance, state_of
from dashboard.alerts.rule_table import rule_table
from dashboard.alerts.timeline import timeline
from dashboard.formatting import in_unit, threshold_text
from dashboard.page_spec import PageSpec, Row
from dashboard.reading import Reading
from dashboard.times_in_texts import in_utc
from metrics.queries.read.filters import TAG_PREFIX, tag_labels

DEFAULT_RANGE = "24h"
MAX_ALERTS = 60  # that are sent; the filters choose others
MAX_CHARTS = 8
MAX_CONTEXTS = 2  # those of the large cards


def filters_of(reading: Reading) -> AlertFilters:
    """Return the filters of the address. Unknown states and severities are ignored."""
    filters = reading.filters
    return AlertFilters(
        tuple(value for value in reading.params.getlist("state") if value in STATES),
        tuple(value for value in reading.params.getlist("severity") if value in SEVERITIES),
        filters.model,
        filters.host,
        {TAG_PREFIX + key: values for key, values in filters.tags.items()},
    )


def data(reading: Reading) -> Row:
    """Return the history."""
    return {"timeline": timeline(reading, filters_of(reading), alert_queries.rules())}


def figures(reading: Reading) -> Row:
    """Return the state of now."""
    filters = filters_of(reading)
    rules = alert_queries.rules()
    by_id = {rule["id"]: rule for rule in rules}
    known = reading.read("The active alerts", alert_queries.active_alerts)
    everything = selected = known or Cut([], 0)
    if filters.as_dict():
        read_selected = partial(alert_queries.active_alerts, selects=filters.selects)
        selected = reading.read("The alerts that the filters select", read_selected) or Cut([], 0)
    active, shown = (
        sorted((_with_rule(alert, by_id.get(alert["rule"])) for alert in read.results), key=importance)
        for read in (everything, selected)
    )
    number, number_shown = (len(read.results) + read.omitted for read in (everything, selected))
    now = reading.now
    reading.read("The charts of the alerts", lambda: add_charts(shown[:MAX_CHARTS], now))
    reading.read("The context of the alerts", lambda: add_contexts(shown[:MAX_CONTEXTS], now))
    evaluation = alert_queries.newest_evaluation()
    judged_at = datetime.fromisoformat(evaluation["at"]) if evaluation["at"] else None
    return {
        "params": reading.query.as_dict() | {"filters": filters.as_dict()},
        "has_events": True,
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


def context(request: HttpRequest, data: Row, reading: Reading) -> Row:
    """Return what a page without scripts shows."""
    return {
        "alerts_in_words": [_in_words(alert, reading.now) for alert in data["alerts"]],
        "may_manage": "manage" in data["can"],
    }


def options(reading: Reading) -> Row:
    """Return the choices of the filters."""
    active = alert_queries.states_of_active()

    def counted(names: Sequence[str], read: Any) -> Row:
        values = [read(alert) for alert in active]
        return {"choices": [{"value": name, "count": values.count(name)} for name in names], "total": len(names)}

    choices = reading.choices()
    return {
        "state": counted(STATES, state_of),
        "severity": counted(SEVERITIES, lambda alert: alert["severity"]),
        **{name: choices[name] for name in ("model", "host", *tag_labels()) if name in choices},
    }


PAGE = PageSpec(
    name="alerts",
    title="Alerts",
    key="a",
    path="dashboard/alerts/",
    figures=figures,
    data=data,
    context=context,
    filters=FILTERS,
    options=options,
    default_range=lambda now: DEFAULT_RANGE,
)


def _in_words(alert: Row, now: datetime) -> Row:
    """Return a row of the table for a page without scripts."""
    begin = datetime.fromisoformat(alert["started_at"] or alert["since"])
    return {
        "name": alert["name"],
        "group": subject_of(alert["labels"]),
        "state": f"{alert['state']}, {state}" if (state := state_of(alert)) != alert["state"] else state,
        "since": in_utc(f"{begin:%Y-%m-%dT%H:%M:%SZ}", now),
        "value": in_unit(alert["value"], alert["unit"]),
        "threshold": threshold_text(alert["threshold"], alert["unit"]),
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
            "compare_to_seconds",
            "runbook_url",
            "filters",
        )
    }
    fires_at = None
    if alert["state"] == "pending" and rule:
        since = datetime.fromisoformat(alert["since"])
        fires_at = (since + timedelta(seconds=rule["for_seconds"])).isoformat()
    return alert | shown | {"has_rule": rule is not None, "fires_at": fires_at, "chart": None, "context": None}
