"""The card of backups: when the last one was made, whether the schedule works, and when the next is due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.formatting import Figure, bytes_figure, duration, whole
from dashboard.system.health import Part
from llmmonitor.backup.models import LastBackup

LATE = timedelta(hours=1)  # after a backup was due


@dataclass(frozen=True)
class Backup:
    """What is known of backups.

    every: None without a schedule. last: the newest complete backup. scheduled: that of the schedule.
    """

    now: datetime
    every: timedelta | None = None
    kept: int = 0
    last: LastBackup | None = None
    scheduled: LastBackup | None = None

    @property
    def last_at(self) -> datetime | None:
        """When the newest complete backup was made; None without one."""
        return self.last.succeeded_at if self.last else None

    @property
    def error(self) -> str:
        """Why the newest attempt of the schedule failed; empty if it did not."""
        return self.scheduled.error if self.scheduled else ""

    @property
    def next_at(self) -> datetime | None:
        """When the schedule is due; None without one, or before its first backup."""
        made = self.scheduled.succeeded_at if self.scheduled else None
        return made + self.every if self.every and made else None

    @property
    def state(self) -> str:
        """Whether a backup that a person asked for is about to begin, or one is being written; empty if neither."""
        scheduled = self.scheduled
        if scheduled is None or scheduled.asked_at is not None:
            return "begins within 10 seconds" if scheduled else ""
        if scheduled.attempted_at is None or scheduled.error:
            return ""
        is_new = scheduled.succeeded_at is None or scheduled.attempted_at > scheduled.succeeded_at
        return "being written" if is_new else ""

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
        last = self.last
        if last is None or last.succeeded_at is None:
            yield "Last", "never"
        else:
            yield "Last", last.succeeded_at
            yield "Took", duration(None if last.duration_seconds is None else 1000 * last.duration_seconds)
            yield "Size", bytes_figure(last.size_bytes)
            yield "Rows", whole(last.row_count)
            yield "Secrets", "encrypted, in it" if last.has_secrets else "not in it"
        if not self.every:
            yield "Schedule", "off: set LLMMONITOR_BACKUP_DIR to a directory and start the server again"
            return
        yield "Kept", f"the newest {self.kept}"
        if self.state:
            yield "Now", self.state
        if self.next_at is not None:
            yield "Next", self.next_at
        if self.error:
            yield "Error", self.error
