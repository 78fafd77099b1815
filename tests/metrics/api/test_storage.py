"""`GET /storage` and `manage.py stats`."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command

from metrics.models import InferenceMetrics
from metrics.sizes import words
from metrics.sizes.words import as_text
from metrics.store.upkeep import table_sizes
from tests.metrics.api.asgi_client import AsgiClient

pytestmark = pytest.mark.store

SIX = {
    "inference_metrics_count",
    "system_metrics_count",
    "error_metrics_count",
    "alert_history_count",
    "database_size_mb",
    "redis_memory_usage",
}


def stats(*options: str) -> str:
    out = io.StringIO()
    call_command("stats", *options, stdout=out)
    return out.getvalue()


def post_requests(api: AsgiClient, number: int) -> None:
    at = datetime.now(UTC)
    events = [
        {"model_name": "chatty", "request_id": f"r{one}", "timestamp": (at - timedelta(minutes=one)).isoformat()}
        for one in range(number)
    ]
    assert api.post("/track/inference", json.dumps(events).encode()).json()["accepted"] == number


class TheStatistics:
    def test_have_the_six_figures_and_each_table(self, api: AsgiClient) -> None:
        post_requests(api, 12)
        table_sizes.store_sizes(datetime.now(UTC))

        reply = api.get("/storage")

        body = reply.json()
        assert reply.status == 200
        assert set(body) >= SIX
        assert body["inference_metrics_count"] == 12
        requests = next(table for table in body["tables"] if table["name"] == "requests")
        assert (requests["rows"], requests["kept_seconds"]) == (12, 30 * 86_400)
        assert requests["bytes_per_row"] == round(requests["bytes"] / 12, 1)

    def test_before_the_first_measurement_have_no_sizes_of_tables(self, api: AsgiClient) -> None:
        body = api.get("/storage").json()

        assert body["measured_at"] is None
        assert {table["bytes"] for table in body["tables"]} == {None}
        assert body["database_size_mb"] > 0

    def test_have_no_parameters(self, api: AsgiClient) -> None:
        assert api.get("/storage?range=1h").status == 400


@pytest.mark.django_db(transaction=True)
class TheCommand:
    def test_measures_and_prints_what_the_api_returns(self, api: AsgiClient) -> None:
        post_requests(api, 3)

        printed = json.loads(stats("--json"))
        read = api.get("/storage").json()

        assert set(printed) == set(read)
        assert printed["inference_metrics_count"] == InferenceMetrics.objects.count() == 3
        requests = next(table for table in printed["tables"] if table["name"] == "requests")
        assert requests["rows"] == 3
        assert requests["bytes"] > 0
        assert requests["measured_at"] == printed["at"]

    def test_prints_a_table(self, api: AsgiClient) -> None:
        post_requests(api, 3)

        lines = stats().splitlines()

        assert lines[0].split() == ["inference_metrics_count", "3"]
        requests = next(line for line in lines if line.startswith("Requests "))
        assert requests.split()[1] == "3"
        assert requests.endswith("30 d")


class TheText:
    def test_has_the_figures_in_words(self) -> None:
        table = {
            "title": "Errors",
            "rows": 12_345,
            "bytes": 3 * 2**20,
            "bytes_per_row": 254.8,
            "growth_bytes_per_day": -2048,
            "oldest": "2026-01-20T12:00:30Z",
            "kept_seconds": 8100,
        }
        statistics: dict[str, Any] = {
            **dict.fromkeys(SIX, 7),
            "redis_memory_usage": None,
            "tables": [table],
            "used_bytes": 2**30,
            "max_bytes": 5 * 2**30,
            "free_page_bytes": None,
            "disk_free_bytes": None,
            "write_ahead_log_bytes": 0,
            "growth_bytes_per_day": 1,
            "days_until_full": 12.5,
        }

        lines = [" ".join(line.split()) for line in as_text(statistics)]

        assert lines[5:9] == [
            "redis_memory_usage –",
            "",
            "rows size bytes/row growth/day oldest (UTC) kept",
            "Errors 12,345 3 MiB 254.8 -2 KiB 2026-01-20 12:00 135 min",
        ]
        assert lines[-6:] == [
            "Used 1 GiB of 5 GiB",
            "Free in the file –",
            "Free on the disk –",
            "Write-ahead log 0 bytes",
            "Growth per day 1 bytes",
            "Full in 12.5 days",
        ]

    @pytest.mark.parametrize(("seconds", "text"), [(None, "–"), (86_400, "1 d"), (7200, "2 h"), (90, "90 s")])
    def test_has_a_length_in_whole_units(self, seconds: int | None, text: str) -> None:
        assert words._length(seconds) == text
