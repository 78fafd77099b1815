"""The periodic tasks. Each is thin: it reads the clock, calls one function, and survives what that function raises."""

from __future__ import annotations

import functools
import logging
import os
import time
from datetime import UTC, datetime
from typing import Any

from celery import shared_task
from django.conf import settings

from metrics.live import ticker

logger = logging.getLogger(__name__)

RECORD_SECONDS = 5.0  # longest wait for a sample's commit; the next sample comes in a second
MAINTAIN_SECONDS = 20.0


@shared_task(name="metrics.tasks.sample", expires=1.0)
def sample() -> None:
    """Sample this machine and record it."""
    try:
        record_sample(datetime.now(UTC))
    except Exception as error:  # noqa: BLE001 (the next second has another chance)
        ticker.say_once_a_minute(logger, "sample", error)


@shared_task(name="metrics.tasks.broadcast", expires=1.0)
def broadcast() -> None:
    """Send the tick of this second."""
    ticker.broadcast(datetime.now(UTC))


@shared_task(name="metrics.tasks.maintain", expires=60.0)
def maintain() -> None:
    """Keep every table within its policy."""
    from metrics import retention

    try:
        retention.maintain(datetime.now(UTC), MAINTAIN_SECONDS)
    except Exception as error:  # noqa: BLE001 (the next minute has another chance)
        ticker.say_once_a_minute(logger, "maintain", error)


def record_sample(at: datetime) -> None:
    """One sample of this machine, stamped `at`, through the recorder like any other event."""
    from metrics.events import SystemEvent
    from metrics.recorder import get_recorder

    sampler, process = _samplers(os.getpid())
    with process.oneshot():
        own = {
            "monitor_cpu_percent": process.cpu_percent(),
            "monitor_memory_mb": process.memory_info().rss / 2**20,
        }
    event = SystemEvent.model_validate({**sampler.sample(), **own, "timestamp": at, "stamped": True})
    get_recorder().record([event], timeout=RECORD_SECONDS)


@functools.lru_cache(maxsize=1)
def _samplers(pid: int) -> tuple[Any, Any]:
    """This process's samplers. (pid: a GPU driver's session and a process handle do not survive a fork.)"""
    import psutil

    from llmmonitor.sampling import HostSampler

    sampler, process = HostSampler(data_dir=settings.LLMMONITOR.data_dir), psutil.Process(pid)
    process.cpu_percent()
    time.sleep(0.1)  # the first percentage is over this span
    return sampler, process
