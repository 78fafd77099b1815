"""A source that is regular at its own pace has a point in every step, also in steps shorter than its interval."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from metrics import catalogue
from metrics.catalogue import Kind, Metric
from metrics.events import GPUSample, QueueEvent, SystemEvent
from metrics.queries import Filters, Window
from tests.metrics.queries.known_events import write
from tests.metrics.queries.series_of import series_of

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
GAUGES = [metric for metric in catalogue.of_type("system", "monitor", "gpu", "queue") if metric.kind is Kind.GAUGE]
STEPS = (1, 5, 10, 30, 60, 120, 300)


def sample(metric: Metric, seconds: float, value: int) -> Any:
    """A sample of a gauge this number of seconds before NOW."""
    at, field = NOW - timedelta(seconds=seconds), metric.field
    if metric.type == "queue":
        return QueueEvent(timestamp=at, source="s", model_name="q", **{field: value})
    if metric.type == "gpu":
        return SystemEvent(timestamp=at, host="h", gpu_metrics=(GPUSample(gpu_id="0", **{field: value}),))
    return SystemEvent(timestamp=at, host="h", **{field: [value, 0, 0] if field == "load_average" else value})


def values(metric: Metric, stat: str, step: int, seconds: int = 900) -> list[Any]:
    window = Window.of_seconds(NOW.timestamp() - seconds, NOW.timestamp())
    return series_of([(metric, stat)], window, Filters(), step=step, now=NOW).lines[0].values


@pytest.mark.parametrize("metric", GAUGES, ids=lambda metric: metric.name)
class AGauge:
    @pytest.mark.parametrize("interval", [20, 90, 300])
    def test_that_is_sampled_slowly_has_a_point_in_every_step(self, metric: Metric, interval: int) -> None:
        seconds = [(second // interval, second) for second in range(2_003, 0, -interval)]
        # Each second sample is a tenth of the interval late.
        write([sample(metric, second - number % 2 * interval // 10, 7) for number, second in seconds], now=NOW)

        for step in STEPS:
            for stat in metric.stats:
                assert set(values(metric, stat, step)) == {7}, (step, stat)

    def test_has_the_newest_value_in_each_step(self, metric: Metric) -> None:
        sampled = range(1_970, 0, -90)
        write([sample(metric, second, second // 90) for second in sampled], now=NOW)

        for step in (1, 10, 30, 60):
            before_end = [[second for second in sampled if second > begin - step] for begin in range(900, 0, -step)]
            assert values(metric, "last", step) == [seconds[-1] // 90 for seconds in before_end], step

    def test_is_not_held_longer_than_three_intervals(self, metric: Metric) -> None:
        write([sample(metric, second, 7) for second in range(720, 599, -30)], now=NOW)

        for step in (1, 10, 30):
            known = [900 - step * n for n, value in enumerate(values(metric, "avg", step)) if value is not None]
            # From the first sample to the last one, 600 s ago, and 90 s more.
            assert (known[0], known[-1] - step) == (720, 510), step
        assert [value is not None for value in values(metric, "avg", 60)] == [n in (3, 4, 5, 6) for n in range(15)]


class ASourceThatStops:
    @pytest.mark.parametrize(("first", "last"), [(420, 343), (315, 309), (349, 345)])
    def test_is_held_for_three_of_its_own_intervals_in_every_window(self, first: int, last: int) -> None:
        """Of a source that sends each second, that is 15 s, also if it has sent a few samples only."""
        metric = catalogue.get("system.cpu_percent")
        write([sample(metric, second, 7) for second in range(first, last - 1, -1)], now=NOW)

        for length in (700, 340, 320, 299):
            known = [length - n for n, value in enumerate(values(metric, "avg", 1, length)) if value is not None]
            assert known == list(range(min(first, length), last - 15, -1)), length


@pytest.fixture(scope="module")
def sources(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Hosts and queues that send in intervals of 1 s to 300 s, or irregularly, some for a part of the time."""
    draw = random.Random(11)
    events = []
    for number, interval in enumerate((1, 3, 7, 20, 50, 90, 300, 300)):
        seconds = draw.uniform(1_500, 2_500)
        while seconds > draw.choice((0, 0, 500)):
            value = draw.randrange(100)
            fields = {"cpu_percent": value, "memory_used_gb": value, "network_bytes_sent": int(1e6 - seconds) + value}
            at = NOW - timedelta(seconds=seconds)
            events.append(SystemEvent(timestamp=at, host=f"h{number}", **fields))
            kind = ("sdk", "track")[number % 2]
            events.append(QueueEvent(timestamp=at, source=f"s{number}", model_name="q", pending=value, kind=kind))
            seconds -= interval * draw.choice((1, 1, 1, 0.2, 2.5))
    with django_db_blocker.unblock():
        written = transaction.atomic()
        written.__enter__()
        write(events, now=NOW)
    yield
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        written.__exit__(None, None, None)


class AStepBelowAMinute:
    @pytest.mark.parametrize(
        ("name", "stat"),
        [
            *(
                (name, stat)
                for name in ("system.cpu_percent", "queue.pending")
                for stat in ("avg", "min", "max", "last")
            ),
            ("system.memory_used_gb", "avg"),
            ("system.network_bytes_sent", "rate"),
            ("system.network_bytes_sent", "last"),
        ],
    )
    def test_has_the_same_value_in_every_window(self, sources: None, db: Any, name: str, stat: str) -> None:
        def read(start: int, length: int, step: int) -> list[Any]:
            window = Window.of_seconds(NOW.timestamp() - start, NOW.timestamp() - start + length)
            return series_of([(catalogue.get(name), stat)], window, Filters(), step=step, now=NOW).lines[0].values

        for step in (5, 30):
            whole = read(900, 900, step)
            for start in (900, 845, 600, 510, 130, 60, 30):
                first = (900 - start + step - 1) // step
                part = read(900 - first * step, 30, step)
                assert part == pytest.approx(whole[first : first + len(part)]), (step, start)


class ASourceThatSendsOnChange:
    @pytest.mark.parametrize("sent", [(750, 620, 590), (800, 799, 798, 700, 610, 605, 600, 470)])
    def test_has_one_value_for_each_bucket_whatever_the_window_is(self, sent: tuple[int, ...]) -> None:
        metric = catalogue.get("queue.pending")
        write([sample(metric, second, 5) for second in sent], now=NOW)

        for step in (5, 10, 30):
            whole = values(metric, "avg", step, 900)
            for length in range(2 * step, 600, step):
                assert values(metric, "avg", step, length) == whole[-length // step :], (step, length)


class APause:
    @pytest.mark.parametrize("sent_before", [3, 9, 25])
    def test_is_not_shorter_after_the_source_has_sent_again(self, sent_before: int) -> None:
        """The pause ends in the minute in which it began."""
        metric = catalogue.get("system.cpu_percent")
        stopped = 360 - sent_before
        write([sample(metric, second, 7) for second in range(490, stopped, -1)], now=NOW)
        before = values(metric, "avg", 1, 700)[: 700 - stopped + 30]

        for second in range(stopped - 31, stopped - 34, -1):
            write([sample(metric, second, 7)], now=NOW)

            assert values(metric, "avg", 1, 700)[: 700 - stopped + 30] == before

    @pytest.mark.parametrize("sent_before", [1, 2, 9])
    def test_of_a_new_source_is_not_shorter_after_it_has_sent_again(self, sent_before: int) -> None:
        """There is no minute before that would say how often the source sends."""
        metric = catalogue.get("system.cpu_percent")
        first = 600  # the start of a minute
        stopped = first - sent_before
        write([sample(metric, second, 7) for second in range(first, stopped, -1)], now=NOW)
        before = values(metric, "avg", 1, 700)[: 700 - stopped + 30]

        for second in range(stopped - 31, stopped - 34, -1):
            write([sample(metric, second, 7)], now=NOW)

            assert values(metric, "avg", 1, 700)[: 700 - stopped + 30] == before
