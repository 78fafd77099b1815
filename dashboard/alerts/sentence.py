"""The sentence at the top of the Alerts page. Pure functions on alerts and rules as `alerts.queries` returns them.

Times are in ISO 8601; the page shows them in the time zone of the browser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from dashboard.formatting import SPACE

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
    loud = [alert for alert in firing if not alert["silence"]]
    pending = [alert for alert in alerts if alert["state"] == "pending" and not alert["silence"]]
    quiet = _quiet(len(enabled) - len({alert["rule"] for alert in alerts}), bool(alerts))
    if omitted:
        quiet = f"{_count(omitted, 'further alert')} {_are(omitted)} not counted here."
    next_one = pending[0] if pending else None
    follows = {"follows": name_of(next_one), "follows_at": next_one["fires_at"]} if next_one else {}
    number = len(firing) - len(loud)
    silenced = f"{_count(number, 'alert')} {_are(number)} silenced." if number else ""
    if loud:
        return _firing(loud, _join(silenced, quiet), follows)
    if next_one:
        return Sentence("quiet", f"Nothing fires. {name_of(next_one)} is pending.", _join(silenced, quiet), **follows)
    return Sentence("quiet" if firing else "ok", _join("Nothing fires.", _nearest(enabled)), _join(silenced, quiet))


def _firing(loud: Sequence[Row], quiet: str, follows: dict[str, Any]) -> Sentence:
    state = "critical" if any(alert["severity"] == "critical" for alert in loud) else "warning"
    first, *more = loud
    if not more:
        group = group_of(first["labels"])
        title = f"{first['name']} fires{f' for {group}' if group else ''}, since {_second(first['started_at'])}."
        return Sentence(state, title, _join(_who(first), quiet), **follows)
    names = list(dict.fromkeys(alert["name"] for alert in loud))
    listed = f"{', '.join(names[:-1])} and {names[-1]} fire" if 1 < len(names) <= MAX_NAMES else ""
    if len(names) == 1:
        listed = f"{names[0]} fires for {len(loud)} groups"
    unseen = sum(not alert["acknowledged_at"] for alert in loud)
    text = f"{unseen} of {len(loud)} {_are(unseen)} not acknowledged."
    if unseen in (0, len(loud)):
        text = "Nobody has acknowledged them." if unseen else "All are acknowledged."
    listed = listed or f"{len(loud)} alerts of {len(names)} rules fire"
    since = _second(min(alert["started_at"] for alert in loud))
    return Sentence(state, f"{listed}, since {since}.", _join(text, quiet), **follows)


def name_of(alert: Row) -> str:
    """Return the rule's name with the group: `Slow Response Time of llama-3-70b`."""
    group = group_of(alert["labels"])
    return f"{alert['name']} of {group}" if group else str(alert["name"])


def group_of(labels: Mapping[str, str]) -> str:
    """Return the labels of a group as text: `llama-3-70b`, `gpu-box-1 · GPU 0`."""
    return " · ".join(f"GPU{SPACE}{value}" if name == "gpu" else str(value) for name, value in labels.items())


def _second(time: str) -> str:
    return datetime.fromisoformat(time).strftime("%Y-%m-%dT%H:%M:%SZ")


def _who(alert: Row) -> str:
    if not alert["acknowledged_at"]:
        return "Nobody has acknowledged it."
    note = f": “{alert['note']}”" if alert["note"] else ""
    return f"Acknowledged by {alert['acknowledged_by']}{note}."


def _nearest(rules: Sequence[Row]) -> str:
    known = [rule for rule in rules if rule["share_of_threshold"] is not None]
    if not known:
        return ""
    rule = max(known, key=lambda rule: rule["share_of_threshold"])
    return f"Nearest: {rule['name']}, at {100 * rule['share_of_threshold']:.0f}{SPACE}% of its threshold."


def _quiet(number: int, are_others: bool) -> str:
    if number <= 0:
        return ""
    if not are_others:
        return f"{_count(number, 'rule')} {'is' if number == 1 else 'are'} judged."
    return "The other rule is quiet." if number == 1 else f"The other {number} rules are quiet."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _join(*parts: str) -> str:
    return " ".join(filter(None, parts))
