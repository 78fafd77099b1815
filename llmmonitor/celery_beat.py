"""Beat schedules that are aligned to the clock, and a scheduler without a file."""

from __future__ import annotations

import logging
import math
import time
from datetime import datetime
from typing import Any

from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import schedstate, schedule

from llmmonitor.infra.throttled_log import log_throttled

logger = logging.getLogger(__name__)

# Beat runs up to 10 ms early, and a task that starts before the second would belong to the second before.
MARGIN_SECONDS = 0.012

SET_BACK_SECONDS = 1.0  # a clock that is slewed goes back by less


class WallClock(schedule):
    """Due `offset` seconds after each multiple of `seconds` of the clock.

    A plain interval of one second drifts by about a millisecond each time, so that a second without a tick occurs about
    every 15 minutes. Clients would see a gap, because ticks are numbered by their second.
    """

    def __init__(self, seconds: float, offset: float = 0.0, **options: Any) -> None:
        super().__init__(run_every=seconds, **options)
        self.every = seconds
        self.offset = offset

    def is_due(self, last_run_at: datetime) -> Any:
        """Return whether the task is due, and the seconds until the next check."""
        now = self.now().timestamp() - self.offset
        last = self.maybe_make_aware(last_run_at).timestamp() - self.offset
        period = math.floor(now / self.every)
        return schedstate(period > math.floor(last / self.every), (period + 1) * self.every - now + MARGIN_SECONDS)

    def __reduce__(self) -> Any:
        return type(self), (self.every, self.offset)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WallClock) and (self.every, self.offset) == (other.every, other.offset)

    def __hash__(self) -> int:
        return hash((self.every, self.offset))

    def __repr__(self) -> str:
        return f"<WallClock: every {self.every:g} s, offset {self.offset:g} s>"


class MemoryScheduler(Scheduler):
    """Celery's scheduler without the file that stores when each task last ran.

    It orders tasks by the clock: after that was set back, those that were sent before would wait for the old time.
    """

    _ticked_at = 0.0  # unix seconds

    def tick(self, *args: Any, **options: Any) -> Any:
        """Send a task if one is due. Return the seconds until the next one."""
        now = time.time()
        if now < self._ticked_at - SET_BACK_SECONDS:
            logger.warning("the clock was set back by %.1f s; the schedule starts again", self._ticked_at - now)
            self._heap = None
            for entry in self.schedule.values():
                entry.last_run_at = min(entry.last_run_at, entry.default_now())
        self._ticked_at = now
        return super().tick(*args, **options)

    def setup_schedule(self) -> None:
        """Read the schedule from the settings."""
        self.merge_inplace(self.app.conf.beat_schedule)

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send a due task. Celery's method logs two tracebacks each time that Redis is not available."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except Exception as error:  # noqa: BLE001 (the next task may succeed)
            log_throttled(logger, f"sending {entry.name}", error)
