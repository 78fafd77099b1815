"""The client of Redis, and the pause after a Redis that does not respond.

A Redis that is stopped or unreachable makes each call wait for its timeout, and a page makes several calls. So after a
timeout, neither this client nor a cache of the process calls Redis for some seconds.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

PAUSE_SECONDS = 5.0
TIMEOUT_SECONDS = 1.0

_paused_until = 0.0  # monotonic clock; global, because Django creates the caches again for each thread


def is_paused() -> bool:
    """Return whether Redis did not respond a moment ago."""
    return monotonic() < _paused_until


def begin_pause() -> None:
    """Begin the pause, after a timeout."""
    global _paused_until
    _paused_until = monotonic() + PAUSE_SECONDS


@contextmanager
def connected(url: str) -> Iterator[Any]:
    """Yield a client of Redis. Raises RedisError; in the pause at once."""
    from redis.exceptions import TimeoutError as RedisTimeoutError  # a server without Redis does not load it

    if is_paused():
        raise RedisTimeoutError("Redis did not respond a moment ago.")
    try:
        yield _client(url, os.getpid())
    except RedisTimeoutError:
        begin_pause()
        raise


@functools.lru_cache(maxsize=1)
def _client(url: str, pid: int) -> Any:
    """Return the client of this process. `pid`: a forked process needs its own connections."""
    from redis import Redis

    return Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS)
