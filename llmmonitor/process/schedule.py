"""Beat on whole seconds of the clock, and without a file."""

from __future__ import annotations

import logging
import math
from datetime import datetime
from typing import Any

from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import schedstate, schedule

from llmmonitor.infra.throttled_log import log_throttled

logger = logging.getLogger(__name__)

# Beat aims 10 ms early; a start before the second would count as the second before.
MARGIN_SECONDS = 0.012


class WallClock(schedule):
    """Due once in each whole multiple of `seconds` of the clock, `offset` seconds after it began.

    A plain interval of a second drifts by a millisecond or so at each round, so that once in a quarter of an hour a
    second has no tick; ticks are numbered by their second, and clients would see a gap.
    """

    def __init__(self, seconds: float, offset: float = 0.0, **options: Any) -> None:
        super().__init__(run_every=seconds, **options)
        self.every = seconds
        self.offset = offset

    def is_due(self, last_run_at: datetime) -> Any:
        """(whether it is due, seconds until the next time)."""
        now = self.now().timestamp() - self.offset
        last = self.maybe_make_aware(last_run_at).timestamp() - self.offset
        this = math.floor(now / self.every)
        return schedstate(this > math.floor(last / self.every), (this + 1) * self.every - now + MARGIN_SECONDS)

    def __reduce__(self) -> Any:
        return type(self), (self.every, self.offset)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WallClock) and (self.every, self.offset) == (other.every, other.offset)

    def __hash__(self) -> int:
        return hash((self.every, self.offset))

    def __repr__(self) -> str:
        return f"<each {self.every:g} s of the clock, {self.offset:g} s in>"


class MemoryScheduler(Scheduler):
    """Beat's scheduler without the file in which it usually keeps when each task last ran."""

    def setup_schedule(self) -> None:
        """Take the schedule from the settings."""
        self.merge_inplace(self.app.conf.beat_schedule)

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send a task that is due. Celery's own logs two tracebacks each time that Redis does not take it."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except Exception as error:  # noqa: BLE001 (the next one may go)
            log_throttled(logger, f"sending {entry.name}", error)
