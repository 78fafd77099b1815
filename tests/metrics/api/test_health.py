"""`/health/ready`: the report of a process, and how long it is cached."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.core.cache.backends.dummy import DummyCache
from django.db import connection
from django.test import override_settings

from llmmonitor.infra.redis_cache import ForgivingRedisCache
from metrics import readiness
from metrics.events import InferenceEvent
from metrics.ingest.recorder import Recorder, Stats, get_recorder
from metrics.store import write_check, write_lock
from tests.metrics.api.asgi_client import AsgiClient
from tests.services import free_port


@pytest.fixture(autouse=True)
def without_cached_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_cached_report", None)


def replace_checks(monkeypatch: pytest.MonkeyPatch, *statuses: str) -> list[str]:
    """Give each further check one of these statuses. Return the list of those that are not used yet."""
    unused = list(statuses)

    def check() -> dict[str, Any]:
        return {"status": unused.pop(0), "parts": {}}

    monkeypatch.setattr(readiness, "check", check)
    return unused


class TheReadiness:
    def test_is_checked_once_for_several_requests(self, monkeypatch: pytest.MonkeyPatch, empty_api: AsgiClient) -> None:
        monkeypatch.setattr(readiness, "CACHE_SECONDS", 3_600.0)
        unused = replace_checks(monkeypatch, "failing", "ok")
        assert [empty_api.get("/health/ready").status for _ in range(3)] == [503] * 3
        assert unused == ["ok"]

    def test_is_checked_again_when_the_report_has_expired(
        self, monkeypatch: pytest.MonkeyPatch, empty_api: AsgiClient
    ) -> None:
        monkeypatch.setattr(readiness, "CACHE_SECONDS", 0.0)
        replace_checks(monkeypatch, "ok", "failing", "ok")
        assert [empty_api.get("/health/ready").status for _ in range(3)] == [200, 503, 200]

    def test_of_a_process_is_never_another_s(self, monkeypatch: pytest.MonkeyPatch, empty_api: AsgiClient) -> None:
        replace_checks(monkeypatch, "ok", "failing")
        assert empty_api.get("/health/ready").status == 200
        monkeypatch.setattr(
            readiness, "_cached_report", None
        )  # as in another process, which shares the caches in Redis
        assert empty_api.get("/health/ready").status == 503

    def test_is_checked_once_for_requests_at_the_same_time(
        self, monkeypatch: pytest.MonkeyPatch, empty_api: AsgiClient
    ) -> None:
        first_checks, second_waits = threading.Event(), threading.Event()

        class Lock:
            """A lock that sets an event when a second thread asks for it."""

            def __init__(self) -> None:
                self._lock = threading.Lock()

            def __enter__(self) -> None:
                if not self._lock.acquire(blocking=False):
                    second_waits.set()
                    self._lock.acquire()

            def __exit__(self, *_: object) -> None:
                self._lock.release()

        checks: list[int] = []

        def check() -> dict[str, Any]:
            checks.append(1)
            first_checks.set()
            assert second_waits.wait(30)
            return {"status": "ok", "parts": {}}

        monkeypatch.setattr(readiness, "_check_lock", Lock())
        monkeypatch.setattr(readiness, "CACHE_SECONDS", 0.0)
        monkeypatch.setattr(readiness, "check", check)
        with ThreadPoolExecutor(2) as threads:
            replies = [threads.submit(empty_api.get, "/health/ready")]
            assert first_checks.wait(30)
            replies.append(threads.submit(empty_api.get, "/health/ready"))
            assert [reply.result().status for reply in replies] == [200, 200]
        assert checks == [1]

    @pytest.mark.parametrize("seconds", [0.0, 0.05])
    def test_does_not_wait_for_a_commit_that_another_program_blocks(
        self, monkeypatch: pytest.MonkeyPatch, api: AsgiClient, seconds: float
    ) -> None:
        if connection.vendor != "sqlite":
            pytest.skip("about SQLite")
        monkeypatch.setattr(write_check, "LOCK_SECONDS", seconds)
        other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            event = InferenceEvent(timestamp=datetime.now(UTC), request_id="r", model_name="m")
            commit = get_recorder().submit([event])
            until = time.monotonic() + 30
            while not write_lock._process_lock._is_held and time.monotonic() < until:
                time.sleep(0.005)
            reply = api.get("/health/ready")
            assert not commit.done()
        finally:
            other.close()
        commit.result(30)
        assert reply.status == 503
        parts = reply.json()["parts"]
        assert [name for name, part in parts.items() if part["status"] == "failing"] == ["write"]
        assert "did not end" in parts["write"]["detail"]

    def test_waits_for_locks_for_less_than_three_seconds(self) -> None:
        assert write_check.LOCK_SECONDS <= 2


class ACheck:
    def test_fails_where_events_wait_and_no_commit_ends(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        stuck = Stats(12, 0, 0, None, 0, readiness.STUCK_SECONDS + 1)
        monkeypatch.setattr(Recorder, "stats", lambda self: stuck)

        report = readiness.check()

        assert [name for name, part in report["parts"].items() if part["status"] == "failing"] == ["recorder"]
        assert report["parts"]["recorder"]["detail"].startswith("12 events have waited for 6 s")

    @pytest.mark.parametrize(
        ("part", "target"),
        [
            ("query", "metrics.queries.current"),
            ("write", "metrics.store.write_check.write_check"),
            ("recorder", "metrics.ingest.recorder.get_recorder"),
            ("ticks", "metrics.live.ticker.state"),
            ("disk", "metrics.store.upkeep.disk_limit.limit_notice"),
        ],
    )
    def test_fails_with_its_part(self, db: None, monkeypatch: pytest.MonkeyPatch, part: str, target: str) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise OSError

        monkeypatch.setattr(target, fail)
        report = readiness.check()
        assert [name for name, own in report["parts"].items() if own["status"] == "failing"] == [part]
        assert (report["status"], report["parts"][part]["detail"]) == ("failing", "OSError")

    def test_of_a_cache_fails_if_the_cache_keeps_nothing(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(readiness, "caches", {"ring": DummyCache("", {})})
        assert readiness.check()["parts"]["cache"]["status"] == "failing"

    def test_of_a_cache_names_a_redis_that_is_stopped(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        url = f"redis://127.0.0.1:{free_port()}/0"
        monkeypatch.setattr(readiness, "caches", {"ring": ForgivingRedisCache(url, {})})
        with override_settings(LLMMONITOR=settings.LLMMONITOR.model_copy(update={"redis_url": url})):
            detail = readiness.check()["parts"]["cache"]["detail"]
        assert detail == "Redis does not keep a value. Check REDIS_URL, and that Redis is running."
