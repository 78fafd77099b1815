"""Errors of what runs each second: told, but not each second."""

from __future__ import annotations

import logging
import threading
import time

LOG_INTERVAL_SECONDS = 60.0

_said: dict[tuple[str, str], float] = {}
_said_lock = threading.Lock()


def log_throttled(log: logging.Logger, what: str, error: BaseException) -> None:
    """Log an error: the first of its kind with its traceback, then one line a minute. `what` it was that failed."""
    kind = (what, type(error).__name__)
    now = time.monotonic()
    with _said_lock:
        before = _said.get(kind)
        if before is not None and now - before < LOG_INTERVAL_SECONDS:
            return
        _said[kind] = now
    log.error("%s failed: %s: %s", what, type(error).__name__, error, exc_info=error if before is None else None)
