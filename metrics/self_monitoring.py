"""The figures of the monitor about itself, as fields of the sample of each second.

They are those of all processes (`llmmonitor.infra.telemetry`). A worker takes them from the totals now and those of its
sample before, so they are the same whichever worker takes the sample, but for the first of each.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import psutil
from django.conf import settings

from llmmonitor.backup.last import last_backup
from llmmonitor.infra.telemetry import Durations, Totals, telemetry
from metrics.sizes.database import database_bytes
from metrics.store.upkeep.archiving import archive_notice

WINDOW_SECONDS = 60.0  # of percentiles and shares
MIB = 2**20


@dataclass
class SelfMonitor:
    """Makes the fields of a sample from the totals, of which it keeps those of the last minute."""

    _kept: deque[tuple[float, Totals]] = field(default_factory=deque)

    def fields(self, at: float, totals: Totals) -> dict[str, Any]:
        """Return the fields at a time in seconds. Those that need an earlier sample are None in the first."""
        if self._kept and at < self._kept[-1][0]:
            self._kept.clear()  # the clock was set back
        while len(self._kept) > 1 and at - self._kept[0][0] > WINDOW_SECONDS:
            self._kept.popleft()
        self._kept.append((at, totals))
        minute = self._kept[0][1]
        before = self._kept[max(0, len(self._kept) - 2)][1]

        def since(earlier: Totals, name: str, label: str = "") -> Durations:
            return totals.duration(name, label).since(earlier.duration(name, label))

        queries = [since(before, "query", label) for label in ("read", "live")]
        number = sum(durations.count for durations in queries)
        late = [
            value.since(minute.duration("task_lateness", task))
            for task, value in totals.durations_by_label("task_lateness").items()
        ]
        return {
            "monitor_events_accepted": totals.count("events", "accepted"),
            "monitor_events_duplicate": totals.count("events", "duplicate"),
            "monitor_events_rejected": totals.count("rejected_events"),
            "monitor_posts_refused": totals.count("refused_posts"),
            "monitor_queued_events": totals.levels.get("queued_events"),
            "monitor_live_clients": totals.levels.get("live_clients"),
            "monitor_commit_ms": _ms(since(before, "commit").mean_seconds),
            "monitor_commit_p99_ms": _ms(since(minute, "commit").quantile(0.99)),
            "monitor_tick_lag_ms": _ms(since(before, "tick_lag").quantile(1.0)),
            "monitor_task_lateness_ms": _ms(Durations.together(late).quantile(0.99)),
            "monitor_query_ms": _ms(sum(durations.sum_seconds for durations in queries) / number if number else None),
            "monitor_query_p95_ms": _ms(since(minute, "query", "read").quantile(0.95)),
            "monitor_cache_hit_percent": _hit_percent(totals, minute),
        }


def _hit_percent(totals: Totals, earlier: Totals) -> float | None:
    hits, misses = (
        max(0, totals.count("cache_reads", label) - earlier.count("cache_reads", label)) for label in ("hit", "miss")
    )
    return 100.0 * hits / (hits + misses) if hits + misses else None


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 3)


@lru_cache(maxsize=1)
def _process(pid: int) -> psutil.Process:
    """Return this process, which knows the CPU time of the reading before."""
    return psutil.Process(pid)


_monitor = SelfMonitor()
# With several processes, each publishes its own; the host's sample alone would have those of the worker that takes it.
telemetry.level("process_memory_mb", lambda: psutil.Process().memory_info().rss / MIB)
telemetry.level("process_cpu_percent", lambda: _process(os.getpid()).cpu_percent())


def monitor_fields(at: datetime) -> dict[str, Any]:
    """Return the figures of the monitor as fields of a sample."""
    totals = telemetry.totals()
    fields = _monitor.fields(at.timestamp(), totals)
    if settings.LLMMONITOR.redis_url:
        for field, level in (("cpu_percent", "process_cpu_percent"), ("memory_mb", "process_memory_mb")):
            if level in totals.levels:
                fields[f"monitor_{field}"] = round(totals.levels[level], 2)
    if at.second % 10 == 0:  # these change slowly
        fields["monitor_database_mb"] = round(database_bytes() / MIB, 3)
        fields |= _copies(at)
    return fields


def _copies(at: datetime) -> dict[str, Any]:
    """Return how old the last backup is and whether the archive fails, of those that are configured."""
    fields: dict[str, Any] = {}
    if settings.LLMMONITOR.backup_dir is not None:
        last = last_backup()
        # A schedule whose first backup fails becomes overdue, too.
        since = last.succeeded_at.timestamp() if last and last.succeeded_at else _process(os.getpid()).create_time()
        fields["monitor_backup_age_seconds"] = max(0.0, round(at.timestamp() - since, 1))
    if settings.LLMMONITOR.archive_dir is not None:
        fields["monitor_archive_problems"] = int(archive_notice() is not None)
    return fields
