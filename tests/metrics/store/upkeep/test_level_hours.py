"""The minutes of levels become rows of hours without a long transaction."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from metrics.models import GaugeRollup
from metrics.store.forgetting import forget
from metrics.store.upkeep import level_hours
from metrics.store.upkeep.deleting import Steps
from tests.metrics.store.kept import NOW, ago, machine, record

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

METRIC = "system.gpu_count"


def convert() -> None:
    level_hours.convert_and_delete(METRIC, int(NOW.timestamp()), Steps(time.monotonic() + 60, pause=0))


def hours() -> list[tuple[str, int]]:
    """The host and the number of minutes of each row."""
    rows = GaugeRollup.objects.filter(metric=METRIC, resolution=3_600).order_by("labels__host")
    return list(rows.values_list("labels__host", "count"))


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Call a function once, after the minutes have been read and before the hour is stored."""

    def at_computing(function: Callable[[], Any]) -> None:
        compute, calls = level_hours.hour_rows, [function]

        def hour_rows(*args: Any) -> Any:
            while calls:
                calls.pop()()
            return compute(*args)

        monkeypatch.setattr(level_hours, "hour_rows", hour_rows)

    return at_computing


class TheConversionOfAnHour:
    @pytest.fixture(autouse=True)
    def _samples(self) -> None:
        record([machine(ago(minutes=minute), host) for minute in range(81, 91) for host in ("a", "b")])

    def test_holds_no_lock_while_it_computes(self, meanwhile: Any) -> None:
        in_transaction: list[bool] = []
        meanwhile(lambda: in_transaction.append(connection.in_atomic_block))

        convert()

        assert in_transaction == [False]
        assert hours() == [("a", 12), ("b", 12)]

    def test_is_repeated_if_minutes_are_forgotten_meanwhile(self, meanwhile: Any) -> None:
        meanwhile(lambda: forget(host="a", at=NOW))

        convert()
        assert hours() == []

        convert()
        assert hours() == [("b", 12)]

    def test_is_stored_once_if_another_process_stores_it_meanwhile(self, meanwhile: Any) -> None:
        meanwhile(convert)

        convert()

        assert hours() == [("a", 12), ("b", 12)]

    def test_accepts_no_sample_of_the_hour_meanwhile(self, meanwhile: Any) -> None:
        results: list[int] = []
        meanwhile(lambda: results.append(record([machine(ago(minutes=70), "c")]).accepted))

        convert()

        assert results == [0]
        assert hours() == [("a", 12), ("b", 12)]
