"""A cache in Redis that counts as empty while Redis does not answer.

What the caches hold can be done without: rate limits count from nothing, keys and figures are read from the database.
So an outage of Redis costs time, and no post and no read. Readiness sees it all the same: what it puts in does not
come back.

A Redis that is stopped or cut off does not refuse: each call would wait for its time-out, and a page makes several. So
after one that did, all caches of the process take Redis to be away for some seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from llmmonitor.infra.throttled_log import log_throttled

logger = logging.getLogger(__name__)

SILENT_SECONDS = 5.0

_silent_until = 0.0  # on the monotonic clock; Django makes caches anew for each thread, so it is no cache's own


class ForgivingRedisCache(RedisCache):
    """Django's cache in Redis, where an operation that fails does nothing and finds nothing."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """The value, or `default`."""
        return self._or(default, super().get, key, default, version)

    def get_many(self, keys: Any, version: int | None = None) -> dict[Any, Any]:
        """Those that are there."""
        found: dict[Any, Any] = self._or({}, super().get_many, keys, version)
        return found

    def has_key(self, key: Any, version: int | None = None) -> bool:
        """Whether it is there."""
        return bool(self._or(False, super().has_key, key, version))

    def set(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> None:
        """Put it in."""
        self._or(None, super().set, key, value, *args, **kwargs)

    def set_many(self, data: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """Put all in; the keys of those that could not be."""
        failed: list[Any] = self._or(list(data), super().set_many, data, *args, **kwargs)
        return failed

    def add(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> bool:
        """Put it in where there is none. True in an outage, too: in an empty cache there is none."""
        return bool(self._or(True, super().add, key, value, *args, **kwargs))

    def touch(self, key: Any, *args: Any, **kwargs: Any) -> bool:
        """Make it last."""
        return bool(self._or(False, super().touch, key, *args, **kwargs))

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Add to a number. Raises ValueError where there is none, so in an outage, too."""
        found = self._or(None, super().incr, key, delta, version)
        if found is None:
            raise ValueError(f"Key '{key}' not found")
        return int(found)

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Take it out; whether it was there."""
        return bool(self._or(False, super().delete, key, version))

    def delete_many(self, keys: Any, version: int | None = None) -> None:
        """Take them out."""
        self._or(None, super().delete_many, keys, version)

    def clear(self) -> None:
        """Take everything out."""
        self._or(None, super().clear)

    def _or(self, otherwise: Any, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        global _silent_until
        if monotonic() < _silent_until:
            return otherwise
        try:
            return operation(*args, **kwargs)
        except RedisError as error:
            if isinstance(error, RedisTimeoutError):
                _silent_until = monotonic() + SILENT_SECONDS
            log_throttled(logger, "the cache in Redis, without which it goes on,", error)
            return otherwise
