"""Windows that recur, across changes of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.silencing.recurrence import Recurrence, in_words, next_start, window_at

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
HOUR = 3_600

recurrences = st.builds(
    Recurrence,
    st.frozensets(st.integers(0, 6)),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    st.integers(60, 7 * 24 * HOUR),
    st.sampled_from(ZONES),
)
times = st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(year=2012 + at.year % 28, day=min(at.day, 28)))


class AWindow:
    @given(recurrences, times)
    def test_contains_its_time_and_begins_on_one_of_its_days(self, recurrence: Recurrence, at: datetime) -> None:
        window = window_at(recurrence, at)

        if window is not None:
            start, end = window
            assert start <= at < end
            assert (end - start).total_seconds() == recurrence.duration_seconds
            assert not recurrence.weekdays or start.astimezone(ZoneInfo(recurrence.time_zone)).weekday() in (
                recurrence.weekdays
            )

    @given(recurrences, times)
    def test_is_the_same_at_its_start_and_over_before_its_end(self, recurrence: Recurrence, at: datetime) -> None:
        window = window_at(recurrence, at)

        if window is not None:
            assert window_at(recurrence, window[0]) == window
            after = window_at(recurrence, window[1])
            assert after is None or after[0] > window[0]

    @given(recurrences, st.dates(date(2012, 1, 1), date(2040, 1, 1)))
    def test_begins_at_its_time_on_each_of_its_days(self, recurrence: Recurrence, day: date) -> None:
        start = datetime.combine(day, recurrence.start_time, ZoneInfo(recurrence.time_zone)).astimezone(UTC)
        is_chosen = not recurrence.weekdays or day.weekday() in recurrence.weekdays

        window = window_at(recurrence, start)

        if is_chosen:
            assert window is not None
            assert window[0] == start

    @given(recurrences, times)
    def test_covers_all_time_if_it_lasts_longer_than_the_days_between(
        self, recurrence: Recurrence, at: datetime
    ) -> None:
        daily = Recurrence((), recurrence.start_time, 25 * HOUR, recurrence.time_zone)

        assert window_at(daily, at) is not None

    @pytest.mark.parametrize(
        ("local", "is_within"),
        [
            ("2026-03-28T01:59", False),
            ("2026-03-28T02:00", True),
            ("2026-03-28T03:59", True),
            ("2026-03-28T04:00", False),
            # The clocks skip from 02:00 to 03:00: 02:00 is 03:00, and two hours later it is 05:00.
            ("2026-03-29T01:59", False),
            ("2026-03-29T03:00", True),
            ("2026-03-29T04:59", True),
            ("2026-03-29T05:00", False),
            # They show 02:00 to 03:00 twice: the window begins at the first 02:00, and is over at the second 03:00.
            ("2026-10-25T01:59", False),
            ("2026-10-25T02:00", True),
            ("2026-10-25T02:59", True),
            ("2026-10-25T03:00", False),
        ],
    )
    def test_follows_the_clocks_of_its_zone(self, local: str, is_within: bool) -> None:
        nightly = Recurrence((), time(2, 0), 2 * HOUR, "Europe/Berlin")
        at = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo("Europe/Berlin"))

        assert (window_at(nightly, at) is not None) == is_within

    @given(recurrences, times)
    def test_is_followed_by_the_next_one(self, recurrence: Recurrence, at: datetime) -> None:
        start = next_start(recurrence, at)

        window = window_at(recurrence, start)
        assert at < start <= at + timedelta(days=8)
        assert window is not None
        assert window[0] == start

    def test_of_a_long_weekend_goes_on_over_midnight(self) -> None:
        weekend = Recurrence([5], time(18, 0), 36 * HOUR, "America/New_York")
        saturday = datetime(2026, 3, 7, 18, 0, tzinfo=ZoneInfo("America/New_York"))

        # The clocks skip an hour in the night.
        assert window_at(weekend, saturday + timedelta(days=1)) == (
            saturday.astimezone(UTC),
            saturday.astimezone(UTC) + timedelta(hours=36),
        )
        assert window_at(weekend, saturday - timedelta(seconds=1)) is None


class TheWords:
    @pytest.mark.parametrize(
        ("weekdays", "words"),
        [
            ([], "every day at 02:30 for 90 minutes (Europe/Berlin)"),
            ([6], "every Sunday at 02:30 for 90 minutes (Europe/Berlin)"),
            ([6, 0, 2], "every Monday, Wednesday and Sunday at 02:30 for 90 minutes (Europe/Berlin)"),
        ],
    )
    def test_name_the_days_the_time_and_the_zone(self, weekdays: list[int], words: str) -> None:
        assert in_words(Recurrence(weekdays, time(2, 30), 5_400, "Europe/Berlin")) == words
