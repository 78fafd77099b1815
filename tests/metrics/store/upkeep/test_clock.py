"""A clock that was ahead: upkeep deletes what is too old by it, and the monitor works again when the clock is right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import caches

from metrics.aggregation import RESOLUTIONS
from metrics.models import InferenceMetrics, MonitorOutage, RawFloor
from metrics.queries.read import request_totals as reading
from metrics.store import raw_floors
from metrics.store.upkeep import clock
from metrics.store.upkeep.maintenance import maintain
from tests.metrics.exposition.scraped import Scrape
from tests.metrics.store.kept import NOW, ago, machine, record, request, rolled_up

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

LATER = NOW + timedelta(minutes=70)  # the clock is right again for more than an hour, the longest bucket


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_floors, "_last_read", {})
    for cache in caches.all():
        cache.clear()
    reading.cache.clear()
    monkeypatch.setattr(clock, "database_made_at", lambda: ago(days=400))


def counts() -> list[float]:
    """The requests in the rollups of each resolution, and in the counter of `GET /metrics`."""
    return [*map(rolled_up, RESOLUTIONS), Scrape.at(LATER).sum("llmmonitor_requests_total")]


def upkeep(at: datetime) -> None:
    maintain(at, 30.0)


@pytest.mark.parametrize("days", [0.1, 2, 60, 500])
class AClockThatWasAhead:
    def test_does_not_end_the_recording(self, days: float) -> None:
        record([request(ago(minutes=5), "before"), machine(ago(minutes=5))])
        upkeep(NOW + timedelta(days=days))
        upkeep(NOW)
        assert record([request(NOW, "after"), machine(NOW)]).accepted == 2

    def test_does_not_end_the_counting(self, days: float) -> None:
        record([request(ago(minutes=5), "before")])
        upkeep(NOW + timedelta(days=days))
        record([request(NOW + timedelta(days=days), "by the wrong clock")], NOW + timedelta(days=days))
        upkeep(NOW)
        before = counts()
        record([request(LATER, "after")], LATER)
        assert counts() == [number + 1 for number in before]

    def test_has_no_outage_that_ends_in_the_future(self, days: float) -> None:
        MonitorOutage.objects.create(start=ago(minutes=1), end=NOW + timedelta(days=days))
        MonitorOutage.objects.create(start=ago(hours=2), end=ago(hours=1))
        upkeep(NOW)
        assert [outage.end for outage in MonitorOutage.objects.all()] == [ago(hours=1)]


class AClockThatIsRight:
    def test_keeps_the_floors(self) -> None:
        record([request(ago(days=29, hours=23), "old"), request(NOW, "young")])
        upkeep(NOW + timedelta(days=1))
        floors = list(RawFloor.objects.values_list("kind", "at"))
        assert floors
        upkeep(NOW + timedelta(days=1))
        assert list(RawFloor.objects.values_list("kind", "at")) == floors
        assert InferenceMetrics.objects.count() == 1


class AClockThatIsBehind:
    def test_counts_no_hour_twice_and_keeps_the_outages(self) -> None:
        record([request(ago(days=29, hours=23), "old"), request(NOW, "young")])
        MonitorOutage.objects.create(start=ago(hours=2), end=ago(hours=1))
        upkeep(NOW + timedelta(days=3))
        before = counts()

        upkeep(datetime(1970, 1, 1, tzinfo=UTC))
        upkeep(NOW + timedelta(days=3))

        assert (counts(), MonitorOutage.objects.count()) == (before, 1)

    def test_is_before_the_database_was_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        assert datetime(1970, 1, 1, tzinfo=UTC) < clock.database_made_at() <= datetime.now(UTC)
