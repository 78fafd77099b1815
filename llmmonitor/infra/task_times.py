"""Counts the durations of Celery tasks, how late they start, and their failures.

Beat, or whoever sends a task, adds the time of sending to its headers. `connect` must be called in each process that
sends or runs tasks.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from celery import signals

from llmmonitor.infra.telemetry import telemetry

SENT_AT = "llmmonitor_sent_at"

_running = threading.local()  # .begin


def connect() -> None:
    """Connect the functions below to the signals of Celery, once."""
    signals.before_task_publish.connect(_stamp)
    signals.task_prerun.connect(_begin)
    signals.task_postrun.connect(_end)
    signals.task_revoked.connect(_expire)


def _stamp(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is not None:
        headers[SENT_AT] = time.time()


def _begin(task: Any = None, **_: Any) -> None:
    _running.begin = time.perf_counter()
    sent_at = task.request.get(SENT_AT)
    if isinstance(sent_at, float):
        telemetry.observe("task_lateness", max(0.0, time.time() - sent_at), task.name)


def _end(task: Any = None, state: str | None = None, **_: Any) -> None:
    begin = getattr(_running, "begin", None)
    if begin is not None:
        telemetry.observe("task", time.perf_counter() - begin, task.name)
    telemetry.note("task_ended_at", time.time(), task.name)
    if state == "FAILURE":
        telemetry.count("tasks_failed", task.name)


def _expire(sender: Any = None, expired: bool = False, **_: Any) -> None:
    if expired:
        telemetry.count("tasks_skipped", sender.name)
