"""The limits on label sets of requests, label sets of samples and groups of errors.

All processes together keep them, and they cost little once they are reached. test_commit.py, test_samples.py and
test_error_groups.py test what happens to an event beyond its limit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics.events import Event, SystemEvent
from metrics.models import ErrorGroup, GaugeLabels, Series
from metrics.store.labels.interning import COUNT_INTERVAL
from metrics.store.writing.fingerprint import OTHER
from metrics.store.writing.transaction import Store
from tests.metrics.store.stored import NOW, error, limited, request

pytestmark = [pytest.mark.store, pytest.mark.django_db]


@dataclass(frozen=True)
class Limit:
    """One of them: an event with a label set (a group) of its own, and those that are stored within the limit."""

    event: Callable[[str], Event]
    stored: Any
    name: str

    def names(self) -> set[str]:
        return set(self.stored.values_list(self.name, flat=True))


CAPS = {
    "requests": Limit(
        lambda name: request(name, model_name=name),
        Series.objects.exclude(model_name=Series.OTHER).order_by("pk"),
        "model_name",
    ),
    "samples": Limit(lambda name: SystemEvent(timestamp=NOW, host=name), GaugeLabels.objects.order_by("pk"), "host"),
    "errors": Limit(
        lambda name: error(name, error_type=name),
        ErrorGroup.objects.exclude(message=OTHER).order_by("pk"),
        "error_type",
    ),
}


@pytest.fixture(params=CAPS)
def limit(request: pytest.FixtureRequest) -> Limit:
    return CAPS[request.param]


class TheLimit:
    def test_lets_in_those_that_come_first(self, limit: Limit) -> None:
        with limited(2):
            Store(clock=lambda: NOW).commit([limit.event(name) for name in ("b", "a", "c")])
        assert limit.names() == {"a", "b"}

    def test_costs_no_count_once_it_is_known_to_be_reached(self, limit: Limit) -> None:
        with limited(1):
            store = Store(clock=lambda: NOW)
            for name in ("first", "second", "third"):
                store.commit([limit.event(name)])
            with CaptureQueriesContext(connection) as asked:
                for number in range(20):
                    store.commit([limit.event("first"), limit.event(f"new {number}")])
        assert not any("COUNT(" in query["sql"] for query in asked)
        assert limit.names() == {"first"}

    def test_costs_no_count_for_label_sets_that_are_known(self, limit: Limit) -> None:
        Store(clock=lambda: NOW).commit([limit.event("first")])
        with CaptureQueriesContext(connection) as asked:
            Store(clock=lambda: NOW).commit([limit.event("first")])
        assert not any("COUNT(" in query["sql"] for query in asked)

    def test_sees_within_seconds_that_there_is_room_again(self, limit: Limit) -> None:
        with limited(1):
            store = Store(clock=lambda: at)
            at = NOW
            store.commit([limit.event("first")])
            store.commit([limit.event("second")])
            limit.stored.all().delete()
            at += COUNT_INTERVAL - timedelta(microseconds=1)
            store.commit([limit.event("third")])
            assert limit.names() == set()
            at += timedelta(microseconds=1)
            store.commit([limit.event("fourth")])
        assert limit.names() == {"fourth"}

    def test_is_not_used_up_by_what_was_rolled_back(self, limit: Limit, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*arguments: Any) -> None:
            raise RuntimeError("no")

        with limited(1):
            store = Store(clock=lambda: NOW)
            with monkeypatch.context() as broken, pytest.raises(RuntimeError):
                broken.setattr("metrics.store.writing.rollup_rows.rows_of_groups", fail)
                store.commit([limit.event("first")])
            store.commit([limit.event("second")])
        assert limit.names() == {"second"}


@pytest.mark.django_db(transaction=True)
class TheLimitOfManyProcesses:
    """Each thread here is as a process: it has a store and a connection of its own."""

    def test_is_kept_by_all_of_them_together(self, limit: Limit) -> None:
        together = threading.Barrier(4)

        def post(thread: int) -> None:
            try:
                store = Store(clock=lambda: NOW)
                together.wait(30)
                for number in range(10):
                    store.commit([limit.event(f"{thread}-{number}")])
            finally:
                connection.close()

        with limited(7), ThreadPoolExecutor(4) as pool:
            list(pool.map(post, range(4)))
        assert len(limit.names()) == 7
