"""Counts the durations of Celery tasks, how late they start, and their failures.

The process that sends a task, such as beat, adds the time of sending to its headers. `connect` must be called in each
process that sends or runs tasks.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, ParamSpec

from celery import signals

from llmmonitor.infra.telemetry import telemetry
from llmmonitor.infra.throttled_log import log_throttled

P = ParamSpec("P")

SENT_AT = "llmmonitor_sent_at"

_running = threading.local()  # .begin


def periodic(
    action: str,
    *,
    logged: type[Exception] | tuple[type[Exception], ...] = (),
    expected: type[Exception] | tuple[type[Exception], ...] = (),
) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Return a decorator for the function of a task that runs again soon: a failure is logged and counted, not raised.

    Celery would log each failure with a traceback, each second. action: what failed, in the log line, formatted with
    the arguments of the task. logged: errors that another part logs; they are counted only.
    expected: errors whose message is enough, logged without a traceback.
    """

    def decorate(function: Callable[P, None]) -> Callable[P, None]:
        logger = logging.getLogger(function.__module__)

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 (the task runs again)
                telemetry.count("tasks_failed", f"{function.__module__}.{function.__name__}")
                if not isinstance(error, logged):
                    has_traceback = not isinstance(error, expected)
                    log_throttled(logger, action.format(*args, **kwargs), error, traceback=has_traceback)

        return run

    return decorate


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


def _end(task: Any = None, **_: Any) -> None:
    begin = getattr(_running, "begin", None)
    if begin is not None:
        telemetry.observe("task", time.perf_counter() - begin, task.name)
    telemetry.note("task_ended_at", time.time(), task.name)


def _expire(sender: Any = None, expired: bool = False, **_: Any) -> None:
    if expired:
        telemetry.count("tasks_skipped", sender.name)
