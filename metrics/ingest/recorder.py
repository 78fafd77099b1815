"""The recorder: one thread that commits what many callers hand in, together, and tells each what became of theirs.

A commit costs the same for one event and for a thousand, so what gathers while one runs goes into the next. A future
is done only after the commit that holds its events: an answer means stored. The queue is bounded (`QueueFull`); what
cannot be committed is an error for everyone in that transaction (`StoreUnavailable`), with nothing of it stored; and
data that the database does not take fails its own submission alone.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from llmmonitor.infra.database_errors import is_transient
from metrics.events import Event
from metrics.ingest.refusal_log import RefusalLog
from metrics.store import disk
from metrics.store.availability import StoreUnavailable
from metrics.store.commit_result import CommitResult

__all__ = [
    "CommitResult",
    "QueueFull",
    "Recorder",
    "RecorderPolicy",
    "Stats",
    "StoreUnavailable",
    "close_recorder",
    "drain_recorder",
    "get_recorder",
]

CLOSE_SECONDS = 5.0
log = logging.getLogger(__name__)


class QueueFull(Exception):
    """So many events wait already that these were not taken; nothing of them was stored."""

    def __init__(self, retry_after_seconds: int = 1) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__("Too many events wait to be stored.")


class Committer(Protocol):
    """What a recorder commits with; `metrics.store.writing.transaction.Store`."""

    def commit(self, events: Sequence[Event]) -> CommitResult:
        """Store the events in one transaction, or raise with nothing stored."""
        ...


@dataclass(frozen=True, slots=True)
class RecorderPolicy:
    """max_batch: events in one transaction (a larger submission is one by itself). max_delay: seconds that a commit
    waits for more, when others are about. max_queued: events that wait or are being committed."""

    max_batch: int = 5_000
    max_delay: float = 0.005
    max_queued: int = 50_000

    @classmethod
    def from_settings(cls) -> RecorderPolicy:
        """As this installation has it."""
        from django.conf import settings

        own = settings.LLMMONITOR
        return cls(own.recorder_max_batch, own.recorder_max_delay_ms / 1000, own.recorder_queue_events)


@dataclass(frozen=True, slots=True)
class Stats:
    """queued_events: not yet committed. committed_events: new ones, since the start of the process. refused: events
    that were turned away by a full queue or an unavailable store."""

    queued_events: int
    committed_events: int
    commits: int
    last_commit_at: datetime | None
    refused: int


@dataclass(slots=True)
class _Submission:
    events: Sequence[Event]
    future: Future[CommitResult]


def _store() -> Committer:
    from metrics.store.writing.transaction import Store

    return Store()


class Recorder:
    """Takes events from any thread and commits them on its own, which is started by the first of them."""

    def __init__(
        self,
        policy: RecorderPolicy | None = None,
        *,
        store: Callable[[], Committer] = _store,
    ) -> None:
        self._policy = policy or RecorderPolicy.from_settings()
        self._make_store = store
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._waiting: deque[_Submission] = deque()
        self._running: list[_Submission] = []
        self._thread: threading.Thread | None = None
        self._closed = False
        self._queued = 0
        self._committed = self._commits = self._refused = 0
        self._last_commit_at: datetime | None = None
        self._refusals = RefusalLog()
        self._last_batch_submissions = 1  # submissions in the last transaction: how many callers are about

    def _check_fork(self) -> None:
        # After a fork the thread is not there, its lock may be held for ever, and the queue is the parent's to commit.
        if self._pid != os.getpid():
            self._reset()

    def submit(self, events: Sequence[Event]) -> Future[CommitResult]:
        """Take events; the future is done when they are committed, or failed with StoreUnavailable or the database's
        own error. Raises QueueFull, and StoreUnavailable when the recorder was closed."""
        self._check_fork()
        future: Future[CommitResult] = Future()
        if not events:
            future.set_result(CommitResult(0, 0))
            return future
        with self._changed:
            if self._closed:
                raise StoreUnavailable("down", "The server is stopping; nothing was stored.")
            # Alone in the queue even a submission above the bound is taken: told to try again it would never get in.
            if self._queued and self._queued + len(events) > self._policy.max_queued:
                self._refused += len(events)
                raise QueueFull()
            self._waiting.append(_Submission(events, future))
            self._queued += len(events)
            self._start()
            self._changed.notify_all()
        return future

    def record(self, events: Sequence[Event], timeout: float | None = None) -> CommitResult:
        """`submit`, and wait for the commit. Raises TimeoutError after `timeout` seconds; they may yet be stored."""
        return self.submit(events).result(timeout)

    def drain(self, timeout: float) -> bool:
        """Wait until nothing is left to commit, at most so many seconds; whether nothing is."""
        self._check_fork()
        with self._changed:
            return self._changed.wait_for(lambda: not self._queued, timeout)

    def close(self, timeout: float = CLOSE_SECONDS) -> bool:
        """Take no more, commit what waits, end the thread. Whether all was committed; what was not is cancelled."""
        self._check_fork()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            drained = self._changed.wait_for(lambda: not self._queued, timeout)
            left, thread = list(self._waiting), self._thread
            self._waiting.clear()
            self._finish(left)
        for submission in left:
            submission.future.cancel()
            submission.future.set_running_or_notify_cancel()
        if thread is not None and drained:
            thread.join(timeout)
        return drained

    def stats(self) -> Stats:
        """How it is doing. Never waits for a commit."""
        self._check_fork()
        with self._changed:
            return Stats(self._queued, self._committed, self._commits, self._last_commit_at, self._refused)

    # From here on: the thread.

    def _start(self) -> None:
        """Start the thread, the first time and when it has died. The lock is held."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        from django.db import connections

        store: Committer | None = None
        try:
            store = self._make_store()
            while batch := self._next_batch():
                self._commit(store, batch)
                with self._changed:
                    self._running = []
                    self._finish(batch)
        finally:
            self._end(able=store is not None)
            connections.close_all()

    def _end(self, able: bool) -> None:
        """Whatever ended the thread: nobody waits for it in vain, and what is left gets another, if one can work."""
        with self._changed:
            lost, self._running = self._running, []
            self._thread = None
            if not able:
                lost += [submission for submission in self._waiting if submission.future.set_running_or_notify_cancel()]
                self._finish([submission for submission in self._waiting if submission.future.cancelled()])
                self._waiting.clear()
            if self._waiting and not self._closed:
                self._start()
        for submission in lost:
            _fail(submission, StoreUnavailable("down", "The recorder was interrupted; nothing was stored."))
        with self._changed:
            self._finish(lost)

    def _next_batch(self) -> list[_Submission]:
        """The submissions of the next transaction; none when the recorder was closed and all is done."""
        batch: list[_Submission] = []
        size = 0
        with self._changed:
            while not batch:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    break
                self._gather()
                while self._waiting and (not batch or size + len(self._waiting[0].events) <= self._policy.max_batch):
                    submission = self._waiting.popleft()
                    if submission.future.set_running_or_notify_cancel():
                        batch.append(submission)
                        size += len(submission.events)
                    else:  # its caller has given up
                        self._finish([submission])
            self._running = batch
            self._last_batch_submissions = len(batch)
        return batch

    def _gather(self) -> None:
        """Wait a moment for others, when the last transaction had some: alone, waiting only makes one slower."""
        until = time.monotonic() + self._policy.max_delay
        while len(self._waiting) < self._last_batch_submissions and self._queued < self._policy.max_batch:
            left = until - time.monotonic()
            if left <= 0 or self._closed:
                return
            self._changed.wait(left)

    def _finish(self, batch: Sequence[_Submission]) -> None:
        """These no longer wait for a commit. The lock is held."""
        self._queued -= sum(len(submission.events) for submission in batch)
        self._changed.notify_all()

    def _commit(self, store: Committer, batch: Sequence[_Submission]) -> None:
        """Commit these in one transaction and tell each what became of it."""
        try:
            recorded = _commit_once_more(store, [event for submission in batch for event in submission.events])
        except StoreUnavailable as error:
            self._refuse(batch, error)
        except Exception as error:  # whatever it is: its callers are told, and the thread goes on
            _reconnect()
            if len(batch) == 1:
                log.error("Events that the store did not take", exc_info=error)
                _fail(batch[0], error)
                return
            for submission in batch:  # one of them is to blame, and the others must not pay for it
                self._commit(store, [submission])
        else:
            if self._refusals.stored(time.monotonic()):
                log.warning("Events are stored again")
            with self._changed:
                self._commits += 1
                self._committed += recorded.accepted
                self._last_commit_at = datetime.now(UTC)
            parts = recorded.split([len(submission.events) for submission in batch])
            for submission, part in zip(batch, parts, strict=True):
                submission.future.set_result(part)

    def _refuse(self, batch: Sequence[_Submission], error: StoreUnavailable) -> None:
        if self._refusals.refused(error.reason, time.monotonic()):
            log.warning(
                "Events are refused (%s): %s The store is %s.", error.reason, error.detail, disk.store_location()
            )
        if error.reason != "locked":
            _reconnect()
        with self._changed:
            self._refused += sum(len(submission.events) for submission in batch)
        for submission in batch:
            _fail(submission, error)


def _commit_once_more(store: Committer, events: Sequence[Event]) -> CommitResult:
    """Commit; and once more when the database says that the same may well succeed now."""
    try:
        return store.commit(events)
    except StoreUnavailable as error:
        if error.__cause__ is None or not is_transient(error.__cause__):
            raise
        log.info("Commit is tried again: %s", error.__cause__)
    _reconnect()
    return store.commit(events)


def _reconnect() -> None:
    """Leave the connection to its fate: what failed may be its own state (a server that restarted, a file opened
    read-only), which a new one does not have."""
    from django.db import connection

    with contextlib.suppress(Exception):
        connection.close()


def _fail(submission: _Submission, error: BaseException) -> None:
    if not submission.future.done():
        submission.future.set_exception(error)


_recorder: Recorder | None = None
_making = threading.Lock()


def get_recorder() -> Recorder:
    """The recorder of this process, made at the first call. After a fork the child makes its own."""
    global _recorder
    found = _recorder
    if found is None:
        with _making:
            found = _recorder
            if found is None:
                found = _recorder = Recorder()
    return found


def close_recorder(timeout: float = CLOSE_SECONDS) -> bool:
    """Commit what waits and end the thread; whether all was committed. The next `get_recorder` makes another."""
    global _recorder
    with _making:
        found, _recorder = _recorder, None
    return found is None or found.close(timeout)


def drain_recorder(timeout: float) -> bool:
    """Let this process's recorder, where it has one, commit what it took; whether all of it was."""
    found = _recorder
    return found is None or found.drain(timeout)


def _unlock_after_fork() -> None:
    global _making
    _making = threading.Lock()


os.register_at_fork(after_in_child=_unlock_after_fork)
atexit.register(close_recorder)
