"""Which time a question is about, in which buckets it is answered: arithmetic on whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.queries import RANGES, BadQuery, Window
from metrics.queries.parameters import parse_optional_window, parse_time, parse_window
from metrics.queries.time.window import (
    MAX_ASKED_POINTS,
    MAX_POINTS,
    Retention,
    check_kept,
    end_of_now,
    plan,
    segments,
)

NOW = datetime(2026, 3, 1, 12, 34, 56, 250_000, tzinfo=UTC)
HELD = Retention({1: 8_100, 60: 3 * 86_400, 3600: 400 * 86_400})
NOW_S = end_of_now(NOW) - 1

# Windows of seconds to months, ending now or long ago.
windows = st.builds(
    lambda length, ago: Window.of_seconds(NOW_S + 1 - ago - length, NOW_S + 1 - ago),
    st.one_of(st.integers(1, 8_000), st.integers(1, 400_000), st.integers(1, 450 * 86_400)),
    st.one_of(st.just(0), st.integers(0, 10_000), st.integers(0, 300_000), st.integers(0, 380 * 86_400)),
)


def ask(**params: str) -> Window:
    return parse_window(params, NOW)


class TheSegments:
    @given(windows)
    def test_tile_the_window_without_gap_or_overlap(self, window: Window) -> None:
        tiles = segments(window, NOW, HELD)

        position = None
        for resolution, start, end in tiles.segments:
            assert start < end
            assert start % resolution == end % resolution == 0
            assert position in (None, start)
            position = end
        if tiles.segments:
            assert tiles.window.end_s == position
            assert tiles.retention_from is not None or tiles.segments[0][1] == tiles.window.start_s

    @given(windows)
    def test_cover_the_window_and_no_more_than_the_edges_need(self, window: Window) -> None:
        tiles = segments(window, NOW, HELD)

        assert tiles.window.start_s <= window.start_s
        assert tiles.window.end_s >= window.end_s
        coarsest = [HELD.finest(at, NOW_S) for at in (window.start_s, window.end_s - 1)]
        assert window.start_s - tiles.window.start_s < coarsest[0]
        assert tiles.window.end_s - window.end_s < max(coarsest[1], 3_600 if tiles.retention_from else 0, 1)

    @given(windows)
    def test_read_only_buckets_that_are_kept(self, window: Window) -> None:
        for resolution, start, _ in segments(window, NOW, HELD).segments:
            assert start >= HELD.floor(resolution, NOW_S)

    @given(windows)
    def test_are_few_buckets(self, window: Window) -> None:
        tiles = segments(window, NOW, HELD)

        buckets = sum((end - start) // resolution for resolution, start, end in tiles.segments)
        hours = window.seconds / 3_600
        # Hours inside, at most an hour's minutes and a minute's seconds at each end, and what the finer floors cut.
        assert buckets <= hours + 2 * (60 + 60) + 60 + 60

    def test_of_an_hour_are_minutes_with_edges_of_seconds(self) -> None:
        assert segments(Window.last(3_600, NOW), NOW, HELD).segments == (
            (1, NOW_S - 3_599, NOW_S - 3_599 + 3),
            (60, NOW_S - 3_596, NOW_S - 56),
            (1, NOW_S - 56, NOW_S + 1),
        )

    def test_reach_back_to_what_is_kept_and_say_so(self) -> None:
        tiles = segments(Window.last(500 * 86_400, NOW), NOW, HELD)

        assert tiles.retention_from is not None
        assert abs((NOW - tiles.retention_from) - timedelta(days=400)) <= timedelta(hours=1)


class APlan:
    @given(windows)
    def test_has_a_readable_number_of_points_that_cover_the_window(self, window: Window) -> None:
        chosen = plan(window, NOW, held=HELD)

        assert 1 <= chosen.points <= MAX_POINTS + 1
        assert chosen.step_seconds % chosen.resolution == 0
        assert chosen.start % chosen.step_seconds == chosen.end % chosen.step_seconds == 0
        assert chosen.start <= window.start_s < chosen.start + chosen.step_seconds
        assert chosen.end - chosen.step_seconds < window.end_s <= chosen.end

    @given(windows)
    def test_reads_a_resolution_that_is_kept_where_any_is(self, window: Window) -> None:
        chosen = plan(window, NOW, held=HELD)

        oldest = max(window.start_s, HELD.floor(3_600, NOW_S))
        if oldest < window.end_s:
            assert HELD.holds(chosen.resolution, oldest, NOW_S) or chosen.resolution == 3_600

    @given(windows, st.sampled_from([1, 5, 7, 60, 90, 300, 3_600, 7_200]))
    def test_honours_a_step_or_refuses_it_with_those_that_go(self, window: Window, step: int) -> None:
        refused: BadQuery | None = None
        try:
            chosen = plan(window, NOW, step, HELD)
        except BadQuery as found:
            refused = found
        if refused is None:
            assert chosen.step_seconds == step
            assert chosen.points <= MAX_ASKED_POINTS + 1
            return
        assert refused.parameter == "step"
        for allowed in refused.allowed:
            assert plan(window, NOW, int(allowed), HELD).step_seconds == int(allowed)

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
        chosen = plan(Window.last(RANGES[name].seconds, NOW), NOW, held=HELD)

        assert (chosen.step_seconds, chosen.resolution) == (step, resolution)

    @given(st.sampled_from([1, 2, 5, 10, 30, 60, 300, 3_600, 7_200, 86_400]), st.integers(0, 10**6))
    def test_of_the_newest_buckets_can_be_had_in_steps_that_are_kept(self, step: int, later: int) -> None:
        now = NOW + timedelta(seconds=later)

        check_kept(step, now, HELD)

        assert plan(Window.last(2 * step, now), now, step, HELD).step_seconds == step

    def test_of_the_newest_buckets_is_refused_in_steps_that_are_not_kept(self) -> None:
        with pytest.raises(BadQuery, match="step: 100000 s is not"):
            check_kept(100_000, NOW, HELD)  # no whole minutes, and seconds are gone by then


class AWindow:
    def test_ends_with_the_running_second(self) -> None:
        window = ask(range="5m")

        assert window.end == datetime(2026, 3, 1, 12, 34, 57, tzinfo=UTC)
        assert window.seconds == 300

    def test_is_the_last_hour_where_nothing_is_asked(self) -> None:
        assert ask() == ask(range="1h")
        assert parse_optional_window({}, NOW) is None

    def test_never_ends_after_now(self) -> None:
        assert ask(**{"from": "2026-03-01T12:00:00Z", "to": "2026-03-02T00:00:00Z"}).end_s == NOW_S + 1

    def test_takes_whole_seconds_outward(self) -> None:
        window = ask(**{"from": "1772366400250", "to": "2026-03-01T12:10:00.001Z"})

        assert (window.start_s, window.end_s) == (1_772_366_400, 1_772_367_001)

    def test_before_it_is_as_long_and_touches_it(self) -> None:
        window = ask(range="6h")

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
    def test_that_makes_no_sense_is_refused_by_name(self, params: dict[str, str], parameter: str) -> None:
        with pytest.raises(BadQuery) as refused:
            ask(**params)

        assert refused.value.parameter == parameter

    @given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
    def test_reads_a_time_in_any_zone(self, at: Any, minutes: int) -> None:
        sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
        offset = timedelta(minutes=minutes)

        # A `+` that was not escaped arrives as a blank.
        for mark in {sign, " " if sign == "+" else sign}:
            found = parse_time("from", f"{at.isoformat()}{mark}{hours:02}:{rest:02}")
            assert found.replace(tzinfo=None) == at - offset
