"""When to log that the store refuses events, and that this is over: once a minute, however often it happens."""

from __future__ import annotations

LOG_INTERVAL_SECONDS = 60.0
# On a full disk a small commit fits in between the refusals of larger ones: it is over after this long without any.
CALM_SECONDS = 10.0


class RefusalLog:
    """Told of each commit, in the order of time; `at` is in seconds of any clock that only moves forward."""

    def __init__(self) -> None:
        self._said_at: dict[str, float] = {}
        self._last_at = 0.0

    def refused(self, reason: str, at: float) -> bool:
        """Events were refused for this reason: whether to say so."""
        self._last_at = at
        said_at = self._said_at.get(reason)
        if said_at is not None and at - said_at < LOG_INTERVAL_SECONDS:
            return False
        self._said_at[reason] = at
        return True

    def stored(self, at: float) -> bool:
        """Events were stored: whether to say that they are again."""
        if not self._said_at or at - self._last_at < CALM_SECONDS:
            return False
        self._said_at.clear()
        return True
