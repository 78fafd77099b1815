"""A failure that repeats each second is logged once a minute."""

from __future__ import annotations

import logging

import pytest

from llmmonitor.infra import throttled_log
from llmmonitor.infra.throttled_log import LogThrottle, log_throttled

logger = logging.getLogger(__name__)


class AnErrorThatRepeatsEachSecond:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The time, in seconds; nothing was logged before."""
        time = [1_000.0]
        monkeypatch.setattr(throttled_log, "_throttle", LogThrottle())
        monkeypatch.setattr(throttled_log.time, "monotonic", lambda: time[0])
        return time

    def test_is_logged_with_its_traceback_and_then_in_a_line_a_minute(
        self, clock: list[float], caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(125):
            log_throttled(logger, "the tick", OSError("disk full"))
            clock[0] += 1

        assert [bool(record.exc_info) for record in caplog.records] == [True, False, False]
        assert caplog.records[0].getMessage() == "the tick failed: OSError: disk full"

    @pytest.mark.usefixtures("clock")
    def test_hides_no_other(self, caplog: pytest.LogCaptureFixture) -> None:
        log_throttled(logger, "the tick", OSError("disk full"))
        log_throttled(logger, "the tick", ValueError("a bug"))
        log_throttled(logger, "the sample", OSError("disk full"))

        assert len(caplog.records) == 3


class AFailure:
    def test_is_logged_once_a_minute(self) -> None:
        throttle = LogThrottle()
        logged = [second for second in range(150) if throttle.failed("disk_full", 1000.0 + second)]
        assert logged == [0, 60, 120]

    def test_is_logged_for_each_kind(self) -> None:
        throttle = LogThrottle()
        logged = [throttle.failed(kind, 1.0) for kind in ("disk_full", "locked", "disk_full", "locked")]
        assert logged == ["first", "first", None, None]

    def test_between_successes_does_not_make_more_lines(self) -> None:
        throttle = LogThrottle()
        logged: list[tuple[int, str]] = []
        for second in range(70):
            if throttle.failed("disk_full", float(second)):
                logged.append((second, "failed"))
            if throttle.succeeded(second + 0.5):
                logged.append((second, "succeeded"))
        assert logged == [(0, "failed"), (60, "failed")]

    def test_after_an_hour_without_any_is_logged_as_the_first_again(self) -> None:
        throttle = LogThrottle()
        logged = [throttle.failed("disk_full", second) for second in (1_000.0, 1_060.0, 4_661.0)]
        assert logged == ["first", "again", "first"]


class TheEndOfFailures:
    def test_is_logged_once_after_some_seconds_without_a_failure(self) -> None:
        throttle = LogThrottle()
        throttle.failed("disk_full", 0.0)
        assert [second for second in range(1, 30) if throttle.succeeded(float(second))] == [10]

    def test_is_not_logged_when_nothing_failed(self) -> None:
        assert not LogThrottle().succeeded(100.0)

    def test_lets_the_next_failure_be_logged_at_once(self) -> None:
        throttle = LogThrottle()
        throttle.failed("disk_full", 0.0)
        throttle.succeeded(15.0)
        assert throttle.failed("disk_full", 20.0) == "first"
