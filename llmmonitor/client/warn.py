"""Warnings of the SDK in the log `llmmonitor`: at most one a minute for each subject."""

from __future__ import annotations

import contextlib
import logging
import time

log = logging.getLogger("llmmonitor")

EVERY_SECONDS = 60.0
_next: dict[str, float] = {}


def warn(subject: str, text: str) -> None:
    """Log a warning, unless one of this subject was logged in the last minute. Does not raise."""
    now = time.monotonic()
    if now < _next.get(subject, 0.0):
        return
    _next[subject] = now + EVERY_SECONDS
    with contextlib.suppress(Exception):  # of the program's own handlers
        log.warning("LLM Monitor: %s", text)
