"""The periodic tasks. Each is thin: it reads the clock, calls one function, and survives what that function raises."""

from __future__ import annotations

import functools
import logging
import os
import platform
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from celery import shared_task
from celery.signals import task_prerun, task_revoked
from django.conf import settings

from llmmonitor.infra.databases import close_failed_connections
from llmmonitor.infra.throttled_log import log_throttled
from metrics.live import ring, ticker
from metrics.store.availability import StoreUnavailable

logger = logging.getLogger(__name__)

RECORD_SECONDS = 5.0  # longest wait for a sample's commit; the next sample comes in a second
MAINTAIN_SECONDS = 20.0


@shared_task(name="metrics.tasks.sample", expires=1.0)
def sample() -> None:
    """Sample this machine and record it: once a second, however many clocks and workers this host has."""
    try:
        at = _now()
        if ring.claim(int(at.timestamp()), f"sample:{quote(platform.node())}"):
            record_sample(at)
    except StoreUnavailable:
        pass  # the recorder has said so, of all that it refused
    except Exception as error:  # noqa: BLE001 (the next second has another chance)
        log_throttled(logger, "sample", error)


@shared_task(name="metrics.tasks.broadcast", expires=1.0)
def broadcast() -> None:
    """Send the tick of this second."""
    ticker.broadcast(_now())


@shared_task(name="metrics.tasks.maintain", expires=60.0)
def maintain() -> None:
    """Keep every table within its policy."""
    from metrics.store.upkeep.retention import maintain as keep_within_policy

    try:
        keep_within_policy(_now(), MAINTAIN_SECONDS)
    except Exception as error:  # noqa: BLE001 (the next minute has another chance)
        log_throttled(logger, "maintain", error)


@task_prerun.connect
def _reset_connections(**_: Any) -> None:
    """A worker's threads keep their connections to the database; one that has failed is not used again."""
    close_failed_connections()


@task_revoked.connect
def _count_late(sender: Any = None, expired: bool = False, **_: Any) -> None:
    """A tick that waited for longer than a second is dropped by the worker; how often is shown by /health/ready."""
    if expired:
        ticker.count_late()


def record_sample(at: datetime) -> None:
    """One sample of this machine and this monitor, stamped `at`, through the recorder like any other event."""
    from metrics.events import SystemEvent
    from metrics.ingest.recorder import get_recorder

    event = SystemEvent.model_validate({**_sampler(os.getpid()).sample(), "timestamp": at, "stamped": True})
    get_recorder().record([event], timeout=RECORD_SECONDS)


def _now() -> datetime:
    return datetime.now(UTC)


@functools.lru_cache(maxsize=1)
def _sampler(pid: int) -> Any:
    """This process's sampler. (pid: a GPU driver's session does not survive a fork.)"""
    from llmmonitor.sampling import HostSampler

    sampler = HostSampler(data_dir=settings.LLMMONITOR.data_dir)
    time.sleep(0.1)  # the first percentage is over this span
    return sampler
