"""The end of this process and its forks: the senders of the program are closed, or start from scratch."""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmmonitor.client.sender import Sender

EXIT_SECONDS = 1.5  # what sending may delay the end of the process

_senders: weakref.WeakSet[Sender] = weakref.WeakSet()
_ends_at: float | None = None


def process_ends_at() -> float | None:
    """Return when the process shall have ended, on the monotonic clock; None before its end begins."""
    return _ends_at


def close_with_process(sender: Sender) -> None:
    """Close the sender when the process ends, and let it start from scratch in a child that is forked."""
    _senders.add(sender)


def close_with_child(sender: Sender) -> None:
    """Close the sender when this child of multiprocessing or of Celery's billiard ends, which do not run `atexit`."""
    for name in ("multiprocessing.util", "billiard.util"):
        if module := sys.modules.get(name):
            with suppress(Exception):
                module.Finalize(sender, _close, (weakref.ref(sender),), exitpriority=1)


def _close(reference: weakref.ref[Sender]) -> None:
    if sender := reference():
        sender.close()


@atexit.register
def _close_all() -> None:
    global _ends_at
    _ends_at = time.monotonic() + EXIT_SECONDS
    for sender in list(_senders):
        sender.close(max(0.0, _ends_at - time.monotonic()))
        sender.is_running = False


def _reset_all() -> None:
    global _ends_at
    _ends_at = None
    for sender in list(_senders):
        sender.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
