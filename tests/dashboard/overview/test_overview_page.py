"""`/` and its data, as the server renders them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.overview import data as overview_data
from dashboard.page_context import page_settings
from metrics import queries
from metrics.events import validate_many
from metrics.queries.answers import model_ranking
from metrics.queries.time.window import DEFAULT_RANGE
from metrics.store.writing.transaction import Store
from tests.support.policies import make_ingest_policy

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clear_caches() -> None:
    for name in ("queries", "ring"):
        caches[name].clear()


@pytest.fixture
def visitor() -> Client:
    """A user on this machine."""
    return Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")


def store(kind: Any, *items: dict[str, Any]) -> None:
    at = datetime.now(UTC)
    stamped = [{"timestamp": (at - timedelta(seconds=5)).isoformat(), **item} for item in items]
    result = validate_many(kind, stamped, at, make_ingest_policy())
    assert not result.rejected
    Store().commit(result.events)


def requests(*models: str, **fields: Any) -> None:
    event = {
        "prompt_tokens": 120,
        "completion_tokens": 80,
        "response_time_ms": 1234.5,
        "success": True,
        "provider": "vllm",
    }
    store(
        "inference",
        *({**event, "request_id": f"r{n}", "model_name": model, **fields} for n, model in enumerate(models)),
    )


def embedded(html: str, name: str) -> Any:
    match = re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert match, f"no {name} in the page"
    return json.loads(match.group(1))


class ThePage:
    def test_of_an_empty_store_shows_how_to_send_the_first_event(self, visitor: Client) -> None:
        html = visitor.get("/").content.decode()
        assert 'class="page-overview is-empty' in html
        assert "curl</span> http://127.0.0.1/track/inference" in html
        assert "Show me demo data" in html
        data = embedded(html, "page-data")
        assert data["has_events"] is False
        assert data["params"]["range"] == "5m"
        assert data["first_event_url"] == "http://127.0.0.1/track/inference"

    def test_carries_its_data_under_the_names_that_scripts_read(self, visitor: Client) -> None:
        requests("a")
        page = embedded(visitor.get("/").content.decode(), "page-data")
        assert {
            "now", "params", "summary", "history", "by_model", "heatmap", "current", "models", "hosts", "options",
            "sentence", "has_events", "demo", "can", "version", "first_event_url", "notices",
        } == set(page)  # fmt: skip
        asked = {(line["metric"], line["stat"]) for line in page["history"]["series"]}
        assert asked == {(spec.metric.name, spec.stat) for spec in overview_data.SERIES}
        assert {line["labels"]["model"] for line in page["by_model"]["series"]} == {"a"}
        assert page["can"] == ["demo", "ingest", "read"]

    def test_hands_its_ranges_and_filters_to_the_scripts(self, visitor: Client) -> None:
        settings = embedded(visitor.get("/").content.decode(), "page-settings")
        assert settings == page_settings()
        assert {(item["name"], item["seconds"]) for item in settings["ranges"]} >= {("5m", 300), ("30d", 2_592_000)}
        assert settings["default_range"] == DEFAULT_RANGE

    def test_marks_the_models_that_are_slow_or_fail(self, visitor: Client) -> None:
        requests(*["a"] * 20, success=False, error_type="timeout")
        (row,) = embedded(visitor.get("/").content.decode(), "page-data")["models"]
        assert (row["is_failing"], row["is_slow"]) == (True, False)

    def test_shows_its_values_before_any_script_runs(self, visitor: Client) -> None:
        requests("llama-3-8b", "llama-3-8b", "gpt-4o")
        html = re.sub(r"<script.*?</script>", "", visitor.get("/").content.decode(), flags=re.DOTALL).replace(
            "\u00a0", " "
        )
        assert "3 requests in the last 15 minutes." in html
        assert re.search(r"<bdi>llama-3-8b</bdi>.*?1\.2\d s", html, re.DOTALL)
        assert re.search(r'data-tile="p50".*?<span data-number>1\.2\d</span>', html, re.DOTALL)

    def test_marks_modelled_times(self, visitor: Client) -> None:
        requests("replayed", metadata={"llmmonitor.modelled": True})
        assert '<span class="tag">modelled</span>' in visitor.get("/").content.decode()

    def test_says_when_there_are_more_models_than_its_table_shows(
        self, visitor: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        requests("a", "b", "c")
        assert embedded(visitor.get("/").content.decode(), "page-data")["notices"] == []
        monkeypatch.setattr(model_ranking, "MAX_MODELS", 2)
        for name in ("queries", "ring"):
            caches[name].clear()

        (notice,) = embedded(visitor.get("/").content.decode(), "page-data")["notices"]

        assert notice == "The table shows the 2 models with the most requests. Not shown: 1."

    def test_has_no_inline_script_or_style(self, visitor: Client) -> None:
        requests("a")
        response = visitor.get("/")
        html = response.content.decode()
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html)
        assert set(re.findall(r"<script(?![^>]*\ssrc=)[^>]*type=\"([^\"]+)\"", html)) == {"application/json"}
        assert "script-src 'self'" in response["Content-Security-Policy"]

    @pytest.mark.parametrize(
        ("cookie", "theme"), [("dark", "dark"), ("light", "light"), ("auto", "auto"), ('"><script>', "auto")]
    )
    def test_comes_in_the_theme_of_the_cookie(self, visitor: Client, cookie: str, theme: str) -> None:
        visitor.cookies["llmmonitor_theme"] = cookie
        assert f'<html lang="en" data-theme="{theme}">' in visitor.get("/").content.decode()

    def test_escapes_names(self, visitor: Client) -> None:
        requests("</script><script>alert(1)</script>")
        html = visitor.get("/").content.decode()
        assert "<script>alert" not in html
        assert embedded(html, "page-data")["models"][0]["model_name"] == "</script><script>alert(1)</script>"

    def test_is_closed_to_strangers(self) -> None:
        response = Client(REMOTE_ADDR="203.0.113.9", SERVER_NAME="127.0.0.1").get("/")
        assert response.status_code == 302
        assert response["Location"].startswith("/login/")


class TheData:
    def test_are_those_of_a_reload(self, visitor: Client) -> None:
        requests("a", "b")
        page = embedded(visitor.get("/?range=15m&model=a").content.decode(), "page-data")
        data = visitor.get("/dashboard/data/overview?range=15m&model=a").json()
        assert data["models"] == page["models"]
        assert [row["model_name"] for row in data["models"]] == ["a"]
        assert data["params"]["filters"] == {"model": ["a"]}
        assert {option["value"] for option in data["options"]["model"]} == {"a", "b"}, "the filter offers what it hides"

    def test_carry_the_figures_alone_for_a_page_that_is_open(self, visitor: Client) -> None:
        requests("a")
        whole = visitor.get("/dashboard/data/overview").json()
        part = visitor.get("/dashboard/data/overview/figures").json()
        assert set(whole) - set(part) == {"history", "by_model", "current", "can", "version", "first_event_url"}
        assert part["models"] == whole["models"]

    @pytest.mark.parametrize(("age", "range_"), [(60, "15m"), (3_000, "1h")])
    def test_are_of_a_short_range_while_the_store_is_young(self, visitor: Client, age: int, range_: str) -> None:
        requests("a", timestamp=(datetime.now(UTC) - timedelta(seconds=age)).isoformat())
        requests("b")
        assert visitor.get("/dashboard/data/overview").json()["params"]["range"] == range_

    def test_name_a_machine_that_is_down_where_it_is_shown(self, visitor: Client) -> None:
        requests("a")
        past = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
        store("system", {"host": "gpu-box-1", "cpu_percent": 5.0, "timestamp": past})
        store("system", {"host": "vm", "cpu_percent": 5.0})
        url = "/dashboard/data/overview?range=1h"
        assert visitor.get(url).json()["sentence"]["title"] == "gpu-box-1 is down."
        assert visitor.get(f"{url}&host=vm").json()["sentence"]["title"] == "1 request in the last hour."

    def test_describe_a_problem_that_is_over_in_the_past_tense(self, visitor: Client) -> None:
        at = datetime.now(UTC)
        fields = {"prompt_tokens": 1, "success": True, "provider": "vllm"}
        for minutes, response in ((90, 900), (30, 9_000), (1, 900)):
            event = {**fields, "timestamp": (at - timedelta(minutes=minutes)).isoformat(), "response_time_ms": response}
            store("inference", *({**event, "request_id": f"{minutes}-{n}", "model_name": "a"} for n in range(30)))
        assert visitor.get("/dashboard/data/overview?range=1h").json()["sentence"]["title"].startswith("a was slow")

    def test_name_what_was_ignored(self, visitor: Client) -> None:
        requests("a")
        data = visitor.get("/dashboard/data/overview?range=soon").json()
        assert data["params"]["range"] == "1h"
        assert data["notices"][0].startswith("range was ignored")

    @pytest.mark.parametrize(
        ("query", "part", "title"),
        [("heatmap", "heatmap", "The response time distribution"), ("current", "current", "The live figures")],
    )
    def test_omit_a_part_that_takes_too_long_and_name_it(
        self, visitor: Client, monkeypatch: pytest.MonkeyPatch, query: str, part: str, title: str
    ) -> None:
        def too_slow(*_: Any, **__: Any) -> None:
            raise queries.QueryTooSlow(5)

        requests("a")
        monkeypatch.setattr(queries, query, too_slow)
        data = visitor.get("/dashboard/data/overview").json()
        assert data[part] is None
        assert data["summary"]["total_requests"] == 1
        assert data["notices"][0].startswith(f"{title} could not be loaded")

    def test_are_loaded_without_a_range_if_every_query_takes_too_long(
        self, visitor: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def too_slow(*_: Any, **__: Any) -> None:
            raise queries.QueryTooSlow(5)

        requests("a")
        for query in ("summary_and_models", "models", "series", "heatmap", "hosts", "current"):
            monkeypatch.setattr(queries, query, too_slow)
        assert visitor.get("/").status_code == 200

    def test_reach_years_back(self, visitor: Client) -> None:
        requests("a")
        data = visitor.get("/dashboard/data/overview?from=2025-01-01T00:00:00Z").json()
        assert data["history"]["step_seconds"] >= 3600
        assert data["heatmap"]["step_seconds"] >= 3600


class TheQueriesOfThePage:
    PATHS = (
        "/",
        "/dashboard/data/overview/figures",
        "/dashboard/data/overview/figures?range=24h",
        "/dashboard/data/overview/figures?provider=vllm",
    )

    @pytest.mark.parametrize("path", PATHS)
    def test_are_the_same_number_for_any_number_of_models(self, visitor: Client, path: str) -> None:
        numbers = []
        requests("model-0")
        visitor.get(path)  # remembers that there are events
        for models in (5, 150):
            requests(*(f"model-{number}" for number in range(models)), request_id=None)
            with CaptureQueriesContext(connection) as captured:
                assert visitor.get(path).status_code == 200
            numbers.append(len(captured))
        assert numbers[0] == numbers[1] < 60

    @pytest.mark.parametrize("path", PATHS)
    def test_read_the_percentiles_of_summary_and_models_once(self, visitor: Client, path: str) -> None:
        requests("a", "b")
        with CaptureQueriesContext(connection) as captured:
            assert visitor.get(path).status_code == 200
        read = [query["sql"] for query in captured if "prompt_tokens_histogram" in query["sql"]]
        assert read
        assert len(set(read)) == len(read)
