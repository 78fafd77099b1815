"""Rows of gauges that are kept decoded: every answer is that of the stored rows, whatever was written since."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from metrics import catalogue, queries
from metrics.events.samples import GPUSample, QueueEvent, SystemEvent
from metrics.levels import HOUR
from metrics.queries import Filters, SeriesSpec, Window
from metrics.queries.read import gauge_cache, gauge_rollups
from metrics.queries.read.gauge_cache import read_rows
from metrics.queries.time.plan import Segment
from metrics.readings import MINUTE
from metrics.store.compaction import merge_leftovers
from metrics.store.forgetting import forget
from metrics.store.upkeep import level_hours
from metrics.store.upkeep.deleting import Steps
from metrics.store.writing.transaction import Store

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

NOW = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
NOW_S = int(NOW.timestamp())
HOURS = 12
CPU = catalogue.get("system.cpu_percent")
PENDING = catalogue.get("queue.pending")
BY_HOST = ("system.cpu_percent", "system.network_bytes_sent", "gpu.utilization_percent")
LAST_HOURS = Segment(MINUTE, NOW_S - HOURS * HOUR, NOW_S + MINUTE)


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    """Begin and end without kept rows."""
    gauge_cache.cache.clear()
    yield
    gauge_cache.cache.clear()


def commit(number: int, draw: random.Random, hours: float = HOURS) -> None:
    """Store some samples of hosts, GPUs and queues of the last hours."""
    events: list[Any] = []
    for _ in range(number):
        at = NOW - timedelta(seconds=round(draw.uniform(0, hours * HOUR)))
        gpu = GPUSample(gpu_id="0", utilization_percent=draw.uniform(0, 100))
        figures = {"cpu_percent": draw.uniform(0, 100), "network_bytes_sent": draw.randrange(10**9)}
        events.append(SystemEvent(timestamp=at, host=draw.choice("ab"), gpu_metrics=(gpu,), **figures))
        events.append(QueueEvent(timestamp=at, model_name=draw.choice("qr"), source="s", pending=draw.randrange(9)))
    Store(clock=lambda: NOW).commit(events)


def steps() -> Steps:
    return Steps(1e12, sleep=lambda seconds: None)


def convert(hours: float) -> None:
    """Turn the minutes of levels that are older than some hours into rows of hours, as upkeep does."""
    for metric in ("queue.pending", "system.network_bytes_sent"):
        level_hours.convert_and_delete(metric, int((NOW - timedelta(hours=hours)).timestamp()), steps())


def answers(filters: Filters) -> list[Any]:
    specs = [
        *(SeriesSpec.of(name, "rate" if "bytes" in name else "avg", "host") for name in BY_HOST),
        SeriesSpec.of("system.cpu_percent", "last"),
        *(SeriesSpec.of(PENDING.name, stat, "model") for stat in ("avg", "max")),
    ]
    found: list[Any] = []
    for hours, step in ((HOURS, 300), (HOURS, HOUR), (3, 60)):
        window = Window.last(hours * HOUR, NOW)
        found.append(queries.series(specs, window, filters, step=step, now=NOW).as_dict())
        found.append(queries.summary(window, filters, NOW).as_dict())
    return found


class TheNextAnswer:
    @pytest.mark.parametrize("seed", range(2))
    def test_is_that_of_the_stored_rows_after_anything_that_is_written(self, seed: int) -> None:
        draw = random.Random(seed)
        commit(100, draw)
        changes: tuple[Callable[[], object], ...] = (
            lambda: commit(1, draw, hours=0.2),
            lambda: commit(1, draw, hours=HOURS / 2),  # late
            lambda: merge_leftovers(NOW, steps()),
            lambda: forget(host=draw.choice("ab"), at=NOW),
            lambda: convert(HOURS - 2),
            lambda: convert(HOURS - draw.randrange(3, 6)),
        )
        for _ in range(8):
            draw.choice(changes)()
            filters = draw.choice((Filters(), Filters(host=("b",)), Filters(model=("q",))))
            kept = answers(filters)
            gauge_cache.cache.clear()
            assert kept == answers(filters)

    def test_has_an_hour_once_that_upkeep_converts_while_it_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        commit(100, random.Random(2))
        spec = SeriesSpec.of(PENDING.name, "avg")
        window = Window.of_seconds(NOW_S // HOUR * HOUR - HOURS * HOUR, NOW_S // HOUR * HOUR)
        before = queries.series([spec], window, Filters(), step=HOUR, now=NOW).lines[0].values

        def read_and_convert(metrics: Any, segment: Segment, ids: Any) -> Any:
            rows = read_rows(metrics, segment, ids)
            convert(6)
            return rows

        monkeypatch.setattr(gauge_rollups, "read_rows", read_and_convert)
        caches["queries"].clear()
        meanwhile = queries.series([spec], window, Filters(), step=HOUR, now=NOW).lines[0].values
        assert meanwhile == pytest.approx(before)

    def test_has_the_rows_of_an_open_transaction_which_may_be_rolled_back(self) -> None:
        commit(20, random.Random(3))
        stored = len(read_rows([CPU], LAST_HOURS, None)[CPU.name].ids)
        with transaction.atomic():
            commit(10, random.Random(4))
            assert len(read_rows([CPU], LAST_HOURS, None)[CPU.name].ids) > stored
            transaction.set_rollback(True)
        assert len(read_rows([CPU], LAST_HOURS, None)[CPU.name].ids) == stored


class WhenNothingHasChanged:
    def test_only_rows_outside_of_whole_blocks_are_read(self) -> None:
        commit(100, random.Random(5))
        first = read_rows([CPU], LAST_HOURS, None)[CPU.name]
        with CaptureQueriesContext(connection) as statements:
            again = read_rows([CPU], LAST_HOURS, None)[CPU.name]
        assert sorted(first.ids) == sorted(again.ids)
        assert len(statements) == 2  # the checksums, and the rows of the minutes outside of whole hours

    def test_a_window_of_whole_blocks_is_read_by_its_checksums_alone(self) -> None:
        commit(100, random.Random(6))
        whole = Segment(MINUTE, NOW_S // HOUR * HOUR - 5 * HOUR, NOW_S // HOUR * HOUR)
        first = read_rows([CPU], whole, None)[CPU.name]
        with CaptureQueriesContext(connection) as statements:
            again = read_rows([CPU], whole, None)[CPU.name]
        assert sorted(first.ids) == sorted(again.ids)
        assert len(first.ids) > 0
        assert len(statements) == 1
