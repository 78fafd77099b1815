"""The waits of each model and service on the Queue page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from metrics import queries
from metrics.events import validate_many
from metrics.queries import Filters, Window
from metrics.store.writing.transaction import Store
from tests.support.policies import make_ingest_policy

pytestmark = pytest.mark.django_db
HOSTILE = "<img src=x onerror=alert(1)>"
WAIT = "inference.queue_time_ms"


@pytest.fixture
def visitor() -> Client:
    for name in ("queries", "ring"):
        caches[name].clear()
    return Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")


def requests(model: str, service: str, waits: range) -> None:
    at = datetime.now(UTC)
    items: list[Any] = [
        {
            "timestamp": (at - timedelta(seconds=20)).isoformat(),
            "request_id": f"{service}-{wait}",
            "model_name": model,
            "service": service,
            "queue_time_ms": wait,
            "response_time_ms": 2_000,
            "success": True,
        }
        for wait in waits
    ]
    Store().commit(validate_many("inference", items, at, make_ingest_policy()).events)


def waits_by_service(*labels: str) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    statistics = {WAIT: ("p50", "p95")}
    return queries.percentiles_by_label(labels, statistics, Window.last(3600, now), Filters(), now, limit=2).results


class TheWaits:
    def test_of_a_model_are_followed_by_those_of_its_services(self, visitor: Client) -> None:
        requests("llama", "chat", range(1_000, 1_040))
        requests("llama", HOSTILE, range(10, 40))
        requests("qwen", "batch", range(5, 30))
        html = visitor.get("/dashboard/data/queue").json()["tables"]["waits"]
        heads = re.findall(r"<th scope=\"row\"[^>]*>(.*?)</th>", html)
        assert [re.sub("<[^>]*>", "", head).strip() for head in heads] == [
            "llama",
            "chat",
            HOSTILE.replace("<", "&lt;").replace(">", "&gt;"),
            "qwen batch",
        ]

    def test_of_few_requests_are_not_shown(self, visitor: Client) -> None:
        requests("llama", "chat", range(1_000, 1_040))
        requests("llama", "rare", range(10, 20))
        rows = visitor.get("/dashboard/data/queue").json()["tables"]["waits"].split("<tr>")
        assert "1.04\u00a0s" in rows[3]
        assert rows[4].count("—") == 5

    def test_equal_the_percentiles_of_each_label_alone(self) -> None:
        requests("llama", "chat", range(1_000, 1_040))
        requests("llama", "batch", range(10, 40))
        requests("qwen", "batch", range(5, 30))
        now = datetime.now(UTC)
        rows = waits_by_service("model", "service")
        assert [(row["model"], row["service"], row["total_requests"]) for row in rows] == [
            ("llama", "chat", 40),
            ("llama", "batch", 30),
        ]
        for row in rows:
            of_row = Filters(model=(row["model"],), service=(row["service"],))
            evaluated = queries.evaluate(
                [queries.SeriesSpec.of(WAIT, stat) for stat in ("p50", "p95")], 900, of_row, now
            )
            assert [value[()].value for value in evaluated.values()] == [
                pytest.approx(row["p50_queue_time_ms"]),
                pytest.approx(row["p95_queue_time_ms"]),
            ]
