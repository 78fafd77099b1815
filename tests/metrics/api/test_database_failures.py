"""Responses and log lines while the database or the data directory fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.db import InterfaceError, OperationalError
from django.db.backends.utils import CursorWrapper

from llmmonitor.infra import throttled_log
from metrics.queries.exceptions import QueryTooLarge, QueryTooSlow, TooManyQueries
from metrics.traffic.demo import control
from tests.metrics.api.asgi_client import AsgiClient, Reply

BROWSER = {"accept": "text/html,*/*;q=0.8"}
SIGNED_IN = {"cookie": "llmmonitor_session=abcdefghijklmnopqrstuvwxyz012345"}


class ADatabaseThatFails:
    @pytest.fixture(params=[OperationalError, InterfaceError])
    def empty_api(self, empty_api: AsgiClient, monkeypatch: pytest.MonkeyPatch, request: Any) -> Iterator[AsgiClient]:
        def fail(*args: Any, **more: Any) -> None:
            raise request.param("SECRET")

        for name in ("queries", "ring"):
            caches[name].clear()
        with monkeypatch.context() as patch:
            patch.setattr(throttled_log, "_throttle", throttled_log.LogThrottle())
            patch.setattr(CursorWrapper, "execute", fail)
            yield empty_api

    @pytest.mark.parametrize("headers", [{}, SIGNED_IN], ids=["in the view", "in the middleware"])
    def test_is_a_page_for_browsers(self, empty_api: AsgiClient, headers: dict[str, str]) -> None:
        reply = empty_api.request("GET", "/", headers=BROWSER | headers)
        assert (reply.status, reply.type, reply.headers["retry-after"]) == (503, "text/html", "2")
        assert b"Database unavailable" in reply.body
        assert b"SECRET" not in reply.body

    @pytest.mark.parametrize("path", ["/", "/dashboard/data/overview", "/metrics/summary", "/requests"])
    def test_is_a_problem_for_programs(self, empty_api: AsgiClient, path: str) -> None:
        reply = empty_api.get(path)
        reply.problem(503, "store_unavailable")
        assert b"SECRET" not in reply.body

    def test_is_logged_once_for_several_requests(self, empty_api: AsgiClient, caplog: pytest.LogCaptureFixture) -> None:
        replies: list[Reply] = [empty_api.request("GET", "/", headers=BROWSER) for _ in range(3)]
        replies += [empty_api.get(path) for path in ("/", "/metrics/summary", "/requests")]
        assert {reply.status for reply in replies} == {503}
        (line,) = caplog.records
        assert line.getMessage().startswith("database query failed: ")
        assert line.exc_info


class AQueryThatIsStopped:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (QueryTooSlow(5), "query_too_slow"),
            (QueryTooLarge(2**20), "query_too_large"),
            (TooManyQueries(5), "too_many_queries"),
        ],
    )
    def test_is_a_problem_that_names_what_to_narrow(
        self, empty_api: AsgiClient, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
    ) -> None:
        def stop(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr("metrics.queries.models", stop)
        assert "Ask for a shorter window" in empty_api.get("/models").problem(503, code)["detail"]


class ADataDirectoryThatCannotBeWritten:
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
    def test_is_a_problem_of_a_request_that_writes_there(
        self, empty_api: AsgiClient, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        def fail(*args: Any, **more: Any) -> None:
            raise OSError(number, os.strerror(number), "/secret/place")

        monkeypatch.setattr(control, "start", fail)
        reply = empty_api.request("POST", "/demo")
        assert os.strerror(number) in reply.problem(503, "data_directory")["detail"]
        assert b"/secret/place" not in reply.body
