"""A lock for threads that acquire it in the order in which they asked for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class FairLock:
    """A lock that waiting threads acquire in the order in which they asked for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_held = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def hold(self, longest_wait: float) -> Iterator[bool]:
        """Hold the lock in the block. Yield False when the wait was too long and the block runs without the lock."""
        is_acquired = self._acquire(longest_wait)
        try:
            yield is_acquired
        finally:
            if is_acquired:
                self._release()

    def _acquire(self, longest_wait: float) -> bool:
        with self._lock:
            if not self._is_held:
                self._is_held = True
                return True
            acquired = threading.Event()
            self._waiting.append(acquired)
        if acquired.wait(longest_wait):
            return True
        with self._lock:
            if acquired.is_set():  # just after the wait ended
                return True
            self._waiting.remove(acquired)
            return False

    def _release(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._is_held = False
