"""The memory of one query is limited, and one heavy query of a process runs at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from llmmonitor.infra.fair_lock import FairLock
from metrics import catalogue, queries
from metrics.live.hub import make_views
from metrics.queries import Filters, SeriesSpec, Window
from metrics.queries.exceptions import QueryTooLarge, QueryTooSlow, TooManyQueries
from metrics.queries.read import budget
from metrics.queries.read.appended_rows import AppendedRows
from metrics.queries.read.budget import LIGHT_ROWS, count_rows, query_budget
from tests.metrics.queries.known_events import NOW, Known

pytestmark = [pytest.mark.store, pytest.mark.django_db]

WINDOW = Window.last(7_200, NOW)
GAUGES = (
    SeriesSpec.of("system.cpu_percent", "avg"),
    SeriesSpec.of("system.cpu_percent", "last"),
    SeriesSpec.of("queue.pending", "avg"),
)


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> FairLock:
    """Replace the lock of heavy queries."""
    lock = FairLock()
    monkeypatch.setattr(budget, "_heavy_query", lock)
    return lock


class TheMemoryOfAQuery:
    @pytest.mark.parametrize(
        "read",
        [
            lambda: queries.summary(WINDOW, Filters(), NOW),
            lambda: queries.models(WINDOW, Filters(), NOW),
            lambda: queries.heatmap(catalogue.get("inference.response_time_ms"), WINDOW, Filters(), now=NOW),
            *(lambda spec=spec: queries.series([spec], WINDOW, Filters(), now=NOW) for spec in GAUGES),
            lambda: queries.series(GAUGES[:1], Window.last(60, NOW), Filters(), now=NOW),
        ],
        ids=["summary", "models", "heatmap", "rollups", "single rollups", "queues", "samples"],
    )
    def test_is_limited(self, known: Known, monkeypatch: pytest.MonkeyPatch, read: Any) -> None:
        read()
        monkeypatch.setattr(budget, "MAX_BYTES", 100)

        with pytest.raises(QueryTooLarge, match=r"MiB.*shorter window"):
            read()


class AHeavyQuery:
    def test_waits_for_another_one_at_most_as_long_as_its_budget(self, db: Any, lock: FairLock) -> None:
        busy = pytest.raises(TooManyQueries, match=r"0\.01 s.*Try again.*shorter window")
        with lock.hold(0), busy, query_budget(0.01):
            count_rows(LIGHT_ROWS + 1, 0)

    def test_has_its_whole_budget_after_it_has_waited(self, db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = [0.0]

        class Lock:
            @contextmanager
            def hold(self, longest_wait: float) -> Iterator[bool]:
                clock[0] += longest_wait
                yield True

        monkeypatch.setattr(budget.time, "monotonic", lambda: clock[0])
        monkeypatch.setattr(budget, "_heavy_query", Lock())
        with query_budget(5):
            count_rows(LIGHT_ROWS + 1, 0)
            clock[0] += 4.9
            count_rows(1, 0)
            clock[0] += 0.2
            with pytest.raises(QueryTooSlow):
                count_rows(1, 0)

    def test_lets_the_next_one_run_when_it_ends(self, db: Any, lock: FairLock) -> None:
        for _ in range(2):
            with query_budget(30):
                count_rows(LIGHT_ROWS + 1, 0)
        with pytest.raises(ZeroDivisionError), query_budget(30):
            count_rows(LIGHT_ROWS + 1, 0)
            raise ZeroDivisionError
        with query_budget(30):
            count_rows(LIGHT_ROWS + 1, 0)

    def test_is_one_that_reads_many_rows(self, known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
        class BusyLock:
            @contextmanager
            def hold(self, longest_wait: float) -> Iterator[bool]:
                yield False

        monkeypatch.setattr(budget, "LIGHT_ROWS", 10)
        monkeypatch.setattr(budget, "_heavy_query", BusyLock())
        for read in (queries.summary, queries.models):
            with pytest.raises(TooManyQueries):
                read(WINDOW, Filters(), NOW)


class ALightQuery:
    def test_does_not_wait(self, known: Known, lock: FairLock) -> None:
        with lock.hold(0):
            assert queries.summary(WINDOW, Filters(), NOW).figures["total_requests"]

    def test_of_the_live_stream_never_waits(
        self, known: Known, lock: FairLock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def compute(*_: Any) -> dict[str, int]:
            count_rows(LIGHT_ROWS + 1, 0)
            return {"view": 1}

        monkeypatch.setattr(budget, "LIGHT_ROWS", 0)
        monkeypatch.setattr("metrics.live.hub.compute_view", compute)

        class Wanted:
            key = b"key"

        with lock.hold(0):
            assert queries.current(NOW)["overall"]["requests_per_second"]
            assert make_views(NOW, [Wanted()], {}, AppendedRows()) == {b"key": '{"view":1}'}  # type: ignore[list-item]
