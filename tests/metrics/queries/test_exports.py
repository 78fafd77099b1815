"""Exports, which are read in chunks."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics import catalogue, queries
from metrics.queries import BadQuery, Filters, SeriesSpec, Table, Window
from metrics.queries.answers import exports
from metrics.registers import exports as added_exports
from tests.metrics.queries.known_events import ALPHA, CHATTY, NOW, SLOW, Known
from tests.metrics.queries.series_of import series_of

pytestmark = [pytest.mark.store, pytest.mark.django_db]

HOUR = Window.last(3_600, NOW)
EVERYTHING = Filters()


def rows_of(kind: str, filters: Filters = EVERYTHING, window: Window = HOUR, **more: Any) -> list[dict[str, Any]]:
    table = queries.export(kind, window, filters, now=NOW, **more)
    rows = list(table.rows)
    assert all(tuple(row) == table.columns for row in rows)
    return rows


@pytest.fixture(params=[1_000, 17])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The number of rows in a chunk, large and small."""
    monkeypatch.setattr(exports, "CHUNK_ROWS", request.param)
    return int(request.param)


class AnExport:
    @pytest.mark.parametrize("filters", [Filters(), Filters(model=(SLOW,)), Filters(provider=("vllm",))])
    def test_of_requests_has_each_once_oldest_first(self, known: Known, chunk: int, filters: Filters) -> None:
        request_ids = [row["request_id"] for row in rows_of("inference", filters)]

        expected = [
            event
            for event in known.within(HOUR)
            if (not filters.model or event.model_name in filters.model)
            and (not filters.provider or event.provider in filters.provider)
        ]
        assert request_ids == [event.request_id for event in sorted(expected, key=lambda event: event.timestamp)]
        assert len(request_ids) > 30

    def test_of_requests_has_the_selected_outcome(self, known: Known) -> None:
        failed = rows_of("inference", Filters(outcome="failed"))

        assert {row["success"] for row in failed} == {False}
        assert len(failed) == len(known.within(HOUR, lambda event: not event.success))

    def test_of_hosts_has_their_samples(self, known: Known, chunk: int) -> None:
        rows = rows_of("system", Filters(host=(ALPHA,)))

        sent = sorted(
            (event for event in known.machines if event.host == ALPHA and HOUR.start <= event.timestamp < HOUR.end),
            key=lambda event: event.timestamp,
        )
        assert [(row["cpu_percent"], row["load_average"], row["disk_percent"]) for row in rows] == [
            (event.cpu_percent, event.load_average, None) for event in sent
        ]

    def test_of_gpus_has_their_numbers_as_they_were_sent(self, known: Known, chunk: int) -> None:
        rows = rows_of("gpu", Filters(host=(ALPHA,), gpu=("1",)))

        assert {(row["host"], row["gpu_id"], row["power_draw_watts"]) for row in rows} == {(ALPHA, 1, None)}
        assert len(rows) == 180

    def test_of_queues_has_every_source(self, known: Known, chunk: int) -> None:
        rows = rows_of("queue", Filters(model=(CHATTY,)))

        assert {(row["model_name"], row["kind"], row["source"]) for row in rows} == {
            (CHATTY, "sdk", "pod-1"),
            (CHATTY, "track", "gateway-1"),
            (CHATTY, "track", "gateway-2"),
        }
        assert len(rows) == 3 * 240

    def test_of_errors_and_engines_is_empty_where_there_are_none(self, known: Known) -> None:
        assert rows_of("errors", Filters(model=("nobody",))) == rows_of("engines") == []

    def test_of_history_has_a_row_for_each_point(self, known: Known) -> None:
        pairs = [(catalogue.get("inference.requests"), "sum"), (catalogue.get("system.cpu_percent"), "max")]

        specs = [SeriesSpec(metric, stat, ("model",)) for metric, stat in pairs]
        rows = rows_of("history", specs=specs, step=600)

        series = series_of(pairs, HOUR, Filters(), step=600, group_by="model", now=NOW)
        assert [row["value"] for row in rows] == [
            value for line in series.as_dict()["series"] for _, value in line["points"]
        ]
        assert rows[0] == {
            "timestamp": "2026-03-01T11:30:00Z",
            "metric": "inference.requests",
            "stat": "sum",
            "unit": "requests",
            "labels": {"model": CHATTY},
            "value": series.lines[0].values[0],
        }

    def test_reads_nothing_before_the_first_row_is_requested(self, known: Known) -> None:
        with CaptureQueriesContext(connection) as before:
            table = queries.export("inference", HOUR, Filters(), now=NOW)
        assert len(before) == 0

        assert next(table.rows)["request_id"]

    def test_keeps_nothing_open_between_two_chunks(self, known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(exports, "CHUNK_ROWS", 10)
        table = queries.export("inference", HOUR, Filters(), now=NOW)

        with CaptureQueriesContext(connection) as statements:
            list(table.rows)

        chunks = [statement["sql"] for statement in statements if "metrics_inferencemetrics" in statement["sql"]]
        assert len(chunks) == len(known.within(HOUR)) // 10 + 1
        assert all("LIMIT 10" in sql for sql in chunks)
        # Each chunk starts after the previous one, not at the start of the window.
        assert sum(HOUR.start.strftime("%H:%M:%S") in sql for sql in chunks) == 1

    def test_of_another_app_is_that_app_s(self, db: Any) -> None:
        table = Table(("a",), iter([{"a": 1}]))
        added_exports.add("weather", lambda window, filters, now: table)
        try:
            assert "weather" in queries.EXPORT_KINDS
            assert queries.export("weather", HOUR, Filters(), now=NOW) is table
        finally:
            added_exports.remove("weather")
        assert "weather" not in queries.EXPORT_KINDS

    def test_of_an_unknown_kind_is_rejected_with_the_known_ones(self, db: Any) -> None:
        with pytest.raises(BadQuery) as rejected:
            queries.export("secrets", HOUR, Filters(), now=NOW)

        assert set(rejected.value.allowed) >= {"inference", "errors", "system", "gpu", "queue", "engines", "history"}

    def test_of_history_needs_a_metric(self, db: Any) -> None:
        with pytest.raises(BadQuery, match="metric"):
            queries.export("history", HOUR, Filters(), now=NOW)
