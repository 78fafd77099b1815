"""The memory that Redis uses."""

from __future__ import annotations

import logging
from contextlib import closing

from django.conf import settings

from llmmonitor.infra.throttled_log import log_throttled

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 1.0


def redis_memory_bytes() -> int | None:
    """Return `used_memory` of `INFO memory`. None without Redis, and while it does not respond."""
    url = settings.LLMMONITOR.redis_url
    if not url:
        return None
    from redis import Redis  # a server without Redis does not load it
    from redis.exceptions import RedisError

    client = Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS)
    try:
        with closing(client):
            return int(client.info("memory")["used_memory"])
    except RedisError as error:
        log_throttled(logger, "The memory of Redis", error)
        return None
