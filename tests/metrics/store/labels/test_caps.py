"""The caps on label sets of requests and of samples, and on groups of errors: kept by all processes together, and cheap
once they are reached.

What becomes of an event beyond its cap is told in test_commit.py, test_samples.py and test_error_groups.py.
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
from metrics.store.labels.interning import COUNT_AGAIN
from metrics.store.writing.fingerprint import OTHER
from metrics.store.writing.transaction import Store
from tests.metrics.store.stored import NOW, capped, error, request

pytestmark = [pytest.mark.store, pytest.mark.django_db]


@dataclass(frozen=True)
class Cap:
    """One of them: an event with a label set (a group) of its own, and those that are stored within the cap."""

    event: Callable[[str], Event]
    stored: Any
    name: str

    def names(self) -> set[str]:
        return set(self.stored.values_list(self.name, flat=True))


CAPS = {
    "requests": Cap(
        lambda name: request(name, model_name=name),
        Series.objects.exclude(model_name=Series.OTHER).order_by("pk"),
        "model_name",
    ),
    "samples": Cap(lambda name: SystemEvent(timestamp=NOW, host=name), GaugeLabels.objects.order_by("pk"), "host"),
    "errors": Cap(
        lambda name: error(name, error_type=name),
        ErrorGroup.objects.exclude(message=OTHER).order_by("pk"),
        "error_type",
    ),
}


@pytest.fixture(params=CAPS)
def cap(request: pytest.FixtureRequest) -> Cap:
    return CAPS[request.param]


class TheCap:
    def test_lets_in_those_that_come_first(self, cap: Cap) -> None:
        with capped(2):
            Store(clock=lambda: NOW).commit([cap.event(name) for name in ("b", "a", "c")])
        assert cap.names() == {"a", "b"}

    def test_costs_no_count_once_it_is_known_to_be_reached(self, cap: Cap) -> None:
        with capped(1):
            store = Store(clock=lambda: NOW)
            for name in ("first", "second", "third"):
                store.commit([cap.event(name)])
            with CaptureQueriesContext(connection) as asked:
                for number in range(20):
                    store.commit([cap.event("first"), cap.event(f"new {number}")])
        assert not any("COUNT(" in query["sql"] for query in asked)
        assert cap.names() == {"first"}

    def test_costs_no_count_for_label_sets_that_are_known(self, cap: Cap) -> None:
        Store(clock=lambda: NOW).commit([cap.event("first")])
        with CaptureQueriesContext(connection) as asked:
            Store(clock=lambda: NOW).commit([cap.event("first")])
        assert not any("COUNT(" in query["sql"] for query in asked)

    def test_sees_within_seconds_that_there_is_room_again(self, cap: Cap) -> None:
        with capped(1):
            store = Store(clock=lambda: at)
            at = NOW
            store.commit([cap.event("first")])
            store.commit([cap.event("second")])
            cap.stored.all().delete()
            at += COUNT_AGAIN - timedelta(microseconds=1)
            store.commit([cap.event("third")])
            assert cap.names() == set()
            at += timedelta(microseconds=1)
            store.commit([cap.event("fourth")])
        assert cap.names() == {"fourth"}

    def test_is_not_used_up_by_what_was_rolled_back(self, cap: Cap, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*arguments: Any) -> None:
            raise RuntimeError("no")

        with capped(1):
            store = Store(clock=lambda: NOW)
            with monkeypatch.context() as broken, pytest.raises(RuntimeError):
                broken.setattr("metrics.store.writing.rollup_rows.add_groups", fail)
                store.commit([cap.event("first")])
            store.commit([cap.event("second")])
        assert cap.names() == {"second"}


@pytest.mark.django_db(transaction=True)
class TheCapOfManyProcesses:
    """Each thread here is as a process: it has a store and a connection of its own."""

    def test_is_kept_by_all_of_them_together(self, cap: Cap) -> None:
        together = threading.Barrier(4)

        def post(thread: int) -> None:
            try:
                store = Store(clock=lambda: NOW)
                together.wait(30)
                for number in range(10):
                    store.commit([cap.event(f"{thread}-{number}")])
            finally:
                connection.close()

        with capped(7), ThreadPoolExecutor(4) as pool:
            list(pool.map(post, range(4)))
        assert len(cap.names()) == 7
