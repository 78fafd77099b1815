"""Celery workers and beat in threads of the server's process, for `manage.py up`.

There is a worker with a thread pool for each queue, so that a tick waits neither for slow work nor for a receiver of
messages. The tasks and the schedule are the same as with separate processes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from typing import Any

from django.conf import settings

from llmmonitor.process.serving import STOP_SECONDS

logger = logging.getLogger(__name__)

TICK_THREADS = 3  # sample, broadcast and evaluation
SLOW_THREADS = 2
MESSAGE_THREADS = 4
BEAT_LONGEST_SLEEP_SECONDS = 0.5


class EmbeddedWorkers:
    """Workers and beat in threads of this process."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()

    def start(self) -> None:
        """Start all threads, and make the first sample and tick without waiting for beat."""
        from llmmonitor.celery import app, make_app
        from llmmonitor.celery_settings import MESSAGES, SLOW, TICKS

        self._run("first-tick", self._first_tick)
        for queue, threads in ((TICKS, TICK_THREADS), (SLOW, SLOW_THREADS), (MESSAGES, MESSAGE_THREADS)):
            # The queues that a worker consumes are a setting of its app, so each worker has its own app.
            worker = self._make_worker(make_app(set_as_current=False), queue, threads)
            self._run(f"worker-{queue}", worker.start)
        self._run("beat", self._beat, app)

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Stop beat and the workers. Wait for running tasks, at most `timeout` seconds in all."""
        from celery.worker import state

        self._stop.set()
        deadline = time.monotonic() + timeout
        # Celery's signal handlers set this, too. Each worker checks it in its own thread.
        state.should_stop = 0
        self._wake_workers()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        late = [thread.name for thread in self._threads if thread.is_alive()]
        if late:
            logger.warning("These threads still run after %.0f s and are abandoned: %s.", timeout, ", ".join(late))

    @staticmethod
    def _wake_workers() -> None:
        """Send each worker an expired task, because it checks for the stop only at a message or every two seconds."""
        if settings.LLMMONITOR.redis_url:  # Redis may not be available
            return
        from llmmonitor.celery_settings import MESSAGES, SLOW, TICKS
        from metrics import tasks

        for queue in (TICKS, SLOW, MESSAGES):
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
            use_eventloop=False,  # kombu has one event loop per process, and there are several workers
            queues=[queue],
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            loglevel="WARNING",
        )

    def _beat(self, app: Any) -> None:
        from llmmonitor.celery_beat import MemoryScheduler

        scheduler = MemoryScheduler(app)
        delay = 0.0
        while not self._stop.wait(min(delay, BEAT_LONGEST_SLEEP_SECONDS)):
            try:
                delay = scheduler.tick() or 0.0
            except Exception:  # later tasks must still be sent
                logger.exception("Beat failed and continues.")
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
