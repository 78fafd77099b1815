"""Upkeep stores the sizes of the tables once an hour, and thins them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from metrics.models import TableSize
from metrics.sizes.database import DatabaseSize
from metrics.sizes.tables import TOTAL, stored_tables
from metrics.store.upkeep import maintenance, table_sizes
from tests.metrics.store.kept import NOW, record, request

pytestmark = [pytest.mark.store, pytest.mark.django_db]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def times(table: str = TOTAL) -> list[timedelta]:
    """How long before NOW a table was measured."""
    return [NOW - at for at in TableSize.objects.filter(table=table).order_by("-at").values_list("at", flat=True)]


class TheUpkeep:
    def test_measures_all_tables_at_its_first_run(self) -> None:
        record([request(NOW, "one"), request(NOW, "two")])

        maintenance.maintain(NOW, 10.0)

        measured = {one.table: one for one in TableSize.objects.all()}
        assert set(measured) == {table.name for table in stored_tables()} | {TOTAL}
        assert measured["requests"].rows == 2
        assert measured["requests"].bytes
        assert measured["requests"].oldest == NOW

    def test_measures_again_after_an_hour(self) -> None:
        for minutes in (130, 125, 75, 71, 69, 10):
            maintenance.maintain(NOW - timedelta(minutes=minutes), 10.0)

        assert times() == [timedelta(minutes=69), timedelta(minutes=130)]

    def test_measures_again_sooner_where_the_database_has_grown_by_a_quarter(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        maintenance.maintain(NOW - timedelta(minutes=10), 10.0)
        size = TableSize.objects.get(table=TOTAL).bytes
        assert size is not None

        for minutes, grown in ((9, 2.0), (8, 1.2), (7, 1.3), (6, 1.3)):
            used = DatabaseSize(total=size, used=int(grown * size))
            monkeypatch.setattr("metrics.store.upkeep.table_sizes.database_size", lambda used=used: used)
            maintenance.maintain(NOW - timedelta(minutes=minutes), 10.0)

        assert times() == [timedelta(minutes=7), timedelta(minutes=10)]

    def test_measures_again_when_the_clock_was_set_back(self) -> None:
        maintenance.maintain(NOW + 2 * DAY, 10.0)
        maintenance.maintain(NOW, 10.0)

        assert len(times()) == 2

    def test_keeps_each_hour_of_a_week_and_then_the_first_of_each_day(self) -> None:
        TableSize.objects.bulk_create(
            TableSize(at=NOW - number * HOUR, table=table, rows=1)
            for number in range(1, 24 * 30)
            for table in (TOTAL, "requests")
        )

        maintenance.maintain(NOW, 10.0)

        assert times("requests") == times()
        assert times()[: 7 * 24 + 1] == [number * HOUR for number in range(7 * 24 + 1)]
        old = times()[7 * 24 + 1 :]
        assert len(old) == 24
        assert {NOW.hour - 12} == {(NOW - ago).hour for ago in old[:-1]}  # midnight; the oldest day begins later

    def test_measures_first_what_was_not_measured_for_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []
        TableSize.objects.create(at=NOW - 2 * HOUR, table="requests", rows=1)
        TableSize.objects.create(at=NOW - 3 * HOUR, table="errors", rows=1)
        monkeypatch.setattr(
            table_sizes, "measure", lambda tables, *_: asked.extend(table.name for table in tables) or {}
        )

        table_sizes.store_sizes(NOW)

        assert asked[-2:] == ["errors", "requests"]
        assert len(asked) == len(stored_tables())

    @pytest.mark.django_db(transaction=True)
    def test_stores_what_it_measured_when_its_time_is_used_up(self) -> None:
        table_sizes.store_sizes(NOW, seconds=0.0)

        assert TableSize.objects.filter(table=TOTAL).exists()
        assert TableSize.objects.count() < len(stored_tables())
