"""What reads cost in CPU, in this process: the side of `earlier` that runs once for each checkout.

    python benchmarks/read_costs.py COUNT

Works with the code of an earlier commit, so it uses only what both have: the API's URLs, the page's data, the tick and
the write path of `benchmarks.percentile`. Fills the store with COUNT requests over 30 days and a sample of the machine
every ten minutes. Then, for each line that it reads, it runs each read once, after a new commit, and writes a line of
JSON: milliseconds of CPU by name.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

DAYS = 30
SAMPLES_PER_DAY = 144
READS = {
    "percentile of 30 days": "/metrics/distribution?metric=inference.response_time_ms&range=30d",
    "summary of 30 days": "/metrics/summary?range=30d",
    "the Overview's data of 30 days": "/dashboard/data/overview?range=30d",
    "the Overview's data of 24 hours": "/dashboard/data/overview?range=24h",
}


def side() -> Any:
    """Return `benchmarks.percentile` of the checkout that is measured; it knows where its store is."""
    return importlib.import_module("benchmarks.percentile")


def fill(count: int) -> None:
    """Commit the requests and the samples."""
    from metrics.events import SystemEvent

    percentile = side()
    start = datetime.now(UTC) - timedelta(days=DAYS) + timedelta(seconds=1)
    percentile.fill(count, start, 1)
    step = timedelta(days=1) / SAMPLES_PER_DAY
    samples = [
        SystemEvent(timestamp=start + step * number, host="bench", cpu_percent=float(number % 100))
        for number in range(DAYS * SAMPLES_PER_DAY)
    ]
    percentile.Store().commit(samples)


def commit_one(seed: int) -> None:
    """Commit a request of this second, so that no cache may return an earlier result."""
    from benchmarks import workload

    percentile = side()
    start = datetime.now(UTC) - timedelta(seconds=1)
    percentile.Store().commit([percentile.InferenceEvent(**next(workload.requests(1, start, 1.0, seed)))])


def cpu_ms(read: Callable[[], object]) -> float:
    """Return the CPU time of `read` in milliseconds, that of all threads."""
    begin = time.process_time()
    read()
    return (time.process_time() - begin) * 1000


def main() -> None:
    import django
    from django.core.management import call_command
    from django.test import Client

    django.setup()
    call_command("migrate", verbosity=0)
    from metrics.live.ticker import build_tick

    fill(int(sys.argv[1]))
    client = Client(SERVER_NAME="127.0.0.1")  # from loopback to loopback: may read

    def get(path: str) -> None:
        response = client.get(path)
        assert response.status_code == 200, (path, response.status_code, response.content[:500])

    for number, _line in enumerate(sys.stdin):
        costs = {}
        for turn, (name, path) in enumerate(READS.items()):
            commit_one(100 + number * 10 + turn)
            costs[name] = cpu_ms(partial(get, path))
        commit_one(109 + number * 10)
        costs["a tick"] = cpu_ms(lambda: build_tick(datetime.now(UTC)))
        print(json.dumps(costs), flush=True)


if __name__ == "__main__":
    # Only the checkout of PYTHONPATH: this file may lie in another one.
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
    os.environ["DJANGO_SETTINGS_MODULE"] = "llmmonitor.settings"
    main()
