"""Decoded rollup rows that are kept: every answer is that of the stored rows, whatever was written since."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.db import transaction

from metrics import catalogue, queries
from metrics.events import InferenceEvent
from metrics.models import InferenceRollup
from metrics.queries import Filters, SeriesSpec, Window
from metrics.queries.read import rollup_cache, rollup_rows
from metrics.queries.read.block_cache import BLOCK_OVERHEAD, BLOCK_SECONDS, BlockCache
from metrics.queries.read.rollup_cache import read_rows
from metrics.queries.read.rollup_rows import RowBlock, Selection
from metrics.queries.time.plan import Segment
from metrics.store.compaction import merge_leftovers
from metrics.store.forgetting import forget
from metrics.store.upkeep.deleting import Steps
from metrics.store.writing.transaction import Store

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

NOW = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
HOURS = 60
NOW_S = int(NOW.timestamp())
LAST_HOURS = Segment(3_600, NOW_S // 3_600 * 3_600 - HOURS * 3_600, NOW_S // 3_600 * 3_600 + 3_600)
RESPONSE = catalogue.get("inference.response_time_ms")
COLUMNS = ("ok", "failed", "response_time_ms", "has_prompt_tokens_histogram")


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    """Begin and end without kept rows."""
    rollup_cache.cache.clear()
    yield
    rollup_cache.cache.clear()


def commit(number: int, draw: random.Random, hours: float = HOURS, model: str = "") -> None:
    """Store some requests of the last hours."""
    Store(clock=lambda: NOW).commit(
        [
            InferenceEvent(
                timestamp=NOW - timedelta(seconds=round(draw.uniform(0, hours * 3_600))),
                request_id=f"r-{draw.random()}",
                model_name=model or draw.choice(("a", "b", "c")),
                response_time_ms=draw.lognormvariate(5, 1),
                success=draw.random() < 0.9,
                prompt_tokens=draw.choice((None, 0, 100)),
            )
            for _ in range(number)
        ]
    )


def answers(filters: Filters) -> list[Any]:
    """Return answers of each kind, over windows that are read by hours and by minutes."""
    specs = [SeriesSpec.of("inference.requests", "sum", "model"), SeriesSpec.of(RESPONSE.name, "p95")]
    found: list[Any] = []
    for hours in (HOURS, 5):
        window = Window.last(hours * 3_600, NOW)
        found += [
            queries.distribution(RESPONSE, window, filters, NOW).as_dict(),
            queries.summary(window, filters, NOW).as_dict(),
            queries.series(specs, window, filters, now=NOW).as_dict(),
            queries.heatmap(RESPONSE, window, filters, now=NOW).as_dict(),
            queries.models(window, filters, NOW).results,
        ]
    return found


def decoded_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which the number of rows is appended at each decoding."""
    numbers: list[int] = []
    of = RowBlock.of.__func__  # type: ignore[attr-defined]

    def counting(cls: type[RowBlock], rows: Any, names: Any) -> RowBlock:
        numbers.append(len(rows))
        block: RowBlock = of(cls, rows, names)
        return block

    monkeypatch.setattr(rollup_rows.RowBlock, "of", classmethod(counting))
    return numbers


class TheNextAnswer:
    @pytest.mark.parametrize("seed", range(2))
    def test_is_that_of_the_stored_rows_after_anything_that_is_written(self, seed: int) -> None:
        draw = random.Random(seed)
        commit(150, draw)
        steps: tuple[Callable[[], object], ...] = (
            lambda: commit(1, draw, hours=0.2),
            lambda: commit(1, draw),  # late
            lambda: commit(30, draw),
            lambda: merge_leftovers(NOW, Steps(1e12, sleep=lambda seconds: None)),
            lambda: forget(model=draw.choice(("a", "b", "d")), at=NOW),
            lambda: commit(20, draw, model="d"),
        )
        for _ in range(8):
            draw.choice(steps)()
            filters = draw.choice((Filters(), Filters(model=("b",)), Filters(model=("a", "d"))))
            kept = answers(filters)
            rollup_cache.cache.clear()
            assert kept == answers(filters)

    def test_has_a_late_event(self) -> None:
        commit(100, random.Random(1))
        window = Window.last(HOURS * 3_600, NOW)
        before = queries.summary(window, Filters(), NOW).figures["total_requests"]
        commit(1, random.Random(2))
        assert queries.summary(window, Filters(), NOW).figures["total_requests"] == int(before or 0) + 1

    def test_has_rows_that_were_written_while_the_block_was_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        draw = random.Random(3)
        commit(200, draw)
        read_rows([LAST_HOURS], COLUMNS[:1], None)
        checksums = Selection.checksums

        def checksums_and_commit(self: Selection, segment: Segment, seconds: int) -> Any:
            read = checksums(self, segment, seconds)
            commit(50, draw)
            return read

        with monkeypatch.context() as patch:
            patch.setattr(Selection, "checksums", checksums_and_commit)
            read_rows([LAST_HOURS], COLUMNS, None)  # reads the columns that are not kept of rows that have changed
        kept = read_rows([LAST_HOURS], COLUMNS, None)
        rollup_cache.cache.clear()
        fresh = read_rows([LAST_HOURS], COLUMNS, None)
        for name in ("ok", "failed", "has_prompt_tokens_histogram"):
            assert np.array_equal(kept.integers(name), fresh.integers(name))
        assert kept.requests.sum() == 250

    def test_has_the_rows_of_an_open_transaction_which_may_be_rolled_back(self) -> None:
        commit(100, random.Random(4))
        with transaction.atomic():
            commit(10, random.Random(5))
            assert read_rows([LAST_HOURS], COLUMNS, None).requests.sum() == 110
            transaction.set_rollback(True)
        assert read_rows([LAST_HOURS], COLUMNS, None).requests.sum() == 100
        assert rollup_cache.cache.nbytes > 0


class WhenNothingHasChanged:
    def test_only_rows_outside_of_whole_blocks_are_decoded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        commit(300, random.Random(6))
        first = read_rows([LAST_HOURS], COLUMNS, None)
        numbers = decoded_rows(monkeypatch)
        again = read_rows([LAST_HOURS], COLUMNS, None)
        assert np.array_equal(first.buckets, again.buckets)
        block = BLOCK_SECONDS[3_600]
        outside = InferenceRollup.objects.filter(resolution=3_600).exclude(
            bucket__gte=-(-LAST_HOURS.start // block) * block, bucket__lt=LAST_HOURS.end // block * block
        )
        assert sum(numbers) == outside.count() < len(again) / 3

    def test_a_new_event_lets_only_its_block_be_decoded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        commit(300, random.Random(7))
        whole = Segment(3_600, LAST_HOURS.end // 21_600 * 21_600 - 43_200, LAST_HOURS.end // 21_600 * 21_600)
        read_rows([whole], COLUMNS, None)
        Store(clock=lambda: NOW).commit(
            [InferenceEvent(timestamp=datetime.fromtimestamp(whole.start, UTC), request_id="late", model_name="a")]
        )
        numbers = decoded_rows(monkeypatch)
        read_rows([whole], COLUMNS, None)
        of_block = InferenceRollup.objects.filter(
            resolution=3_600, bucket__gte=whole.start, bucket__lt=whole.start + 21_600
        )
        assert sum(numbers) == of_block.count()

    def test_only_columns_that_were_not_read_before_are_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        commit(300, random.Random(8))
        whole = Segment(3_600, LAST_HOURS.end // 21_600 * 21_600 - 43_200, LAST_HOURS.end // 21_600 * 21_600)
        read_rows([whole], ("ok",), None)
        names: list[Any] = []
        rows = Selection.rows
        monkeypatch.setattr(Selection, "rows", lambda self, segment, of: names.append(of) or rows(self, segment, of))
        read_rows([whole], ("ok", "response_time_ms"), None)
        assert names == [("response_time_ms",)]


class TheCache:
    def test_keeps_the_blocks_that_were_used_last_within_its_bytes(self) -> None:
        numbers = np.arange(100)
        block = RowBlock(numbers, numbers, numbers, {})
        size = block.nbytes + BLOCK_OVERHEAD
        cache, everything = BlockCache(3 * size), Selection(None)
        for start in range(3):
            cache.put((60, start, everything), block)
        assert cache.get((60, 0, everything)) is block
        cache.put((60, 3, everything), block)
        assert cache.get((60, 1, everything)) is None
        assert cache.get((60, 0, everything)) is block
        cache.put((60, 0, everything), block)
        assert cache.nbytes == 3 * size
