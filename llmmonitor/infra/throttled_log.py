"""Logging of failures that may repeat each second: at most one line a minute for each kind."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Hashable
from typing import Literal

LOG_INTERVAL_SECONDS = 60.0
# On a full disk a small write may succeed between larger ones that fail, so one success is not the end.
RECOVERY_SECONDS = 10.0
FORGET_SECONDS = 3600.0  # after so long without a failure, the next one is the first of its kind again


class LogThrottle:
    """Decides when to log a repeated failure, and that it has ended. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._logged_at: dict[Hashable, float] = {}
        self._failed_at = 0.0
        self._lock = threading.Lock()

    def failed(self, kind: Hashable, now: float) -> Literal["first", "again"] | None:
        """Record a failure. Return whether to log it as the first of its kind, again, or (None) not at all."""
        with self._lock:
            if now - self._failed_at > FORGET_SECONDS:
                self._logged_at.clear()
            self._failed_at = now
            logged_at = self._logged_at.get(kind)
            if logged_at is not None and now - logged_at < LOG_INTERVAL_SECONDS:
                return None
            self._logged_at[kind] = now
            return "first" if logged_at is None else "again"

    def succeeded(self, now: float) -> bool:
        """Record a success. Return whether to log that the failures have ended."""
        with self._lock:
            if not self._logged_at or now - self._failed_at < RECOVERY_SECONDS:
                return False
            self._logged_at.clear()
            return True


_throttle = LogThrottle()


def log_throttled(logger: logging.Logger, action: str, error: BaseException, *, traceback: bool = True) -> None:
    """Log that `action` failed: the first error of its type with a traceback, then at most one line a minute.

    traceback: False for an error that is no bug and whose message is enough.
    """
    name = type(error).__name__
    state = _throttle.failed((action, name), time.monotonic())
    if state:
        logger.error(
            "%s failed: %s: %s", action, name, error, exc_info=error if state == "first" and traceback else None
        )
