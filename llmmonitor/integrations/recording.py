"""What is recorded now, and the monitor that records it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from llmmonitor.client import LLMMonitor
from llmmonitor.client.call import Call

# The call that is recorded now: what it calls itself is part of it, and not recorded again. A list, because callbacks
# may end in another context than they began in: there they empty it. Those of a batch share one.
_current: ContextVar[list[Call] | None] = ContextVar("llmmonitor_call", default=None)
_monitor: LLMMonitor | None = None


def monitor() -> LLMMonitor:
    """Return the monitor of the integrations: that of `instrument`, or one with the settings of the environment."""
    global _monitor
    if _monitor is None:
        _monitor = LLMMonitor()
    return _monitor


def use_monitor(given: LLMMonitor) -> None:
    """Let the integrations record with this monitor."""
    global _monitor
    _monitor = given


def current_call() -> Call | None:
    """Return the call that is recorded now."""
    calls = _current.get()
    return calls[-1] if calls else None


@contextmanager
def recording(call: Call) -> Iterator[None]:
    """Make `call` the current one, within which no other is recorded."""
    token = _current.set([call])
    try:
        yield
    finally:
        _current.reset(token)


def begin_recording(call: Call, is_of_batch: bool = False) -> list[Call]:
    """Make `call` the current one until it is removed from the returned list, which may be done in any context."""
    calls = _current.get() if is_of_batch else None
    if not calls:
        _current.set(calls := [])
    calls.append(call)
    return calls
