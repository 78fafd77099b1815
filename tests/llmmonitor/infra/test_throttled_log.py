"""An error of what runs each second is told once a minute."""

from __future__ import annotations

import logging

import pytest

from llmmonitor.infra import throttled_log
from llmmonitor.infra.throttled_log import log_throttled

logger = logging.getLogger(__name__)


class AnErrorThatComesEachSecond:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The time, in seconds; nothing was said before."""
        time = [1_000.0]
        monkeypatch.setattr(throttled_log, "_said", {})
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
