"""Sending over HTTP as a client should: again when that can help, and not when it cannot."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from llmmonitor.process.data_dir_lock import DataDirectoryLock
from metrics.traffic.sender import ATTEMPTS, Sender, SendingFailed, address_here

URL = "http://127.0.0.1:1"


class Monitor:
    """Answers what it was told to, one after another; then 200."""

    def __init__(self, *answers: int | Exception, retry_after: str | None = None) -> None:
        self.answers = list(answers)
        self.retry_after = retry_after
        self.requests: list[urllib.request.Request] = []

    def __call__(self, request: urllib.request.Request, timeout: float) -> Any:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        if answer != 200:
            headers = Message()
            if self.retry_after:
                headers["Retry-After"] = self.retry_after
            raise urllib.error.HTTPError(request.full_url, answer, "", headers, io.BytesIO(b'{"detail": "why"}'))
        return io.BytesIO(b'{"accepted": 1}')


def sender(monitor: Monitor, waits: list[float] | None = None, **more: Any) -> Sender:
    return Sender(URL + "/", sleep=(waits if waits is not None else []).append, opener=monitor, **more)


class ASender:
    def test_posts_json(self) -> None:
        monitor = Monitor()
        assert sender(monitor, api_key="llmm_x", host="monitor").post("/track/inference", [{"a": 1}]) == {"accepted": 1}
        (request,) = monitor.requests
        assert (request.full_url, request.method) == (f"{URL}/track/inference", "POST")
        assert json.loads(request.data or b"") == [{"a": 1}]
        assert request.headers == {
            "Content-type": "application/json",
            "Authorization": "Bearer llmm_x",
            "Host": "monitor",
        }

    @pytest.mark.parametrize("answer", [429, 502, 503, 504, 408, ConnectionRefusedError("refused"), TimeoutError()])
    def test_sends_the_same_again_when_that_may_help(self, answer: int | Exception) -> None:
        monitor, waits = Monitor(answer, answer), list[float]()
        assert sender(monitor, waits).post("/track/inference", [{"request_id": "r"}]) == {"accepted": 1}
        assert len({request.data for request in monitor.requests}) == 1
        assert len(waits) == 2
        assert waits[0] < waits[1]

    def test_waits_as_long_as_it_is_told_to(self) -> None:
        waits: list[float] = []
        sender(Monitor(503, retry_after="3"), waits).post("/", [])
        assert waits == [3]

    @pytest.mark.parametrize("answer", [400, 401, 403, 413, 415, 422, 500])
    def test_gives_up_at_once_when_it_is_refused_and_says_what_was_answered(self, answer: int) -> None:
        monitor = Monitor(answer)
        with pytest.raises(SendingFailed, match=f"returned {answer}: .*why"):
            sender(monitor).post("/track/inference", [])
        assert len(monitor.requests) == 1

    def test_gives_up_in_the_end_on_one_that_stays_away(self) -> None:
        monitor, waits = Monitor(*[ConnectionRefusedError("refused")] * 20), list[float]()
        with pytest.raises(SendingFailed, match=r"did not respond.*refused"):
            sender(monitor, waits).post("/track/inference", [])
        assert len(monitor.requests) == ATTEMPTS
        assert max(waits) <= 5

    @pytest.mark.parametrize("url", ["file:///etc/passwd", "127.0.0.1:8899", "ftp://x", ""])
    def test_takes_addresses_of_the_web_alone(self, url: str) -> None:
        with pytest.raises(SendingFailed, match="expected an address such as http://"):
            Sender(url)

    def test_gives_a_copy_with_another_key(self) -> None:
        monitor = Monitor()
        first = sender(monitor)
        first.with_key("llmm_x").post("/", [])
        first.post("/", [])
        assert [request.headers.get("Authorization") for request in monitor.requests] == ["Bearer llmm_x", None]


class TheAddress:
    @pytest.fixture(autouse=True)
    def own(self, settings: Any, tmp_path: Path) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"data_dir": tmp_path, "port": 9001})

    def test_is_the_given_one(self) -> None:
        assert address_here("http://monitor:80") == "http://monitor:80"

    def test_is_that_of_the_server_of_the_data_directory_whatever_port_it_was_given(self, tmp_path: Path) -> None:
        with DataDirectoryLock(tmp_path) as lock:
            lock.publish("http://127.0.0.1:9377")
            assert address_here() == "http://127.0.0.1:9377"

    def test_is_at_the_port_of_the_settings_where_no_server_has_locked_the_directory(self) -> None:
        assert address_here() == "http://127.0.0.1:9001"
