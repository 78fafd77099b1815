"""Keys that were made on the Connect page and not used: they are deleted after a day."""

from __future__ import annotations

from datetime import datetime, timedelta

from llmmonitor.access.keys import delete_unused

KEY_NAME = "made on the Connect page"
KEPT = timedelta(days=1)


def delete_unused_keys(now: datetime, deadline: float) -> int:
    """Delete them and return their number. Upkeep calls it each minute. For so few, the deadline does not matter."""
    return delete_unused(KEY_NAME, created_before=now - KEPT, at=now)
