"""`/dashboard/throughput/`: the tables of models, as the server renders them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from dashboard.reading import MODELS_SHOWN
from metrics.events import validate_many
from metrics.store.writing.transaction import Store
from tests.support.policies import make_ingest_policy

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor() -> Client:
    for name in ("queries", "ring"):
        caches[name].clear()
    return Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")


def requests(*items: dict[str, Any]) -> None:
    at = datetime.now(UTC)
    event = {"timestamp": (at - timedelta(seconds=20)).isoformat(), "prompt_tokens": 100, "completion_tokens": 5}
    rows: list[Any] = [
        {"model_name": "m", "response_time_ms": 900, "success": True, "request_id": f"r{n}", **event, **item}
        for n, item in enumerate(items)
    ]
    Store().commit(validate_many("inference", rows, at, make_ingest_policy()).events)


def cells(visitor: Client, table: str, query: str = "") -> list[list[str]]:
    html = visitor.get(f"/dashboard/data/throughput{query}").json()["tables"][table].split("<tbody>")[1]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in html.split("<tr>")[1:]]
    return [[cell.replace("\u00a0", " ") for cell in row] for row in rows]


class TheEndingsOfAModel:
    def test_are_shares_of_the_requests_with_a_finish_reason(self, visitor: Client) -> None:
        reasons = ("stop", "stop", "tool_calls", "length", None)
        requests(*({"finish_reason": reason, "stream": reason == "stop"} for reason in reasons))
        (row,) = cells(visitor, "finish_reasons")
        assert row == ["4", "50 %", "25 %", "25 %", "0 %", "0 %", "0 %", "40 %"]

    def test_are_not_known_where_no_request_has_a_reason(self, visitor: Client) -> None:
        requests({})
        (row,) = cells(visitor, "finish_reasons")
        assert row == ["0", *["—"] * 6, "0 %"]


class TheRates:
    def test_have_one_unit_so_that_they_add_up_to_that_of_all_models(self, visitor: Client) -> None:
        requests(*({"model_name": "often"} for _ in range(330)), *({"model_name": "seldom"} for _ in range(20)))
        rates = [row[1] for row in cells(visitor, "totals", "?range=5m")]
        assert len(rates) == 3
        assert len({rate.split(" ", 1)[1] for rate in rates}) == 1, rates


class TheTilesOfTokens:
    def test_count_the_models_that_the_table_does_not_show(self, visitor: Client) -> None:
        requests(*({"model_name": f"m{n}", "cached_tokens": 25} for n in range(MODELS_SHOWN + 1)))

        page = visitor.get("/dashboard/data/throughput").json()
        summary = page["summary"]

        assert summary["prompt_tokens_per_second"] == pytest.approx(100 * summary["requests_per_second"])
        assert summary["cached_percent"] == 25
        assert "Not shown: 1 model with" in page["tables"]["totals"]

    def test_compare_with_the_window_before(self, visitor: Client) -> None:
        before = (datetime.now(UTC) - timedelta(minutes=90)).isoformat()
        requests(*({"timestamp": before, "prompt_tokens": 400, "cached_tokens": 100} for _ in range(2)), {})

        previous = visitor.get("/dashboard/data/throughput", {"range": "1h"}).json()["summary"]["previous"]

        assert previous["prompt_tokens_per_second"] == pytest.approx(400 * previous["requests_per_second"])
        assert previous["cached_percent"] == 25
