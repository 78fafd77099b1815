"""When the monitor and the hosts were up, down or not known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import caches
from django.db import OperationalError

from metrics.events import SystemEvent
from metrics.models import MonitorOutage
from metrics.queries import Availability, availability
from metrics.queries.answers import availability as availability_module
from metrics.retention_policy import RetentionPolicy, change_retention
from metrics.store import outages
from metrics.store.upkeep.maintenance import maintain
from tests.metrics.queries.known_events import write

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DAY = 86_400


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(outages, "_known", None)
    monkeypatch.setattr(outages, "_waiting", set())
    caches["queries"].clear()
    yield
    caches["queries"].clear()


def before(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def monitor_sample(seconds: float) -> SystemEvent:
    return SystemEvent(
        timestamp=before(seconds),
        host="own",
        cpu_percent=1.0,
        memory_used_gb=1.0,
        monitor_cpu_percent=1.0,
        monitor_memory_mb=1.0,
    )


def store_own_samples(*seconds: float, now: datetime = NOW) -> None:
    for second in seconds:
        write([monitor_sample(second)], now=now)
        outages.note_sample(before(second))


def of(name: str, now: datetime = NOW) -> Availability:
    return next(one for one in availability(now) if one.name == name)


class TheMonitor:
    def test_was_never_down_without_a_gap(self) -> None:
        store_own_samples(60, 59, 58, 49, 40, 31, 30, 21, 12, 3)

        assert not MonitorOutage.objects.exists()
        assert of("").percent == 100.0

    def test_was_down_between_two_samples_that_are_forty_seconds_apart(self) -> None:
        store_own_samples(300, 299, *range(259, 0, -9))

        monitor = of("")
        assert monitor.down == ((int(before(299).timestamp()), int(before(259).timestamp())),)
        assert monitor.down_seconds == 40
        assert monitor.percent == pytest.approx(100 * (1 - 40 / 300), abs=0.1)

    def test_knows_an_outage_from_before_it_was_started(self, monkeypatch: pytest.MonkeyPatch) -> None:
        store_own_samples(300, 299)
        monkeypatch.setattr(outages, "_known", None)  # another process
        store_own_samples(*range(200, 0, -9))

        assert of("").down_seconds == 99

    def test_is_down_now_if_its_newest_sample_is_more_than_ten_seconds_old(self) -> None:
        store_own_samples(*range(10_810, 10_800, -1))

        monitor = of("")
        assert monitor.down == ((int(before(10_801).timestamp()), int(NOW.timestamp())),)
        assert monitor.percent == pytest.approx(0.0, abs=1.0)

    def test_is_up_with_a_sample_of_this_second(self) -> None:
        store_own_samples(18, 9, 0)

        assert of("").down == ()

    def test_was_down_all_the_time_after_samples_that_are_older_than_the_days(self) -> None:
        store_own_samples(35 * DAY)

        monitor = of("")
        assert (monitor.since, monitor.percent) == (int(before(30 * DAY).timestamp()), 0.0)

    @pytest.mark.parametrize("has_samples_before", [True, False], ids=["with samples", "samples deleted"])
    def test_was_down_in_the_part_of_an_outage_that_is_in_these_days(self, has_samples_before: bool) -> None:
        if has_samples_before:
            write([monitor_sample(35 * DAY)], now=before(35 * DAY))
        MonitorOutage.objects.create(start=before(35 * DAY), end=before(5 * DAY))
        write([monitor_sample(5 * DAY), monitor_sample(1)], now=NOW)

        monitor = of("")
        assert monitor.since == int(before(30 * DAY).timestamp())
        assert monitor.down_seconds == 25 * DAY
        assert monitor.percent == pytest.approx(100 * 5 / 30)

    def test_adds_all_outages_and_draws_the_longest(self) -> None:
        write([monitor_sample(30 * DAY - 3600)], now=before(30 * DAY - 3600))
        spans = [(before(1800 + 2_400 * number), 1_800 + number) for number in range(1_000)]
        MonitorOutage.objects.bulk_create(
            MonitorOutage(start=end - timedelta(seconds=seconds), end=end) for end, seconds in spans
        )
        write([monitor_sample(1)])

        monitor = of("")
        shown = monitor.as_dict()
        assert monitor.down_seconds == shown["down_seconds"] == sum(seconds for _, seconds in spans)
        assert shown["outages"] == 1_000
        assert len(shown["down"]) == availability_module.MAX_DRAWN
        assert shown["down"][0][0] == 1000 * monitor.down[0][0]
        assert min(end - start for start, end in shown["down"]) == 1000 * (1_800 + 500)

    def test_is_watched_since_the_oldest_outage_that_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(availability_module, "MAX_OUTAGES", 2)
        store_own_samples(900, 800, 600, 400, 391)

        monitor = of("")
        assert (monitor.since, monitor.down_seconds) == (int(before(800).timestamp()), 200 + 200 + 391)

    def test_knows_an_outage_that_is_longer_than_the_retention_of_samples(self) -> None:
        policy = RetentionPolicy.current()
        long_ago = policy.samples.total_seconds() + 7_200
        store_own_samples(long_ago, now=before(long_ago))
        maintain(NOW, 5.0)
        store_own_samples(0)

        assert of("").down_seconds == pytest.approx(long_ago, abs=60)

    def test_has_no_outage_where_another_process_has_sampled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        store_own_samples(60)
        write([monitor_sample(20)])  # by another process
        store_own_samples(15)

        assert [outage.start for outage in MonitorOutage.objects.all()] == []

    def test_records_an_outage_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        store_own_samples(300, 200)
        monkeypatch.setattr(outages, "_known", None)
        outages.note_sample(before(200))

        assert MonitorOutage.objects.count() == 1

    def test_records_an_outage_with_the_next_sample_if_the_database_fails(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(at: datetime) -> datetime:
            raise OperationalError("database is locked")

        store_own_samples(200)
        with monkeypatch.context() as failing, pytest.raises(OperationalError):
            failing.setattr(outages, "newest_own_sample", fail)
            store_own_samples(100)
        store_own_samples(99)

        assert [(outage.start, outage.end) for outage in MonitorOutage.objects.all()] == [(before(200), before(100))]

    @pytest.mark.parametrize("second", [0, 15])
    def test_knows_an_outage_whose_samples_before_have_become_minutes(self, second: int) -> None:
        policy = RetentionPolicy.current()
        end = NOW + timedelta(seconds=second)
        start = NOW - policy.samples - timedelta(hours=1)
        write([monitor_sample((NOW - start).total_seconds())], now=start)
        maintain(NOW, 5.0)
        write([monitor_sample(-second)], now=end)
        outages.note_sample(end)

        assert [(outage.start, outage.end) for outage in MonitorOutage.objects.all()] == [
            (start + timedelta(minutes=1), end)
        ]

    def test_is_computed_every_half_minute(self) -> None:
        store_own_samples(20, 10)
        assert of("").percent == 100

        store_own_samples(-25, now=before(-25))  # after a gap

        assert of("", before(-availability_module.CACHE_SECONDS)).percent == 100
        assert of("", before(-availability_module.CACHE_SECONDS - 1)).down_seconds == 35

    def test_is_not_known_before_its_first_sample(self) -> None:
        assert availability(NOW) == []

    def test_keeps_its_outages_as_long_as_hours(self) -> None:
        policy = RetentionPolicy.current()
        for days in (policy.rollups[3600].days + 1, policy.rollups[3600].days - 1):
            start = NOW - timedelta(days=days)
            MonitorOutage.objects.create(start=start, end=start + timedelta(minutes=1))

        maintain(NOW, 5.0)

        assert MonitorOutage.objects.count() == 1


class AHost:
    def store(self, *minutes: int, host: str = "gpu-box") -> None:
        write(
            [
                SystemEvent(timestamp=NOW - timedelta(minutes=minute), host=host, cpu_percent=1.0, memory_used_gb=1.0)
                for minute in minutes
            ]
        )

    def test_was_down_in_the_minutes_without_a_sample(self) -> None:
        store_own_samples(*range(3600, 0, -9))
        self.store(*range(60, 40, -1), *range(30, 0, -1))

        host = of("gpu-box")
        assert [(NOW.timestamp() - start) / 60 for span in host.down for start in span] == [40, 30]
        assert host.percent == pytest.approx(100 * 50 / 60, abs=0.1)

    def test_was_down_in_the_minutes_before_and_after_an_outage_of_the_monitor(self) -> None:
        store_own_samples(*range(3600, 2400, -9), *range(1805, 0, -9))
        self.store(*range(60, 50, -1), *range(20, 0, -1))

        spans = [[(NOW.timestamp() - time) / 60 for time in span] for span in of("gpu-box").down]
        assert spans == [[50, 41], [30, 20]]

    def test_was_not_down_between_two_samples_of_a_slow_source(self) -> None:
        store_own_samples(*range(3600, 0, -9))
        self.store(*range(120, 60, -5), *range(60, 0, -2))

        assert of("gpu-box").down == ()

    def test_is_down_now_after_its_last_sample(self) -> None:
        store_own_samples(*range(3600, 0, -9))
        self.store(*range(60, 20, -1))

        assert of("gpu-box").down_seconds == 20 * 60

    def test_is_not_known_while_the_monitor_was_down(self) -> None:
        store_own_samples(*range(3600, 2400, -9), *range(1800, 0, -9))
        self.store(*range(60, 40, -1), *range(20, 0, -1))

        host = of("gpu-box")
        assert host.unknown_seconds == pytest.approx(600, abs=10)
        assert [(NOW.timestamp() - start) / 60 for span in host.down for start in span] == [30, 20]

    def test_has_nearly_the_same_minutes_after_they_have_become_hours(self) -> None:
        days = RetentionPolicy.current().rollups[60].days + 1
        first = days * 1440
        then = NOW - timedelta(days=days) + timedelta(hours=2)
        store_own_samples(first * 60, now=then)
        write([monitor_sample((NOW - then).total_seconds())], now=then)
        self.store(*(first - minute for minute in (*range(60), *range(90, 120))))
        earlier = of("gpu-box", then).down

        maintain(NOW, 20.0)
        caches["queries"].clear()
        self.store(1)
        write([monitor_sample(1)])

        assert (earlier[0][1] - earlier[0][0]) / 60 == 30
        start, end = of("gpu-box").down[0]
        # The last reading is held for three intervals, here of a minute.
        assert (start - earlier[0][0], end) == (120, earlier[0][1])

    def test_has_the_same_minutes_after_minutes_are_kept_for_longer(self) -> None:
        days = RetentionPolicy.current().rollups[60].days + 1
        first = days * 1440
        then = NOW - timedelta(days=days) + timedelta(hours=2)
        store_own_samples(first * 60, now=then)
        write([monitor_sample((NOW - then).total_seconds())], now=then)
        self.store(*(first - minute for minute in (*range(60), *range(90, 120))))
        maintain(NOW, 20.0)
        self.store(1)
        write([monitor_sample(1)])
        of_hours = of("gpu-box")
        assert of_hours.down[0][1] - of_hours.down[0][0] == (30 - 2) * 60  # the last reading is held

        change_retention("one_minute_days", days + 5, NOW)
        caches["queries"].clear()

        assert of("gpu-box") == of_hours

    def test_is_of_those_that_send_their_memory_and_of_no_more_than_twenty(self) -> None:
        store_own_samples(60)
        write([SystemEvent(timestamp=before(30), host=f"a{number:02}", cpu_percent=1.0) for number in range(30)])
        write([SystemEvent(timestamp=before(30), host=f"b{number:02}", memory_used_gb=1.0) for number in range(30)])

        assert [one.name for one in availability(NOW)] == ["", "own", *(f"b{number:02}" for number in range(19))]

    def test_comes_after_the_monitor_and_before_demo_hosts(self) -> None:
        store_own_samples(60)
        self.store(1, host="b")
        write([SystemEvent(timestamp=before(30), host="a", memory_used_gb=1.0, is_demo=True)])

        assert [one.name for one in availability(NOW)] == ["", "own", "b", "a"]


class AHostOfDemoData:
    def test_is_not_down_after_its_data_has_ended(self) -> None:
        store_own_samples(*range(3_600, 0, -9))
        ended = [
            SystemEvent(timestamp=before(s), host="demo", memory_used_gb=1.0, is_demo=True) for s in (3_500, 3_000)
        ]
        write([*ended, *(SystemEvent(timestamp=before(s), host="real", memory_used_gb=1.0) for s in (3_500, 3_000))])

        demo, real = of("demo"), of("real")

        assert (demo.until, demo.down) == (int(before(2_940).timestamp()) // 60 * 60, ())
        assert (real.until, bool(real.down)) == (int(NOW.timestamp()), True)
