"""SQLite reads the range of an index that is the window of the query. It never reads a whole table of single rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics import catalogue, queries
from metrics.events import SystemEvent
from metrics.live.subscriptions import compute_view, parse
from metrics.models import Series
from metrics.queries import Filters, Window
from metrics.queries.answers import exports
from tests.metrics.queries.known_events import ALPHA, CHATTY, NOW, Known, write
from tests.metrics.queries.series_of import series_of

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL plans by its statistics"),
]

HOUR = Window.last(3_600, NOW)
NARROW = Filters(model=(CHATTY,), host=(ALPHA,), gpu=("0",))
RAW = ("inferencemetrics", "errormetrics", "systemmetrics", "gpumetrics", "queuemetrics", "enginemetrics")
SPAN_OF_INSTANCE = r"\(labels_id,timestamp\)>\(\?,\?\) AND \(labels_id,timestamp\)<\(\?,\?\)"
PAIRS = [
    (catalogue.get(name), stat)
    for name, stat in (
        ("inference.response_time_ms", "p95"),
        ("inference.requests", "rate"),
        ("error.count", "sum"),
        ("queue.pending", "avg"),
        ("queue.pending", "last"),
        ("system.cpu_percent", "avg"),
        ("system.network_bytes_sent", "rate"),
        ("gpu.temperature", "max"),
    )
]


def steps_of(query: Callable[[], Any]) -> list[str]:
    """Return SQLite's query plans of the SELECT statements, with a line for each table and sort."""
    with CaptureQueriesContext(connection) as captured:
        query()
    steps = []
    for statement in captured:
        if statement["sql"].startswith("SELECT"):
            rows = connection.connection.execute("EXPLAIN QUERY PLAN " + statement["sql"]).fetchall()
            steps += [row[3] for row in rows]
    return steps


def check(steps: list[str]) -> None:
    """Check that rollups are read by resolution and bucket, and single rows by their time."""
    reads_rollups = False
    for step in steps:
        table = re.match(r"(SCAN|SEARCH) metrics_(\w+)", step)
        if not table:
            continue
        if table[2] in RAW:
            assert re.search(rf"^SEARCH .* \(((.*=\? AND )?timestamp[<>=]\?|{SPAN_OF_INSTANCE}\))", step), step
        if table[2] in ("inferencerollup", "gaugerollup"):
            assert re.search(r"^SEARCH .*\(resolution=\? AND (metric=\? AND )?bucket>\? AND bucket<\?\)", step), step
            reads_rollups = True
    assert reads_rollups, steps


@pytest.mark.parametrize("filters", [Filters(), NARROW], ids=["all", "narrowed"])
class TheFiguresOfAWindow:
    def test_of_a_summary_come_from_rollups(self, known: Known, filters: Filters) -> None:
        check(steps_of(lambda: queries.summary(HOUR, filters, NOW)))

    @pytest.mark.parametrize("step", [10, 60, 3_600])
    def test_of_a_series_come_from_rollups(self, known: Known, filters: Filters, step: int) -> None:
        check(steps_of(lambda: series_of(PAIRS, HOUR, filters, step=step, now=NOW)))

    def test_of_a_live_page_come_from_rollups(self, known: Known, filters: Filters) -> None:
        specs = [{"metric": metric.name, "stat": stat} for metric, stat in PAIRS]

        subscription = parse({"filters": filters.as_dict(), "step": 10, "series": specs}, NOW)
        check(steps_of(lambda: compute_view(subscription, NOW)))

    def test_of_a_distribution_come_from_rollups(self, known: Known, filters: Filters) -> None:
        metric = catalogue.get("inference.ttft_ms")

        check(steps_of(lambda: queries.distribution(metric, HOUR, filters, NOW)))
        check(steps_of(lambda: queries.heatmap(metric, HOUR, filters, now=NOW)))

    def test_of_a_heatmap_of_devices_come_from_rollups(self, known: Known, filters: Filters) -> None:
        metric = catalogue.get("gpu.utilization_percent")

        check(steps_of(lambda: queries.device_heatmap(metric, "gpu", HOUR, filters, now=NOW)))

    def test_of_the_models_come_from_rollups(self, known: Known, filters: Filters) -> None:
        steps = steps_of(lambda: queries.models(HOUR, filters, NOW))

        # Of the single rows, only the newest request of each model is read: were its times generated?
        newest = "SEARCH metrics_inferencemetrics USING INDEX inference_series_time (series_id=?)"
        check([step for step in steps if step != newest])


class TheTick:
    def test_reads_only_ranges_of_time(self, known: Known) -> None:
        check(steps_of(lambda: queries.current(NOW)))

    def test_has_few_statements(self, known: Known) -> None:
        with CaptureQueriesContext(connection) as captured:
            queries.current(NOW)

        assert len(captured) <= 16


class ACommitOfCounters:
    def test_reads_the_samples_before_and_after_a_new_one_by_its_label_set(self, known: Known) -> None:
        statements: list[str] = []
        connection.connection.set_trace_callback(statements.append)
        try:
            write([SystemEvent(timestamp=NOW, host="new", network_bytes_sent=1)])
        finally:
            connection.connection.set_trace_callback(None)

        read = [text for text in statements if re.match(r"SELECT timestamp,.* FROM \"metrics_systemmetrics\"", text)]
        plans = [connection.connection.execute("EXPLAIN QUERY PLAN " + text).fetchall() for text in read]
        assert len(plans) == 2
        for [(*_, step)] in plans:
            assert re.search(rf"^SEARCH .* \({SPAN_OF_INSTANCE}\)", step), step


class APageOfRows:
    @pytest.mark.parametrize("filters", [Filters(), NARROW], ids=["all", "narrowed"])
    def test_starts_where_the_previous_page_ended(self, known: Known, filters: Filters) -> None:
        first = queries.requests(filters, limit=20)

        steps = steps_of(lambda: queries.requests(filters, limit=20, cursor=first.next))

        # The only sort is that of rows with the same time.
        assert not [step for step in steps if "ORDER BY" in step and "RIGHT PART" not in step and "LAST" not in step]
        assert [step for step in steps if re.search(r"SEARCH metrics_inferencemetrics .*timestamp<\?", step)]

    def test_of_one_request_id_is_read_from_the_index_of_the_key(self, known: Known) -> None:
        steps = steps_of(lambda: queries.requests(Filters(request_id="r-17")))

        # The index holds the id, so the rows of other requests are not read. Its order is that of the page.
        [(table, index)] = [step.split(" USING ")[:2] for step in steps if "metrics_inferencemetrics" in step]
        assert (table, index) == ("SCAN metrics_inferencemetrics", "INDEX sqlite_autoindex_metrics_inferencemetrics_1")
        assert [step for step in steps if "ORDER BY" in step] == ["USE TEMP B-TREE FOR RIGHT PART OF ORDER BY"]

    @pytest.mark.parametrize("kind", ["inference", "system", "gpu", "queue"])
    def test_of_an_export_is_read_by_its_time(self, known: Known, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(exports, "CHUNK_ROWS", 20)

        steps = steps_of(lambda: list(queries.export(kind, HOUR, NARROW, now=NOW).rows))

        raw = [step for step in steps if re.match(rf"\w+ metrics_({'|'.join(RAW)})", step)]
        # The errors that were sent with requests are read by their ids.
        own = [step for step in raw if not re.search(r"metrics_errormetrics .*\(request_id=\?", step)]
        assert len(own) > 2
        assert all(re.search(r"timestamp>\? AND timestamp<\?\)", step) for step in own), raw

    @pytest.mark.parametrize(
        "filters", [{}, {"model": (CHATTY,)}, {"outcome": "failed"}], ids=["id", "model", "failed"]
    )
    @pytest.mark.parametrize("window", [None, HOUR], ids=["of all times", "in a window"])
    def test_of_a_request_id_is_read_by_the_id(self, known: Known, filters: Any, window: Window | None) -> None:
        Series.objects.create(model_name=Series.OTHER, first_seen=NOW, last_seen=NOW)
        with connection.cursor() as cursor:
            cursor.execute("CREATE INDEX test_request_id ON metrics_inferencemetrics (request_id)")

        steps = steps_of(lambda: queries.requests(Filters(request_id="r-1", **filters), window=window))

        raw = [step for step in steps if "metrics_inferencemetrics" in step]
        assert raw
        assert all(re.search(r"SEARCH .*\(request_id=\?", step) for step in raw), raw
