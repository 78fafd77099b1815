"""The card of the store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dashboard.system.storage import COLOURS, counts_of, growth_text, summary_of, table_rows, totals_of
from metrics import queries
from metrics.queries import TableStorage

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MIB = 2**20


def table(title: str, rows: int | None, size: int | None, **more: object) -> TableStorage:
    return TableStorage(title.lower(), title, timedelta(days=30), rows, size, NOW, NOW, **more)  # type: ignore[arg-type]


class TheTables:
    def test_are_shown_the_largest_first_with_their_shares(self) -> None:
        rows = table_rows([table("Errors", 10, MIB), table("Requests", 1_000, 3 * MIB), table("Alerts", 0, MIB)])

        assert [(row.title, str(row.rows), row.share, row.colour) for row in rows] == [
            ("Requests", "1,000", 75.0, 1),
            ("Errors", "10", 25.0, 2),
        ]
        assert (str(rows[0].size), str(rows[0].per_row), rows[0].kept) == ("3.00\u00a0MiB", "3,146", "30 days")

    def test_have_the_rows_that_are_counted_now(self) -> None:
        rows = table_rows([table("Requests", 10, MIB), table("Errors", 0, 0)], {"requests": 15, "errors": 2})

        assert [(row.title, str(row.rows)) for row in rows] == [("Requests", "15"), ("Errors", "2")]

    def test_beyond_the_colours_have_none(self) -> None:
        rows = table_rows([table(f"T{number}", 1, 1_000 - number) for number in range(COLOURS + 2)])

        assert [row.colour for row in rows] == [*range(1, COLOURS + 1), 0, 0]

    def test_of_unknown_size_are_counted(self) -> None:
        [row] = table_rows([table("Requests", 5, None)])

        assert (str(row.rows), str(row.size), row.share) == ("5", "—", 0.0)

    @pytest.mark.parametrize(
        ("kept", "text"),
        [
            (timedelta(days=400), "400 days"),
            (timedelta(hours=24), "24 h"),
            (timedelta(minutes=135), "2.25 h"),
            (timedelta(minutes=15), "15 min"),
            (None, "not deleted by age"),
        ],
    )
    def test_say_how_long_rows_are_kept(self, kept: timedelta | None, text: str) -> None:
        assert table_rows([TableStorage("t", "T", kept, 1, 1)])[0].kept == text


class TheGrowth:
    @pytest.mark.parametrize(
        ("value", "text"),
        [(None, "—"), (0.0, "0"), (900.0, "0"), (116.0 * MIB, "+116\u00a0MiB"), (-2.0 * MIB, "−2.00\u00a0MiB")],
    )
    def test_has_its_sign(self, value: float | None, text: str) -> None:
        assert growth_text(value) == text


@pytest.mark.django_db
class TheSummary:
    @pytest.mark.parametrize(
        ("room", "days", "end"),
        [
            (MIB, 42.4, "full in 42 days"),
            (MIB, 0.2, "full in less than a day"),
            (0, None, "full"),
            (MIB, None, "does not become full"),
        ],
    )
    def test_says_when_the_store_is_full(self, room: int, days: float | None, end: str) -> None:
        stored = replace(
            queries.storage(NOW), database_size_mb=4.0, growth_bytes_per_day=MIB, room_bytes=room, days_until_full=days
        )

        assert summary_of(stored).replace("\u00a0", " ").startswith("4.00 MiB on the disk, +1.00 MiB a day")
        assert summary_of(stored).endswith(end)

    def test_says_when_growth_will_be_known(self) -> None:
        stored = replace(queries.storage(NOW), growth_bytes_per_day=None, room_bytes=MIB, days_until_full=None)

        assert summary_of(stored).endswith("growth is known after six hours")


@pytest.mark.django_db
class TheTotals:
    def test_are_those_of_the_disk(self) -> None:
        stored = replace(
            queries.storage(NOW),
            measured_at=NOW,
            tables=(table("Requests", 10, 2 * MIB), table("Labels", 5, MIB)),
            inference_metrics_count=12,
            database_size_mb=4.0,
            growth_bytes_per_day=None,
        )

        totals = totals_of(stored)

        assert totals is not None
        assert (str(totals.rows), str(totals.rest), str(totals.size)) == ("17", "1.00\u00a0MiB", "4.00\u00a0MiB")

    def test_are_not_known_before_the_first_measurement(self) -> None:
        assert totals_of(replace(queries.storage(NOW), measured_at=None)) is None

    def test_count_tables_that_exist(self) -> None:
        stored = queries.storage(NOW)

        assert set(counts_of(stored)) <= {table.name for table in stored.tables}
