"""When a message that was not accepted is tried again, and when it is given up. Pure functions."""

from __future__ import annotations

from datetime import datetime, timedelta

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 600.0
GIVE_UP_AFTER = timedelta(days=1)
LONGEST_PAUSE_SECONDS = 3_600.0  # that a receiver may ask for


def next_attempt(attempts: int, now: datetime, chance: float, retry_after_seconds: float | None = None) -> datetime:
    """Return when to try again after so many failures: 5 s, 10 s, … up to ten minutes, and at least `retry_after`.

    chance: a random number from 0 to 1. The delay is 50 % to 100 % of the full one, so that many messages that failed
    together are not sent together.
    """
    delay = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(attempts - 1, 20)) * (0.5 + chance / 2)
    return now + timedelta(seconds=max(delay, min(retry_after_seconds or 0.0, LONGEST_PAUSE_SECONDS)))


def is_given_up(created_at: datetime, now: datetime) -> bool:
    """Return whether a message that failed is not tried again."""
    return now - created_at >= GIVE_UP_AFTER
