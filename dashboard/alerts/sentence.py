"""The sentence at the top of the Alerts page. Pure functions on alerts and rules as `alerts.queries` returns them.

Times are in ISO 8601; the page shows them in the time zone of the browser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from dashboard.alert_words import name_of, nothing_fires, subject_of

NOT_JUDGED_AFTER = timedelta(seconds=30)  # six evaluations
MAX_NAMES = 3

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Sentence:
    """A sentence. `follows` is a pending alert that fires at `follows_at` if its condition holds."""

    state: str  # ok, warning, critical or quiet
    title: str
    text: str = ""
    follows: str = ""
    follows_at: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the sentence, ready for JSON."""
        return asdict(self)


UNKNOWN = Sentence("critical", "The active alerts could not be loaded.", "Whether alerts fire is not known.")


def describe(
    alerts: Sequence[Row], rules: Sequence[Row], judged_at: datetime | None, now: datetime, omitted: int = 0
) -> Sentence:
    """Return the sentence about the active alerts, sorted by importance. `omitted`: how many further ones there are."""
    enabled = [rule for rule in rules if rule["enabled"]]
    if not enabled:
        title = "No rule yet. Add the six defaults." if not rules else "All rules are disabled."
        return Sentence("quiet", title, "Without a rule, nothing fires.")
    if judged_at is None:
        return Sentence("quiet", "The rules have not been judged yet.", "They are judged every five seconds.")
    if now - judged_at > NOT_JUDGED_AFTER:
        text = "Alerts do not change meanwhile. Check the worker and the log."
        return Sentence("critical", f"No rule was judged since {_second(judged_at.isoformat())}.", text)
    firing = [alert for alert in alerts if alert["state"] == "firing"]
    not_silenced = [alert for alert in firing if not alert["silence"]]
    pending = [alert for alert in alerts if alert["state"] == "pending" and not alert["silence"]]
    others = _others(len(enabled) - len({alert["rule"] for alert in alerts}), bool(alerts))
    if omitted:
        others = f"{_count(omitted, 'further alert')} {_are(omitted)} not counted here."
    next_one = pending[0] if pending else None
    follows = {"follows": name_of(next_one), "follows_at": next_one["fires_at"]} if next_one else {}
    number = len(firing) - len(not_silenced)
    silenced = f"{_count(number, 'alert')} {_are(number)} silenced." if number else ""
    if not_silenced:
        return _firing(not_silenced, _join(silenced, others), follows)
    if next_one:
        start = "No firing alert needs attention." if firing else "Nothing fires."
        return Sentence("quiet", f"{start} {name_of(next_one)} is pending.", _join(silenced, others), **follows)
    if firing:
        return Sentence("quiet", "No alert needs attention.", _join(silenced, others))
    return Sentence("ok", nothing_fires(enabled), others)


def _firing(not_silenced: Sequence[Row], others: str, follows: dict[str, Any]) -> Sentence:
    state = "critical" if any(alert["severity"] == "critical" for alert in not_silenced) else "warning"
    first, *more = not_silenced
    if not more:
        subject = subject_of(first["labels"])
        title = f"{first['name']} fires{f' for {subject}' if subject else ''}, since {_second(first['started_at'])}."
        return Sentence(state, title, _join(_who(first), others), **follows)
    names = list(dict.fromkeys(alert["name"] for alert in not_silenced))
    listed = f"{', '.join(names[:-1])} and {names[-1]} fire" if 1 < len(names) <= MAX_NAMES else ""
    if len(names) == 1:
        listed = f"{names[0]} fires for {len(not_silenced)} groups"
    number = sum(not alert["acknowledged_at"] for alert in not_silenced)
    text = f"{number} of {len(not_silenced)} {_are(number)} not acknowledged."
    if number in (0, len(not_silenced)):
        text = "None of them is acknowledged." if number else "All are acknowledged."
    listed = listed or f"{len(not_silenced)} alerts of {len(names)} rules fire"
    since = _second(min(alert["started_at"] for alert in not_silenced))
    return Sentence(state, f"{listed}, the first since {since}.", _join(text, others), **follows)


def _second(time: str) -> str:
    return datetime.fromisoformat(time).strftime("%Y-%m-%dT%H:%M:%SZ")


def _who(alert: Row) -> str:
    if not alert["acknowledged_at"]:
        return "Nobody has acknowledged it."
    note = f": “{alert['note']}”" if alert["note"] else ""
    return f"Acknowledged by {alert['acknowledged_by']}{note}."


def _others(number: int, are_others: bool) -> str:
    if number <= 0:
        return ""
    if not are_others:
        return f"{_count(number, 'rule')} {'is' if number == 1 else 'are'} judged."
    return "The other rule does not fire." if number == 1 else f"The other {number} rules do not fire."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _join(*parts: str) -> str:
    return " ".join(filter(None, parts))
