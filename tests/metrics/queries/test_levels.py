"""Levels are added over the instances that exist in the same minute, and averaged over the minutes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from django.core.cache import caches
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from metrics import catalogue, queries
from metrics.catalogue import Combine
from metrics.events import GPUSample, QueueEvent, QueueKind, SystemEvent
from metrics.levels import COUNTERS, LEVELS
from metrics.models import GaugeLabels, GaugeRollup, RawFloor
from metrics.queries import BadQuery, Filters, SeriesSpec, Window
from metrics.queries.parameters import parse_live_step
from metrics.store.upkeep import level_hours
from metrics.store.upkeep.deleting import Steps
from metrics.store.writing.transaction import Store
from tests.environment import slow_examples
from tests.metrics.queries.known_events import write
from tests.metrics.queries.series_of import series_of

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
HOUR = Window.of_seconds(NOW.timestamp() - 3_600, NOW.timestamp())
THREE_HOURS = Window.of_seconds(NOW.timestamp() - 10_800, NOW.timestamp())
MINUTES = 180
STEPS = (60, 120, 300, 600, 1_800, 3_600)


def ago(**delta: float) -> datetime:
    return NOW - timedelta(**delta)


def queue(at: datetime, source: str, pending: int, kind: str = "track", **more: Any) -> QueueEvent:
    return QueueEvent(timestamp=at, source=source, kind=kind, pending=pending, **{"model_name": "q"} | more)


def lines(metric: str, stat: str = "avg", step: int = 60, window: Window = HOUR, **more: Any) -> dict[Any, list[Any]]:
    """The values of each line by its labels."""
    result = series_of([(catalogue.get(metric), stat)], window, Filters(), step=step, now=NOW, **more)
    return {tuple(line.labels.values()): line.values for line in result.lines}


def values(metric: str, stat: str = "avg", step: int = 60, window: Window = HOUR) -> list[Any]:
    return lines(metric, stat, step, window)[()]


def convert(before: datetime, metrics: Sequence[str] = tuple(sorted(LEVELS))) -> None:
    """Turn minutes into rows of hours, as upkeep does when their retention is over."""
    for metric in metrics:
        steps = Steps(time.monotonic() + 60, pause=0)
        level_hours.convert_and_delete(metric, int(before.timestamp()), steps)
    caches["queries"].clear()


def level_of(metric: str, instance: int, at: datetime, value: float) -> Any:
    """A sample of a metric, from a host, a GPU or a queue, one for each instance."""
    field, name = catalogue.get(metric).field, f"instance-{instance}"
    if metric.startswith("queue."):
        return QueueEvent(timestamp=at, source=name, model_name="q", **{field: int(value)})
    if metric.startswith("gpu."):
        return SystemEvent(timestamp=at, host=name, gpu_metrics=(GPUSample(gpu_id="0", **{field: value}),))
    return SystemEvent(timestamp=at, host=name, **{field: [value, 0, 0] if field == "load_average" else value})


SAMPLED = sorted(name for name in LEVELS - COUNTERS if not name.startswith("engine."))
ADDED = [name for name in SAMPLED if catalogue.get(name).combine is Combine.SUM]


class TheQueuesOfOneSource:
    def test_are_told_apart_by_provider_and_service_in_tick_and_history_alike(self) -> None:
        at = NOW - timedelta(seconds=5)
        labels = [{"provider": "west"}, {"provider": "east"}, {"provider": "east", "service": "chat"}]
        write([queue(at, "gateway", pending, **more) for pending, more in zip((3, 4, 5), labels, strict=True)], now=NOW)

        assert queries.current(NOW)["queue"]["pending"] == 12
        assert values("queue.pending")[-1] == values("queue.pending", "max", step=5)[-1] == 12
        assert {key: last[-1] for key, last in lines("queue.pending", group_by=("provider",)).items()} == {
            ("east",): 9,
            ("west",): 3,
        }
        of_west = series_of(
            [(catalogue.get("queue.pending"), "avg")], HOUR, Filters(provider=("west",)), step=60, now=NOW
        )
        assert of_west.lines[0].values[-1] == 3


class ALevel:
    @pytest.mark.parametrize("metric", SAMPLED)
    def test_of_instances_one_after_another_is_that_of_one_at_every_step(self, metric: str) -> None:
        write([level_of(metric, number, ago(minutes=5 + 10 * number), 8) for number in range(5)], now=NOW)

        for step in (1, 10, *STEPS):
            window = Window.of_seconds(HOUR.start_s, HOUR.end_s) if step > 1 else Window.last(1_800, NOW)
            for stat in ("avg", "min", "max", "last"):
                assert {value for value in values(metric, stat, step, window) if value is not None} == {8}, (step, stat)

    @pytest.mark.parametrize("metric", ADDED)
    def test_of_instances_at_the_same_time_is_their_sum_at_every_step(self, metric: str) -> None:
        events = [
            level_of(metric, number, ago(minutes=minute), 2 + number) for number in (0, 1) for minute in range(60)
        ]
        write(events, now=NOW)

        for step in STEPS:
            for stat in ("avg", "min", "max", "last"):
                complete = values(metric, stat, step, HOUR)[1 if step == 60 else 0 :]
                assert set(complete) == {5}, (step, stat)

    @pytest.mark.parametrize("window", [HOUR, Window.of_seconds(HOUR.start_s + 17, HOUR.end_s - 45)])
    def test_of_queues_one_after_another_is_the_average_of_a_summary(self, window: Window) -> None:
        write([queue(ago(minutes=10 * number + 1), f"gw-{number}", 10) for number in range(5)], now=NOW)

        assert queries.summary(window, Filters(), NOW).figures["avg_queue_pending"] == 10

    def test_is_that_of_the_minutes_and_not_of_the_samples(self) -> None:
        many = [queue(ago(minutes=30, seconds=-second), "s", 60) for second in range(60)]
        write([*many, queue(ago(minutes=20), "s", 0)], now=NOW)

        assert values("queue.pending", step=3_600) == [30]

    def test_is_not_held_in_the_future(self) -> None:
        write([queue(ago(minutes=minute), "s", 4) for minute in (3, 2, 1)], now=NOW)

        window = Window.of_seconds(HOUR.start_s, HOUR.end_s + 300)

        # In the minute that begins now, but not in the second one after the sample.
        assert values("queue.pending", window=window)[-6:] == [4, 4, None, None, None, None]


class APreferredKindOfQueue:
    def test_is_used_only_while_it_has_a_value(self) -> None:
        first = ago(minutes=59, seconds=30)
        later = [queue(first + timedelta(seconds=1 + 35 * n), "app", 2, kind="sdk") for n in range(100)]
        write([queue(first, "proxy", 100), *later], now=NOW)

        # 100 in the first minute, 2 in the others.
        assert queries.summary(HOUR, Filters(), NOW).figures["avg_queue_pending"] == pytest.approx(
            2 + 98 / 60, rel=1e-4
        )
        assert values("queue.pending")[1:] == [2] * 59

    def test_counts_by_source_in_the_minutes_in_which_it_is_preferred(self) -> None:
        write([queue(ago(minutes=n), "app", 2, kind="sdk") for n in range(1, 60)], now=NOW)
        write([queue(ago(minutes=n), "proxy", 100) for n in (30, 31)], now=NOW)

        by_source = lines("queue.pending", step=3_600, group_by="source")

        assert by_source == {("app",): [2], ("proxy",): [100]}

    @pytest.mark.parametrize(("stat", "first"), [("avg", 66), ("min", 1), ("max", 66), ("last", 66)])
    def test_is_preferred_minute_by_minute_for_waiting_times_too(self, stat: str, first: int) -> None:
        events = [queue(ago(minutes=minute), "app", 1, kind="sdk", wait_time_ms=66) for minute in range(1, 61)]
        write([*events, queue(ago(minutes=60), "proxy", 1, wait_time_ms=1)], now=NOW)

        assert values("queue.wait_time_ms", stat) == [1, *[66] * 59]
        for step in (120, 300, 600, 3_600):
            assert values("queue.wait_time_ms", stat, step) == [first, *[66] * (3_600 // step - 1)], step
        convert(NOW)
        assert values("queue.wait_time_ms", stat, 3_600) == [first]


class Reading(NamedTuple):
    """A sample of a test: the number of its source, its seconds before NOW, its value."""

    source: int
    seconds: int
    value: int


readings = st.lists(
    st.builds(
        Reading, st.integers(0, 3), st.integers(1, 60 * MINUTES).map(lambda s: s // 7 * 7 + 1), st.integers(0, 50)
    ),
    max_size=25,
    unique_by=lambda reading: reading[:2],
)
# Sources that send in an interval, some slowly, for a part of the time.
regular = st.lists(
    st.tuples(
        st.integers(0, 3), st.sampled_from([20, 45, 60, 90, 150, 300]), st.integers(1, 9_000), st.integers(1, 30)
    ),
    max_size=3,
    unique_by=lambda source: source[0],
).map(
    lambda sources: [
        Reading(number, seconds, seconds % 13)
        for number, interval, first, count in sources
        for seconds in range(first, first + interval * count, interval)
        if seconds <= 60 * MINUTES
    ]
)
KINDS = (QueueKind.TRACK, QueueKind.TRACK, QueueKind.SDK, QueueKind.ENGINE)


def by_definition(sent: Sequence[Reading]) -> list[dict[str, float] | None]:
    """The combined level of each of the 180 minutes before NOW."""
    samples: dict[tuple[int, int], list[tuple[float, int]]] = defaultdict(list)
    begin = NOW.timestamp() - 60 * MINUTES
    for source, seconds, value in sent:
        at = NOW.timestamp() - seconds
        samples[source, int(at - begin) // 60].append((at, value))
    held: dict[int, dict[int, tuple[float, float, float, float]]] = defaultdict(dict)
    for source in range(len(KINDS)):
        minutes = sorted(minute for other, minute in samples if other == source)
        for minute, previous, following in zip(minutes, [None, *minutes], [*minutes[1:], None], strict=False):
            own = sorted(samples[source, minute])
            listed = [value for _, value in own]
            held[minute][source] = (sum(listed) / len(listed), min(listed), max(listed), listed[-1])
            since = own[-1][0] - max(samples[source, previous])[0] if previous is not None else 1e9
            alone = (own[-1][0] - begin) % 60 / (len(own) - 1) if len(own) > 1 else 5
            valid = min(max(3 * (since / len(own) if since <= 330 else alone), 15), 330)
            for later in range(minute + 1, minute + 6):
                if 60 * (later - minute) < valid and (following is None or later < following):
                    held[later][source] = (listed[-1],) * 4
    combined: list[dict[str, float] | None] = []
    for minute in range(MINUTES):
        ranks = {source: list(QueueKind).index(KINDS[source]) for source in held[minute]}
        used = [held[minute][source] for source, rank in ranks.items() if rank == min(ranks.values())]
        names = ("avg", "min", "max", "last")
        combined.append({name: sum(own[n] for own in used) for n, name in enumerate(names)} if used else None)
    return combined


def over(minutes: Sequence[dict[str, float] | None], stat: str) -> Any:
    """A statistic of some minutes."""
    known = [minute[stat] for minute in minutes if minute is not None]
    if not known:
        return None
    value = {"avg": sum(known) / len(known), "min": min(known), "max": max(known), "last": known[-1]}[stat]
    return pytest.approx(value, rel=1e-5)


class Undone(Exception):
    """Ends an example's transaction, so that each begins with an empty store."""


class AnAverageOfALevel:
    @slow_examples()
    @given(readings, regular, st.integers(0, MINUTES - 1), st.integers(1, MINUTES), st.randoms(use_true_random=False))
    def test_is_the_same_at_every_step_and_cut(
        self, sent: list[Reading], more: list[Reading], first: int, length: int, random: Any
    ) -> None:
        with pytest.raises(Undone), transaction.atomic():
            self.check(list({reading[:2]: reading for reading in [*sent, *more]}.values()), first, length, random)
            raise Undone

    def check(self, sent: list[Reading], first: int, length: int, random: Any) -> None:
        random.shuffle(sent)
        caches["queries"].clear()
        middle = len(sent) // 2
        for part in (sent[:middle], sent[middle:]):  # the rows of a minute may be of two commits
            events = [queue(ago(seconds=s), f"s{n}", value, kind=KINDS[n]) for n, s, value in part]
            Store(clock=lambda: NOW).commit(events)
        minutes = by_definition(sent)
        for stat in ("avg", "min", "max", "last"):
            for step in STEPS:
                size = step // 60
                expected = [over(minutes[start : start + size], stat) for start in range(0, MINUTES, size)]
                assert values("queue.pending", stat, step, THREE_HOURS) == expected, (stat, step)
        begin = THREE_HOURS.start_s + 60 * first
        cut = Window.of_seconds(begin, min(begin + 60 * length, THREE_HOURS.end_s))
        part = over(minutes[first : first + length], "avg")
        assert queries.summary(cut, Filters(), NOW).figures["avg_queue_pending"] == part

        for hours in (2, 0):
            convert(NOW - timedelta(hours=hours))
            for stat in ("avg", "last"):
                for step, size in ((3_600, 60), (10_800, 180)):
                    expected = [over(minutes[start : start + size], stat) for start in range(0, MINUTES, size)]
                    assert values("queue.pending", stat, step, THREE_HOURS) == expected, (stat, step, hours)


class TheHoursOfALevel:
    def test_replace_the_minutes_except_the_last_ones(self) -> None:
        write([queue(ago(hours=2, minutes=-minute), "s", 3) for minute in range(60)], now=NOW)

        convert(NOW - timedelta(hours=1))

        hour = GaugeRollup.objects.get(metric="queue.pending", resolution=3_600)
        assert (hour.count, hour.sum, hour.min, hour.max, hour.last, hour.minutes) == (60, 180, 3, 3, 3, 2**60 - 1)
        minutes = GaugeRollup.objects.filter(metric="queue.pending", resolution=60).values_list("bucket", flat=True)
        assert sorted(minutes) == [int(ago(hours=1, minutes=minute).timestamp()) for minute in range(11, 0, -1)]

    def test_have_the_greatest_and_least_values_of_the_instances_that_coexist(self) -> None:
        write([queue(ago(hours=2, minutes=-minute), "a", minute) for minute in range(10)], now=NOW)
        write([queue(ago(hours=2, minutes=-minute), "b", 100 - minute) for minute in (5, 6)], now=NOW)
        write([queue(ago(hours=2, minutes=-minute), "c", 1) for minute in range(20, 30)], now=NOW)
        window = Window.of_seconds(NOW.timestamp() - 7_200, NOW.timestamp() - 3_600)
        assert [values("queue.pending", stat, 3_600, window) for stat in ("min", "max")] == [[0], [102]]

        convert(NOW)

        # In which minute they occurred is not kept.
        assert [values("queue.pending", stat, 3_600, window) for stat in ("min", "max")] == [[0], [104]]

    def test_are_whole(self) -> None:
        write([queue(ago(minutes=90), "s", 3)], now=NOW)

        convert(NOW - timedelta(minutes=61))

        assert not GaugeRollup.objects.filter(metric="queue.pending", resolution=3_600).exists()
        assert values("queue.pending", step=3_600, window=THREE_HOURS) == [None, 3, None]

    def test_accept_no_later_sample(self) -> None:
        write([queue(ago(minutes=90), "s", 3), level_of("system.gpu_count", 0, ago(minutes=90), 3)], now=NOW)

        convert(NOW - timedelta(hours=1))

        assert dict(RawFloor.objects.values_list("kind", "at")) == {"queue": ago(hours=1), "system": ago(hours=1)}
        late, later = queue(ago(minutes=61), "s", 3), queue(ago(minutes=60), "s", 3)
        assert Store(clock=lambda: NOW).commit([late, later]).accepted == 1

    def test_leave_no_minute_of_a_source_that_ended(self) -> None:
        write([queue(ago(minutes=minute), "s", 3) for minute in (122, 121)], now=NOW)

        convert(NOW)

        assert not GaugeRollup.objects.filter(metric="queue.pending", resolution=60).exists()
        # The last reading was held in the first two minutes of the next hour.
        assert list(GaugeRollup.objects.order_by("bucket").values_list("count", "minutes")) == [
            (2, 0b11 << 58), (2, 0b11)
        ]  # fmt: skip

    def test_of_many_hosts_are_read_in_few_seconds(self) -> None:
        hosts = GaugeLabels.objects.bulk_create(GaugeLabels(host=f"h{number}") for number in range(40))
        GaugeRollup.objects.bulk_create(
            GaugeRollup(
                resolution=3_600, metric="system.gpu_count", bucket=int(ago(hours=hour).timestamp()), labels=host,
                count=60, sum=480, min=8, max=8, last=8, last_at=0, minutes=2**60 - 1,
            )
            for host in hosts
            for hour in range(4, 720)
        )  # fmt: skip

        month = Window.of_seconds(NOW.timestamp() - 30 * 86_400, NOW.timestamp() - 4 * 86_400)
        for stat in ("avg", "max"):
            assert set(values("system.gpu_count", stat, 10_800, month)) == {320}


class AStepOfMoreThanAMinute:
    @pytest.mark.parametrize("step", [90, 450])
    def test_must_be_whole_minutes_for_a_level(self, step: int) -> None:
        with pytest.raises(BadQuery, match=r"must be a multiple of 60 s, or less than a minute, for queue\.pending"):
            values("queue.pending", step=step)
        with pytest.raises(BadQuery, match="must be a multiple of 60 s"):
            parse_live_step(step, [SeriesSpec.of("queue.pending", "avg")], NOW)
        assert len(values("inference.requests", "rate", step=step)) > 7
