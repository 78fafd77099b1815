"""Whether a window is comparable with the previous one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from metrics import queries
from metrics.events import Kind, validate_many
from metrics.queries import Filters, Window
from metrics.store.writing.transaction import Store
from tests.support.policies import make_ingest_policy

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def store(*ages_minutes: float) -> None:
    """Write requests that ended this long ago."""
    times = [NOW - timedelta(minutes=age) for age in ages_minutes]
    items = [
        {"timestamp": at.isoformat(), "request_id": f"r{n}", "model_name": "a", "response_time_ms": 900}
        for n, at in enumerate(times)
    ]
    result = validate_many(Kind.INFERENCE, items, NOW, make_ingest_policy())
    assert not result.rejected
    Store().commit(result.events)


def comparable(hours: int = 24) -> bool:
    result = queries.summary(Window.last(hours * 3_600, NOW), Filters(), NOW).as_dict()
    return bool(result["comparable"])


def every_hour(first: int, end: int) -> list[float]:
    return [60.0 * hour + 30 for hour in range(first, end)]


class AWindow:
    def test_is_comparable_with_a_window_of_the_same_requests(self) -> None:
        store(*every_hour(0, 48))
        assert comparable()

    def test_is_not_comparable_with_a_window_in_which_recording_just_began(self) -> None:
        store(*every_hour(0, 24), *(24 * 60 + 5 + n / 10 for n in range(200)))
        assert not comparable()

    def test_is_comparable_if_both_are_busy_in_the_same_few_hours(self) -> None:
        store(*(at + n for at in every_hour(0, 8) for n in range(4)))
        store(*(at + n for at in every_hour(24, 32) for n in range(4)))
        assert comparable()

    def test_is_not_comparable_with_a_window_of_few_requests(self) -> None:
        store(*every_hour(0, 43))
        assert not comparable()

    def test_is_not_comparable_with_an_empty_window(self) -> None:
        store(*every_hour(0, 24))
        assert not comparable()

    def test_has_the_change_even_if_it_is_not_comparable(self) -> None:
        store(*every_hour(0, 25))
        result = queries.summary(Window.last(86_400, NOW), Filters(), NOW).as_dict()
        assert not result["comparable"]
        assert result["change_percent"]["total_requests"] == 2_300
