"""The recorder: one thread that commits the events of many callers together and returns each caller its result.

A commit costs about the same for one event and for a thousand, so the events that arrive during a commit share the next
one. A future is done only after the commit of its events. The queue is limited (`QueueFull`). If a transaction fails,
nothing of it is stored and all its callers get the error (`StoreUnavailable`); events that the database rejects fail
only their own submission.
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

from llmmonitor.infra import refusals
from llmmonitor.infra.database_errors import is_transient
from llmmonitor.infra.telemetry import telemetry
from llmmonitor.infra.throttled_log import LogThrottle, log_throttled
from metrics.events import Event
from metrics.store import disk
from metrics.store.commit_result import CommitResult
from metrics.store.unavailable import StoreUnavailable

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
    """Raised if the queue has no room for the events. None of them is stored."""

    def __init__(self, retry_after_seconds: int = 1) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__("Too many events are waiting for their commit.")


class Committer(Protocol):
    """The part of `metrics.store.writing.transaction.Store` that a recorder uses."""

    def commit(self, events: Sequence[Event]) -> CommitResult:
        """Store the events in one transaction, or raise and store nothing."""
        ...

    def compact(self) -> bool:
        """Do a small part of the work that commits have left. Return whether there is more."""
        ...


@dataclass(frozen=True, slots=True)
class RecorderPolicy:
    """The limits of a recorder.

    max_batch: events in one transaction; a larger submission has its own transaction.
    max_delay: maximum seconds that a commit waits for further events.
    max_queued: events that are waiting or being committed.
    max_queued_bytes: the size of their bodies.
    """

    max_batch: int
    max_delay: float
    max_queued: int
    max_queued_bytes: int

    @classmethod
    def from_settings(cls) -> RecorderPolicy:
        """The limits of this installation."""
        from django.conf import settings

        own = settings.LLMMONITOR
        return cls(
            own.recorder_max_batch,
            own.recorder_max_delay_ms / 1000,
            own.recorder_queue_events,
            own.recorder_queue_bytes,
        )


@dataclass(frozen=True, slots=True)
class Stats:
    """The counters of a recorder.

    queued_events: not yet committed. committed_events: accepted events since the start of the process. rejected: events
    that were not stored because the queue was full or the database was unavailable. stuck_seconds: how long events have
    waited without a commit that ended; 0 if none wait.
    """

    queued_events: int
    committed_events: int
    commits: int
    last_commit_at: datetime | None
    rejected: int
    stuck_seconds: float = 0.0


@dataclass(slots=True)
class _Submission:
    events: Sequence[Event]
    size: int
    future: Future[CommitResult]


def _store() -> Committer:
    from metrics.store.writing.transaction import Store

    return Store()


class Recorder:
    """Accepts events from any thread and commits them on its own thread, which the first submission starts."""

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
        self._queued = self._queued_bytes = 0
        self._moved_at = time.monotonic()  # when the queue last began or became shorter
        self._committed = self._commits = self._rejected = 0
        self._last_commit_at: datetime | None = None
        self._failures = LogThrottle()
        self._last_batch_submissions = 1  # submissions in the last transaction: an estimate of concurrent callers

    def _check_fork(self) -> None:
        # After a fork, the thread does not exist, its lock may be held, and the parent commits the queue.
        if self._pid != os.getpid():
            self._reset()

    def submit(self, events: Sequence[Event], size: int = 0) -> Future[CommitResult]:
        """Queue events that were sent in a body of `size` bytes. The future is done when they are committed, or fails
        with StoreUnavailable or the database's error. Raises QueueFull, and StoreUnavailable after `close`."""
        self._check_fork()
        future: Future[CommitResult] = Future()
        if not events:
            future.set_result(CommitResult(0, 0))
            return future
        with self._changed:
            if self._closed:
                raise StoreUnavailable("down", "The server is stopping; nothing was stored.")
            # An empty queue accepts a submission above the limit, because a retry could never succeed.
            if self._queued and (
                self._queued + len(events) > self._policy.max_queued
                or self._queued_bytes + size > self._policy.max_queued_bytes
            ):
                self._rejected += len(events)
                raise QueueFull()
            if not self._queued:
                self._moved_at = time.monotonic()
            self._waiting.append(_Submission(events, size, future))
            self._queued += len(events)
            self._queued_bytes += size
            self._start()
            # Not for each submission, because the thread would only continue to wait for more of them.
            if len(self._waiting) == 1 or self._has_gathered():
                self._changed.notify_all()
        return future

    def record(self, events: Sequence[Event], timeout: float | None = None) -> CommitResult:
        """`submit`, and wait for the commit. Raises TimeoutError after `timeout` seconds; the events may still be
        stored."""
        try:
            return self.submit(events).result(timeout)
        except TimeoutError:
            if timeout is None:  # an error of the commit itself
                raise
            raise TimeoutError(
                f"The commit has not ended after {timeout:g} s. Another program holds the store's write lock, or the "
                "database or its disk is slow."
            ) from None

    def drain(self, timeout: float) -> bool:
        """Wait until the queue is empty, for at most `timeout` seconds. Returns whether it is."""
        self._check_fork()
        with self._changed:
            return self._changed.wait_for(lambda: not self._queued, timeout)

    def close(self, timeout: float = CLOSE_SECONDS) -> bool:
        """Accept no more events, commit the queue, and stop the thread. Returns whether everything was committed; the
        rest is cancelled."""
        self._check_fork()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            drained = self._changed.wait_for(lambda: not self._queued, timeout)
            uncommitted, thread = list(self._waiting), self._thread
            self._waiting.clear()
            self._finish(uncommitted)
        for submission in uncommitted:
            submission.future.cancel()
            submission.future.set_running_or_notify_cancel()
        if thread is not None and drained:
            thread.join(timeout)
        return drained

    def stats(self) -> Stats:
        """The current counters. Does not wait for a commit."""
        self._check_fork()
        with self._changed:
            stuck = time.monotonic() - self._moved_at if self._queued else 0.0
            return Stats(self._queued, self._committed, self._commits, self._last_commit_at, self._rejected, stuck)

    def _start(self) -> None:
        """Start the thread if it does not run. The caller holds the lock."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        from django.db import connections

        store: Committer | None = None
        try:
            store = self._make_store()
            while batch := self._next_batch():
                begin = time.monotonic()
                self._commit(store, batch)
                with self._changed:
                    self._running = []
                    self._finish(batch)
                now = time.monotonic()
                self._compact(store, until=now + (now - begin))
        finally:
            self._stop(can_restart=store is not None)
            connections.close_all()

    def _compact(self, store: Committer, until: float) -> None:
        """Merge rollup rows until none is due. Posts that wait do so at most until this time."""
        try:
            while store.compact():
                if (self._waiting or self._closed) and time.monotonic() >= until:
                    break
        except Exception as error:  # noqa: BLE001 (the rows stay correct without it)
            _reconnect()
            log_throttled(log, "compaction", error)

    def _stop(self, can_restart: bool) -> None:
        """When the thread ends: fail the running batch, and start another thread for the queue if that can work."""
        with self._changed:
            lost, self._running = self._running, []
            self._thread = None
            if not can_restart:
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
        """The submissions of the next transaction; none if the recorder is closed and the queue is empty."""
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
                    else:  # cancelled by its caller
                        self._finish([submission])
            self._running = batch
            self._last_batch_submissions = len(batch)
        return batch

    def _gather(self) -> None:
        """Wait up to `max_delay` for as many submissions as the last transaction had. A single caller does not wait."""
        deadline = time.monotonic() + self._policy.max_delay
        while not self._has_gathered():
            remaining = deadline - time.monotonic()
            if remaining <= 0 or self._closed:
                return
            self._changed.wait(remaining)

    def _has_gathered(self) -> bool:
        """Whether as many submissions wait as the last transaction had, or events for a whole batch."""
        return len(self._waiting) >= self._last_batch_submissions or self._queued >= self._policy.max_batch

    def _finish(self, batch: Sequence[_Submission]) -> None:
        """Remove the submissions from the count of the queue. The caller holds the lock."""
        self._moved_at = time.monotonic()
        self._queued -= sum(len(submission.events) for submission in batch)
        self._queued_bytes -= sum(submission.size for submission in batch)
        self._changed.notify_all()

    def _commit(self, store: Committer, batch: Sequence[_Submission]) -> None:
        """Commit the submissions in one transaction and set their futures."""
        begin = time.perf_counter()
        try:
            recorded = _commit_with_retry(store, [event for submission in batch for event in submission.events])
        except StoreUnavailable as error:
            self._reject(batch, error)
        except Exception as error:  # of any kind: the callers get it, and the thread continues
            _reconnect()
            if len(batch) == 1:
                log.error("The database rejected events", exc_info=error)
                _fail(batch[0], error)
                return
            for submission in batch:  # alone, so that only the submission with the invalid event fails
                self._commit(store, [submission])
        else:
            if self._failures.succeeded(time.monotonic()):
                log.warning("Events are stored again")
            telemetry.observe("commit", time.perf_counter() - begin)
            telemetry.count("events", "accepted", recorded.accepted)
            refusals.count(refusals.EVENTS, refusals.DUPLICATE, recorded.duplicates)
            for field, number in refusals.by_reason(item.field for item in recorded.rejected).items():
                refusals.count(refusals.REJECTED_EVENTS, field, number)
            with self._changed:
                self._commits += 1
                self._committed += recorded.accepted
                self._last_commit_at = datetime.now(UTC)
            parts = recorded.split([len(submission.events) for submission in batch])
            for submission, part in zip(batch, parts, strict=True):
                submission.future.set_result(part)

    def _reject(self, batch: Sequence[_Submission], error: StoreUnavailable) -> None:
        """Fail the batch and the whole queue: each further batch would wait for a locked store as long as this one."""
        if self._failures.failed(error.reason, time.monotonic()):
            log.warning(
                "Events are rejected (%s): %s The store is %s.", error.reason, error.detail, disk.store_location()
            )
        if error.reason != "locked":
            _reconnect()
        with self._changed:
            queue = list(self._waiting)
            self._waiting.clear()
            rejected = [
                *batch,
                *(submission for submission in queue if submission.future.set_running_or_notify_cancel()),
            ]
            self._rejected += sum(len(submission.events) for submission in rejected)
        for submission in rejected:
            _fail(submission, error)
        with self._changed:
            self._finish(queue)


def _commit_with_retry(store: Committer, events: Sequence[Event]) -> CommitResult:
    """Commit, with one retry after a transient error."""
    try:
        return store.commit(events)
    except StoreUnavailable as error:
        if error.__cause__ is None or not is_transient(error.__cause__):
            raise
        log.info("Retrying the commit: %s", error.__cause__)
    _reconnect()
    return store.commit(events)


def _reconnect() -> None:
    """Close the connection, so that the next query opens a new one: the old one may be the cause of the error (a server
    that restarted, a file opened read-only)."""
    from django.db import connection

    with contextlib.suppress(Exception):
        connection.close()


def _fail(submission: _Submission, error: BaseException) -> None:
    if not submission.future.done():
        submission.future.set_exception(error)


_recorder: Recorder | None = None
_creation_lock = threading.Lock()


def get_recorder() -> Recorder:
    """The recorder of this process, created by the first call. After a fork, the child creates its own."""
    global _recorder
    recorder = _recorder
    if recorder is None:
        with _creation_lock:
            recorder = _recorder
            if recorder is None:
                recorder = _recorder = Recorder()
    return recorder


def close_recorder(timeout: float = CLOSE_SECONDS) -> bool:
    """Commit the queue and stop the thread. Returns whether everything was committed. The next `get_recorder` creates
    another recorder."""
    global _recorder
    with _creation_lock:
        recorder, _recorder = _recorder, None
    return recorder is None or recorder.close(timeout)


def drain_recorder(timeout: float) -> bool:
    """Wait until the recorder of this process, if there is one, has committed its queue. Returns whether it has."""
    recorder = _recorder
    return recorder is None or recorder.drain(timeout)


def _queued_events() -> int:
    return _recorder.stats().queued_events if _recorder is not None else 0


telemetry.level("queued_events", _queued_events)


def _unlock_after_fork() -> None:
    global _creation_lock
    _creation_lock = threading.Lock()


os.register_at_fork(after_in_child=_unlock_after_fork)
atexit.register(close_recorder)
