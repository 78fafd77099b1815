"""The worker and the clock inside the server's process (`manage.py up`), and how they end.

Two Celery workers with thread pools, each with its own queue, so that a tick never waits for slow work, and beat with
its schedule in memory. They are the same tasks and the same schedule as with separate processes; only who runs them
differs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from typing import Any

from django.conf import settings

from llmmonitor.process.running import STOP_SECONDS

logger = logging.getLogger(__name__)

TICK_THREADS = 3  # sample, broadcast, and one for what comes late
SLOW_THREADS = 2
BEAT_LONGEST_SLEEP_SECONDS = 0.5


class EmbeddedWorkers:
    """Workers and beat on threads of this process."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()

    def start(self) -> None:
        """Start them all; returns at once. The first sample and tick are made without waiting for beat."""
        from llmmonitor.celery import app, make_app
        from llmmonitor.process.celery_settings import SLOW, TICKS

        self._run("first-tick", self._first_tick)
        for queue, threads in ((TICKS, TICK_THREADS), (SLOW, SLOW_THREADS)):
            # Which queues are consumed is a property of the app, so each worker has its own.
            worker = self._make_worker(make_app(set_as_current=False), queue, threads)
            self._run(f"worker-{queue}", worker.start)
        self._run("beat", self._beat, app)

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """End beat, let running tasks finish (at most `timeout` seconds in all)."""
        from celery.worker import state

        self._stop.set()
        deadline = time.monotonic() + timeout
        # What Celery's own handlers of signals set: each worker ends in its own thread when it looks next.
        state.should_stop = 0
        self._wake_workers()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        late = [thread.name for thread in self._threads if thread.is_alive()]
        if late:
            logger.warning("Still running after %.0f s, and left behind: %s.", timeout, ", ".join(late))

    @staticmethod
    def _wake_workers() -> None:
        """Workers look up when a message comes, or every two seconds: send each one that is out of date already."""
        if settings.LLMMONITOR.redis_url:  # (it may be what is down)
            return
        from llmmonitor.process.celery_settings import SLOW, TICKS
        from metrics import tasks

        for queue in (TICKS, SLOW):
            tasks.broadcast.apply_async(queue=queue, expires=0.001)

    def _run(self, name: str, call: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=call, args=arguments, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    @staticmethod
    def _make_worker(app: Any, queue: str, threads: int) -> Any:
        from celery.worker import WorkController

        os.environ["CELERY_SKIP_CHECKS"] = "true"  # each worker would run Django's system checks before it starts
        return WorkController(
            app=app,
            hostname=f"{queue}@embedded",
            pool="threads",
            concurrency=threads,
            prefetch_multiplier=1,
            use_eventloop=False,  # kombu has one event loop for a process, and here are two workers
            queues=[queue],
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            loglevel="WARNING",
        )

    def _beat(self, app: Any) -> None:
        from llmmonitor.process.schedule import MemoryScheduler

        scheduler = MemoryScheduler(app)
        delay = 0.0
        while not self._stop.wait(min(delay, BEAT_LONGEST_SLEEP_SECONDS)):
            try:
                delay = scheduler.tick() or 0.0
            except Exception:  # (the clock must not stop)
                logger.exception("Beat failed and goes on.")
                delay = 1.0
        with contextlib.suppress(Exception):
            scheduler.close()

    @staticmethod
    def _first_tick() -> None:
        from django.db import connections

        from metrics import tasks

        tasks.sample()
        tasks.broadcast()
        connections.close_all()
