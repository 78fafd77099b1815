"""What is answered, and what is logged, while the database fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.db import InterfaceError, OperationalError
from django.db.backends.utils import CursorWrapper

from llmmonitor.server import repeated_errors
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
            patch.setattr(repeated_errors, "_said", {})
            patch.setattr(CursorWrapper, "execute", fail)
            yield door

    @pytest.mark.parametrize("headers", [{}, SIGNED_IN], ids=["in the view", "at the gate"])
    def test_is_told_to_a_person_on_a_page(self, door: AsgiClient, headers: dict[str, str]) -> None:
        reply = door.request("GET", "/", headers=BROWSER | headers)
        assert (reply.status, reply.type, reply.headers["retry-after"]) == (503, "text/html", "2")
        assert b"The store does not answer" in reply.body
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
