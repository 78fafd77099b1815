"""What the processes of the monitor count about their own work."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.client import Pipeline
from redis.exceptions import TimeoutError as RedisTimeoutError

from llmmonitor.infra import redis_client
from llmmonitor.infra.redis_cache import ForgivingRedisCache
from llmmonitor.infra.telemetry import (
    LONGEST_SECONDS,
    MAX_LABEL,
    MAX_LABELS,
    OTHER,
    SHORTEST_SECONDS,
    Durations,
    Telemetry,
    TelemetryUnavailable,
    telemetry,
)
from metrics.sizes.redis_memory import redis_memory_bytes
from tests import services
from tests.support.redis_server import own_redis

times = st.floats(SHORTEST_SECONDS, LONGEST_SECONDS)


def durations(*seconds: float) -> Durations:
    own = Telemetry()
    for value in seconds:
        own.observe("work", value)
    return own.totals().duration("work")


class TestCounters:
    def test_add_up_over_threads(self) -> None:
        own = Telemetry()
        threads = [
            threading.Thread(target=lambda: [own.count("events", "new") for _ in range(1_000)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert own.totals().count("events", "new") == 4_000

    def test_have_a_sum_over_their_labels(self) -> None:
        own = Telemetry()
        own.count("events", "new", 3)
        own.count("events", "old", 2)
        own.count("events", "none", 0)

        assert own.totals().count("events") == 5
        assert own.totals().by_label("events") == {"new": 3, "old": 2}

    def test_have_a_limited_number_of_labels(self) -> None:
        own = Telemetry()
        for number in range(MAX_LABELS + 10):
            own.count("rejected", f"field {number}")

        counts = own.totals().by_label("rejected")
        assert len(counts) == MAX_LABELS + 1
        assert counts[OTHER] == 10

    def test_have_short_labels_without_the_separator(self) -> None:
        own = Telemetry()
        own.count("rejected", "a\x1fb" + "x" * 200)

        [label] = own.totals().by_label("rejected")
        assert label.startswith("a bx")
        assert len(label) == MAX_LABEL

    def test_have_the_time_at_which_they_began(self) -> None:
        before = time.time()

        assert before <= (Telemetry().totals().began_at or 0) <= time.time()

    def test_begin_at_zero_in_a_forked_process(self) -> None:
        telemetry.count("fork", "parent")
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writer, str(telemetry.totals().count("fork")).encode())
            os._exit(0)
        os.waitpid(child, 0)

        assert os.read(reader, 10) == b"0"
        assert telemetry.totals().count("fork") == 1


class TestDurations:
    @given(st.lists(times, min_size=1), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
    def test_have_quantiles_within_ten_percent(self, seconds: list[float], share: float) -> None:
        exact = sorted(seconds)[max(0, -(-share * len(seconds) // 1).__int__() - 1)]

        assert durations(*seconds).quantile(share) == pytest.approx(exact, rel=0.1)

    @given(st.lists(times, min_size=1))
    def test_have_their_number_and_mean(self, seconds: list[float]) -> None:
        known = durations(*seconds)

        assert known.count == len(seconds)
        assert known.mean_seconds == pytest.approx(sum(seconds) / len(seconds), abs=1e-6)

    @given(st.lists(times), st.lists(times))
    def test_after_an_earlier_time_are_those_since(self, earlier: list[float], later: list[float]) -> None:
        since = durations(*earlier, *later).since(durations(*earlier))

        assert since.counts == durations(*later).counts
        assert since.sum_seconds == pytest.approx(sum(later), abs=1e-4)

    def test_after_a_restart_are_all_of_them(self) -> None:
        assert durations(0.5).since(durations(0.5, 0.5, 3.0)) == durations(0.5)

    def test_without_a_duration_have_no_mean_and_no_quantile(self) -> None:
        assert Durations().mean_seconds is None
        assert Durations().quantile(0.5) is None

    def test_of_a_block_are_counted_though_it_fails(self) -> None:
        own = Telemetry()
        with pytest.raises(ZeroDivisionError), own.timed("work"):
            raise ZeroDivisionError

        assert own.totals().duration("work").count == 1


def count_in_another_process(url: str) -> None:
    own = Telemetry(url)
    own.level("clients", lambda: 3)
    own.count("events", "new", 5)
    own.observe("work", 2.0)
    own.note("ended_at", 7.0, "task")
    own.publish()


@pytest.fixture
def _without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish at given moments only. A thread would continue after the test."""
    monkeypatch.setattr(Telemetry, "_start", lambda self: None)


@pytest.mark.usefixtures("_without_threads")
class TestSeveralProcesses:
    """With Redis."""

    @pytest.fixture
    def url(self) -> str:
        with services.redis() as redis:
            if redis.missing:
                pytest.fail(redis.missing)
            yield redis.url

    def test_read_the_work_of_all(self, url: str) -> None:
        own = Telemetry(url)
        own.count("events", "new", 2)
        own.observe("work", 0.5)
        own.publish()
        other = multiprocessing.get_context("spawn").Process(target=count_in_another_process, args=(url,))
        other.start()
        other.join()

        assert other.exitcode == 0
        totals = own.totals()
        assert totals.count("events", "new") == 7
        assert totals.duration("work").count == 2
        assert totals.duration("work").sum_seconds == 2.5
        assert totals.latest["ended_at", "task"] == 7.0

    def test_began_when_the_first_published(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1_000.0
        monkeypatch.setattr("llmmonitor.infra.telemetry.time.time", lambda: now)
        own, other = Telemetry(url), Telemetry(url)
        began = [own.totals().began_at]
        for process in (own, other, own):
            now += 2
            process.publish()
            began.append(other.totals().began_at)

        assert began == [None, 1_002.0, 1_002.0, 1_002.0]

    def test_add_up_their_levels(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1_000.0
        monkeypatch.setattr("llmmonitor.infra.telemetry.time.time", lambda: now)
        for clients in (1, 2):
            own = Telemetry(url)
            own.level("clients", lambda clients=clients: clients)
            own.publish()
        now += 2

        assert own.totals().levels == {"clients": 3.0}

    def test_cannot_be_read_while_redis_does_not_respond(self) -> None:
        with pytest.raises(TelemetryUnavailable):
            Telemetry("redis://127.0.0.1:1/0").totals()

    def test_keep_what_they_could_not_publish(self, url: str) -> None:
        own = Telemetry("redis://127.0.0.1:1/0")
        own.count("events", "new", 2)
        own.note("ended_at", 7.0)
        with pytest.raises(Exception, match="Connection refused"):
            own.publish()
        own._redis_url = url
        own.publish()

        assert own.totals().count("events", "new") == 2
        assert own.totals().latest == {("ended_at", ""): 7.0}


@pytest.mark.usefixtures("_without_threads")
class ARedisThatDoesNotRespond:
    @pytest.fixture(autouse=True)
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The time of the client, in seconds, at which there was no timeout."""
        now = [1_000.0]
        monkeypatch.setattr(redis_client, "_paused_until", 0.0)
        monkeypatch.setattr(redis_client, "monotonic", lambda: now[0])
        monkeypatch.setattr(redis_client, "TIMEOUT_SECONDS", 0.2)
        return now

    @pytest.fixture
    def server(self) -> Iterator[psutil.Process]:
        with own_redis() as (self.url, process):
            yield process

    def test_after_a_transaction_was_sent_adds_it_once(
        self, server: psutil.Process, clock: list[float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        execute = Pipeline.execute

        def execute_during_a_stop(self: Pipeline, *args: Any, **more: Any) -> Any:
            server.suspend()
            try:
                return execute(self, *args, **more)
            finally:
                server.resume()

        own = Telemetry(self.url)
        own.count("events", "new", 100)
        monkeypatch.setattr(Pipeline, "execute", execute_during_a_stop)
        with pytest.raises(RedisTimeoutError):
            own.publish()
        monkeypatch.setattr(Pipeline, "execute", execute)
        clock[0] += redis_client.PAUSE_SECONDS
        own.count("events", "new", 7)
        for _ in range(2):
            own.publish()

        assert own.totals().count("events") == 107

    def test_before_a_transaction_was_sent_gets_it_later(self, server: psutil.Process, clock: list[float]) -> None:
        own = Telemetry(self.url)
        own.count("events", "new", 100)
        server.suspend()
        with pytest.raises(RedisTimeoutError):
            own.publish()
        server.resume()
        clock[0] += redis_client.PAUSE_SECONDS
        own.publish()

        assert own.totals().count("events") == 100

    def test_is_waited_for_once_in_some_seconds_by_all_parts(
        self, server: psutil.Process, clock: list[float], settings: Any
    ) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"redis_url": self.url})
        own, cache = Telemetry(self.url), ForgivingRedisCache(self.url, {})
        cache.set("a", 1, 60)
        own.publish()
        assert redis_memory_bytes()
        server.suspend()

        with pytest.raises(TelemetryUnavailable):
            own.totals()
        server.resume()  # none of the others notices
        with pytest.raises(TelemetryUnavailable):
            own.totals()
        with pytest.raises(RedisTimeoutError):
            own.publish()
        assert redis_memory_bytes() is None
        assert cache.get("a") is None

        clock[0] += redis_client.PAUSE_SECONDS
        assert own.totals().counts == {}
        assert redis_memory_bytes()
        assert cache.get("a") == 1
