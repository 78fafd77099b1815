"""Who runs the demo: one process in all, however often and wherever the button is pressed.

The claim says how far the filling is, and is what stops it: whoever takes it away ends the run within a second or two.
It ends by itself with the process that holds it, however that dies. With Redis it is a key there, which expires.
Without, all processes stand on one machine and share the data directory, and it is a locked file in it.

It is a lock, not something a cache may forget: while Redis is away nobody can take it, and who has it keeps it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.core.cache import BaseCache, caches
from redis.exceptions import RedisError

KEY = "demo:running"
HOLDER_KEY = "demo:holder"
NOBODY = ""
EXPIRES_SECONDS = 15  # its holder tells after each second, half hour of filled data, or some rows that it removed
FILE = "demo.lock"
TAKE_TRIES = 5  # a reader of the file's state holds its lock for some microseconds
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Progress:
    """What a claim says: the share of the filling that is done and the incident in it, or that all is being removed."""

    percent: int
    incident: str
    removing: bool = False


class ClaimUnknown(Exception):
    """Nobody can tell who has the claim; so whoever does not have it must not go on."""

    def __init__(self) -> None:
        super().__init__("Redis does not answer, and only there stands whether demo data is on its way. Try again.")


class Claim(Protocol):
    """The one right to run the demo. An instance is its holder's; others read and end it through their own.

    Those who take, read or end it may meet with ClaimUnknown; its holder does not.
    """

    def take(self, progress: Progress) -> bool:
        """Whether it is ours now. False: somebody has it."""
        ...

    def tell(self, progress: Progress) -> bool:
        """Say how far it is; False when the claim was taken away, and the run has to end."""
        ...

    def release(self) -> None:
        """Give back what is ours; nothing when it is not."""
        ...

    def read(self) -> Progress | None:
        """What its holder said last; None when nobody has it."""
        ...

    def end(self, wait_seconds: float) -> None:
        """Take it away from whoever has it, and wait until they have seen it."""
        ...


def own_claim() -> Claim:
    """The claim of this installation."""
    if settings.LLMMONITOR.redis_url:
        return CachedClaim(caches["claim"])
    return FileClaim(settings.LLMMONITOR.data_dir / FILE)


class CachedClaim:
    """Two keys in the cache that all processes share: what its holder said last, which expires, and whose it is.

    The second alone takes it away. So a holder outlasts an outage that is longer than the first key lives, and a Redis
    that comes back empty.
    """

    def __init__(self, cache: BaseCache) -> None:
        self._cache = cache
        self._token = os.urandom(8).hex()

    def take(self, progress: Progress) -> bool:
        """See Claim."""
        with _asking():
            if not self._cache.add(KEY, self._value(progress), EXPIRES_SECONDS):
                return False
            self._cache.set(HOLDER_KEY, self._token, None)
            return True

    def tell(self, progress: Progress) -> bool:
        """See Claim."""
        try:
            if self._cache.get(HOLDER_KEY, self._token) == self._token:
                self._cache.set(KEY, self._value(progress), EXPIRES_SECONDS)
                return True
        except RedisError:
            return True
        self.release()
        return False

    def release(self) -> None:
        """See Claim."""
        with suppress(RedisError):  # then it expires
            if self._is_held_by(self._token):
                self._cache.delete(KEY)

    def read(self) -> Progress | None:
        """See Claim."""
        with _asking():
            found = self._cache.get(KEY)
        return Progress(**{name: value for name, value in found.items() if name != "token"}) if found else None

    def end(self, wait_seconds: float) -> None:
        """See Claim."""
        with _asking():
            found = self._cache.get(KEY)
            self._cache.set(HOLDER_KEY, NOBODY, None)
            if found and not _wait(lambda: not self._is_held_by(found["token"]), wait_seconds):
                self._cache.delete(KEY)

    def _is_held_by(self, token: str) -> bool:
        found = self._cache.get(KEY)
        return bool(found) and found["token"] == token

    def _value(self, progress: Progress) -> dict[str, Any]:
        return {**asdict(progress), "token": self._token}


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise ClaimUnknown from error


class FileClaim:
    """A file that its holder keeps locked. Unlinking it takes the claim away: the holder looks whether it is there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self, progress: Progress) -> bool:
        """See Claim."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for _ in range(TAKE_TRIES):
            if _lock(file):
                break
            time.sleep(POLL_SECONDS)
        else:
            os.close(file)
            return False
        self._file = file
        try:
            return self.tell(progress)
        except OSError:  # a full disk: whoever cannot say that they hold it do not
            self.release()
            raise

    def tell(self, progress: Progress) -> bool:
        """See Claim."""
        if self._file is None or not self._stands(self._file):
            self.release()
            return False
        text = json.dumps(asdict(progress)).encode()
        os.pwrite(self._file, text, 0)
        os.ftruncate(self._file, len(text))
        return True

    def release(self) -> None:
        """See Claim."""
        if self._file is not None:
            if self._stands(self._file):
                self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None

    def read(self) -> Progress | None:
        """See Claim."""
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            if _lock(file, shared=True):  # so that two who look do not take each other for its holder
                return None  # what a killed process left
            return Progress(**json.loads(os.pread(file, 4_096, 0)))
        except (ValueError, TypeError):
            return Progress(0, "")  # caught in the middle of a write
        finally:
            os.close(file)

    def end(self, wait_seconds: float) -> None:
        """See Claim."""
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            self._path.unlink(missing_ok=True)
            _wait(lambda: _lock(file), wait_seconds)
        finally:
            os.close(file)

    def _stands(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False


def _lock(file: int, shared: bool = False) -> bool:
    # flock, not lockf: two threads of one process that open the file by themselves exclude each other, too.
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() >= until:
            return False
        time.sleep(POLL_SECONDS)
    return True
