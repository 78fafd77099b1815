"""The sentence at the top of the Alerts page. Pure functions on alerts and rules as `alerts.queries` returns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dashboard.alert_words import STATES, name_of, nothing_fires, subject_of
from dashboard.sentence import Sentence
from dashboard.times_in_texts import time_in_text

NOT_JUDGED_AFTER = timedelta(seconds=30)  # six evaluations
MAX_NAMES = 3

Row = Mapping[str, Any]


@dataclass(frozen=True)
class AlertsSentence(Sentence):
    """A sentence, and the pending alert `follows`, which fires at `follows_at` if its condition holds."""

    follows: str = ""
    follows_at: str | None = None


UNKNOWN = AlertsSentence("critical", "The active alerts could not be loaded.", "Whether alerts fire is not known.")


def describe(
    alerts: Sequence[Row], rules: Sequence[Row], judged_at: datetime | None, now: datetime, omitted: int = 0
) -> AlertsSentence:
    """Return the sentence about the active alerts, sorted by importance. `omitted`: how many further ones there are."""
    enabled = [rule for rule in rules if rule["enabled"]]
    if not enabled:
        title = "No rule yet. Add the six defaults." if not rules else "All rules are disabled."
        return AlertsSentence("quiet", title, "Without a rule, nothing fires.")
    if judged_at is None:
        return AlertsSentence("quiet", "The rules have not been judged yet.", "They are judged every five seconds.")
    if now - judged_at > NOT_JUDGED_AFTER:
        text = "Alerts do not change meanwhile. Check the worker and the log."
        return AlertsSentence("critical", f"No rule was judged since {time_in_text(judged_at.isoformat())}.", text)
    firing = [alert for alert in alerts if alert["state"] == "firing"]
    needing = [alert for alert in firing if not (alert["silence"] or alert["acknowledged_at"])]
    acknowledged = [alert for alert in firing if alert["acknowledged_at"] and not alert["silence"]]
    pending = [alert for alert in alerts if alert["state"] == "pending" and not alert["silence"]]
    active = {alert["rule"] for alert in alerts}
    others = _others([rule for rule in enabled if rule["id"] not in active], bool(active))
    if omitted:
        others = f"{_count(omitted, 'further alert')} {_are(omitted)} not counted here."
    next_one = pending[0] if pending else None
    follows = {"follows": name_of(next_one), "follows_at": next_one["fires_at"]} if next_one else {}
    number = len(firing) - len(needing) - len(acknowledged)
    silenced = f"{_count(number, 'alert')} {_are(number)} silenced." if number else ""
    text = _join(_about_acknowledged(acknowledged), silenced, others)
    if needing:
        return _firing(needing, text, follows)
    if next_one:
        start = "No firing alert needs attention." if firing else "Nothing fires."
        return AlertsSentence("quiet", f"{start} {name_of(next_one)} is pending.", text, **follows)
    if firing:
        return AlertsSentence("quiet", "No alert needs attention.", text)
    return AlertsSentence("ok", nothing_fires(enabled), others)


def _firing(needing: Sequence[Row], text: str, follows: dict[str, Any]) -> AlertsSentence:
    state = STATES[needing[0]["severity"]]
    first, *more = needing
    if not more:
        subject = subject_of(first["labels"])
        title = (
            f"{first['name']} fires{f' for {subject}' if subject else ''}, since {time_in_text(first['started_at'])}."
        )
        return AlertsSentence(state, title, text, **follows)
    names = list(dict.fromkeys(alert["name"] for alert in needing))
    listed = f"{', '.join(names[:-1])} and {names[-1]} fire" if 1 < len(names) <= MAX_NAMES else ""
    if len(names) == 1:
        listed = f"{names[0]} fires for {len(needing)} groups"
    listed = listed or f"{len(needing)} alerts of {len(names)} rules fire"
    oldest = min(needing, key=lambda alert: alert["started_at"])
    name = f" ({oldest['name']})" if len(names) > 1 else ""
    return AlertsSentence(
        state, f"{listed}, the oldest since {time_in_text(oldest['started_at'])}{name}.", text, **follows
    )


def _about_acknowledged(alerts: Sequence[Row]) -> str:
    if len(alerts) != 1:
        return f"{len(alerts)} alerts are acknowledged." if alerts else ""
    note = f": “{alerts[0]['note']}”" if alerts[0]["note"] else ""
    return f"{name_of(alerts[0])} is acknowledged by {alerts[0]['acknowledged_by']}{note}."


def _others(rules: Sequence[Row], are_others: bool) -> str:
    """Return that the rules without an alert do not fire, and how many of them are not judged."""
    unknown = sum(bool(rule["not_judged"]) for rule in rules)
    number = len(rules) - unknown
    not_judged = f"{_count(unknown, 'rule')} {_are(unknown)} not judged." if unknown else ""
    if not number:
        return not_judged
    if not are_others:
        judged = f"{_count(number, 'rule')} {_are(number)} judged."
    elif unknown:
        judged = f"{_count(number, 'other rule')} {'does' if number == 1 else 'do'} not fire."
    else:
        judged = "The other rule does not fire." if number == 1 else f"The other {number} rules do not fire."
    return _join(judged, not_judged)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _join(*parts: str) -> str:
    return " ".join(filter(None, parts))
