"""What the monitor did since the start, as rows of tables: what it rejected, its tasks, its responses. Pure functions.

They are made of the totals of all its processes (`llmmonitor.infra.telemetry`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.formatting import NO_DATA, Figure, ago, duration, percent, threshold_text, whole
from llmmonitor.infra import refusals
from llmmonitor.infra.telemetry import Durations, Totals

LATE_AFTER = 3.0  # intervals of a task
LATE_SECONDS = 5.0  # and this
START_SECONDS = 30.0  # in which a worker starts
MAX_REASONS = 8
MAX_RESPONSES = 10


@dataclass(frozen=True)
class Task:
    """A periodic task: what it does, in a word, and its interval in seconds. A test compares it with the schedule."""

    title: str
    every_seconds: float


TASKS: dict[str, Task] = {
    "metrics.tasks.sample": Task("sample", 1.0),
    "metrics.tasks.broadcast": Task("tick", 1.0),
    "alerts.tasks.evaluate_alerts": Task("rules", 5.0),
    "alerts.tasks.find_messages": Task("messages", 1.0),
    "alerts.tasks.watch_alerting": Task("watch", 10.0),
    "metrics.tasks.maintain": Task("upkeep", 60.0),
    "llmmonitor.backup.tasks.back_up": Task("backup check", 10.0),
}
REFUSALS = {
    "queue_full": "queue full (429)",
    "store_unavailable": "store unavailable (503)",
    "store_busy": "commit too slow (503)",
    "shutting_down": "server stopping (503)",
    "too_large": "too large (413)",
    "too_many_events": "too many events (413)",
    "too_many_values": "too many values (413)",
    "bad_json": "not JSON (400)",
    "bad_batch": "not an array of events (400)",
    "bad_gzip": "not gzip (400)",
    "empty_body": "empty (400)",
    "empty_batch": "empty (400)",
    "unsupported_media_type": "wrong Content-Type (415)",
    "unsupported_charset": "wrong charset (415)",
    "unsupported_encoding": "wrong Content-Encoding (415)",
}


@dataclass(frozen=True)
class ReasonRow:
    """Why events or posts were not stored, how many, who sent most of them, and when the last one arrived."""

    reason: str
    count: Figure
    what: str
    sender: str = NO_DATA
    last: str = NO_DATA


@dataclass(frozen=True)
class TaskRow:
    """A task. `late` is whether it should have run by now: again, or for the first time since the start."""

    title: str
    every: str
    last: str
    late: bool
    mean: Figure
    p95: Figure
    lateness: Figure
    skipped: Figure
    failed: Figure


@dataclass(frozen=True)
class ResponseRow:
    """Responses of a kind: their number, times, and the width of P95 in percent of the longest."""

    title: str
    count: Figure
    p50: Figure
    p95: Figure
    width: float


def refused_rows(totals: Totals, now: float) -> list[ReasonRow]:
    """Return the reasons for which events and posts were rejected, the most frequent first, then the duplicates.

    now: unix seconds.
    """
    counts = [
        *((count, refusals.REJECTED_EVENTS, field) for field, count in totals.by_label("rejected_events").items()),
        *((count, refusals.REFUSED_POSTS, code) for code, count in totals.by_label("refused_posts").items()),
    ]
    counts.sort(key=lambda row: -row[0])
    rows = [_reason_row(totals, now, name, reason) for _, name, reason in counts[:MAX_REASONS]]
    if more := sum(count for count, _, _ in counts[MAX_REASONS:]):
        rows.append(ReasonRow("other reasons", whole(more), "events and posts"))
    if totals.count(refusals.EVENTS, refusals.DUPLICATE):
        rows.append(_reason_row(totals, now, refusals.EVENTS, refusals.DUPLICATE))
    return rows


def _reason_row(totals: Totals, now: float, name: str, reason: str) -> ReasonRow:
    last = refusals.last_at(totals, name, reason)
    return ReasonRow(
        _reason(name, reason),
        whole(totals.count(name, reason)),
        "posts" if name == refusals.REFUSED_POSTS else "events",
        refusals.main_sender(totals, name, reason) or NO_DATA,
        NO_DATA if last is None else ago(now - last),
    )


def _reason(name: str, reason: str) -> str:
    if name == refusals.REFUSED_POSTS:
        return REFUSALS.get(reason, reason)
    return "sent again, stored once" if name == refusals.EVENTS else f"invalid {reason}"


def task_rows(totals: Totals, now: float) -> list[TaskRow]:
    """Return the periodic tasks in the order of TASKS. `now`: unix seconds."""
    return [_task_row(name, task, totals, now) for name, task in TASKS.items()]


def late_tasks(totals: Totals, now: float) -> list[str]:
    """Return the titles of the tasks that should have run by now."""
    return [row.title for row in task_rows(totals, now) if row.late]


def _task_row(name: str, task: Task, totals: Totals, now: float) -> TaskRow:
    ended = totals.latest.get(("task_ended_at", name))
    began = None if totals.began_at is None else totals.began_at + START_SECONDS
    ran = began if ended is None else ended
    times, lateness = totals.duration("task", name), totals.duration("task_lateness", name)
    return TaskRow(
        task.title,
        threshold_text(task.every_seconds, "s"),
        NO_DATA if ended is None else ago(now - ended),
        ran is not None and now - ran > LATE_AFTER * task.every_seconds + LATE_SECONDS,
        _shown(times.mean_seconds),
        _shown(times.quantile(0.95)),
        _shown(lateness.quantile(0.95)),
        whole(totals.count("tasks_skipped", name)),
        whole(totals.count("tasks_failed", name)),
    )


def response_rows(totals: Totals, pages: Mapping[str, str]) -> list[ResponseRow]:
    """Return the responses by what was asked for, the most frequent first. `pages`: title by name."""
    grouped: dict[str, list[Durations]] = {}
    for view, durations in totals.durations_by_label("response").items():
        grouped.setdefault(_asked_for(view, pages), []).append(durations)
    by_title = {title: Durations.together(parts) for title, parts in grouped.items()}
    shown = sorted(by_title.items(), key=lambda item: -item[1].count)[:MAX_RESPONSES]
    longest = max((durations.quantile(0.95) or 0.0 for _, durations in shown), default=0.0)
    return [_response_row(title, durations, longest) for title, durations in shown]


def _response_row(title: str, durations: Durations, longest: float) -> ResponseRow:
    p95 = durations.quantile(0.95) or 0.0
    width = round(100 * p95 / longest, 1) if longest else 0.0
    return ResponseRow(title, whole(durations.count), _shown(durations.quantile(0.5)), _shown(p95), width)


def _asked_for(view: str, pages: Mapping[str, str]) -> str:
    """Return the page that a view belongs to, or the view of the API."""
    for suffix in ("-page", "-data", "-figures"):
        if view.endswith(suffix) and (name := view.removesuffix(suffix)) in pages:
            return pages[name]
    return "Admin" if view.startswith("admin:") else view.replace("-", " ")


def hit_share(totals: Totals) -> Figure:
    """Return the share of the reads of queries that found their result in memory."""
    hits, misses = totals.count("cache_reads", "hit"), totals.count("cache_reads", "miss")
    return percent(100 * hits / (hits + misses) if hits + misses else None)


def _shown(seconds: float | None) -> Figure:
    return duration(None if seconds is None else 1000 * seconds)
