"""Alerts in words: what fires, for which model or machine, by how much and since when. Pure functions.

An alert is a dictionary with the fields of `alerts.spans`, and the `kind` and the `filters` of its rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from dashboard.formatting import NO_DATA, SPACE, in_unit, threshold_text
from dashboard.times_in_texts import time_in_text

Alert = Mapping[str, Any]
Word = TypeVar("Word")

# What is wrong with the subject of an alert whose value is over the threshold, now and in the past.
COMPLAINTS = {
    "inference.response_time_ms": ("is slow", "was slow"),
    "inference.ttft_ms": ("is slow to start", "was slow to start"),
    "inference.error_rate_percent": ("is failing", "was failing"),
    "queue.pending": ("has a backlog", "had a backlog"),
    "system.cpu_percent": ("is busy", "was busy"),
    "system.memory_percent": ("is short of memory", "was short of memory"),
    "gpu.temperature": ("is hot", "was hot"),
}
NAMES = {"system.cpu_percent": "CPU", "system.memory_percent": "memory", "inference.ttft_ms": "first token"}
FOLLOWED_BY = {"inference.error_rate_percent": " of requests", "queue.pending": " waiting"}
TOTALS = ("count", "rate", "sum")
WITH_TIMEOUTS = "success_or_timeout"
STATES = {"critical": "critical", "warning": "warning", "info": "quiet"}  # of sentences and tiles
EACH = {("model",): "model", ("host",): "machine", ("host", "gpu"): "GPU"}


def subject_of(labels: Mapping[str, str]) -> str:
    """Return what an alert is about: `llama-3-70b`, `gpu-box-1`, `GPU 0 of gpu-box-1`; empty without labels."""
    if "gpu" in labels:
        return f"GPU {labels['gpu']}" + (f" of {labels['host']}" if labels.get("host") else "")
    first, *others = [str(value) or f"no {name}" for name, value in labels.items()] or [""]
    return f"{first} ({', '.join(others)})" if others else first


def name_of(alert: Alert) -> str:
    """Return `Slow Response Time for llama-3-70b`."""
    subject = subject_of(alert["labels"])
    return f"{alert['name']} for {subject}" if subject else str(alert["name"])


def headline(alert: Alert, past: bool = False) -> str:
    """Return `llama-3-70b is slow: P95 5.38 s, over 5 s since 2026-03-01T14:21:00Z.`

    In the past, the worst value is named: `llama-3-70b was slow: P95 up to 7.30 s, over 5 s from … to ….`
    """
    is_common = over(alert) == "over" and alert.get("kind") != "change"
    complaint = _of_metric(COMPLAINTS, alert) if is_common else None
    subject = subject_of(alert["labels"])
    start = (
        f"{subject} {complaint[past]}" if complaint and subject else f"{name_of(alert)} {'fired' if past else 'fires'}"
    )
    # Between the threshold and the one to clear at, an alert still fires for its worst value.
    value = figure(alert, worst=past or _side(alert["value"], alert["threshold"]) != over(alert))
    threshold = (
        f", {over(alert)} {threshold_text(alert['threshold'], alert['unit'])}"
        if value != NO_DATA and over(alert)
        else ""
    )
    return f"{start}: {'no data' if value == NO_DATA else value}{threshold} {times_of(alert, 'since')}."


def fired(alert: Alert) -> str:
    """Return `Slow Response Time fired for llama-3-70b from … to ….`"""
    subject = subject_of(alert["labels"])
    return f"{alert['name']} fired{f' for {subject}' if subject else ''} {times_of(alert)}."


def times_of(alert: Alert, start: str = "from") -> str:
    """Return `since …`, or `from … to …` of an alert that has ended. `start`: `from`, or `since` for its condition."""
    time = time_in_text(alert[start])
    return f"from {time} to {time_in_text(alert['to'])}" if alert["to"] else f"since {time}"


def figure(alert: Alert, worst: bool = False) -> str:
    """Return the value, or the worst one, with its statistic: `P95 5.38 s`, `12 % of requests`."""
    stat = alert["stat"]
    value = alert["peak"] if worst else alert["value"]
    if value is None:
        return NO_DATA
    if alert.get("kind") == "change":
        return f"{in_unit(abs(value), alert['unit'])} {'lower' if value < 0 else 'higher'} than before"
    limit = ("down to" if over(alert) == "under" else "up to") if worst else ""
    words = (_of_metric(NAMES, alert) or "", stat.upper() if stat.startswith("p") else "", limit)
    number = f"{in_unit(value, alert['unit'])}{_of_metric(FOLLOWED_BY, alert) or ''}"
    return " ".join(filter(None, (*words, number, "including timeouts" if has_timeouts(alert) else "")))


def has_timeouts(rule: Mapping[str, Any]) -> bool:
    """Return whether the filters of a rule add the response times of timeouts, which other figures do not have."""
    return WITH_TIMEOUTS in rule.get("filters", {}).get("outcome", ())


def _of_metric(words: Mapping[str, Word], alert: Alert) -> Word | None:
    """Return the word for the alert's metric, where its value is one of the metric and not a number of requests."""
    return None if alert["stat"] in TOTALS else words.get(alert["metric_name"])


def over(alert: Alert) -> str:
    """Return on which side of the threshold the worst value is: `over`, `under`, `at`; empty if that is not known."""
    return _side(alert["peak"], alert["threshold"])


def threshold_words(alert: Alert) -> str:
    """Return the threshold and the side of it: `over 5 s`; empty if the side is not known."""
    return f"{over(alert)} {threshold_text(alert['threshold'], alert['unit'])}" if over(alert) else ""


def _side(value: float | None, threshold: float | None) -> str:
    if value is None or threshold is None:
        return ""
    return "over" if value > threshold else "under" if value < threshold else "at"


def nothing_fires(rules: Sequence[Mapping[str, Any]]) -> str:
    """Return that nothing fires, and which of the enabled rules is nearest to its threshold, where a value is known."""
    known = [rule for rule in rules if rule["enabled"] and rule["share_of_threshold"] is not None]
    nearest = max(known, key=lambda rule: rule["share_of_threshold"], default=None)
    if nearest is None:
        return "Nothing fires."
    share = nearest["share_of_threshold"]
    if share > 1:
        return f"Nothing fires yet. {nearest['name']} is past its threshold."
    return f"Nothing fires. Nearest: {nearest['name']}, at {100 * share:.0f}{SPACE}% of its threshold."


def each(group_by: tuple[str, ...]) -> str:
    """Return what a rule is judged for: `each model`; empty for all together."""
    return f"each {EACH.get(group_by, ' and '.join(group_by))}" if group_by else ""
