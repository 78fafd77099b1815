"""A message in words: its title, and a line for each alert."""

from __future__ import annotations

from datetime import timedelta

from alerts.channels.message import Message, MessageAlert, MessageKind
from alerts.rules.spec import AlertLevel, Comparison
from alerts.rules.words import COMPARISONS, GLYPHS, group_in_words, measured_in_words, seconds_in_words, value_in_words

MAX_LINES = 50
RESOLVED_GLYPH = "✓"
TITLES = {MessageKind.TEST: "Test message of LLM Monitor", MessageKind.HEARTBEAT: "LLM Monitor is up"}


def title_of(message: Message) -> str:
    """Return one line: `■ High CPU Usage fires: gpu-1, 93 % (above 80 %)`."""
    if message.kind in TITLES:
        return TITLES[message.kind]
    firing, resolved = message.firing, message.resolved
    first = (firing or resolved)[0]
    again = " still" if message.kind is MessageKind.REPEAT else ""
    if len(message.alerts) == 1:
        return f"{_glyph(first)} {first.name}{again} {_verb(first)}{_details(first)}"
    names = {alert.name for alert in message.alerts}
    of = f"{first.name}: " if len(names) == 1 else f"{len(names)} rules: "
    counts = [f"{len(firing):,}{again} firing"] if firing else []
    counts += [f"{len(resolved):,} resolved"] if resolved else []
    return f"{_glyph(first)} {of}{', '.join(counts)}"


def summary_of(message: Message) -> str:
    """Return the alerts as lines of text, at most MAX_LINES, without a title."""
    lines = [line_of(alert) for alert in message.alerts[:MAX_LINES]]
    if more := len(message.alerts) - len(lines):
        lines.append(f"… and {more:,} more")
    return "\n".join(lines)


def line_of(alert: MessageAlert) -> str:
    """Return what has happened to an alert."""
    return f"{_glyph(alert)} {alert.name} {_verb(alert)}{_details(alert)}"


def condition_of(alert: MessageAlert) -> str:
    """Return the condition: `above 80 %`; empty without a threshold."""
    if alert.threshold is None or alert.comparison not in tuple(Comparison):
        return ""
    return f"{COMPARISONS[Comparison(alert.comparison)]} {value_in_words(alert.threshold, alert.unit)}"


def duration_of(alert: MessageAlert) -> str:
    """Return how long a resolved alert fired; empty for one that fires."""
    if alert.started_at is None or alert.ended_at is None:
        return ""
    seconds = max(1, round((alert.ended_at - alert.started_at) / timedelta(seconds=1)))
    return seconds_in_words(seconds if seconds < 120 else 60 * round(seconds / 60))


def value_of(alert: MessageAlert) -> str:
    """Return the value with its unit; empty without one."""
    return "" if alert.value is None else measured_in_words(alert.value, alert.unit)


def _verb(alert: MessageAlert) -> str:
    return "fires" if alert.state == "firing" else "is resolved"


def _glyph(alert: MessageAlert) -> str:
    return GLYPHS[AlertLevel(alert.severity)] if alert.state == "firing" else RESOLVED_GLYPH


def _details(alert: MessageAlert) -> str:
    """Return the group, the value and the condition, as far as there are any."""
    group, value, condition = group_in_words(alert.labels), value_of(alert), condition_of(alert)
    if alert.state == "resolved":
        condition = f"after {duration_of(alert)}" if duration_of(alert) else ""
    figures = f"{value} ({condition})" if value and condition else value or condition
    details = ", ".join(part for part in (group, figures) if part)
    return f": {details}" if details else ""
