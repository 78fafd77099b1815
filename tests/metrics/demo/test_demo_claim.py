"""The one right to run the demo: whoever has it keeps it until it is taken away, or until their process is gone."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache, caches
from django.core.cache.backends.redis import RedisCache

from metrics.demo.claim import CachedClaim, Claim, FileClaim, Progress

BEGUN = Progress(0, "what happens")
HALF = Progress(50, "what happens")


@pytest.fixture(params=["file", "cache", pytest.param("redis", marks=pytest.mark.redis)])
def claim(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Claim]:
    """Makes claims on the same thing, as several processes would."""
    if request.param == "file":
        return lambda: FileClaim(tmp_path / "demo.lock")
    if request.param == "redis":
        redis = RedisCache(request.getfixturevalue("redis_url"), {})
        return lambda: CachedClaim(redis)
    cache.clear()
    return lambda: CachedClaim(caches["default"])


class AClaim:
    def test_is_nobodys_at_first(self, claim: Callable[[], Claim]) -> None:
        assert claim().read() is None

    def test_that_is_taken_is_nobody_elses(self, claim: Callable[[], Claim]) -> None:
        mine, other = claim(), claim()
        assert mine.take(BEGUN)
        assert not other.take(BEGUN)
        assert mine.tell(HALF)

    def test_says_how_far_its_holder_is(self, claim: Callable[[], Claim]) -> None:
        mine = claim()
        mine.take(BEGUN)
        assert claim().read() == BEGUN
        mine.tell(HALF)
        assert claim().read() == HALF

    def test_can_be_taken_again_after_it_is_given_back(self, claim: Callable[[], Claim]) -> None:
        mine = claim()
        mine.take(BEGUN)
        mine.release()
        assert claim().read() is None
        assert claim().take(BEGUN)

    def test_given_back_by_one_who_has_lost_it_stays_with_its_new_holder(self, claim: Callable[[], Claim]) -> None:
        mine, new = claim(), claim()
        mine.take(BEGUN)
        claim().end(0)
        assert new.take(HALF)
        mine.release()
        assert new.tell(HALF)
        assert claim().read() == HALF

    def test_that_was_taken_away_tells_its_holder_to_end(self, claim: Callable[[], Claim]) -> None:
        mine = claim()
        mine.take(BEGUN)
        claim().end(0)
        assert not mine.tell(HALF)
        assert claim().read() is None

    def test_is_taken_away_only_when_its_holder_has_seen_it(self, claim: Callable[[], Claim]) -> None:
        mine = claim()
        mine.take(BEGUN)
        order: list[str] = []

        def work() -> None:
            while mine.tell(HALF):
                time.sleep(0.01)
            order.append("the holder has ended")

        thread = threading.Thread(target=work)
        thread.start()
        claim().end(10)
        order.append("the claim is free")
        thread.join()
        assert order == ["the holder has ended", "the claim is free"]

    def test_that_nobody_has_can_be_ended(self, claim: Callable[[], Claim]) -> None:
        claim().end(10)
        assert claim().take(BEGUN)

    def test_goes_to_one_of_many_who_ask_at_once(self, claim: Callable[[], Claim]) -> None:
        claims = [claim() for _ in range(8)]
        barrier = threading.Barrier(8)
        taken: list[bool] = []

        def ask(one: Claim) -> None:
            barrier.wait()
            taken.append(one.take(BEGUN))

        threads = [threading.Thread(target=ask, args=(one,)) for one in claims]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == [False] * 7 + [True]


def _take_and_die(path: Path) -> None:
    import os

    assert FileClaim(path).take(BEGUN)
    os._exit(1)


class AClaimInAFile:
    def test_that_cannot_be_told_is_not_held(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        claim = FileClaim(tmp_path / "demo.lock")
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
            patch.setattr(os, "pwrite", full)
            claim.take(Progress(0, ""))

        assert FileClaim(tmp_path / "demo.lock").read() is None
        assert FileClaim(tmp_path / "demo.lock").take(Progress(0, ""))

    def test_that_nobody_holds_is_nobodys_however_many_look(self, tmp_path: Path) -> None:
        path = tmp_path / "demo.lock"
        path.touch()
        with path.open() as other:  # one who looks at the same moment
            fcntl.flock(other, fcntl.LOCK_SH)

            assert FileClaim(path).read() is None


class AClaimOfAProcessThatDied:
    def test_is_free(self, tmp_path: Path) -> None:
        path = tmp_path / "demo.lock"
        process = multiprocessing.get_context("spawn").Process(target=_take_and_die, args=(path,))
        process.start()
        process.join()
        assert process.exitcode == 1
        assert path.exists()
        assert FileClaim(path).read() is None
        assert FileClaim(path).take(HALF)
