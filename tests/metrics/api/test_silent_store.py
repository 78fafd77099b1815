"""What is answered, and what is logged, while the database fails."""

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
from metrics.traffic.demo import control
from tests.metrics.api.asgi_client import AsgiClient, Reply

BROWSER = {"accept": "text/html,*/*;q=0.8"}
SIGNED_IN = {"cookie": "llmmonitor_session=abcdefghijklmnopqrstuvwxyz012345"}


class AStoreThatFails:
    @pytest.fixture(params=[OperationalError, InterfaceError])
    def door(self, door: AsgiClient, monkeypatch: pytest.MonkeyPatch, request: Any) -> Iterator[AsgiClient]:
        def fail(*args: Any, **more: Any) -> None:
            raise request.param("SECRET")

        for name in ("queries", "ring"):
            caches[name].clear()
        with monkeypatch.context() as patch:
            patch.setattr(throttled_log, "_said", {})
            patch.setattr(CursorWrapper, "execute", fail)
            yield door

    @pytest.mark.parametrize("headers", [{}, SIGNED_IN], ids=["in the view", "at the gate"])
    def test_is_told_to_a_person_on_a_page(self, door: AsgiClient, headers: dict[str, str]) -> None:
        reply = door.request("GET", "/", headers=BROWSER | headers)
        assert (reply.status, reply.type, reply.headers["retry-after"]) == (503, "text/html", "2")
        assert b"Database unavailable" in reply.body
        assert b"SECRET" not in reply.body

    @pytest.mark.parametrize("path", ["/", "/dashboard/data/overview", "/metrics/summary", "/requests"])
    def test_is_a_problem_for_programs(self, door: AsgiClient, path: str) -> None:
        reply = door.get(path)
        reply.problem(503, "store_unavailable")
        assert b"SECRET" not in reply.body

    def test_is_logged_once_however_many_ask(self, door: AsgiClient, caplog: pytest.LogCaptureFixture) -> None:
        replies: list[Reply] = [door.request("GET", "/", headers=BROWSER) for _ in range(3)]
        replies += [door.get(path) for path in ("/", "/metrics/summary", "/requests")]
        assert {reply.status for reply in replies} == {503}
        (line,) = caplog.records
        assert line.getMessage().startswith("asking the store failed: ")
        assert line.exc_info


class ADataDirectoryThatCannotBeWritten:
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
    def test_is_told_where_something_is_to_be_written_there(
        self, door: AsgiClient, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        def fail(*args: Any, **more: Any) -> None:
            raise OSError(number, os.strerror(number), "/secret/place")

        monkeypatch.setattr(control, "start", fail)
        reply = door.request("POST", "/demo")
        assert os.strerror(number) in reply.problem(503, "data_directory")["detail"]
        assert b"/secret/place" not in reply.body
