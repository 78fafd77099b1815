"""The memory of Redis, against a real one."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from metrics.sizes.redis_memory import redis_memory_bytes
from tests import services


def use(settings: Any, url: str | None) -> None:
    settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"redis_url": url})


class TheMemoryOfRedis:
    @pytest.mark.redis
    def test_is_its_used_memory(self, settings: Any, redis_url: str) -> None:
        use(settings, redis_url)
        with Redis.from_url(redis_url) as client:
            before = redis_memory_bytes()
            client.setrange("large", 9 * 2**20, b"x")  # without a large buffer of the connection
            by_hand = client.info("memory")["used_memory"]
            after = redis_memory_bytes()

        assert before is not None
        assert after == pytest.approx(by_hand, rel=0.02)  # another connection has its own buffers
        assert after - before >= 8 * 2**20

    def test_is_unknown_without_redis(self, settings: Any) -> None:
        use(settings, None)

        assert redis_memory_bytes() is None

    def test_is_unknown_while_redis_does_not_respond(self, settings: Any) -> None:
        use(settings, f"redis://127.0.0.1:{services.free_port()}/0")

        assert redis_memory_bytes() is None
