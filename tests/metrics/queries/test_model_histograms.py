"""Histograms of models: bars of both scales, compared with counts by hand."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from metrics import catalogue, queries
from metrics.queries import Filters, Window
from metrics.queries.answers.model_histograms import MAX_BARS
from tests.metrics.queries.known_events import CHATTY, NOW, SLOW, Known, request, values, write

pytestmark = [pytest.mark.store, pytest.mark.django_db]

EVERYTHING = Filters()
HOUR = Window.last(3_600, NOW)
RESPONSE = catalogue.get("inference.response_time_ms")
TTFT = catalogue.get("inference.ttft_ms")
PROMPT = catalogue.get("inference.prompt_tokens")
TOKENS = catalogue.get("inference.completion_tokens")
SCALES = ("log", "linear")


def histograms(metric: Any, *models: str, window: Window = HOUR, filters: Filters = EVERYTHING) -> dict[str, Any]:
    return queries.model_histograms(metric, window, filters, NOW, models).as_dict()


class AHistogramOfModels:
    @pytest.mark.parametrize("scale", SCALES)
    @pytest.mark.parametrize("metric", [RESPONSE, TTFT, PROMPT, TOKENS], ids=lambda metric: metric.short)
    def test_counts_each_request_that_carries_the_value_once(self, known: Known, metric: Any, scale: str) -> None:
        bars = histograms(metric, CHATTY, SLOW)[scale]

        for window, name in ((HOUR, "counts"), (HOUR.before(), "before")):
            by_hand = [
                queries.distribution(metric, window, Filters(model=(model,)), NOW).count for model in (CHATTY, SLOW)
            ]
            assert min(by_hand) > 0
            assert [sum(counts) for counts in bars[name]] == by_hand

    @pytest.mark.parametrize("scale", SCALES)
    def test_does_not_stretch_to_values_of_the_window_before_if_that_is_not_compared(
        self, known: Known, scale: str
    ) -> None:
        write([request(HOUR.before().start, 5_000, model_name=CHATTY, response_time_ms=900_000.0)])

        alone = queries.model_histograms(RESPONSE, HOUR, EVERYTHING, NOW, [CHATTY], compare=False).as_dict()[scale]
        compared = histograms(RESPONSE, CHATTY)[scale]

        assert set(alone["before"][0]) == {0}
        assert sum(alone["counts"][0]) == sum(compared["counts"][0])
        assert alone["edges"][-1] < 900_000 <= compared["edges"][-1]

    @pytest.mark.parametrize("scale", SCALES)
    def test_has_at_most_forty_bars_without_gaps(self, known: Known, scale: str) -> None:
        bars = histograms(RESPONSE, CHATTY, SLOW)[scale]

        assert 10 < len(bars["edges"]) - 1 <= MAX_BARS
        assert all(low < high for low, high in pairwise(bars["edges"]))
        assert {len(counts) for counts in bars["counts"] + bars["before"]} == {len(bars["edges"]) - 1}

    @pytest.mark.parametrize("scale", SCALES)
    def test_has_in_a_bar_the_values_above_its_lower_edge_up_to_its_upper_one(self, known: Known, scale: str) -> None:
        bars = histograms(RESPONSE, CHATTY)[scale]
        times = values(known.within(HOUR, lambda event: event.model_name == CHATTY), "response_time_ms")

        assert bars["counts"][0] == [sum(low < time <= high for time in times) for low, high in pairwise(bars["edges"])]

    def test_has_bars_of_equal_width_on_the_linear_scale_up_to_the_last(self, known: Known) -> None:
        edges = histograms(RESPONSE, CHATTY, SLOW)["linear"]["edges"]

        assert edges[0] == 0
        step = edges[-2] / (len(edges) - 2)
        assert edges[1:-1] == pytest.approx([step * number for number in range(1, len(edges) - 1)], rel=0.025)

    def test_puts_values_of_zero_into_the_first_bar(self, db: None) -> None:
        times = (0.0, 0.0, 300.0, 400.0, 500.0)
        write(
            [
                request(NOW - timedelta(minutes=1), 1_000 + number, model_name="m", response_time_ms=time)
                for number, time in enumerate(times)
            ]
        )

        linear, log = (histograms(RESPONSE, "m")[scale] for scale in ("linear", "log"))

        assert (linear["edges"][0], linear["counts"][0][0], sum(linear["counts"][0])) == (0, 2, 5)
        assert (log["edges"][0], log["counts"][0][0], sum(log["counts"][0])) == (0, 3, 5)  # with the lowest value

    def test_of_zeros_alone_has_one_bar(self, db: None) -> None:
        write([request(NOW - timedelta(minutes=1), 1_000, model_name="m", response_time_ms=0.0)])
        bars = histograms(RESPONSE, "m")["log"]
        assert (bars["edges"], bars["counts"]) == ([0, 0], [[1]])

    def test_without_requests_has_no_bars(self, db: None) -> None:
        assert histograms(RESPONSE)["log"] == {"edges": [], "counts": [], "before": []}
        assert histograms(RESPONSE, "m")["linear"] == {"edges": [], "counts": [[]], "before": [[]]}

    def test_counts_only_what_matches_the_filters(self, known: Known) -> None:
        filters = Filters(service=("chat",))
        bars = histograms(RESPONSE, CHATTY, filters=filters)["log"]
        by_hand = queries.distribution(RESPONSE, HOUR, Filters(service=("chat",), model=(CHATTY,)), NOW).count
        assert sum(bars["counts"][0]) == by_hand
