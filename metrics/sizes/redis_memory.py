"""The memory that Redis uses."""

from __future__ import annotations

import logging

from django.conf import settings

from llmmonitor.infra import redis_client
from llmmonitor.infra.throttled_log import log_throttled

logger = logging.getLogger(__name__)


def redis_memory_bytes() -> int | None:
    """Return `used_memory` of `INFO memory`. None without Redis, and while it does not respond."""
    url = settings.LLMMONITOR.redis_url
    if not url:
        return None
    from redis.exceptions import RedisError  # a server without Redis does not load it

    try:
        with redis_client.connected(url) as client:
            return int(client.info("memory")["used_memory"])
    except RedisError as error:
        log_throttled(logger, "The memory of Redis", error)
        return None
