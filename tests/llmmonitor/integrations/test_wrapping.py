"""A wrapped function of a client library."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from llmmonitor import LLMMonitor
from llmmonitor.integrations import recording
from llmmonitor.integrations.reading import Reader
from llmmonitor.integrations.wrapping import wrap_sync
from tests.support import odd_servers
from tests.support.odd_servers import odd_server


class RateLimited(Exception):
    """As client libraries raise it: with the response."""

    response = SimpleNamespace(headers={"x-ratelimit-remaining-requests": "0"})


def test_reports_the_headroom_to_the_monitor_that_records_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "model", {"provider": "openai"}

    def raise_error() -> None:
        raise RateLimited

    with odd_server(odd_servers.accept) as server, odd_server(odd_servers.accept) as other_server:
        with LLMMonitor(url=server.url) as own, LLMMonitor(url=other_server.url) as other:
            monkeypatch.setattr(recording, "_monitor", other)
            reader = Reader(begin, result=lambda *_: None, chunk=lambda *_: None, monitor=own)
            with pytest.raises(RateLimited):
                wrap_sync(reader)(raise_error)()

        assert other_server.bodies == []
        (event,) = server.events()
        (sample,) = server.events("/track/queue")
    assert event["error_type"] == "RateLimited"
    assert (sample["provider"], sample["ratelimit_remaining_requests"]) == ("openai", 0)
