"""`/` and its data, as the server renders them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard import reading
from dashboard.overview import page as overview
from dashboard.page_context import page_settings
from metrics import queries
from metrics.events import validate_many
from metrics.queries.time.window import DEFAULT_RANGE
from metrics.store.writing.transaction import Store
from tests.support.policies import make_ingest_policy

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clear_caches() -> None:
    empty_caches()


def empty_caches() -> None:
    for name in ("queries", "ring"):
        caches[name].clear()


@pytest.fixture
def visitor() -> Client:
    """A user on this machine."""
    return Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")


def store(kind: Any, *items: dict[str, Any]) -> None:
    at = datetime.now(UTC)
    stamped = [{"timestamp": (at - timedelta(seconds=5)).isoformat(), **item} for item in items]
    result = validate_many(kind, stamped, at, make_ingest_policy(tags=settings.LLMMONITOR.tags))
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


def slow_half_an_hour_ago(model: str) -> None:
    """Store thirty requests of 9 s half an hour ago, and as many fast ones before and after them."""
    at = datetime.now(UTC)
    for minutes, response in ((90, 900), (30, 9_000), (1, 900)):
        requests(
            *[model] * 30,
            request_id=None,
            timestamp=(at - timedelta(minutes=minutes)).isoformat(),
            response_time_ms=response,
        )


def embedded(html: str, name: str) -> Any:
    match = re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert match, f"no {name} in the page"
    return json.loads(match.group(1))


def names(html: str) -> list[str]:
    """Return the names of the models in the table."""
    match = re.search(r'id="models-table".*?</table>', html, re.DOTALL)
    assert match, "no table of models"
    return [unescape(name) for name in re.findall("<bdi>(.*?)</bdi>", match.group())]


def tile_text(html: str, name: str) -> str:
    """Return the value of a tile and what is below it."""
    match = re.search(rf'data-tile="{name}".*?</h2>(.*?)<svg', html, re.DOTALL)
    assert match, f"no tile {name}"
    text = unescape(re.sub("<[^>]+>", " ", match.group(1))).replace("\u00a0", " ")
    return " ".join(text.split())


class ThePage:
    def test_of_an_empty_store_shows_how_to_send_the_first_event(self, visitor: Client) -> None:
        html = visitor.get("/").content.decode()
        assert 'class="page-overview is-empty' in html
        assert "curl</span> http://127.0.0.1/track/inference" in html
        assert "Show me demo data" in html
        data = embedded(html, "page-data")
        assert data["has_events"] is False
        assert data["params"]["range"] == "5m"

    def test_carries_its_data_under_the_names_that_scripts_read(self, visitor: Client) -> None:
        requests("a")
        page = embedded(visitor.get("/").content.decode(), "page-data")
        assert {
            "now", "params", "models_known", "summary", "history", "heatmap", "current", "table_versions",
            "models_omitted", "options", "sentence", "alerts", "has_events", "demo", "can", "version", "notices",
            "annotations", "machines",
        } == set(page)  # fmt: skip
        series = [(line["metric"], line["stat"], line["labels"]) for line in page["history"]["series"]]
        assert series == [
            *((spec.metric.name, spec.stat, {}) for spec in overview.SERIES),
            *((spec.metric.name, spec.stat, {"model": "a"}) for spec in overview.SERIES_BY_MODEL),
        ]
        assert page["can"] == ["demo", "ingest", "read"]

    def test_shows_the_last_minute_and_how_it_differs_from_the_window(self, visitor: Client) -> None:
        for seconds, count, response in ((600, 40, 1_000), (5, 20, 2_000)):
            at = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
            requests(*["a"] * count, timestamp=at, request_id=None, response_time_ms=response)
        requests("b", request_id="b", response_time_ms=9_000)
        html = visitor.get("/?range=1h&model=a").content.decode()
        assert "The last minute, ▲ ▼ compared with the last hour" in html
        assert tile_text(html, "p50") == "2.00 s ▲ 100 %"
        assert tile_text(html, "requests") == "20.0 per min ▲ from 1.00"

    def test_shows_no_value_of_the_window_as_one_of_the_last_minute(self, visitor: Client) -> None:
        at = (datetime.now(UTC) - timedelta(seconds=600)).isoformat()
        requests(*["a"] * 30, timestamp=at, request_id=None)
        html = visitor.get("/?range=1h").content.decode()
        assert tile_text(html, "p50") == "— 1h: 1.23 s"

    def test_between_two_times_shows_the_window(self, visitor: Client) -> None:
        requests("a")
        now = datetime.now(UTC)
        html = visitor.get(
            "/", {"from": (now - timedelta(hours=1)).isoformat(), "to": now.isoformat()}
        ).content.decode()
        assert "This time range; not enough data to compare with the previous" in html
        assert tile_text(html, "p50") == "1.23 s"

    def test_hands_its_ranges_and_filters_to_the_scripts(self, visitor: Client) -> None:
        settings = embedded(visitor.get("/").content.decode(), "page-settings")
        assert {name: settings[name] for name in settings if name != "colour_order"} == page_settings()
        assert {(item["name"], item["seconds"]) for item in settings["ranges"]} >= {("5m", 300), ("30d", 2_592_000)}
        assert settings["default_range"] == DEFAULT_RANGE

    def test_has_a_menu_for_each_promoted_tag(self, visitor: Client, settings: Any) -> None:
        for path in ("/", "/dashboard/alerts/"):
            assert 'data-filter="tag.' not in visitor.get(path).content.decode()
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"tags": ("team", "tier")})
        requests("a", metadata={"team": "search"})
        for path in ("/", "/dashboard/alerts/"):
            html = visitor.get(path).content.decode()
            assert re.findall(r'data-filter="(tag\.[^"]+)"', html) == ["tag.team", "tag.tier"]
            assert embedded(html, "page-settings")["filters"]["tag.team"] == "team"
            options = embedded(html, "page-data")["options"]
            assert options["tag.team"] == {"choices": [{"value": "search", "count": 1}], "total": 1}
        assert "tag.team" in visitor.get("/dashboard/data/choices?search=sea").json()

    def test_is_filtered_by_the_tags_in_its_address(self, visitor: Client, settings: Any) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"tags": ("team",)})
        for team in ("search", "ads", "chat"):
            requests(f"of-{team}", request_id=None, metadata={"team": team})

        html = visitor.get("/?tag.team=search&tag.team=ads").content.decode()
        page = embedded(html, "page-data")

        assert page["params"]["filters"] == {"tag.team": ["search", "ads"]}
        assert page["summary"]["total_requests"] == 2
        assert set(names(html)) == {"of-search", "of-ads"}
        assert {tuple(line["labels"].values()) for line in page["history"]["series"]} == {
            (),
            ("of-search",),
            ("of-ads",),
        }
        assert page["options"]["tag.team"]["total"] == 3

    def test_marks_the_models_that_are_slow_or_fail(self, visitor: Client) -> None:
        requests(*["a"] * 20, success=False, error_type="timeout")
        table = visitor.get("/dashboard/data/overview").json()["tables"]["models"]
        assert '<td class="figure critical">■ 100\u00a0%</td>' in table
        assert "▲" not in table

    def test_shows_its_values_before_any_script_runs(self, visitor: Client) -> None:
        requests("llama-3-8b", "llama-3-8b", "gpt-4o")
        html = re.sub(r"<script.*?</script>", "", visitor.get("/").content.decode(), flags=re.DOTALL).replace(
            "\u00a0", " "
        )
        assert "3 requests in the last 15 minutes." in html
        assert re.search(r"<bdi>llama-3-8b</bdi>.*?67 %", html, re.DOTALL)
        assert re.search(r'data-tile="p50".*?<span data-number>1\.2\d</span>', html, re.DOTALL)

    def test_marks_modelled_times(self, visitor: Client) -> None:
        requests("replayed", metadata={"llmmonitor.modelled": True})
        assert '<span class="tag" data-modelled' in visitor.get("/").content.decode()

    def test_says_when_there_are_more_models_than_its_table_shows(
        self, visitor: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        requests("a", "b", "c", "c")
        assert "Not shown" not in visitor.get("/").content.decode()
        for module in (reading, overview):
            monkeypatch.setattr(module, "MODELS_SHOWN", 2)

        html = visitor.get("/").content.decode()

        assert "Not shown: 1 model." in html
        page = embedded(html, "page-data")
        assert (names(html), page["models_omitted"]) == (["c", "a"], 1)
        assert page["options"]["model"]["total"] == 3
        assert re.search(r"<bdi>c</bdi>.*?>50\u00a0%</td>", html, re.DOTALL)  # the share of all requests

    @pytest.mark.parametrize(
        ("name", "table"),
        [("overview", "models"), ("latency", "percentiles"), ("queue", "waits"), ("throughput", "totals")],
    )
    def test_lists_no_model_whose_requests_were_all_before(self, visitor: Client, name: str, table: str) -> None:
        before = (datetime.now(UTC) - timedelta(minutes=20)).isoformat()
        requests("used")
        requests("earlier", timestamp=before)

        page = visitor.get(f"/dashboard/data/{name}?range=15m").json()

        assert "used" in page["tables"][table]
        assert "earlier" not in page["tables"][table]
        assert "Not shown" not in page["tables"][table]
        hour = visitor.get(f"/dashboard/data/{name}?range=1h").json()
        assert "earlier" in hour["tables"][table]

    def test_has_the_p95_of_the_last_minutes_of_each_model_and_of_all_together(self, visitor: Client) -> None:
        requests(*["a"] * 30, *["b"] * 30)

        table = visitor.get("/dashboard/data/latency?range=1h").json()["tables"]["percentiles"]

        column = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', table).index("P95, 5 min") - 1
        rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tbody>")[1].split("</tr>")[:3]]
        assert [bool(re.search(r"\d", row[column])) for row in rows] == [True, True, True]

    def test_finds_a_model_whose_requests_were_all_before(self, visitor: Client) -> None:
        requests("earlier", timestamp=(datetime.now(UTC) - timedelta(minutes=20)).isoformat())

        found = visitor.get("/dashboard/data/overview/models?range=15m&search=earl").json()

        assert "earlier" in found["table"]

    def test_assesses_the_busiest_models_and_says_so(self, visitor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        requests(*["a"] * 40, *["b"] * 30, *["c"] * 25)
        monkeypatch.setattr(reading, "MODELS_ASSESSED", 2)
        sentence = visitor.get("/dashboard/data/overview").json()["sentence"]
        assert sentence["title"] == "The 2 busiest models are healthy."
        requests(*["d"] * 20, success=False, error_type="timeout")
        sentence = visitor.get("/dashboard/data/overview").json()["sentence"]
        assert sentence["title"] == "100\u00a0% of requests to d are failing."

    def test_of_many_labels_is_short(self, visitor: Client) -> None:
        names = [f"{number:03}/" + "n" * 60 for number in range(400)]
        requests(*names, ttft_ms=200.123, queue_time_ms=3.21, error_type="timeout")
        store("system", *({"host": name, "cpu_percent": 5.5, "gpu_metrics": [{"gpu_id": 0}]} for name in names))
        for path in ("/?range=1h", "/models?limit=100", "/metrics/current", "/errors/groups"):
            reply = visitor.get(path)
            assert reply.status_code == 200
            assert len(reply.content) < 220_000, path

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
        assert names(html) == ["</script><script>alert(1)</script>"]

    def test_is_closed_to_strangers(self) -> None:
        response = Client(REMOTE_ADDR="203.0.113.9", SERVER_NAME="127.0.0.1").get("/")
        assert response.status_code == 302
        assert response["Location"].startswith("/login/")


class TheData:
    def test_are_those_of_a_reload(self, visitor: Client) -> None:
        requests("a", "b")
        html = visitor.get("/?range=15m&model=a").content.decode()
        page = embedded(html, "page-data")
        data = visitor.get("/dashboard/data/overview?range=15m&model=a").json()
        assert data["table_versions"] == page["table_versions"]
        assert names(data["tables"]["models"]) == names(html) == ["a"]
        assert data["params"]["filters"] == {"model": ["a"]}
        assert {option["value"] for option in data["options"]["model"]["choices"]} == {"a", "b"}, (
            "the filter offers what it hides"
        )

    def test_have_one_value_for_each_step_of_the_charts(self, visitor: Client) -> None:
        requests("a", "b")
        data = visitor.get("/dashboard/data/overview?range=15m").json()
        stored = visitor.get("/metrics/history?metric=inference.requests&stat=rate&range=15m&step=10").json()
        (line,) = [line for line in data["history"]["series"] if line["metric"] == "inference.requests"]
        step = data["history"]["step_seconds"]
        assert step == 10
        values = {data["history"]["start"] + 1000 * step * index: value for index, value in enumerate(line["values"])}
        assert any(values.values())
        shared = [(start, value) for start, value in stored["series"][0]["points"] if start in values]
        assert len(shared) > 80
        assert all(values[start] == (value and float(f"{value:.6g}")) for start, value in shared[:-2])

    def test_have_steps_in_which_a_percentile_rests_on_enough_requests(self, visitor: Client) -> None:
        at = datetime.now(UTC)
        for second in range(0, 300, 10):
            requests(*["a"] * 7, request_id=None, timestamp=(at - timedelta(seconds=second)).isoformat())
        data = visitor.get("/dashboard/data/overview?range=5m").json()
        counts = [line for line in data["history"]["series"] if line["stat"] == "count"]
        steps = {data[name]["step_seconds"] for name in ("history", "before") if name in data}
        assert steps == {30}
        assert all(value >= 20 for value in counts[0]["values"][1:-1])

    def test_of_a_search_are_the_rows_of_the_models_that_match(self, visitor: Client) -> None:
        requests("llama-3", "llama-4", "gpt")
        matching = visitor.get("/dashboard/data/overview/models?range=15m&search=LLAMA").json()
        assert names(matching["table"]) == ["llama-3", "llama-4"]
        assert {line["labels"]["model"] for line in matching["history"]["series"]} == {"llama-3", "llama-4"}
        none = visitor.get("/dashboard/data/overview/models?range=15m&search=nobody").json()
        assert none["history"] is None
        assert "No model matches “nobody”." in none["table"]
        choices = visitor.get("/dashboard/data/choices?range=15m&search=4").json()
        assert [choice["value"] for choice in choices["model"]["choices"]] == ["llama-4"]

    def test_of_a_search_mark_a_model_that_is_slow_as_the_page_does(self, visitor: Client) -> None:
        slow_half_an_hour_ago("a")
        shown = visitor.get("/dashboard/data/overview?range=1h").json()["tables"]["models"]
        assert '<td class="figure warning">▲ 9.0' in shown
        assert visitor.get("/dashboard/data/overview/models?range=1h&search=a").json()["table"] == shown

    @pytest.mark.parametrize("path", ["/dashboard/data/overview/models", "/dashboard/data/choices"])
    def test_of_a_search_that_takes_too_long_are_a_problem(
        self, visitor: Client, monkeypatch: pytest.MonkeyPatch, path: str
    ) -> None:
        def too_slow(*_: Any, **__: Any) -> None:
            raise queries.QueryTooSlow(5)

        for query in ("models", "choices"):
            monkeypatch.setattr(queries, query, too_slow)
        reply = visitor.get(f"{path}?search=a")
        assert (reply.status_code, reply["Content-Type"]) == (503, "application/problem+json")

    def test_carry_the_figures_alone_for_a_page_that_is_open(self, visitor: Client) -> None:
        requests("a")
        whole = visitor.get("/dashboard/data/overview").json()
        part = visitor.get("/dashboard/data/overview/figures").json()
        assert set(whole) - set(part) == {"history", "models_known", "current", "machines", "options", "can", "version"}
        assert part["tables"] == whole["tables"]

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

    def test_name_no_machine_of_demo_data_that_is_down(self, visitor: Client) -> None:
        requests("a")
        past = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
        store(
            "system", {"host": "demo-box", "cpu_percent": 5.0, "timestamp": past, "metadata": {"llmmonitor.demo": True}}
        )
        url = "/dashboard/data/overview?range=1h"
        assert visitor.get(url).json()["sentence"]["title"] == "1 request in the last hour."

        store("system", {"host": "demo-box", "cpu_percent": 5.0, "timestamp": past})  # now also a real one
        caches["ring"].clear()
        assert visitor.get(url).json()["sentence"]["title"] == "demo-box is down."

    def test_describe_a_problem_that_is_over_in_the_past_tense(self, visitor: Client) -> None:
        slow_half_an_hour_ago("a")
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
        for query in ("summary_and_models", "models", "series", "heatmap", "host_states", "choices", "current"):
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
    def test_are_few_for_many_models(self, visitor: Client, path: str) -> None:
        requests(*(f"model-{number}" for number in range(150)), request_id=None)
        visitor.get(path)  # remembers that there are events
        empty_caches()
        with CaptureQueriesContext(connection) as captured:
            assert visitor.get(path).status_code == 200
        assert len(captured) < 69

    @pytest.mark.parametrize("path", PATHS)
    def test_read_the_percentiles_of_summary_and_models_once(self, visitor: Client, path: str) -> None:
        requests("a", "b")
        with CaptureQueriesContext(connection) as captured:
            assert visitor.get(path).status_code == 200
        read = [query["sql"] for query in captured if "tokens_per_second" in query["sql"]]
        assert read
        assert len(set(read)) == len(read)

    def test_read_the_rollups_of_all_charts_once(self, visitor: Client) -> None:
        requests("a", "b")
        with CaptureQueriesContext(connection) as captured:
            assert visitor.get("/").status_code == 200
        reads = [query["sql"] for query in captured if "ttft_ms" in query["sql"]]
        # The summary also reads the generation speed. What is left are the charts and the last minute.
        assert len([sql for sql in reads if "tokens_per_second" not in sql]) == 2
