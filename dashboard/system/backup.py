"""The card of backups: when the last one was made, whether the schedule works, and when the next is due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.formatting import Figure, bytes_figure, duration, whole
from dashboard.system.health import Part

LATE = timedelta(hours=1)  # after a backup was due


@dataclass(frozen=True)
class Backup:
    """What is known of backups. `last_at` and the rest of the last complete one are None if there is none.

    every: None without a schedule. error: of the newest attempt of the schedule, if it failed.
    """

    now: datetime
    every: timedelta | None = None
    kept: int = 0
    last_at: datetime | None = None
    size_bytes: int | None = None
    rows: int | None = None
    duration_seconds: float | None = None
    has_secrets: bool = False
    scheduled_at: datetime | None = None
    error: str = ""

    @property
    def next_at(self) -> datetime | None:
        """When the schedule is due; None without one, or before its first backup."""
        return self.scheduled_at + self.every if self.every and self.scheduled_at else None

    @property
    def is_late(self) -> bool:
        """Whether the schedule has failed or made no backup when it was due."""
        return bool(self.every) and (bool(self.error) or (self.next_at is not None and self.now > self.next_at + LATE))

    def part(self) -> Part | None:
        """Return the part of the monitor; None without a schedule."""
        if not self.every:
            return None
        if not self.is_late:
            return Part("Backup", "on time")
        if self.error:
            return Part("Backup", "the newest attempt failed", problem="the newest backup failed")
        return Part("Backup", "no backup when it was due", problem="no backup was made when it was due")

    def rows_of_card(self) -> Iterator[tuple[str, datetime | Figure | str]]:
        """Yield the lines of the card: a name and its value."""
        if self.last_at is None:
            yield "Last", "never"
        else:
            yield "Last", self.last_at
            yield "Took", duration(None if self.duration_seconds is None else 1000 * self.duration_seconds)
            yield "Size", bytes_figure(self.size_bytes)
            yield "Rows", whole(self.rows)
            yield "Secrets", "encrypted, in it" if self.has_secrets else "not in it"
        if not self.every:
            yield "Schedule", "off: set LLMMONITOR_BACKUP_DIR"
            return
        yield "Kept", f"the newest {self.kept}"
        if self.next_at is not None:
            yield "Next", self.next_at
        if self.error:
            yield "Error", self.error
