"""The data of the Alerts page, for its first rendering and for each update.

The state (`figures`) is always that of now. The time range applies to the history only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from alerts import queries as alert_queries
from alerts.cutting import Cut
from alerts.models import Alert
from alerts.rules.defaults import default_rules
from alerts.rules.words import SEVERITIES
from alerts.silencing import silences
from alerts.spans import matches
from dashboard.alerts import sentence
from dashboard.alerts.details import add_charts, add_contexts, add_lines
from dashboard.page_query import PageQuery
from dashboard.parts import Parts
from metrics import queries

# The filters in the header, with their labels.
FILTERS = {"state": "State", "severity": "Severity", "model": "Model", "host": "Host"}
STATES = ("firing", "acknowledged", "silenced", "pending")
DEFAULT_RANGE = "24h"
MAX_ALERTS = 60  # that are sent; the filters choose others
MAX_CHARTS = 8
MAX_CONTEXTS = 2  # those of the large cards
MAX_RULES = 100  # that are sent; the administration has all
MAX_ROWS = 25  # of the history
FIRED_DAYS = 8  # seven whole days in every time zone
RULE_FIELDS = (
    "id", "name", "kind", "metric_type", "metric_name", "stat", "window_seconds", "comparison", "threshold",
    "clear_threshold", "for_seconds", "compare_to_seconds", "min_count", "severity", "enabled", "runbook_url",
    "description", "unit", "not_judged", "value", "group", "share_of_threshold",
)  # fmt: skip
ROW_FIELDS = (
    "id", "since", "started_at", "ended_at", "peak", "value", "threshold", "acknowledged_at", "acknowledged_by", "note",
    "silence",
)  # fmt: skip

Row = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """The values chosen in the filters; a filter without values selects all."""

    state: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    host: tuple[str, ...] = ()

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The values of the filters that are labels."""
        return {"model": self.model, "host": self.host}

    def as_dict(self) -> dict[str, list[str]]:
        """Return the filters that have values."""
        return {name: list(getattr(self, name)) for name in FILTERS if getattr(self, name)}

    def selects(self, alert: Alert) -> bool:
        """Return whether an alert passes all filters."""
        of_state = {"state": alert.state, "acknowledged_at": alert.acknowledged_at, "silence": alert.silence_id}
        return (not self.state or state_of(of_state) in self.state) and self.selects_ever(alert)

    def selects_ever(self, alert: Alert) -> bool:
        """Return whether an alert passes the filters by what does not change."""
        return (not self.severity or alert.severity in self.severity) and matches(alert.labels, self.labels)


def state_of(alert: Row) -> str:
    """Return the state as the page names it: also acknowledged and silenced are states."""
    if alert["silence"]:
        return "silenced"
    return "acknowledged" if alert["state"] == "firing" and alert["acknowledged_at"] else str(alert["state"])


def gather(query: PageQuery, choice: Choice, now: datetime) -> Row:
    """Return the page's data, ready for JSON."""
    state = figures(query, choice, now)
    parts = Parts(state["notices"])
    return state | {
        "timeline": _timeline(query, choice, state["groups"], parts, now),
        "options": _options(query, parts, now),
    }


def figures(query: PageQuery, choice: Choice, now: datetime) -> Row:
    """Return the part of the data that is of now."""
    notices = list(query.notices)
    parts = Parts(notices)
    rules = alert_queries.rules()
    by_id = {rule["id"]: rule for rule in rules}
    known = parts.read("The active alerts", alert_queries.active_alerts)
    everything = selected = known or Cut([], 0)
    if choice.as_dict():
        read_selected = partial(alert_queries.active_alerts, selects=choice.selects)
        selected = parts.read("The alerts that the filters select", read_selected) or Cut([], 0)
    active, shown = (
        sorted((_with_rule(alert, by_id.get(alert["rule"])) for alert in read.results), key=_importance)
        for read in (everything, selected)
    )
    number, number_shown = (len(read.results) + read.omitted for read in (everything, selected))
    parts.read("The charts of the alerts", lambda: add_charts(shown[:MAX_CHARTS], by_id, now))
    parts.read("The context of the alerts", lambda: add_contexts(shown[:MAX_CONTEXTS], now))
    evaluation = alert_queries.newest_evaluation()
    judged_at = datetime.fromisoformat(evaluation["at"]) if evaluation["at"] else None
    return {
        "now": int(now.timestamp() * 1000),
        "params": query.as_dict() | {"filters": choice.as_dict()},
        "has_events": True,
        "demo": {"present": queries.has_demo(), "stopped": queries.demo_has_stopped()},
        "notices": notices,
        "sentence": (
            sentence.describe(active, rules, judged_at, now, everything.omitted) if known else sentence.UNKNOWN
        ).as_dict(),
        "evaluation": evaluation | {"rules": sum(rule["enabled"] for rule in rules)},
        "alerts": shown[:MAX_ALERTS],
        "alerts_omitted": number_shown - len(shown[:MAX_ALERTS]),
        "alerts_hidden": number - number_shown,
        "silences": silences.listed(now, with_ended=False),
        "groups": sum(rule["groups"] for rule in rules),
        **_rules(rules, active, now),
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
            "min_count",
            "runbook_url",
        )
    }
    fires_at = None
    if alert["state"] == "pending" and rule:
        since = datetime.fromisoformat(alert["since"])
        fires_at = (since + timedelta(seconds=rule["for_seconds"])).isoformat()
    return alert | shown | {"has_rule": rule is not None, "fires_at": fires_at, "chart": None, "context": None}


def _importance(alert: Row) -> tuple[Any, ...]:
    """Firing before pending, silenced last of them, critical first, then the newest; pending ones by when they fire."""
    is_firing = alert["state"] == "firing"
    begin = datetime.fromisoformat(alert["started_at"] or alert["since"]).timestamp()
    order = -begin if is_firing else begin + (alert["for_seconds"] or 0)
    severity = SEVERITIES.index(alert["severity"]) if is_firing else 0
    return (not is_firing, bool(alert["silence"]), severity, order)


def _rules(rules: Sequence[Row], active: Sequence[Row], now: datetime) -> Row:
    """Return the rules: those that fire first, then pending ones, then those nearest to their threshold."""
    states: dict[str, Row] = {}
    for alert in active:
        states.setdefault(alert["rule"], alert)
    fired = alert_queries.firings(now - timedelta(days=FIRED_DAYS), now)
    last = alert_queries.last_fired()

    def order(rule: Row) -> tuple[Any, ...]:
        alert = states.get(rule["id"])
        share = rule["share_of_threshold"]
        return (not rule["enabled"], _importance(alert) if alert else (2,), share is None, -(share or 0), rule["name"])

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


def _timeline(query: PageQuery, choice: Choice, groups: int, parts: Parts, now: datetime) -> Row:
    """Return one row for each rule and group that was pending or firing in the window, the newest first."""
    selects = choice.selects_ever if choice.as_dict() else None
    read = partial(alert_queries.alerts_between, query.window.start, query.window.end, selects)
    alerts = parts.read("The history", read)
    if alerts is None:
        return {"rows": [], "alerts_not_read": 0, "alerts_omitted": 0, "quiet": 0}
    rows: dict[Any, Row] = {}
    for alert in alerts.results:
        key = (alert["rule"], tuple(sorted(alert["labels"].items())))
        row = rows.setdefault(
            key,
            {name: alert[name] for name in ("rule", "name", "labels", "unit", "metric_name")}
            | {"alerts": [], "line": None},
        )
        row["alerts"].append({name: alert[name] for name in (*ROW_FIELDS, "severity")})
    listed = sorted(rows.values(), key=_row_importance)
    rules = {rule["id"]: rule for rule in alert_queries.rules()}
    parts.read("The values of the history", lambda: add_lines(listed[:MAX_ROWS], rules, query.window, now))
    return {
        "rows": listed[:MAX_ROWS],
        "alerts_not_read": alerts.omitted,
        "alerts_omitted": alerts.omitted + sum(len(row["alerts"]) for row in listed[MAX_ROWS:]),
        "groups_without": 0 if alerts.omitted else max(0, groups - len(listed)),
    }


def _row_importance(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Firing before pending, then those that ended last; of each, the newest first, as they are."""
    newest = row["alerts"][0]
    if newest["ended_at"] is None:
        return (newest["started_at"] is None, 0.0)
    return (2, -datetime.fromisoformat(newest["ended_at"]).timestamp())


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
        **{name: choices[name] for name in ("model", "host") if name in choices},
    }
