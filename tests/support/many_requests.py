"""Stores many requests of five models over 29 days, and of the last hour, as fast as the store commits.

python -m tests.support.many_requests NUMBER
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import django

BATCH = 5_000
SERVICE = "base"
FAILED = 0.02  # of the requests


def fields_of(random: Random, number: int, at: datetime) -> dict[str, Any]:
    is_ok = random.random() > FAILED
    return {
        "timestamp": at,
        "stamped": True,
        "request_id": f"{random.getrandbits(64):x}",
        "model_name": f"model-{number % 5}",
        "provider": "openai",
        "service": SERVICE,
        "prompt_tokens": random.randrange(4_000),
        "completion_tokens": random.randrange(900),
        "response_time_ms": random.lognormvariate(6, 1),
        "ttft_ms": random.lognormvariate(4, 1),
        "success": is_ok,
        "error_type": None if is_ok else "Timeout",
        "error_message": None if is_ok else f"no response after {number} ms",
        "metadata": {"tier": "gold", "number": number},
    }


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "llmmonitor.settings"
    django.setup()
    from django.core.management import call_command

    from metrics.events import InferenceEvent, build_event
    from metrics.ingest.recorder import close_recorder, get_recorder

    call_command("migrate", verbosity=0)
    random, number, now = Random(1), int(sys.argv[1]), datetime.now(UTC)
    step = timedelta(days=29) / number
    for first in range(0, number, BATCH):
        events = [
            build_event(InferenceEvent, fields_of(random, index, now - step * (number - index)), [])
            for index in range(first, min(number, first + BATCH))
        ]
        get_recorder().record(events, timeout=60)
    close_recorder()


if __name__ == "__main__":
    main()
