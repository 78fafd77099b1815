"""Celery's settings and the beat schedule."""

from __future__ import annotations

from django.conf import settings
from kombu import Queue

from llmmonitor.celery_beat import WallClock

TICKS = "ticks"
SLOW = "slow"
MESSAGES = "messages"

broker_url = settings.LLMMONITOR.redis_url or "memory://localhost/"  # without a host, kombu logs a warning
broker_connection_retry_on_startup = True
# The in-memory transport is polled. With 50 ms, a schedule of one second has a period of at most 1.001 s.
broker_transport_options = {} if settings.LLMMONITOR.redis_url else {"polling_interval": 0.05}

task_ignore_result = True
task_acks_late = True
worker_prefetch_multiplier = 1
worker_hijack_root_logger = False
worker_enable_remote_control = False
worker_send_task_events = False
task_default_queue = SLOW
# A worker without `-Q` consumes all.
task_queues = (Queue(TICKS), Queue(SLOW), Queue(MESSAGES))
task_routes = {
    "metrics.tasks.sample": {"queue": TICKS},
    "metrics.tasks.broadcast": {"queue": TICKS},
    "alerts.tasks.evaluate_alerts": {"queue": TICKS},
    "metrics.tasks.maintain": {"queue": SLOW},
    "llmmonitor.backup.tasks.back_up": {"queue": SLOW},
    "alerts.tasks.find_messages": {"queue": MESSAGES},
    "alerts.tasks.send_messages": {"queue": MESSAGES},
    "alerts.tasks.send_heartbeat": {"queue": MESSAGES},
    "alerts.tasks.watch_alerting": {"queue": MESSAGES},
}
timezone = "UTC"
enable_utc = True

beat_scheduler = "llmmonitor.celery_beat:MemoryScheduler"
beat_schedule = {
    "sample": {
        "task": "metrics.tasks.sample",
        "schedule": WallClock(1),
        "options": {"expires": 1.0},
    },
    # After the sample, so that a tick has the sample of its second.
    "broadcast": {
        "task": "metrics.tasks.broadcast",
        "schedule": WallClock(1, offset=0.15),
        "options": {"expires": 1.0},
    },
    # When the second that it reads last has ended, and after the tick, which must not wait for it.
    "evaluate_alerts": {
        "task": "alerts.tasks.evaluate_alerts",
        "schedule": WallClock(5, offset=1.4),
        "options": {"expires": 5.0},
    },
    "find_messages": {
        "task": "alerts.tasks.find_messages",
        "schedule": WallClock(1, offset=0.7),
        "options": {"expires": 1.0},
    },
    "watch_alerting": {
        "task": "alerts.tasks.watch_alerting",
        "schedule": 10.0,
        "options": {"expires": 10.0},
    },
    "back_up": {
        "task": "llmmonitor.backup.tasks.back_up",
        "schedule": 10.0,
        "options": {"expires": 10.0},
    },
    "maintain": {
        "task": "metrics.tasks.maintain",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
}
