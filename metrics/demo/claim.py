"""Who runs the demo: one process in all, however often and wherever the button is pressed.

The claim says how far the filling is, and is what stops it: whoever takes it away ends the run within a second or two.
It ends by itself with the process that holds it, however that dies. With Redis it is a key there, which expires.
Without, all processes stand on one machine and share the data directory, and it is a locked file in it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.core.cache import BaseCache, caches

KEY = "demo:running"
STOPPED_KEY = "demo:stopped"
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


class Claim(Protocol):
    """The one right to run the demo. An instance is its holder's; others read and end it through their own."""

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
        return CachedClaim(caches["default"])
    return FileClaim(settings.LLMMONITOR.data_dir / FILE)


class CachedClaim:
    """A key in the cache that all processes share."""

    def __init__(self, cache: BaseCache) -> None:
        self._cache = cache
        self._token = os.urandom(8).hex()

    def take(self, progress: Progress) -> bool:
        """See Claim."""
        taken: bool = self._cache.add(KEY, self._value(progress), EXPIRES_SECONDS)
        return taken

    def tell(self, progress: Progress) -> bool:
        """See Claim. A claim that is taken away between the two lines comes back, and the next end() gets it."""
        if self._is_ours():
            self._cache.set(KEY, self._value(progress), EXPIRES_SECONDS)
            return True
        self._cache.set(STOPPED_KEY, self._token, EXPIRES_SECONDS)
        return False

    def release(self) -> None:
        """See Claim."""
        if self._is_ours():
            self._cache.delete(KEY)
        self._cache.set(STOPPED_KEY, self._token, EXPIRES_SECONDS)

    def read(self) -> Progress | None:
        """See Claim."""
        found = self._cache.get(KEY)
        return Progress(**{name: value for name, value in found.items() if name != "token"}) if found else None

    def end(self, wait_seconds: float) -> None:
        """See Claim."""
        found = self._cache.get(KEY)
        if found:
            self._cache.delete(KEY)
            _wait(lambda: self._cache.get(STOPPED_KEY) == found["token"], wait_seconds)
            self._cache.delete(KEY)

    def _is_ours(self) -> bool:
        found = self._cache.get(KEY)
        return bool(found) and found["token"] == self._token

    def _value(self, progress: Progress) -> dict[str, Any]:
        return {**asdict(progress), "token": self._token}


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


def _wait(done: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
