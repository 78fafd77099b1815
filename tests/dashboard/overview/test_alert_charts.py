"""The address of the chart of an alert."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.overview.alert_charts import CARDS, chart_url
from llmmonitor.access.keys import create_key


class TheAddressOfTheChart:
    SINCE = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def test_has_the_filters_and_the_time_of_the_alert(self) -> None:
        end = self.SINCE + timedelta(hours=1)
        address = chart_url("inference.ttft_ms", {"model": "a b/c"}, self.SINCE, end, end)

        parts = urlsplit(address)
        assert parse_qs(parts.query) == {
            "model": ["a b/c"],
            "from": ["2026-03-01T11:30:00Z"],
            "to": ["2026-03-01T13:30:00Z"],
        }
        assert parts.fragment == "latency-title"

    def test_has_the_promoted_tags_of_the_alert(self, settings: Any) -> None:
        labels = {"tag.team": "a b", "tag.other": "x", "endpoint": "y"}
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"tags": ("team",)})

        assert (
            chart_url("error.count", labels, self.SINCE, None, self.SINCE) == "/?tag.team=a+b&range=1h#requests-title"
        )

    @pytest.mark.parametrize(
        ("firing", "window"),
        [
            (timedelta(minutes=5), "range=1h"),
            (timedelta(minutes=31), "range=6h"),
            (timedelta(days=40), "from=2026-03-01T11%3A30%3A00Z"),
        ],
    )
    def test_of_an_active_alert_is_of_a_live_range(self, firing: timedelta, window: str) -> None:
        address = chart_url("gpu.temperature", {"host": "h", "gpu": "0"}, self.SINCE, None, self.SINCE + firing)

        assert address == f"/?host=h&{window}#gpu-title"

    def test_is_empty_for_a_metric_of_the_monitor_itself(self) -> None:
        assert chart_url("monitor.alerting_problems", {"host": "h"}, self.SINCE, None, self.SINCE) == ""

    @pytest.mark.django_db
    def test_names_a_card_of_the_page(self, client: Client) -> None:
        _, token = create_key("reader", ["read"], at=timezone.now())

        page = client.get("/", headers={"Authorization": f"Bearer {token}"}).content.decode()

        assert [card for card in CARDS.values() if f'id="{card}-title"' not in page] == []
