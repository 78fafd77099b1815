"""The periodic tasks. Each reads the clock and calls a function."""

from __future__ import annotations

import functools
import os
import platform
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from celery import shared_task
from celery.signals import task_prerun
from django.conf import settings

from llmmonitor.infra.databases import close_failed_connections
from llmmonitor.infra.task_times import periodic
from metrics.live import ring, ticker
from metrics.registers import monitor_fields
from metrics.store.outages import note_sample
from metrics.store.unavailable import StoreUnavailable

RECORD_SECONDS = 5.0  # longest wait for the commit of a sample
MAINTAIN_SECONDS = 20.0


@shared_task(name="metrics.tasks.sample", expires=1.0)
@periodic("sample", logged=StoreUnavailable, expected=TimeoutError)  # logged by the recorder
def sample() -> None:
    """Sample this host and record it, once a second, regardless of the number of schedulers and workers."""
    at = _now()
    if ring.claim(int(at.timestamp()), f"sample:{quote(platform.node())}"):
        record_sample(at)
        note_sample(at)


@shared_task(name="metrics.tasks.broadcast", expires=1.0)
@periodic("broadcast")
def broadcast() -> None:
    """Send the tick of this second."""
    ticker.broadcast(_now())


@shared_task(name="metrics.tasks.maintain", expires=60.0)
@periodic("maintain")
def maintain() -> None:
    """Delete expired rows and keep the store within its disk limit."""
    from metrics.archive.writing import DirectoryArchive
    from metrics.store.upkeep.maintenance import maintain as run_upkeep

    run_upkeep(_now(), MAINTAIN_SECONDS, archive=DirectoryArchive.from_settings())


@task_prerun.connect
def _reset_connections(**_: Any) -> None:
    """Close failed database connections, because the threads of a worker keep theirs between tasks."""
    close_failed_connections()


def record_sample(at: datetime) -> None:
    """Record a sample of this host and of this monitor, with the timestamp `at`."""
    from metrics.events import SystemEvent, build_event
    from metrics.ingest.recorder import get_recorder

    fields = _sampler(os.getpid()).sample()
    for _, own in monitor_fields.results("the sample of the monitor", at):
        fields |= own
    # A driver may report odd values, too.
    event = build_event(SystemEvent, {**fields, "timestamp": at, "stamped": True}, [])
    get_recorder().record([event], timeout=RECORD_SECONDS)


def _now() -> datetime:
    return datetime.now(UTC)


@functools.lru_cache(maxsize=1)
def _sampler(pid: int) -> Any:
    """Return the sampler of this process. `pid`: a forked process needs its own session with the GPU driver."""
    from llmmonitor.sampling import HostSampler

    sampler = HostSampler(data_dir=settings.LLMMONITOR.data_dir)
    time.sleep(0.1)  # the first percentage is over this span
    return sampler
