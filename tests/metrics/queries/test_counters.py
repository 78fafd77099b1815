"""The rate of a counter is its growth, spread over the time between two samples."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from django.core.cache import caches
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from metrics import catalogue
from metrics.catalogue import Kind
from metrics.events import SystemEvent
from metrics.models import GaugeRollup
from metrics.queries import Filters, SeriesSpec, Window, Windows, moving
from metrics.store.raw_floors import raise_floor
from metrics.store.upkeep import level_hours
from metrics.store.upkeep.deleting import Steps
from metrics.store.writing.transaction import Store
from tests.metrics.queries.series_of import series_of

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
COUNTERS = [metric for metric in catalogue.of_type("system") if metric.kind is Kind.COUNTER]
SENT = catalogue.get("system.network_bytes_sent")
MB = 1_000_000


def write(*events: SystemEvent) -> None:
    assert Store(clock=lambda: NOW).commit(events).accepted == len(events)


def sample(seconds: float, value: int | None, host: str = "h", field: str = SENT.field) -> SystemEvent:
    """A sample of a counter this number of seconds before NOW."""
    return SystemEvent(timestamp=NOW - timedelta(seconds=seconds), host=host, **{field: value})


def rates(step: int, seconds: int = 3_600, metric: Any = SENT) -> list[Any]:
    window = Window.of_seconds(NOW.timestamp() - seconds, NOW.timestamp())
    return series_of([(metric, "rate")], window, Filters(), step=step, now=NOW).lines[0].values


def convert(metric: str = SENT.name) -> None:
    """Turn the minutes into rows of hours."""
    level_hours.convert_and_delete(metric, int(NOW.timestamp()), Steps(time.monotonic() + 60, pause=0))
    caches["queries"].clear()


class ACounter:
    @pytest.mark.parametrize("metric", COUNTERS, ids=lambda metric: metric.short)
    def test_that_is_reset_keeps_its_rate_at_every_step(self, metric: Any) -> None:
        # 1 MB/s. The host starts again at half past, and three times in the quarter after it.
        begins = (7_200, 1_800, 1_500, 1_200, 900)
        events = []
        for second in range(3_660, 0, -15):
            start = min(begin for begin in begins if begin >= second)
            events.append(sample(second, (start - second) * MB, field=metric.field))
        write(*events)

        for step in (1, 10, 30):
            assert min(rates(step, 1_200, metric)[: -15 // step or None]) >= 0
        for step in (60, 300, 3_600):
            values = rates(step, metric=metric)[: -1 if step == 60 else None]
            assert all(0.7 * MB < value <= 1.01 * MB for value in values), (step, values)
        assert rates(3_600, metric=metric) == [pytest.approx(MB, rel=0.02)]
        convert(metric.name)
        assert rates(3_600, metric=metric) == [pytest.approx(MB, rel=0.02)]

    @pytest.mark.parametrize("interval", [7, 45, 90, 170, 300])
    def test_that_is_sampled_slowly_has_a_rate_in_every_step(self, interval: int) -> None:
        write(*(sample(second, (7_200 - second) * 10) for second in range(7_199, 0, -interval)))

        for step in (1, 5, 10, 30):
            assert {round(value, 6) for value in rates(step, 900)[: -interval // step]} == {10}
        for step in (60, 120, 600, 3_600):
            assert {round(value, 6) for value in rates(step)[: -6 if step < 600 else None]} == {10}

    def test_is_not_known_after_a_gap(self) -> None:
        write(sample(1_150, 0), sample(819, 3_310), sample(489, 6_610))

        values = rates(60, 1_200)

        assert [value for value in values if value is not None] == [pytest.approx(10)] * 6
        assert values[6:12] == [pytest.approx(10)] * 6

    def test_of_hosts_one_after_another_is_that_of_one(self) -> None:
        for number in range(5):
            begin = 3_600 - 600 * number
            write(*(sample(begin - second, second * MB, f"pod-{number}") for second in range(0, 300, 20)))

        assert rates(3_600) == [pytest.approx(MB)]
        convert()
        assert rates(3_600) == [pytest.approx(MB)]

    def test_of_a_sender_between_the_samples_of_another_is_known(self) -> None:
        others = [SystemEvent(timestamp=NOW - timedelta(seconds=s), host="h", cpu_percent=1.0) for s in (95, 65, 35)]
        disk = [sample(s, 5 * (500 - s), field="disk_read_bytes") for s in (110, 50)]
        for event in (sample(100, 0), *others, *disk, sample(40, 600)):
            write(event)

        assert rates(60, 120) == [pytest.approx(10)] * 2
        assert rates(60, 120, catalogue.get("system.disk_read_bytes")) == [pytest.approx(5)] * 2

    def test_of_a_late_sample_is_counted_once(self) -> None:
        write(sample(179, 0), sample(61, 1_180))
        write(sample(120, 1_180))

        assert rates(60, 180) == [pytest.approx(20), pytest.approx(0), None]

    def test_is_not_counted_twice_at_the_raw_floor(self) -> None:
        write(sample(170, 0), sample(10, 16 * MB))
        before = sum(GaugeRollup.objects.filter(growth__isnull=False).values_list("growth", flat=True))
        raise_floor("system", NOW - timedelta(seconds=120))
        write(sample(90, 16 * MB))
        assert sum(GaugeRollup.objects.filter(growth__isnull=False).values_list("growth", flat=True)) == before

    def test_of_a_single_sample_has_no_hour(self) -> None:
        write(sample(5_000, 7))

        convert()

        assert not GaugeRollup.objects.exists()

    def test_has_the_last_value_of_the_hosts_at_the_end(self) -> None:
        write(sample(3_000, 7, "old"), sample(100, 5), sample(40, 9), sample(50, 30, "b"))
        window = Window.of_seconds(NOW.timestamp() - 3_600, NOW.timestamp())

        (line,) = series_of([(SENT, "last")], window, Filters(), step=3_600, now=NOW).lines

        assert line.values == [39]


class ACounterOfTheMonitor:
    """The monitor samples itself each second, so a longer time without a sample is an outage."""

    STORED = catalogue.get("monitor.events_accepted")

    def write_samples(self, start: int, end: int) -> None:
        """Two events are stored each second, after a start at `start` seconds before NOW."""
        write(*(sample(s, 2 * (start - s), "monitor", self.STORED.field) for s in range(start, end, -1)))

    @pytest.mark.parametrize("step", [10, 60, 600])
    def test_has_a_rate_at_every_step(self, step: int) -> None:
        self.write_samples(600, -1)

        assert rates(step, 600, self.STORED) == [pytest.approx(2)] * (600 // step)

    def test_has_a_rate_in_hours(self) -> None:
        self.write_samples(3_600, 3_000)
        convert(self.STORED.name)

        assert rates(3_600, 3_600, self.STORED) == [pytest.approx(2)]

    @pytest.mark.parametrize(("step", "down"), [(10, 50), (60, 240)])
    def test_is_not_known_while_the_monitor_was_down(self, step: int, down: int) -> None:
        self.write_samples(600, 299)
        self.write_samples(300 - down, -1)

        values = rates(step, 600, self.STORED)

        begin, end = 300 // step, (300 + down) // step
        assert values[:begin] == [pytest.approx(2)] * begin
        assert values[begin:end] == [None] * (end - begin)
        assert values[end:] == [pytest.approx(2)] * (len(values) - end)

    def test_of_a_window_around_an_outage_is_that_of_the_time_before_and_after(self) -> None:
        self.write_samples(600, 299)
        self.write_samples(250, -1)
        end = int(NOW.timestamp()) - 240
        windows = Windows(np.array([end - 80]), np.array([end]), 1)

        [values] = moving(SeriesSpec(self.STORED, "rate"), windows, Filters()).values()

        assert list(values.values) == [pytest.approx(2)]


class Reading(NamedTuple):
    """A sample of a test: the number of its host, its seconds before NOW, its value."""

    host: int
    seconds: int
    value: int


readings = st.lists(
    st.builds(Reading, st.integers(0, 2), st.integers(1, 1_200) | st.integers(1, 7_200), st.integers(0, 10_000)),
    max_size=30,
    unique_by=lambda reading: reading[:2],
)


def by_definition(sent: Sequence[Reading]) -> list[float | None]:
    """The rate of each of the 120 minutes before NOW, added over the hosts."""
    growth: dict[tuple[int, int], float] = defaultdict(float)
    covered: dict[tuple[int, int], float] = defaultdict(float)
    for host in range(3):
        own = sorted((7_200 - seconds, value) for other, seconds, value in sent if other == host)
        for (start, before), (end, after) in pairwise(own):
            if end - start > 330:
                continue
            for second in range(start, end):
                growth[host, second // 60] += (after - before if after >= before else after) / (end - start)
                covered[host, second // 60] += 1
    rates: list[float | None] = []
    for minute in range(120):
        known = [growth[host, minute] / covered[host, minute] for host in range(3) if covered[host, minute]]
        rates.append(sum(known) if known else None)
    return rates


class Undone(Exception):
    """Ends an example's transaction, so that each begins with an empty store."""


class TheRateOfACounter:
    @given(readings, st.data())
    def test_is_the_same_at_every_step_in_whatever_order_the_samples_arrive(
        self, sent: list[Reading], data: st.DataObject
    ) -> None:
        with pytest.raises(Undone), transaction.atomic():
            self.check(sent, data)
            raise Undone

    def check(self, sent: list[Reading], data: st.DataObject) -> None:
        caches["queries"].clear()
        left = list(data.draw(st.permutations(sent)))
        while left:
            size = data.draw(st.integers(1, 4))
            write(*(sample(seconds, value, f"h{host}") for host, seconds, value in left[:size]))
            left = left[size:]
        minutes = by_definition(sent)
        for convert_first, steps in ((False, (60, 120, 600, 3_600, 7_200)), (True, (3_600, 7_200))):
            if convert_first:
                convert()
            for step in steps:
                size = step // 60
                parts = [[v for v in minutes[n : n + size] if v is not None] for n in range(0, 120, size)]
                expected = [
                    pytest.approx(sum(part) / len(part), rel=1e-6, abs=1e-6) if part else None for part in parts
                ]
                assert rates(step, 7_200) == expected, (step, convert_first)
