"""Growth and the time until the store is full, from known sizes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.sizes.growth import LEAST_SPAN, SPAN, Growth, Measured, days_until_full, growth_of, split, times_to_thin

NOW = datetime(2026, 1, 20, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MIB = 2**20

rates = st.floats(1.0, 1e9)
durations = st.floats(0.01, 1000.0) | st.just(inf)
growths = st.lists(st.builds(Growth, rates, durations), max_size=8)


def measured(days_ago: float, size: int | None, oldest_days_ago: float | None = None) -> Measured:
    """A size, with the age that the oldest row had at the time."""
    at = NOW - days_ago * DAY
    oldest = None if oldest_days_ago is None else at - oldest_days_ago * DAY
    return Measured(at, rows=1, bytes=size, oldest=oldest)


class TheGrowth:
    def test_is_that_of_a_day_in_the_last_week(self) -> None:
        history = [measured(9, 1000 * MIB), measured(7, 20 * MIB), measured(3, 90 * MIB), measured(0, 34 * MIB)]

        assert growth_of(history, None) == Growth(2 * MIB)

    def test_of_a_short_history_is_carried_on_to_a_day(self) -> None:
        assert growth_of([measured(0.5, 10), measured(0, 15)], None) == Growth(10)

    def test_is_negative_where_a_table_shrinks(self) -> None:
        growth = growth_of([measured(2, 30), measured(0, 10)], None)

        assert growth is not None
        assert growth.bytes_per_day == -10

    @pytest.mark.parametrize(
        "history",
        [
            [],
            [measured(0, 10)],
            [measured(2, None), measured(0, None)],
            [measured((LEAST_SPAN - timedelta(seconds=1)) / DAY, 10), measured(0, 20)],
        ],
        ids=["empty", "one", "bytes unknown", "too short"],
    )
    def test_is_not_known_without_two_sizes_that_are_some_hours_apart(self, history: list[Measured]) -> None:
        assert growth_of(history, None) is None

    def test_skips_a_measurement_without_bytes(self) -> None:
        assert growth_of([measured(2, 10), measured(1, None), measured(0, 30)], None) == Growth(10)

    def test_ends_when_the_oldest_row_is_as_old_as_the_retention(self) -> None:
        history = [measured(4, 10, oldest_days_ago=1), measured(0, 50, oldest_days_ago=5)]

        assert growth_of(history, 30 * DAY) == Growth(10, days=25)

    def test_ends_now_where_the_retention_has_just_begun_to_delete(self) -> None:
        history = [measured(4, 10, oldest_days_ago=27), measured(0, 50, oldest_days_ago=30.01)]

        assert growth_of(history, 30 * DAY) == Growth(10, days=0)

    def test_lasts_for_a_retention_where_more_rows_come_in_than_are_deleted(self) -> None:
        history = [measured(4, 10, oldest_days_ago=30), measured(0, 50, oldest_days_ago=30)]

        assert growth_of(history, 30 * DAY) == Growth(10, days=30)

    @given(st.floats(0.3, 6.9), st.integers(0, 10**12), st.integers(-(10**9), 10**9))
    def test_of_a_table_that_grows_evenly_is_its_rate(self, days: float, size: int, rate: int) -> None:
        history = [measured(ago, size + round(rate * (days - ago))) for ago in (days, days / 2, 0)]

        growth = growth_of(history, None)

        assert growth is not None
        assert growth.bytes_per_day == pytest.approx(rate, abs=10)


class TheTimeUntilTheStoreIsFull:
    def test_is_the_room_by_the_growth(self) -> None:
        assert days_until_full(100, [Growth(10), Growth(15)]) == 4

    def test_counts_a_table_only_until_its_retention_deletes_rows(self) -> None:
        # 2 days of 30, then 40 bytes by 10.
        assert days_until_full(100, [Growth(20, days=2), Growth(10)]) == 6

    def test_never_comes_where_retention_ends_all_growth_before(self) -> None:
        assert days_until_full(100, [Growth(20, days=2), Growth(10, days=5)]) is None

    @pytest.mark.parametrize("growth", [[], [Growth(0)], [Growth(-5)], [Growth(5, days=0)]])
    def test_never_comes_where_nothing_grows(self, growth: list[Growth]) -> None:
        assert days_until_full(100, growth) is None

    def test_does_not_count_on_tables_that_shrink(self) -> None:
        assert days_until_full(100, [Growth(10), Growth(-9)]) == 10

    def test_is_now_without_room(self) -> None:
        assert days_until_full(0, []) == 0

    @given(st.floats(1.0, 1e12), growths)
    def test_is_when_the_tables_have_grown_by_the_room(self, room: float, growing: list[Growth]) -> None:
        days = days_until_full(room, growing)

        def grown(after: float) -> float:
            return sum(one.bytes_per_day * min(after, one.days) for one in growing)

        if days is None:
            assert grown(1e15) < room * (1 + 1e-9)
        else:
            assert grown(days) == pytest.approx(room)

    @given(st.floats(1.0, 1e12), growths, st.builds(Growth, rates, durations))
    def test_is_not_later_when_another_table_grows(self, room: float, growing: list[Growth], another: Growth) -> None:
        before, after = days_until_full(room, growing), days_until_full(room, [*growing, another])

        assert before is None or (after is not None and after <= before * (1 + 1e-9))


class TheMeasurementsThatAreThinned:
    def test_are_all_but_the_first_of_each_day_before_a_time(self) -> None:
        hours = [NOW - timedelta(hours=number) for number in range(24 * 10)]

        thinned = times_to_thin(hours, NOW - SPAN)

        left = sorted(set(hours) - set(thinned))
        old = [at for at in left if at < NOW - SPAN]
        assert [f"{at:%d %H}" for at in old] == ["10 13", "11 00", "12 00", "13 00"]
        assert len(left) - len(old) == 7 * 24 + 1

    @given(st.lists(st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 20), timezones=st.just(UTC))))  # noqa: DTZ001
    def test_leave_one_for_each_day_and_need_no_second_pass(self, times: list[datetime]) -> None:
        left = set(times) - set(times_to_thin(times, NOW))

        assert {at.date() for at in left} == {at.date() for at in times}
        assert len({at.date() for at in left if at < NOW}) == len({at for at in left if at < NOW})
        assert times_to_thin(left, NOW) == []


class ASplit:
    @given(st.integers(0, 10**13), st.lists(st.floats(0, 1e9), min_size=1, max_size=5))
    def test_adds_up_and_has_no_negative_part(self, total: int, weights: list[float]) -> None:
        parts = split(total, weights)

        assert sum(parts) == total
        assert min(parts) >= 0

    def test_is_proportional(self) -> None:
        assert split(100, [1, 0, 3]) == [25, 0, 75]

    def test_without_weights_is_all_in_the_first(self) -> None:
        assert split(100, [0, 0]) == [100, 0]
