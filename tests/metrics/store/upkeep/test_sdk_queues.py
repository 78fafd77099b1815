"""Label sets of SDK queues that were silent for a day become one, with the figures that they had."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import caches

from metrics import catalogue
from metrics.events import GPUSample, QueueEvent, SystemEvent
from metrics.levels import LEVELS
from metrics.models import GaugeLabels, GaugeRollup, QueueMetrics
from metrics.queries import Filters, Window
from metrics.store.upkeep import level_hours, maintenance, retention, sdk_queues
from metrics.store.upkeep.deleting import Steps
from metrics.store.writing.transaction import Store
from tests.metrics.queries.series_of import series_of
from tests.metrics.store.stored import compact, limited

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TWO_DAYS = NOW - timedelta(days=2)
SUMS = ("queue.processing", "queue.pending")
OTHERS = ("queue.oldest_seconds", "queue.ratelimit_remaining_requests")
STATS = ("avg", "min", "max", "last")


def sample(at: datetime, source: str, processing: int, model: str = "m", **more: Any) -> QueueEvent:
    return QueueEvent(
        timestamp=at,
        source=source,
        model_name=model,
        processing=processing,
        oldest_seconds=processing / 2,
        **{"kind": "sdk"} | more,
    )


def sources(now: datetime = TWO_DAYS) -> list[QueueEvent]:
    """Samples of sources that begin and end in two hours: some short, some with pauses in which readings are held."""
    events = []
    chance = random.Random(5)
    for number in range(12):
        begin, length = chance.randrange(0, 5_000), chance.choice([1, 20, 200, 2_000])
        interval = chance.choice([1, 5, 40, 100])
        for second in range(begin, begin + length, interval):
            headroom = {"ratelimit_remaining_requests": chance.randrange(500), "pending": chance.randrange(3)}
            at = now + timedelta(seconds=second, microseconds=number)
            provider = "openai" if number % 3 else "azure"
            events.append(sample(at, f"shop@host-{number}#0", chance.randrange(9), provider=provider, **headroom))
    for second in range(0, 7_200, 10):  # they are preferred, and must not be touched
        events.append(sample(now + timedelta(seconds=second), "gateway", second % 7, model="other", kind="track"))
        if 3_000 < second < 3_300:
            events.append(sample(now + timedelta(seconds=second), "gateway", second % 7, kind="track"))
    return events


def store(events: list[Any], at: datetime = TWO_DAYS) -> None:
    assert Store(clock=lambda: at).commit(events).accepted == len(events)
    compact()


def expire_raw_rows() -> None:
    steps = Steps(time.monotonic() + 60, pause=0)
    for model, kind in retention.RAW_TABLES:
        steps.run(retention.oldest_raw_rows(model, kind, NOW - timedelta(days=1)))


def fold(now: datetime = NOW) -> None:
    sdk_queues.fold(now, Steps(time.monotonic() + 60, pause=0))
    steps = Steps(time.monotonic() + 60, pause=0)
    steps.run(retention.matching_rows(retention._without_references(GaugeLabels.objects.all())))


def figures(metrics: tuple[str, ...], stats: tuple[str, ...], step: int, **more: Any) -> dict[Any, Any]:
    caches["queries"].clear()
    window = Window.of_seconds(TWO_DAYS.timestamp() - 3_600, TWO_DAYS.timestamp() + 4 * 3_600)
    pairs = [(catalogue.get(metric), stat) for metric in metrics for stat in stats]
    read = {}
    for by in ("", "provider", "model"):
        for number, (metric, stat) in enumerate(pairs):
            for line in series_of([(metric, stat)], window, Filters(**more), step=step, now=NOW, group_by=by).lines:
                known = [value and round(value, 9) for value in line.values]
                read[by, number, tuple(line.labels.values())] = known
    return read


def names() -> set[tuple[str, str]]:
    return set(GaugeLabels.objects.filter(kind="sdk").values_list("source", "provider"))


class TheSourcesThatWereSilentForADay:
    def test_become_one_for_each_model_provider_and_service(self) -> None:
        store(sources())
        expire_raw_rows()
        fold()
        assert names() == {("sdk", "openai"), ("sdk", "azure")}

    def test_become_one_by_two_runs_of_upkeep(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "_gauge_labels_clean_at", None)
        store(sources())
        for minute in range(2):
            maintenance.maintain(NOW + timedelta(minutes=minute), budget_seconds=60)
        assert names() == {("sdk", "openai"), ("sdk", "azure")}

    def test_keep_their_figures_by_minute_and_their_sums_at_every_step(self) -> None:
        store(sources())
        expire_raw_rows()
        by_minute = figures(SUMS + OTHERS, STATS, 60)
        sums = [figures(SUMS, STATS, step) for step in (300, 1_800, 3_600)]
        filtered = figures(SUMS, STATS, 60, provider="openai")
        assert any(value for line in by_minute.values() for value in line)

        fold()

        assert figures(SUMS + OTHERS, STATS, 60) == by_minute
        assert [figures(SUMS, STATS, step) for step in (300, 1_800, 3_600)] == sums
        assert figures(SUMS, STATS, 60, provider="openai") == filtered

    def test_keep_the_averages_of_their_hours(self) -> None:
        store(sources())
        expire_raw_rows()
        for metric in sorted(LEVELS):
            level_hours.convert_and_delete(metric, int(NOW.timestamp()), Steps(time.monotonic() + 60, pause=0))
        sums, others = figures(SUMS, ("avg", "last"), 3_600), figures(OTHERS, STATS, 3_600)
        extremes = figures(SUMS, ("min", "max"), 3_600, provider="openai")
        GaugeRollup.objects.filter(resolution=60).delete()

        fold()

        assert figures(SUMS, ("avg", "last"), 3_600) == sums
        assert figures(OTHERS, STATS, 3_600) == others
        assert figures(SUMS, ("min", "max"), 3_600, provider="openai") == extremes
        assert GaugeRollup.objects.filter(labels__kind="sdk", labels__source="sdk").exists()

    def test_are_folded_again_into_the_same_with_those_that_follow(self) -> None:
        store(sources())
        store(
            [sample(TWO_DAYS + timedelta(seconds=n), "shop@late#0", 2, provider="openai") for n in range(0, 7_000, 5)]
        )
        GaugeLabels.objects.filter(source="shop@late#0").update(kind="")  # not a queue of the SDK for now
        expire_raw_rows()
        fold()
        GaugeLabels.objects.filter(source="shop@late#0").update(kind="sdk")
        by_minute = figures(SUMS + OTHERS, STATS, 60)

        fold()

        assert figures(SUMS + OTHERS, STATS, 60) == by_minute
        assert names() == {("sdk", "openai"), ("sdk", "azure")}


class ASource:
    def test_that_has_sent_within_a_day_is_kept(self) -> None:
        store([sample(NOW - timedelta(hours=hours), "shop@a#0", 1) for hours in (30, 23)], NOW)
        QueueMetrics.objects.all().delete()
        fold()
        assert names() == {("shop@a#0", "")}

    def test_is_kept_while_its_raw_rows_are_stored(self) -> None:
        store([sample(NOW - timedelta(hours=30), "shop@a#0", 1)], NOW)
        fold()
        assert names() == {("shop@a#0", "")}

    def test_of_another_kind_is_kept(self) -> None:
        store([sample(TWO_DAYS, "gateway", 1, kind="track")])
        expire_raw_rows()
        fold()
        assert GaugeLabels.objects.get().source == "gateway"


def posts(count: int, at: datetime = NOW) -> list[QueueEvent]:
    """What short processes send, each on a host of its own."""
    return [sample(at + timedelta(microseconds=n), f"job@host-{n}#0", 1) for n in range(count)]


def new_sources(at: datetime) -> list[Any]:
    return [
        SystemEvent(timestamp=at, host="new", cpu_percent=5.0, gpu_metrics=(GPUSample(gpu_id="0", temperature=50.0),)),
        QueueEvent(timestamp=at, source="gateway", model_name="m", pending=1),
        sample(at, "shop@new#0", 1, model="new"),
    ]


class TheQueuesOfShortProcesses:
    def test_on_few_hosts_use_few_label_sets(self) -> None:
        """A process has the lowest free slot of its host."""
        events = [sample(NOW + timedelta(microseconds=n), f"job@host-{n % 20}#{n % 3}", 1) for n in range(20_000)]
        store(events, NOW)
        assert GaugeLabels.objects.count() == 60

    def test_on_20_000_hosts_leave_room_for_a_new_host_gpu_and_queue(self) -> None:
        began = Store(clock=lambda: NOW)
        for start in range(0, 20_000, 5_000):
            assert began.commit(posts(20_000)[start : start + 5_000]).rejected == []

        assert Store(clock=lambda: NOW).commit(new_sources(NOW)).rejected == []
        assert set(GaugeLabels.objects.values_list("host", flat=True)) == {"", "new"}
        assert GaugeLabels.objects.filter(kind="sdk").exclude(source="sdk").count() == 5_000

    def test_free_their_label_sets_after_a_day(self) -> None:
        with limited(40):
            store(posts(100, TWO_DAYS))
            assert GaugeLabels.objects.count() == 20 + 1
            expire_raw_rows()
            fold()
            assert names() == {("sdk", "")}
            store([*new_sources(NOW), *posts(15, NOW)], NOW)
        assert GaugeLabels.objects.filter(kind="sdk").exclude(source="sdk").count() == 16


class AnSDKQueueBeyondTheLimit:
    def test_shares_a_label_set_of_its_model(self) -> None:
        with limited(2):
            store(posts(3), NOW)
            store(posts(3, NOW + timedelta(seconds=1)), NOW)
        assert names() == {("job@host-0#0", ""), ("sdk", "")}

    def test_is_rejected_if_there_is_no_room_for_that(self) -> None:
        with limited(1):
            store([QueueEvent(timestamp=NOW, source="gateway", model_name="m", pending=1)], NOW)
            (rejection,) = Store(clock=lambda: NOW).commit([sample(NOW, "job@host#0", 1)]).rejected
        assert (rejection.index, rejection.field) == (0, "source")
