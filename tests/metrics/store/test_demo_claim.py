"""The claim on the demo data: its owner keeps it until it releases it, is stopped, or dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models.query import QuerySet
from django.utils import timezone

from metrics.models import DemoClaim
from metrics.store import demo_claim
from metrics.store.demo_claim import EXPIRES_SECONDS, Claim, Progress, current_progress, stop_owner

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

BEGUN = Progress(0, "what happens")
HALF = Progress(50, "what happens")


@pytest.fixture(autouse=True)
def every_heartbeat_is_written(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(demo_claim, "HEARTBEAT_SECONDS", 0.0)
    yield
    connection.close()


def let_it_expire() -> None:
    """As if its owner had been killed."""
    DemoClaim.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=EXPIRES_SECONDS + 1))


class AClaim:
    def test_is_free_at_first(self) -> None:
        assert current_progress() is None

    def test_that_is_owned_cannot_be_acquired(self) -> None:
        mine, other = Claim(), Claim()
        assert mine.acquire(BEGUN)
        assert not other.acquire(BEGUN)
        assert mine.renew(HALF)

    def test_shows_the_progress_of_its_owner(self) -> None:
        mine = Claim()
        mine.acquire(BEGUN)
        assert current_progress() == BEGUN
        mine.renew(HALF)
        assert current_progress() == HALF

    def test_can_be_acquired_again_after_its_release(self) -> None:
        mine = Claim()
        mine.acquire(BEGUN)
        mine.release()
        assert current_progress() is None
        assert Claim().acquire(BEGUN)

    def test_that_was_lost_is_not_released_by_its_former_owner(self) -> None:
        mine, new = Claim(), Claim()
        mine.acquire(BEGUN)
        stop_owner(0)
        assert new.acquire(HALF)
        mine.release()
        assert new.renew(HALF)
        assert current_progress() == HALF

    def test_that_was_stopped_tells_its_owner_to_end(self) -> None:
        mine = Claim()
        mine.acquire(BEGUN)
        stop_owner(0)
        assert not mine.renew(HALF)
        assert not mine.renew(HALF)  # asked again at once, too
        assert current_progress() is None

    def test_is_free_only_when_its_owner_has_ended(self) -> None:
        mine = Claim()
        mine.acquire(BEGUN)
        order: list[str] = []

        def work() -> None:
            while mine.renew(HALF):
                time.sleep(0.01)
            time.sleep(0.2)  # its last step
            order.append("the owner has ended")
            mine.release()
            connection.close()

        thread = threading.Thread(target=work)
        thread.start()
        stop_owner(10)
        order.append("the claim is free")
        thread.join()
        assert order == ["the owner has ended", "the claim is free"]
        assert Claim().acquire(BEGUN)

    def test_that_is_free_can_be_stopped(self) -> None:
        stop_owner(10)
        assert Claim().acquire(BEGUN)

    def test_goes_to_one_of_many_that_ask_at_once(self) -> None:
        barrier = threading.Barrier(8)
        acquired: list[bool] = []

        def ask() -> None:
            barrier.wait()
            acquired.append(Claim().acquire(BEGUN))
            connection.close()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(acquired) == [False] * 7 + [True]


class AClaimWhoseOwnerDied:
    def test_is_free_after_some_seconds(self) -> None:
        Claim().acquire(BEGUN)
        assert not Claim().acquire(BEGUN)
        let_it_expire()
        assert current_progress() is None
        assert Claim().acquire(HALF)

    def test_is_not_waited_for(self) -> None:
        Claim().acquire(BEGUN)
        let_it_expire()
        before = time.monotonic()
        stop_owner(60)
        assert time.monotonic() - before < 30

    def test_is_lost_to_its_owner_if_that_was_only_slow(self) -> None:
        slow, new = Claim(), Claim()
        slow.acquire(BEGUN)
        let_it_expire()
        assert new.acquire(HALF)
        assert not slow.renew(BEGUN)
        assert current_progress() == HALF


class ADatabaseThatIsLocked:
    def test_costs_a_heartbeat_and_not_the_claim(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def locked(*_: object, **__: object) -> int:
            raise OperationalError("database is locked")

        mine = Claim()
        mine.acquire(BEGUN)
        with monkeypatch.context() as patch:
            patch.setattr(QuerySet, "update", locked)
            assert mine.renew(HALF)
        assert current_progress() == BEGUN
        assert mine.renew(HALF)
        assert current_progress() == HALF
