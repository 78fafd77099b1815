"""While Redis is not available, the caches are empty and fail no call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from django.core.cache.backends.redis import RedisCacheClient

from llmmonitor.infra import redis_client, throttled_log
from llmmonitor.infra.redis_cache import ForgivingRedisCache
from tests import services
from tests.support.redis_server import own_redis


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The caches' time, in seconds, at which none of them has met with silence."""
    now = [1_000.0]
    monkeypatch.setattr(redis_client, "_paused_until", 0.0)
    monkeypatch.setattr(redis_client, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> ForgivingRedisCache:
    """A cache at an address where nothing listens; nothing was logged yet."""
    monkeypatch.setattr(throttled_log, "_throttle", throttled_log.LogThrottle())
    return ForgivingRedisCache(f"redis://127.0.0.1:{services.free_port()}/0", {})


class ACache:
    def test_keeps_what_it_is_given_while_redis_answers(self, redis_url: str) -> None:
        cache = ForgivingRedisCache(redis_url, {})

        cache.set("a", 1, 60)
        cache.set_many({"b": 2, "c": 3}, 60)

        assert (cache.get("a"), cache.get_many(["b", "c"]), cache.has_key("a")) == (1, {"b": 2, "c": 3}, True)
        assert (cache.add("a", 2, 60), cache.add("d", 4, 60)) == (False, True)
        assert (cache.incr("a", 4), cache.decr("a"), cache.touch("a", 60)) == (5, 4, True)
        assert (cache.delete("a"), cache.delete("a")) == (True, False)
        cache.delete_many(["b"])
        assert cache.get_many(["a", "b", "c"]) == {"c": 3}
        cache.clear()
        assert cache.get("c", "gone") == "gone"

    @pytest.mark.parametrize(
        ("operation", "arguments", "result"),
        [
            ("get", ("a",), None),
            ("get", ("a", 7), 7),
            ("get_many", (["a"],), {}),
            ("has_key", ("a",), False),
            ("set", ("a", 1, 60), None),
            ("set_many", ({"a": 1}, 60), ["a"]),
            ("add", ("a", 1, 60), True),
            ("touch", ("a", 60), False),
            ("delete", ("a",), False),
            ("delete_many", (["a"],), None),
            ("clear", (), None),
        ],
    )
    def test_is_empty_while_redis_is_away(
        self, away: ForgivingRedisCache, operation: str, arguments: tuple[Any, ...], result: Any
    ) -> None:
        assert getattr(away, operation)(*arguments) == result

    def test_has_no_number_to_add_to_while_redis_is_away(self, away: ForgivingRedisCache) -> None:
        for count in (away.incr, away.decr):
            with pytest.raises(ValueError, match="not found"):
                count("a")

    def test_says_so_once_for_many_calls(self, away: ForgivingRedisCache, caplog: pytest.LogCaptureFixture) -> None:
        for _ in range(3):
            away.get("a")

        assert [record.name for record in caplog.records] == ["llmmonitor.infra.redis_cache"]

    def test_lets_calls_through_that_it_would_have_counted(
        self, away: ForgivingRedisCache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from llmmonitor.access import throttles

        monkeypatch.setattr(throttles, "caches", {"throttle": away})

        assert throttles.count_request("read", "client", 1, 0.0) == 0


class ARedisThatDoesNotAnswer:
    @pytest.fixture
    def server(self) -> Iterator[psutil.Process]:
        """A Redis of this test's own; `suspend` stops it, with its socket open."""
        with own_redis() as (self.url, process):
            yield process

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The keys with which Redis was asked."""
        keys = []
        get_client = RedisCacheClient.get_client

        def counted(self: RedisCacheClient, key: str | None = None, **more: Any) -> Any:
            keys.append(str(key))
            return get_client(self, key, **more)

        monkeypatch.setattr(RedisCacheClient, "get_client", counted)
        return keys

    def cache(self) -> ForgivingRedisCache:
        return ForgivingRedisCache(self.url, {"OPTIONS": {"socket_timeout": 0.2}})

    def test_is_waited_for_once_and_then_left_alone_for_some_seconds_by_every_cache(
        self, server: psutil.Process, asked: list[str], clock: list[float]
    ) -> None:
        self.cache().set("a", 1, 60)
        server.suspend()
        asked.clear()

        assert self.cache().get("a", "gone") == "gone"
        assert self.cache().get("b", "gone") == "gone"
        assert self.cache().add("c", 1, 60) is True
        with pytest.raises(ValueError, match="not found"):
            self.cache().incr("c")
        assert asked == [":1:a"]

        server.resume()
        clock[0] += redis_client.PAUSE_SECONDS
        assert self.cache().get("a", "gone") == 1

    def test_is_another_thing_than_one_that_refuses(self, away: ForgivingRedisCache, asked: list[str]) -> None:
        away.get("a")
        away.get("b")

        assert asked == [":1:a", ":1:b"]
