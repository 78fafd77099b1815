"""Windows, and the buckets that are read for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from metrics.events.types import Timestamp
from metrics.queries import RANGES, BadQuery, Window
from metrics.queries.parameters import parse_optional_window, parse_time, parse_window
from metrics.queries.time.plan import (
    MAX_POINTS,
    MAX_POINTS_OF_STEP,
    Retention,
    check_kept,
    plan_steps,
    split_window,
)
from metrics.queries.time.window import end_of_now

NOW = datetime(2026, 3, 1, 12, 34, 56, 250_000, tzinfo=UTC)
RETENTION = Retention({1: 8_100, 60: 3 * 86_400, 3600: 400 * 86_400})
NOW_S = end_of_now(NOW) - 1
INGESTED = TypeAdapter[datetime](Timestamp)  # the field `timestamp` of an event

# Windows of seconds to months, ending now, long ago or before the retention.
windows = st.builds(
    lambda length, ago: Window.of_seconds(NOW_S + 1 - ago - length, NOW_S + 1 - ago),
    st.one_of(st.integers(1, 8_000), st.integers(1, 400_000), st.integers(1, 450 * 86_400)),
    st.one_of(
        st.just(0),
        st.integers(0, 10_000),
        st.integers(0, 300_000),
        st.integers(0, 380 * 86_400),
        st.integers(399 * 86_400, 800 * 86_400),
    ),
)


def parse(**params: str) -> Window:
    return parse_window(params, NOW)


class TheSegments:
    @given(windows)
    def test_cover_the_window_without_gap_or_overlap(self, window: Window) -> None:
        split = split_window(window, NOW, RETENTION)

        position = None
        for resolution, start, end in split.segments:
            assert start < end
            assert start % resolution == end % resolution == 0
            assert position in (None, start)
            position = end
        if split.segments:
            assert split.window.end_s == position
            assert split.retention_from is not None or split.segments[0][1] == split.window.start_s

    @given(windows)
    def test_cover_the_window_and_no_more_than_the_edges_need(self, window: Window) -> None:
        split = split_window(window, NOW, RETENTION)

        assert split.window.start_s <= window.start_s
        assert split.window.end_s >= window.end_s
        coarsest = [RETENTION.finest(at, NOW_S) for at in (window.start_s, window.end_s - 1)]
        assert window.start_s - split.window.start_s < coarsest[0]
        assert split.window.end_s - window.end_s < max(coarsest[1], 3_600 if split.retention_from else 0, 1)

    @given(windows)
    def test_read_only_buckets_that_are_kept(self, window: Window) -> None:
        for resolution, start, _ in split_window(window, NOW, RETENTION).segments:
            assert start >= RETENTION.oldest_complete(resolution, NOW_S)

    @given(windows)
    def test_are_few_buckets(self, window: Window) -> None:
        split = split_window(window, NOW, RETENTION)

        buckets = sum((end - start) // resolution for resolution, start, end in split.segments)
        hours = window.seconds / 3_600
        # Hours inside; at each end at most the minutes of an hour and the seconds of a minute, and as many at the
        # starts of the retentions.
        assert buckets <= hours + 2 * (60 + 60) + 60 + 60

    def test_of_an_hour_are_minutes_with_edges_of_seconds(self) -> None:
        assert split_window(Window.last(3_600, NOW), NOW, RETENTION).segments == (
            (1, NOW_S - 3_599, NOW_S - 3_599 + 3),
            (60, NOW_S - 3_596, NOW_S - 56),
            (1, NOW_S - 56, NOW_S + 1),
        )

    def test_of_a_window_before_the_retention_are_none_and_leave_it_as_it_is(self) -> None:
        window = Window.of_seconds(NOW_S // 3_600 * 3_600 - 900 * 86_400, NOW_S // 3_600 * 3_600 - 899 * 86_400)

        split = split_window(window, NOW, RETENTION)

        assert (split.window, split.segments) == (window, ())
        assert split.retention_from is not None

    def test_start_with_the_retention_and_have_its_start(self) -> None:
        split = split_window(Window.last(500 * 86_400, NOW), NOW, RETENTION)

        assert split.retention_from is not None
        assert abs((NOW - split.retention_from) - timedelta(days=400)) <= timedelta(hours=1)


class APlan:
    @given(windows)
    def test_has_a_readable_number_of_points_that_cover_the_window(self, window: Window) -> None:
        plan = plan_steps(window, NOW, retention=RETENTION)

        assert 1 <= plan.points <= MAX_POINTS + 1
        assert plan.step_seconds % plan.resolution == 0
        assert plan.start % plan.step_seconds == plan.end % plan.step_seconds == 0
        assert plan.start <= window.start_s < plan.start + plan.step_seconds
        assert plan.end - plan.step_seconds < window.end_s <= plan.end

    @given(windows)
    def test_reads_a_resolution_that_is_kept_if_there_is_one(self, window: Window) -> None:
        plan = plan_steps(window, NOW, retention=RETENTION)

        oldest = max(window.start_s, RETENTION.oldest_complete(3_600, NOW_S))
        if oldest < window.end_s:
            assert RETENTION.keeps(plan.resolution, oldest, NOW_S) or plan.resolution == 3_600

    @given(windows, st.sampled_from([1, 5, 7, 60, 90, 300, 3_600, 7_200]))
    def test_has_the_given_step_or_rejects_it_with_those_that_are_possible(self, window: Window, step: int) -> None:
        rejected: BadQuery | None = None
        try:
            plan = plan_steps(window, NOW, step, RETENTION)
        except BadQuery as error:
            rejected = error
        if rejected is None:
            assert plan.step_seconds == step
            assert plan.points <= MAX_POINTS_OF_STEP + 1
            return
        assert rejected.parameter == "step"
        for allowed in rejected.allowed:
            assert plan_steps(window, NOW, int(allowed), RETENTION).step_seconds == int(allowed)

    @pytest.mark.parametrize(
        ("name", "step", "resolution"),
        [
            ("5m", 1, 1),
            ("15m", 5, 1),
            ("1h", 10, 1),
            ("6h", 60, 60),
            ("24h", 300, 60),
            ("7d", 3_600, 3_600),
            ("30d", 7_200, 3_600),
        ],
    )
    def test_of_each_range_has_its_step(self, name: str, step: int, resolution: int) -> None:
        plan = plan_steps(Window.last(RANGES[name].seconds, NOW), NOW, retention=RETENTION)

        assert (plan.step_seconds, plan.resolution) == (step, resolution)

    @given(st.sampled_from([1, 2, 5, 10, 30, 60, 300, 3_600, 7_200, 86_400]), st.integers(0, 10**6))
    def test_of_the_newest_buckets_is_possible_in_steps_that_are_kept(self, step: int, later: int) -> None:
        now = NOW + timedelta(seconds=later)

        check_kept(step, now, RETENTION)

        assert plan_steps(Window.last(2 * step, now), now, step, RETENTION).step_seconds == step

    def test_of_the_newest_buckets_is_rejected_in_steps_that_are_not_kept(self) -> None:
        with pytest.raises(BadQuery, match="not 100000 s"):
            check_kept(100_000, NOW, RETENTION)  # not whole minutes, and the one-second rollups have expired


class AWindow:
    def test_ends_with_the_current_second(self) -> None:
        window = parse(range="5m")

        assert window.end == datetime(2026, 3, 1, 12, 34, 57, tzinfo=UTC)
        assert window.seconds == 300

    def test_is_the_last_hour_without_parameters(self) -> None:
        assert parse() == parse(range="1h")
        assert parse_optional_window({}, NOW) is None

    def test_never_ends_after_now(self) -> None:
        assert parse(**{"from": "2026-03-01T12:00:00Z", "to": "2026-03-02T00:00:00Z"}).end_s == NOW_S + 1

    @pytest.mark.parametrize("start", ["1772366400", "1772366400000", "1772366400.0", "2026-03-01T12:00:00Z"])
    def test_starts_at_a_unix_time_in_seconds_or_milliseconds_or_at_a_time_in_iso_8601(self, start: str) -> None:
        assert parse(**{"from": start}).start_s == 1_772_366_400

    @given(st.one_of(st.integers(0, 10**14), st.floats(0, 1e14).map(lambda number: round(number, 3))))
    def test_reads_numbers_as_ingest_does(self, number: float) -> None:
        text = f"{number:.3f}".removesuffix(".000")
        try:
            sent = INGESTED.validate_python(float(text))
        except ValidationError:
            sent = None
        if sent is None or sent.year >= 9000:
            with pytest.raises(BadQuery):
                parse_time("from", text)
        else:
            assert abs(parse_time("from", text) - sent) <= timedelta(milliseconds=1)

    def test_is_extended_to_whole_seconds(self) -> None:
        window = parse(**{"from": "1772366400250", "to": "2026-03-01T12:10:00.001Z"})

        assert (window.start_s, window.end_s) == (1_772_366_400, 1_772_367_001)

    def test_before_it_is_as_long_and_touches_it(self) -> None:
        window = parse(range="6h")

        assert (window.before().end, window.before().seconds) == (window.start, window.seconds)

    @pytest.mark.parametrize(
        ("params", "parameter"),
        [
            ({"range": "2h"}, "range"),
            ({"range": "1h", "from": "2026-03-01"}, "range"),
            ({"to": "2026-03-01"}, "from"),
            ({"from": "2026-03-01T13:00:00Z"}, "from"),
            ({"from": "2026-03-01T12:00:00Z", "to": "2026-03-01T12:00:00Z"}, "to"),
            ({"from": "yesterday"}, "from"),
            ({"from": "2026-02-30"}, "from"),
            ({"from": "1970-01-01", "to": "now"}, "to"),
            ({"from": "1980-01-01"}, "from"),
            ({"from": "9" * 15}, "from"),
        ],
    )
    def test_that_is_wrong_is_rejected_with_the_parameter(self, params: dict[str, str], parameter: str) -> None:
        with pytest.raises(BadQuery) as rejected:
            parse(**params)

        assert rejected.value.parameter == parameter

    @pytest.mark.parametrize("text", ["9999-12-31T00:00:00Z", "9999-12-31T23:59:59-05:00", "1969-12-31", "0001-01-01"])
    def test_of_another_age_is_rejected_with_the_supported_years(self, text: str) -> None:
        with pytest.raises(BadQuery) as rejected:
            parse_time("from", text)

        assert rejected.value.detail == "from must be in the years 1970 to 8999."

    @given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
    def test_reads_a_time_in_any_zone(self, at: Any, minutes: int) -> None:
        sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
        offset = timedelta(minutes=minutes)

        # A `+` that was not escaped arrives as a space.
        for mark in {sign, " " if sign == "+" else sign}:
            time = parse_time("from", f"{at.isoformat()}{mark}{hours:02}:{rest:02}")
            assert time.replace(tzinfo=None) == at - offset
