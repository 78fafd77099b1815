"""`/health/ready`: what a process says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from metrics.api import health, readiness
from tests.metrics.api.asgi_client import AsgiClient


@pytest.fixture(autouse=True)
def asked_for_the_first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_report", None)


def answers(monkeypatch: pytest.MonkeyPatch, *statuses: str) -> list[str]:
    """What the checks from now on find, each once; those that are left were not asked for."""
    left = list(statuses)

    def check() -> dict[str, Any]:
        return {"status": left.pop(0), "parts": {}}

    monkeypatch.setattr(readiness, "check", check)
    return left


class TheReadiness:
    def test_is_checked_once_for_all_who_ask_at_once(self, monkeypatch: pytest.MonkeyPatch, door: AsgiClient) -> None:
        monkeypatch.setattr(health, "KEPT_SECONDS", 3_600.0)
        left = answers(monkeypatch, "failing", "ok")
        assert [door.get("/health/ready").status for _ in range(3)] == [503] * 3
        assert left == ["ok"]

    def test_is_checked_anew_when_it_is_out_of_date(self, monkeypatch: pytest.MonkeyPatch, door: AsgiClient) -> None:
        monkeypatch.setattr(health, "KEPT_SECONDS", 0.0)
        answers(monkeypatch, "ok", "failing", "ok")
        assert [door.get("/health/ready").status for _ in range(3)] == [200, 503, 200]

    def test_of_a_process_is_never_another_s(self, monkeypatch: pytest.MonkeyPatch, door: AsgiClient) -> None:
        answers(monkeypatch, "ok", "failing")
        assert door.get("/health/ready").status == 200
        monkeypatch.setattr(health, "_report", None)  # as in another process, which shares the caches in Redis
        assert door.get("/health/ready").status == 503
