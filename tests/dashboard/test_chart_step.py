"""The time between two points of a page's charts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from dashboard.chart_series import CHART_POINTS, ENOUGH_FOR_P95, LEAST_POINTS, chart_step
from dashboard.page_query import PageQuery, read
from metrics.queries import RANGES
from metrics.queries.time.window import STEPS

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = 86_400


def last(name: str) -> PageQuery:
    return read(QueryDict(f"range={name}"), NOW)


def between(seconds: int) -> PageQuery:
    start = NOW - timedelta(seconds=seconds)
    return read(QueryDict(f"from={start:%Y-%m-%dT%H:%M:%SZ}&to={NOW:%Y-%m-%dT%H:%M:%SZ}"), NOW)


WINDOWS = st.sampled_from(list(RANGES)).map(last) | st.integers(10, 400 * DAY).map(between)


class TheStep:
    @pytest.mark.parametrize("name", RANGES)
    def test_of_a_range_gives_charts_that_can_be_read(self, name: str) -> None:
        query = last(name)
        step = chart_step(query, has_events=True)
        assert step is not None
        assert 50 <= query.window.seconds / step <= 250

    @pytest.mark.parametrize("days", [2, 60, 179, 200, 400])
    def test_between_two_times_gives_no_more_points_than_a_chart_shows(self, days: int) -> None:
        query = between(days * DAY)
        step = chart_step(query, has_events=True)
        assert step is not None
        assert query.window.seconds / step <= CHART_POINTS

    def test_is_a_second_while_there_are_machines_alone(self) -> None:
        assert chart_step(last("5m"), has_events=False) == 1

    def test_of_percentiles_is_longer_where_a_range_has_few_requests(self) -> None:
        assert chart_step(last("5m"), has_events=True, requests=420) == 15  # 20 points of 21 requests
        assert chart_step(last("15m"), has_events=True, requests=1_260) == 15
        assert chart_step(last("15m"), has_events=True, requests=100_000) == 10  # that of the range

    def test_of_percentiles_is_longer_in_a_short_window_between_two_times(self) -> None:
        assert chart_step(between(120), has_events=True, requests=168) == 10
        assert chart_step(between(120), has_events=True, requests=100_000) == 1


class TheStepOfPercentiles:
    @given(WINDOWS, st.integers(ENOUGH_FOR_P95, 10_000_000))
    def test_has_enough_requests_where_the_window_has_so_many(self, query: PageQuery, requests: int) -> None:
        step = chart_step(query, has_events=True, requests=requests)
        assert step is not None
        points = query.window.seconds / step
        assert points <= LEAST_POINTS or requests / points >= ENOUGH_FOR_P95 or step == STEPS[-1]

    @given(WINDOWS, st.integers(0, 10_000_000))
    def test_is_not_shorter_than_that_of_other_figures(self, query: PageQuery, requests: int) -> None:
        step, of_others = chart_step(query, True, requests), chart_step(query, True)
        assert (step or 0) >= (of_others or 0) > 0

    @given(WINDOWS, st.integers(ENOUGH_FOR_P95, 10_000_000), st.integers(0, 1_000_000))
    def test_is_not_longer_with_more_requests(self, query: PageQuery, requests: int, more: int) -> None:
        step, with_more = chart_step(query, True, requests), chart_step(query, True, requests + more)
        assert (step or 0) >= (with_more or 0) > 0

    @given(WINDOWS, st.integers(0, 10_000_000))
    def test_is_one_that_an_axis_and_a_subscription_may_have(self, query: PageQuery, requests: int) -> None:
        assert chart_step(query, True, requests) in STEPS

    @given(WINDOWS, st.integers(0, ENOUGH_FOR_P95 - 1))
    def test_is_that_of_other_figures_where_no_step_has_enough(self, query: PageQuery, requests: int) -> None:
        assert chart_step(query, True, requests) == chart_step(query, True)
