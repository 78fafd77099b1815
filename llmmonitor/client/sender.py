"""The thread that sends what was recorded. The callers only append to its queue.

Every second, the thread takes the queue, writes it as batches, and posts them. While the server cannot be reached, the
batches wait, in memory or on disk, and are sent again later: their events have ids, so that none is counted twice.
"""

from __future__ import annotations

import atexit
import os
import random
import socket
import sys
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from typing import Any

from llmmonitor.client.call import Call
from llmmonitor.client.connection import Connection, NoResponse, Response
from llmmonitor.client.events import MAX_BATCH_EVENTS, QUEUE, Batch, Recorded, batches
from llmmonitor.client.in_flight import InFlight
from llmmonitor.client.settings import Settings
from llmmonitor.client.slot import Slot
from llmmonitor.client.spool import WaitingOnDisk
from llmmonitor.client.waiting import Waiting, WaitingInMemory
from llmmonitor.client.warn import warn

EVERY_SECONDS = 1.0
MAX_QUEUED = 20_000  # calls and events that the thread has not taken yet; further ones are dropped
TIMEOUT_SECONDS = 10.0  # of a post
LONGEST_WAIT_SECONDS = 60.0  # between two attempts
EXIT_SECONDS = 1.5  # what sending may delay the end of the process
REFUSED = (400, 413, 415)  # sending it again would not help


class Sender:
    """The queue of what was recorded, the calls in flight, and the thread, which the first event starts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.in_flight: dict[Call, None] = {}
        self._reset()
        _senders.add(self)

    def _reset(self) -> None:
        """Start anew, as in a child of a fork: what the parent has recorded is sent by the parent."""
        self.in_flight.clear()
        self.sent = self.rejected = self.dropped = 0
        self.last_error = self.settings.problem
        self._items: deque[Call | Recorded] = deque()
        self._changed = threading.Condition()  # also guards the counters, and moving events from the queue
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self.is_running = False
        self._slot: Slot | None = None
        self._waiting: Waiting = WaitingInMemory()
        self._connection = Connection(self.settings, TIMEOUT_SECONDS)
        self._queue_samples = InFlight(self.settings.service)
        self._source = ""
        self._finished = 0  # events that were sent, refused or dropped by the thread
        self._failures = 0
        self._not_before = 0.0
        self._is_closing = self._is_flushing = False

    @property
    def queued(self) -> int:
        """The number of events that were recorded and not sent yet."""
        return len(self._items) + self._waiting.count

    def put(self, item: Call | Recorded) -> None:
        """Queue an event. Does not block and does not raise."""
        items = self._items
        if len(items) >= MAX_QUEUED:
            self._drop(1, "queue", f"More than {MAX_QUEUED:,} events wait for the sender's thread; more are dropped.")
            return
        items.append(item)
        if not self.is_running:
            self.start()
        elif len(items) == MAX_BATCH_EVENTS:
            self._wake.set()

    def put_many(self, items: list[Recorded]) -> None:
        """Write events as batches now, so that a long list does not need the queue."""
        if self.start():
            self._keep(items)
            self._wake.set()

    def flush(self, timeout_seconds: float) -> bool:
        """Send now what was recorded before. Return whether all of it was sent or refused in time."""
        if not self.queued:
            return True
        if not self.start():
            return False
        until = time.monotonic() + timeout_seconds
        with self._changed:
            wanted = self._finished + self.queued
            while self._finished < wanted and (left := until - time.monotonic()) > 0:
                self._is_flushing = True
                self._wake.set()
                self._changed.wait(min(left, EVERY_SECONDS))
            return self._finished >= wanted

    def close(self, timeout_seconds: float = EXIT_SECONDS) -> None:
        """Try once more to send what waits, and stop the thread. A later event starts it again."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        self._is_closing = True
        self._wake.set()
        thread.join(timeout_seconds)
        if self.queued and not self.settings.spool_dir:
            warn("close", f"{self.queued:,} events were not sent. {self.last_error}")

    def start(self) -> bool:
        """Start the thread, unless it runs. Return whether it runs."""
        if self.settings.is_disabled or self.settings.problem:
            self._items.clear()
            if self.settings.problem and not self.settings.is_disabled:
                warn("settings", f"Nothing is sent. {self.settings.problem}")
            return False
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="llmmonitor", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is ending, or has no thread left
                    return False
                self._thread = thread
                self.is_running = True
                _close_at_the_end_of_a_child(self)
        return True

    def _run(self) -> None:
        try:
            self._open()
            while True:
                self._wake.wait(EVERY_SECONDS)
                self._wake.clear()
                is_closing, is_flushing = self._is_closing, self._is_flushing
                self._is_flushing = False
                try:
                    self._take()
                    if is_closing or is_flushing or time.monotonic() >= self._not_before:
                        self._send_waiting()
                except Exception as error:  # noqa: BLE001 (the thread must go on)
                    warn("sender", f"Sending failed ({error!r}).")
                with self._changed:
                    self._changed.notify_all()
                    if is_closing and self._is_closing:
                        return
        finally:
            with self._changed:
                self._is_closing = self.is_running = False
                self._thread = None
                self._connection.close()
                if self._slot is not None:
                    self._slot.release()

    def _open(self) -> None:
        settings = self.settings
        self._slot = Slot(settings.service, settings.spool_dir)
        self._source = f"{settings.service or 'sdk'}@{socket.gethostname()}#{self._slot.number}"
        if settings.spool_dir:
            with self._changed:
                kept, self._waiting = self._waiting, WaitingOnDisk(settings.spool_dir, self._slot)
                while (batch := kept.first()) is not None:
                    self._waiting.add(batch)
                    kept.remove_first()

    def _take(self) -> None:
        """Move the queue and the numbers of requests in flight to the batches that wait."""
        items = self._items
        if not self._failures:
            for sample in self._queue_samples.samples(list(self.in_flight), self._source):
                items.append(sample)
        if items:
            self._keep([items.popleft() for _ in range(len(items))], is_taken=True)

    def _keep(self, items: list[Call | Recorded] | list[Recorded], *, is_taken: bool = False) -> None:
        common: dict[str, Any] = {"service": self.settings.service} if self.settings.service else {}
        if self.settings.metadata:
            common["metadata"] = self.settings.metadata
        with self._changed:
            left = len(items)
            dropped = 0
            for batch in batches(items, common):
                dropped += self._waiting.add(batch)
                left -= batch.events
            self._finished += left + dropped
        if left + dropped:
            self._drop(left + dropped, "waiting", "There is no room for more events that wait; the oldest are dropped.")

    def _send_waiting(self) -> None:
        """Post the batches that wait, until one fails."""
        while (batch := self._waiting.first()) is not None:
            try:
                response = self._connection.send("POST", batch.path, batch.body, is_compressed=batch.is_compressed)
            except NoResponse as error:
                self._fail(str(error), 0.0)
                return
            is_answered = response.status in (200, 422) and "accepted" in response.body
            if not is_answered and response.status not in REFUSED:
                self._fail(f"{self.settings.url} did not accept events: {response.reason}", response.retry_after)
                return
            self._failures = 0
            self._done(batch, response)
            if len(self._items) >= MAX_BATCH_EVENTS:
                self._take()

    def _done(self, batch: Batch, response: Response) -> None:
        """Count a batch that was answered."""
        rejected = response.body.get("rejected") or ()
        refused = batch.events if response.status in REFUSED else len(rejected)
        with self._changed:
            self._waiting.remove_first()
            self._finished += batch.events
            if batch.path != QUEUE:
                self.sent += batch.events - refused
                self.rejected += refused
            self._changed.notify_all()
        if refused:
            first = rejected[0] if rejected and isinstance(rejected[0], dict) else {}
            why = f"{first.get('field')}: {first.get('error')}" if first else response.reason
            self.last_error = f"{refused:,} of {batch.events:,} events were refused: {why}"
            warn("refused", self.last_error)

    def _fail(self, reason: str, retry_after: float) -> None:
        """Wait before the next attempt: longer after each failure, and as long as the server says."""
        self._failures += 1
        longest = min(LONGEST_WAIT_SECONDS, 2.0 ** min(self._failures, 10))
        self._not_before = time.monotonic() + (retry_after or random.uniform(longest / 2, longest))  # noqa: S311
        self.last_error = reason
        warn("failed", f"{reason}. {self.queued:,} events wait.")

    def _drop(self, count: int, subject: str, text: str) -> None:
        with self._changed:
            self.dropped += count
        self.last_error = text
        warn(subject, text)


_senders: weakref.WeakSet[Sender] = weakref.WeakSet()


def _close_at_the_end_of_a_child(sender: Sender) -> None:
    """Close it at the end of a child of multiprocessing or of Celery's billiard, which do not run `atexit`."""
    for name in ("multiprocessing.util", "billiard.util"):
        if module := sys.modules.get(name):
            with suppress(Exception):
                module.Finalize(sender, _close, (weakref.ref(sender),), exitpriority=1)


def _close(reference: weakref.ref[Sender]) -> None:
    if sender := reference():
        sender.close()


@atexit.register
def _close_all() -> None:
    until = time.monotonic() + EXIT_SECONDS
    for sender in list(_senders):
        sender.close(max(0.0, until - time.monotonic()))


def _reset_all() -> None:
    for sender in list(_senders):
        if sender._slot is not None:
            sender._slot.release()  # its lock is the parent's
        sender._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
