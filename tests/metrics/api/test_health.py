"""`/health/ready`: the report of a process, and how long it is cached."""

from __future__ import annotations

from typing import Any

import pytest

from metrics.api import health, readiness
from tests.metrics.api.asgi_client import AsgiClient


@pytest.fixture(autouse=True)
def without_cached_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_cached_report", None)


def replace_checks(monkeypatch: pytest.MonkeyPatch, *statuses: str) -> list[str]:
    """Give each further check one of these statuses. Return the list of those that are not used yet."""
    unused = list(statuses)

    def check() -> dict[str, Any]:
        return {"status": unused.pop(0), "parts": {}}

    monkeypatch.setattr(readiness, "check", check)
    return unused


class TheReadiness:
    def test_is_checked_once_for_several_requests(self, monkeypatch: pytest.MonkeyPatch, empty_api: AsgiClient) -> None:
        monkeypatch.setattr(health, "CACHE_SECONDS", 3_600.0)
        unused = replace_checks(monkeypatch, "failing", "ok")
        assert [empty_api.get("/health/ready").status for _ in range(3)] == [503] * 3
        assert unused == ["ok"]

    def test_is_checked_again_when_the_report_has_expired(
        self, monkeypatch: pytest.MonkeyPatch, empty_api: AsgiClient
    ) -> None:
        monkeypatch.setattr(health, "CACHE_SECONDS", 0.0)
        replace_checks(monkeypatch, "ok", "failing", "ok")
        assert [empty_api.get("/health/ready").status for _ in range(3)] == [200, 503, 200]

    def test_of_a_process_is_never_another_s(self, monkeypatch: pytest.MonkeyPatch, empty_api: AsgiClient) -> None:
        replace_checks(monkeypatch, "ok", "failing")
        assert empty_api.get("/health/ready").status == 200
        monkeypatch.setattr(health, "_cached_report", None)  # as in another process, which shares the caches in Redis
        assert empty_api.get("/health/ready").status == 503
