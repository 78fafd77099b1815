"""A Redis of a test's own, which it can stop with its socket open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from redis import Redis

from tests import services
from tests.conftest import require


@contextmanager
def own_redis() -> Iterator[tuple[str, psutil.Process]]:
    """Yield the URL of a Redis and its process: `suspend()` stops it."""
    if os.environ.get("LLMMONITOR_TEST_REDIS_URL"):
        pytest.skip("the Redis that is named is not the test's to stop")
    with services.redis() as service:
        url = require(service)
        with Redis.from_url(url) as client:
            process = psutil.Process(client.info("server")["process_id"])
        try:
            yield url, process
        finally:
            process.resume()
