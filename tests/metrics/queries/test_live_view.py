"""A live page shows the same figures as a page that is loaded again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest

from metrics import catalogue, queries
from metrics.live.hub import make_views
from metrics.live.subscriptions import compute_view, parse, to_send
from metrics.queries import BadQuery, Filters, Window
from metrics.queries.answers.minute import WINDOW_SECONDS
from metrics.queries.answers.results import round_for_tick
from metrics.queries.parameters import MAX_SERIES, parse_live_step, parse_series_objects
from metrics.queries.read.appended_rows import AppendedRows
from tests.metrics.queries.known_events import CHATTY, NOW, SLOW, Known
from tests.metrics.queries.series_of import series_of

pytestmark = [pytest.mark.store, pytest.mark.django_db]

SPECS: list[dict[str, Any]] = [
    {"metric": "inference.response_time_ms", "stat": "p95"},
    {"metric": "inference.response_time_ms", "stat": "avg", "group_by": "model"},
    {"metric": "inference.requests", "stat": "rate"},
    {"metric": "inference.completion_tokens", "stat": "rate", "group_by": ["model", "service"]},
    {"metric": "inference.error_rate_percent", "stat": "avg"},
    {"metric": "inference.cost_usd", "stat": "sum"},
    {"metric": "error.count", "stat": "sum"},
    {"metric": "queue.pending", "stat": "avg"},
    {"metric": "queue.processing", "stat": "last", "group_by": "model"},
    {"metric": "system.cpu_percent", "stat": "avg"},
    {"metric": "system.network_bytes_sent", "stat": "rate"},
    {"metric": "gpu.temperature", "stat": "max", "group_by": "gpu"},
]


class TheBuckets:
    @pytest.mark.parametrize("step", [1, 5, 10, 60, 300, 3600])
    @pytest.mark.parametrize("filters", [Filters(), Filters(model=(SLOW,), host=("alpha",))], ids=["all", "one"])
    def test_equal_what_a_reload_of_the_history_shows(self, known: Known, step: int, filters: Filters) -> None:
        compared = 0
        for seconds_ago in (0, 2, 17, 95):
            at = NOW - timedelta(seconds=seconds_ago)

            live = compute_view(parse({"filters": filters.as_dict(), "step": step, "series": SPECS}, at), at)["buckets"]

            # More buckets than a tick has, as on a page that has been open for a while.
            window = Window.last(10 * step, at)
            for spec in SPECS:
                pair = (catalogue.get(spec["metric"]), spec["stat"])
                stored = series_of([pair], window, filters, step=step, group_by=spec.get("group_by"), now=at)
                history = {tuple(line["labels"].items()): line["points"] for line in stored.as_dict()["series"]}
                mine = {
                    tuple(line["labels"].items()): line["points"]
                    for line in live
                    if (line["metric"], line["stat"]) == (spec["metric"], spec["stat"])
                }
                compared += sum(value is not None for points in mine.values() for _, value in points)
                newest = to_send(step, at).window.start_s * 1000
                for labels, points in history.items():
                    now_shown = [[start, value] for start, value in points if start >= newest]
                    assert len(now_shown) >= 2
                    # A label without recent requests has no line in a tick.
                    assert mine.pop(labels, [[start, None] for start, _ in now_shown]) == now_shown, spec
                assert mine == {}, spec
        assert compared > 8

    def test_are_in_the_order_of_the_subscription_and_not_repeated(self, known: Known) -> None:
        twice = [SPECS[2], SPECS[0], SPECS[2]]

        buckets = compute_view(parse({"step": 10, "series": twice}, NOW), NOW)["buckets"]

        assert [line["metric"] for line in buckets] == ["inference.requests", "inference.response_time_ms"]


class TheView:
    @pytest.mark.parametrize("filters", [Filters(), Filters(model=(CHATTY,)), Filters(outcome="failed")])
    def test_has_the_figures_of_a_summary_of_the_last_minute(self, known: Known, filters: Filters) -> None:
        compared = 0
        for seconds_ago in range(0, 600, 60):
            at = NOW - timedelta(seconds=seconds_ago)

            view = compute_view(parse({"filters": filters.as_dict(), "step": 10}, at), at)["view"]

            figures = queries.summary(Window.last(WINDOW_SECONDS, at), filters, at).figures
            assert view["requests_per_second"] == round_for_tick(figures["requests_per_second"])
            assert view["error_rate_percent"] == round_for_tick(figures["error_rate_percent"])
            for stat in ("avg", "p50", "p95", "p99"):
                assert view["response_time_ms"][stat] == round_for_tick(figures[f"{stat}_response_time_ms"])
            assert view["ttft_ms"]["p95"] == round_for_tick(figures["p95_ttft_ms"])
            compared += view["requests_per_second"] is not None
        assert compared > 5

    def test_of_the_whole_is_the_overall_of_the_tick(self, known: Known) -> None:
        assert compute_view(parse({"step": 10}, NOW), NOW)["view"] == queries.current(NOW)["overall"]

    def test_of_the_whole_is_taken_from_the_tick(self, known: Known) -> None:
        whole, model = parse({"step": 10}, NOW), parse({"step": 10, "filters": {"model": CHATTY}}, NOW)

        views = make_views(NOW, [whole, model], {}, AppendedRows(), '{"type":"tick","overall":{"of":"the tick"}}')

        assert orjson.loads(views[whole.key])["view"] == {"of": "the tick"}
        assert orjson.loads(views[model.key])["view"] == compute_view(model, NOW)["view"]


class TheTick:
    def test_has_the_figures_of_a_summary_for_each_model(self, known: Known) -> None:
        body = queries.current(NOW)

        window = Window.last(60, NOW)
        assert set(body["models"]) == {event.model_name for event in known.within(window)} != set()
        for name, live in body["models"].items():
            figures = queries.summary(window, Filters(model=(name,)), NOW).figures
            assert live["requests_per_second"] == round_for_tick(figures["requests_per_second"])
            assert live["response_time_ms"]["p99"] == round_for_tick(figures["p99_response_time_ms"])
        assert body["queue"]["wait_time_ms"]["p95"] == round_for_tick(
            queries.summary(window, Filters(), NOW).figures["p95_queue_time_ms"]
        )


class ASpec:
    @pytest.mark.parametrize(
        ("given", "parameter"),
        [
            ("requests", "series"),
            ([{"metric": "requests", "stat": "sum"}] * (MAX_SERIES + 1), "series"),
            (["requests"], "series"),
            ([{"metric": "temperature_of_the_moon", "stat": "avg"}], "metric"),
            ([{"metric": "memory_mb", "stat": "avg"}], "metric"),  # `monitor.memory_mb` has no short name
            ([{"metric": "queue.pending", "stat": "p95"}], "stat"),
            ([{"metric": "requests", "stat": "sum", "group_by": "colour"}], "group_by"),
            ([{"metric": "requests", "stat": "sum", "group_by": [1]}], "group_by"),
        ],
    )
    def test_that_is_wrong_is_rejected_with_the_parameter(self, given: Any, parameter: str) -> None:
        with pytest.raises(BadQuery) as rejected:
            parse_series_objects(given)

        assert rejected.value.parameter == parameter

    @pytest.mark.parametrize("step", [0, -10, "soon", None, 100_000])
    def test_needs_a_step_that_is_kept(self, step: Any) -> None:
        with pytest.raises(BadQuery, match="step"):
            parse_live_step(step, parse_series_objects(SPECS), NOW)
