"""The part of the monitor that judges alert rules and sends their messages. Pure functions on `AlertingHealth`."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.health import AlertingHealth
from dashboard.sentence import listed
from dashboard.system.health import Part


def part_of(health: AlertingHealth) -> Part:
    """Return the part. The Alerts page has the reasons of its problems."""
    problems = list(_problems(health))
    if problems:
        return Part("Alerting", "; ".join(problems), problem=listed(problems))
    if health.evaluated_at is None or health.duration_ms is None:
        return Part("Alerting", "rules not judged yet")
    return Part("Alerting", f"{_counted(health.rules, 'rule')} judged in {max(1, round(health.duration_ms)):,} ms")


def _problems(health: AlertingHealth) -> Iterator[str]:
    if health.is_late:
        yield "the alert rules are not judged"
    if health.rules_in_error:
        yield f"{_counted(len(health.rules_in_error), 'alert rule')} cannot be judged"
    for channel in health.failing:
        yield f"{channel.name} accepts no {'messages' if channel.waiting else 'heartbeats'}"
    if health.dead:
        yield f"{_counted(health.dead, 'message')} {'was' if health.dead == 1 else 'were'} given up in the last day"


def _counted(number: int, name: str) -> str:
    return f"{number:,} {name}{'s' if number != 1 else ''}"
