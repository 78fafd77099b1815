"""`/dashboard/models/`, the page of one model, and their data, as the server renders them."""

from __future__ import annotations

import html as html_text
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from dashboard.models.address import model_url
from metrics.events import validate_many
from metrics.models import ModelAlias
from metrics.store.writing.transaction import Store
from tests.support.policies import make_ingest_policy

pytestmark = pytest.mark.django_db
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def visitor() -> Client:
    """A user on this machine."""
    for name in ("queries", "ring"):
        caches[name].clear()
    return Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")


def requests(model: str, count: int, **fields: Any) -> None:
    at = datetime.now(UTC)
    event = {
        "timestamp": (at - timedelta(seconds=5)).isoformat(),
        "model_name": model,
        "provider": "vllm",
        "prompt_tokens": 120,
        "completion_tokens": 80,
        "response_time_ms": 1234.5,
        "success": True,
        **fields,
    }
    items = [{**event, "request_id": f"r{number}"} for number in range(count)]
    Store().commit(validate_many("inference", items, at, make_ingest_policy()).events)  # type: ignore[arg-type]


def names(html: str) -> list[str]:
    return re.findall(r'<tr data-open-name="([^"]*)"', html)


class TheModelsPage:
    def test_has_the_table_in_the_order_of_its_address(self, visitor: Client) -> None:
        requests("slow", 20, response_time_ms=9_000)
        requests("busy", 30)
        assert names(visitor.get("/dashboard/models/").content.decode()) == ["busy", "slow"]
        html = visitor.get("/dashboard/models/?sort=-p95&range=1h").content.decode()
        assert names(html) == ["slow", "busy"]
        assert 'aria-sort="descending"' in html
        assert 'href="?sort=p95&amp;range=1h"' in html
        assert "All models" in html

    def test_has_the_models_that_a_search_matches_and_the_share_of_all(self, visitor: Client) -> None:
        requests("GPT-x", 10)
        requests("other", 30)
        data = visitor.get("/dashboard/data/models?search=gpt").json()
        assert names(data["tables"]["models"]) == ["GPT-x"]
        assert "25\u00a0%" in data["tables"]["models"]
        assert "All models" not in data["tables"]["models"]
        none = visitor.get("/dashboard/data/models?search=<b>").json()["tables"]["models"]
        assert "No model matches “&lt;b&gt;”." in none

    def test_shows_the_names_that_are_read_as_one_model(self, visitor: Client) -> None:
        ModelAlias.objects.create(name=HOSTILE, group="gpt")
        requests("gpt", 10)
        requests(HOSTILE, 20)
        html = visitor.get("/dashboard/models/?open=gpt").content.decode()
        assert names(html) == ["gpt"]
        # In the table, where the tooltip has all of a long list, and in the data of the scripts.
        assert html.count("sent as &lt;img src=x onerror=alert(1)&gt;, gpt") == 3
        assert HOSTILE not in html

    def test_opens_the_card_of_a_model_with_the_series_of_this_model(self, visitor: Client) -> None:
        requests("a", 20)
        requests("b", 40, response_time_ms=50)
        opened = visitor.get("/dashboard/data/models?open=a").json()["opened"]
        assert opened["summary"]["total_requests"] == 20
        counts = next(line for line in opened["history"]["series"] if line["stat"] == "count")
        assert sum(filter(None, counts["values"])) == 20
        assert visitor.get("/dashboard/data/models").json()["opened"] is None

    def test_marks_the_alerts_of_the_opened_model_only(self, visitor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        requests("a", 20)
        read: list[dict[str, Any]] = []
        monkeypatch.setattr("dashboard.page_alerts.read_spans", lambda start, end, labels: read.append(labels))
        marks = visitor.get("/dashboard/data/models?open=a").json()["alerts"]["marks"]
        assert "Slow Response Time" in [mark["name"] for mark in marks]
        assert visitor.get("/dashboard/data/models").json()["alerts"] == {"marks": []}
        assert read == [{}, {"model": ["a"]}, {}]  # of all models for the sentence

    def test_shows_a_model_without_requests_as_such(self, visitor: Client) -> None:
        data = visitor.get("/dashboard/data/models?open=nothing").json()
        assert "No requests in the last hour" in data["tables"]["opened"]


class ThePageOfAModel:
    @pytest.mark.parametrize("name", ["meta/llama-3", "a/figures", "with space?&#", "ünï", HOSTILE])
    def test_has_the_name_in_its_path_and_shows_it_as_text(self, visitor: Client, name: str) -> None:
        requests(name, 20)
        card = visitor.get("/dashboard/data/models", {"open": name}).json()["tables"]["opened"]
        (path,) = re.findall(r'href="([^"]*)">Open its page', card)
        assert path.startswith("/dashboard/models/")

        response = visitor.get(html_text.unescape(path))
        assert response.status_code == 200
        html = response.content.decode()
        assert HOSTILE not in html
        assert "100\u00a0% of the requests" in html
        assert 'data-widget="models"' not in html
        assert 'data-filter="model"' not in html


class TheAddressOfAModel:
    @pytest.mark.parametrize(
        ("name", "address"),
        [
            ("llama", "/dashboard/models/llama/?range=1h"),
            ("a/b", "/dashboard/models/a%2Fb/?range=1h"),
            ("..", "/dashboard/models/?open=..&range=1h"),
            (".", "/dashboard/models/?open=.&range=1h"),
        ],
    )
    def test_is_of_its_page_or_of_its_card_where_a_browser_would_change_the_path(self, name: str, address: str) -> None:
        assert model_url(name, "?range=1h").replace("a/b", "a%2Fb") == address

    def test_is_not_in_the_card_of_a_model_without_a_page(self, visitor: Client) -> None:
        requests("..", 20)
        requests("a", 20)
        heads = [visitor.get(f"/dashboard/data/models?open={name}").json()["tables"]["opened"] for name in ("a", "..")]
        assert ["Open its page" in head for head in heads] == [True, False]
