"""When a message that was not accepted is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alerts.delivery.retries import GIVE_UP_AFTER, LONGEST_PAUSE_SECONDS, LONGEST_SECONDS, is_given_up, next_attempt

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CHANCES = st.floats(0, 1)


class TheDelay:
    def test_is_doubled_with_each_failure_up_to_ten_minutes(self) -> None:
        delays = [(next_attempt(attempts, NOW, 1.0) - NOW).total_seconds() for attempts in range(1, 10)]

        assert delays == [5, 10, 20, 40, 80, 160, 320, 600, 600]

    @given(st.integers(1, 10_000), CHANCES)
    def test_is_between_half_and_the_whole_of_it(self, attempts: int, chance: float) -> None:
        whole = next_attempt(attempts, NOW, 1.0) - NOW

        assert whole / 2 <= next_attempt(attempts, NOW, chance) - NOW <= whole <= timedelta(seconds=LONGEST_SECONDS)

    @given(st.integers(1, 100), CHANCES, st.floats(0, 1e12))
    def test_is_at_least_what_the_receiver_asks_for_but_not_longer_than_an_hour(
        self, attempts: int, chance: float, asked: float
    ) -> None:
        delay = next_attempt(attempts, NOW, chance, asked) - NOW

        assert delay >= timedelta(seconds=min(asked, LONGEST_PAUSE_SECONDS))
        assert delay <= timedelta(hours=1)


class AMessageThatFails:
    def test_is_given_up_after_a_day(self) -> None:
        assert not is_given_up(NOW - GIVE_UP_AFTER + timedelta(seconds=1), NOW)
        assert is_given_up(NOW - GIVE_UP_AFTER, NOW)
