"""The System page while Redis does not respond."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from llmmonitor.infra.telemetry import TelemetryUnavailable, telemetry
from metrics.live import ticker

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _without_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    def totals() -> None:
        raise TelemetryUnavailable("Redis does not respond.")

    monkeypatch.setattr(telemetry, "totals", totals)


class ThePage:
    def test_says_what_could_not_be_read(self) -> None:
        visitor = Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")

        reply = visitor.get(reverse("system-figures"))

        assert reply.status_code == 200
        assert "Redis does not respond." in " ".join(reply.json()["notices"])
        assert "events stored" not in reply.json()["sentence"]["text"]


class TheStateOfTheTicks:
    def test_is_described_without_the_number_of_late_ones(self) -> None:
        assert "late" not in ticker.state(datetime.now(UTC))
