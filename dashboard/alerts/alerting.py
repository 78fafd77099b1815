"""The health of the alerting in words, for its card on the Alerts page. Pure functions on `AlertingHealth`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.health import AlertingHealth
from alerts.rules.words import seconds_in_words

MAX_PROBLEMS = 8


def describe(health: AlertingHealth, names: Mapping[str, str], channels: int) -> dict[str, Any]:
    """Return the lines of the card. names: rule -> its name. channels: the number of enabled ones."""
    problems = _problems(health, names)
    return {
        "rules": _rules(health),
        "messages": f"{health.waiting:,} waiting" if channels else "no channel: nobody is notified",
        "channels": channels,
        "count": health.problems,
        "problems": problems[:MAX_PROBLEMS],
        "omitted": max(0, len(problems) - MAX_PROBLEMS),
    }


def _rules(health: AlertingHealth) -> str:
    if health.evaluated_at is None or health.duration_ms is None:
        return "not judged yet"
    if health.is_late:
        return f"not judged for {_duration(health.lag_seconds or 0)}"
    return f"{health.rules:,} judged in {max(1, round(health.duration_ms)):,} ms"


def _problems(health: AlertingHealth, names: Mapping[str, str]) -> list[str]:
    problems = []
    if health.is_late:
        problems.append("The rules are not judged: check the worker of the queue ticks, and the log.")
    for rule, reason in health.rules_in_error.items():
        # Without the list of what is allowed, which the form of the rule has, too.
        problems.append(f"{names.get(rule, rule)} cannot be judged: {reason.split('. ')[0].rstrip('.')}.")
    for channel in health.failing:
        if channel.waiting:
            number = "A message" if channel.waiting == 1 else f"{channel.waiting:,} messages"
            verb = "has" if channel.waiting == 1 else "have"
            problems.append(
                f"{number} of {channel.name} {verb} not been accepted for {_duration(channel.waiting_seconds)}:"
                f" {channel.reason}"
            )
        else:
            problems.append(f"{channel.name} does not accept heartbeats: {channel.reason.removeprefix('heartbeat: ')}")
    if health.dead:
        number, them = ("A message was", "it") if health.dead == 1 else (f"{health.dead:,} messages were", "them")
        problems.append(f"{number} given up in the last day. Try {them} again in the admin.")
    return problems


def _duration(seconds: float) -> str:
    """Return a duration in one unit: 90 s, 12 minutes, 5 hours."""
    for size in (86_400, 3_600, 60):
        if seconds >= 2 * size:
            return seconds_in_words(int(seconds // size) * size)
    return seconds_in_words(round(seconds))
