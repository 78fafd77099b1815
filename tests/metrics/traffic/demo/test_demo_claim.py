"""The one right to run the demo: whoever has it keeps it until it is taken away, or until their process is gone."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache, caches
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.exceptions import TimeoutError as RedisTimeoutError

from metrics.traffic.demo.claim import KEY, CachedClaim, Claim, ClaimUnknown, FileClaim, Progress
from tests import services

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


@pytest.mark.redis
class AClaimWhileRedisIsAway:
    @pytest.fixture
    def away(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
        """Makes each call of Redis time out, or not."""

        def refuse(*_: Any, **__: Any) -> None:
            raise RedisTimeoutError("Timeout reading from socket")

        def set_away(is_away: bool) -> None:
            if is_away:
                monkeypatch.setattr(RedisCacheClient, "get_client", refuse)
            else:
                monkeypatch.undo()

        return set_away

    @pytest.fixture
    def claim(self, redis_url: str) -> Callable[[], Claim]:
        return lambda: CachedClaim(RedisCache(redis_url, {}))

    def test_stays_its_holders(self, claim: Callable[[], Claim], away: Callable[[bool], None]) -> None:
        mine = claim()
        mine.take(BEGUN)
        away(True)
        assert mine.tell(HALF)
        away(False)
        assert mine.tell(HALF)
        assert claim().read() == HALF

    def test_cannot_be_taken_read_or_ended(self, claim: Callable[[], Claim], away: Callable[[bool], None]) -> None:
        away(True)
        for ask in (lambda: claim().take(BEGUN), claim().read, lambda: claim().end(10)):
            with pytest.raises(ClaimUnknown, match="Redis does not answer"):
                ask()
        away(False)
        assert claim().read() is None

    def test_that_is_given_back_is_left_to_expire(
        self, claim: Callable[[], Claim], away: Callable[[bool], None]
    ) -> None:
        mine = claim()
        mine.take(BEGUN)
        away(True)
        mine.release()
        away(False)
        assert claim().read() == BEGUN

    def test_is_not_nobodys_by_our_settings_either(self) -> None:
        code = "import django; django.setup(); from metrics.traffic.demo.claim import own_claim; own_claim().read()"
        env = os.environ | {"REDIS_URL": f"redis://127.0.0.1:{services.free_port()}/0"}
        run = subprocess.run([sys.executable, "-c", code], env=env, check=False, capture_output=True, text=True)
        assert "ClaimUnknown: Redis does not answer" in run.stderr

    @pytest.mark.parametrize("lost", ["what expires", "everything"])
    def test_so_long_that_it_expires_stays_its_holders(
        self, claim: Callable[[], Claim], redis_url: str, lost: str
    ) -> None:
        mine = claim()
        mine.take(BEGUN)
        cache = RedisCache(redis_url, {})
        if lost == "everything":  # a Redis that keeps nothing was started anew
            cache.clear()
        else:
            cache.delete(KEY)
        assert mine.tell(HALF)
        assert not claim().take(BEGUN)

    @pytest.mark.parametrize("given_back", [False, True])
    def test_so_long_that_it_expires_goes_to_who_takes_it(
        self, claim: Callable[[], Claim], redis_url: str, given_back: bool
    ) -> None:
        mine, other = claim(), claim()
        mine.take(BEGUN)
        RedisCache(redis_url, {}).delete(KEY)
        other.take(HALF)
        if given_back:  # a removal that has ended
            other.release()
        assert not mine.tell(BEGUN)
        assert claim().read() == (None if given_back else HALF)


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
