"""A cache in Redis that behaves as an empty cache while Redis is not available.

Everything in the caches can be computed again: rate limits start from zero, keys and figures are read from the
database. So an outage of Redis fails no request. Readiness detects the outage, because it does not read back what it
wrote.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from llmmonitor.infra import redis_client
from llmmonitor.infra.throttled_log import log_throttled

logger = logging.getLogger(__name__)

# What each operation returns for an empty cache; it has the arguments of the operation.
EMPTY_CACHE: dict[str, Callable[..., Any]] = {
    "get": lambda key, default=None, version=None: default,
    "get_many": lambda keys, version=None: {},
    "has_key": lambda key, version=None: False,
    "set": lambda key, value, *args, **kwargs: None,
    "set_many": lambda data, *args, **kwargs: list(data),  # the keys that were not stored
    "add": lambda key, value, *args, **kwargs: True,
    "touch": lambda key, *args, **kwargs: False,
    "incr": lambda key, delta=1, version=None: _raise_key_not_found(key),
    "delete": lambda key, version=None: False,
    "delete_many": lambda keys, version=None: None,
    "clear": lambda: None,
}


def _raise_key_not_found(key: Any) -> None:
    raise ValueError(f"Key '{key}' not found")


def _or_as_if_empty(operation: Callable[..., Any], empty: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that calls `operation`, or `empty` if Redis is not available."""

    @wraps(operation)
    def method(self: RedisCache, *args: Any, **kwargs: Any) -> Any:
        if not redis_client.is_paused():
            try:
                return operation(self, *args, **kwargs)
            except RedisError as error:
                if isinstance(error, RedisTimeoutError):
                    redis_client.begin_pause()
                log_throttled(logger, "The cache in Redis (the server continues without it)", error)
        return empty(*args, **kwargs)

    return method


class ForgivingRedisCache(RedisCache):
    """Django's cache in Redis, with the methods of EMPTY_CACHE replaced."""


for _name, _empty in EMPTY_CACHE.items():
    setattr(ForgivingRedisCache, _name, _or_as_if_empty(getattr(RedisCache, _name), _empty))
