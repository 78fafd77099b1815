"""The thread that sends what was recorded. The callers only append to its queue.

Every second, the thread takes the queue, writes it as batches, and posts them. While the server cannot be reached, the
batches wait, in memory or on disk, and are sent again later: their events have ids, so that none is counted twice.

Every event that was recorded is counted once: it is queued, sent, rejected (by the server) or dropped.
"""

from __future__ import annotations

import random
import socket
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from typing import Any

from llmmonitor.client.call import Call
from llmmonitor.client.connection import Connection, NoResponse
from llmmonitor.client.events import MAX_BATCH_EVENTS, Batch, Recorded, batches
from llmmonitor.client.in_flight import InFlight
from llmmonitor.client.processes import EXIT_SECONDS, close_with_child, close_with_process, process_ends_at
from llmmonitor.client.settings import Settings
from llmmonitor.client.slot import Slot
from llmmonitor.client.spool import WaitingOnDisk
from llmmonitor.client.waiting import Waiting, WaitingInMemory
from llmmonitor.client.warn import warn

EVERY_SECONDS = 1.0
MAX_QUEUED = 20_000  # calls and events that the thread has not taken yet; further ones are dropped
MAX_IN_FLIGHT = 50_000  # calls that were started and have not ended; the oldest are dropped
TIMEOUT_SECONDS = 10.0  # of a post
LONGEST_WAIT_SECONDS = 60.0  # between two attempts
NO_ROOM = "There is no room for more events that wait; the oldest are dropped."
UNWRITTEN = "Events that cannot be written as JSON, or are no mappings with fields, are dropped."


class Sender:
    """The queue of what was recorded, the calls in flight, and the thread, which the first event starts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.in_flight: dict[Call, None] = {}
        self._common: dict[str, Any] = {"service": settings.service} if settings.service else {}
        if settings.metadata:
            self._common["metadata"] = settings.metadata
        self._reset()
        close_with_process(self)

    def _reset(self) -> None:
        """Start from scratch."""
        self.in_flight.clear()
        self.last_error = self.settings.problem
        self._sent = self._rejected = self._dropped = 0
        self._finished = 0  # events that were queued, and then sent, rejected or dropped
        self._items: deque[Call | Recorded] = deque()
        self._waiting: Waiting = WaitingInMemory()
        # Both may be locked again by the thread that has locked them, such as in a handler of a signal.
        self._moving = threading.RLock()  # for moving events from the queue, and for the batches that wait
        self._changed = threading.Condition()  # for the counters and the state of the thread; never locked for long
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self.is_running = self._is_closing = self._is_flushing = self._has_tried = False
        self._slot: Slot | None = None
        self._source = ""
        self._connection = Connection(self.settings, TIMEOUT_SECONDS)
        self._samples = InFlight(self.settings.service)
        self._failures = 0
        self._not_before = 0.0

    def reset_after_fork(self) -> None:
        """Leave to the parent what it has recorded, and its number."""
        if self._slot is not None:
            self._slot.release()
        self._reset()

    def __del__(self) -> None:
        """End the thread. What waits in memory is lost."""
        self._wake.set()
        self._connection.close()
        self._warn_of_lost()

    def counts(self) -> dict[str, int]:
        """Return the numbers of events that are queued, and were sent, rejected and dropped."""
        with self._moving, self._changed:
            return {
                "queued": self._queued,
                "sent": self._sent,
                "rejected": self._rejected,
                "dropped": self._dropped,
            }

    @property
    def _queued(self) -> int:
        return len(self._items) + self._waiting.count

    def put(self, item: Call | Recorded) -> None:
        """Queue an event. Does not block and does not raise."""
        items = self._items
        if len(items) >= MAX_QUEUED:
            text = f"{MAX_QUEUED:,} events wait for the sender's thread; more are dropped."
            self._drop(1, "queue", text, were_queued=False)
            return
        items.append(item)
        if not self.is_running:
            self.start()
        elif len(items) >= MAX_BATCH_EVENTS and not self._wake.is_set():
            self._wake.set()

    def headroom(self, model_name: str, provider: str, requests: int | None, tokens: int | None) -> None:
        """Keep what a rate limit still allows for the next sample of the queue."""
        if self.is_running or self.start():
            self._samples.headroom(model_name, provider, requests=requests, tokens=tokens)

    def put_many(self, items: list[Recorded]) -> None:
        """Write events as batches now, so that a long list does not need the queue."""
        if self.start():
            self._drop(self._keep(items), "unwritten", UNWRITTEN, were_queued=False)
            self._wake.set()

    def flush(self, timeout_seconds: float) -> bool:
        """Send now what was recorded before. Return whether all of it was sent or rejected in time."""
        until = time.monotonic() + timeout_seconds
        with self._moving:  # events that are moved are not in the queue, and do not wait yet
            if not self._queued:
                return True
        if not self.start():
            self._send_here(until)
            return not self._queued
        with self._changed:
            self._changed.wait_for(lambda: self._slot is not None, timeout_seconds)  # the spool may have older events
        with self._moving, self._changed:
            wanted = self._finished + self._queued
        with self._changed:
            while self._finished < wanted and (left := until - time.monotonic()) > 0:
                self._is_flushing = True  # again each second: what was in the way before may have passed
                self._wake.set()
                self._changed.wait_for(lambda: self._finished >= wanted, min(left, EVERY_SECONDS))
            return self._finished >= wanted

    def close(self, timeout_seconds: float = EXIT_SECONDS) -> None:
        """Try once more to send what waits, and stop the thread. A later event starts it again."""
        with self._changed:
            thread = self._thread
            if thread is threading.current_thread():
                return
            self._is_closing = thread is not None
        if thread is None:
            self._send_here(time.monotonic() + timeout_seconds)
            return
        self._wake.set()
        thread.join(timeout_seconds)
        if thread.is_alive() and self._slot is not None:
            self._take()  # to the spool: the thread waits for the server
        if self._failures or thread.is_alive():
            self._warn_of_lost()

    def _warn_of_lost(self) -> None:
        if (queued := self._queued) and isinstance(self._waiting, WaitingInMemory):
            reason = self.last_error or "The server has not responded yet"
            warn("close", f"Events that were not sent: {queued:,}. {reason.rstrip('.')}. Run `llmmonitor check`.")

    def start(self) -> bool:
        """Start the thread, unless it runs. Return whether it runs."""
        if self.settings.is_disabled or self.settings.problem:
            self._items.clear()
            if self.settings.problem and not self.settings.is_disabled:
                warn("settings", f"Nothing is sent. {self.settings.problem}")
            return False
        if (ends_at := process_ends_at()) is not None:
            self._send_here(ends_at)
            return False
        with self._changed:
            if self._thread is None:
                # Known before it runs: a handler of a signal may record, and come here, while it is started.
                self._thread = threading.Thread(target=_run, args=([self],), name="llmmonitor", daemon=True)
                self.is_running = True
                try:
                    self._thread.start()
                except RuntimeError:  # no thread may start: the main thread has ended, or there are too many
                    self._thread = None
                    self.is_running = False
                    return False
                close_with_child(self)
        return True

    def _send(self) -> None:
        """Send what was recorded."""
        at_once = self._is_closing or self._is_flushing
        self._is_flushing = False
        try:
            if self._take_and_send(at_once):
                self._wake.set()
        except Exception as error:  # noqa: BLE001 (the thread must continue)
            self._fail(f"Sending failed ({error!r})", 0.0)

    def _stopped(self) -> None:
        """Note that this thread ends, if that is not known yet: it has failed."""
        with self._changed:
            if self._thread is threading.current_thread():
                self._thread = None
                self.is_running = False

    def _is_done(self) -> bool:
        """Return whether the thread ends: it was closed, and has tried to send everything."""
        with self._changed:
            self._changed.notify_all()
            if not self._is_closing or not self._has_tried or (self._waiting.count and not self._failures):
                return False
            self.is_running = False  # before looking at the queue: `put` appends before it looks at this
            if self._items:
                self.is_running = True
                return False
            self._thread = None
            self._is_closing = self._has_tried = False
            self._connection.close()
            return True

    def _open(self) -> None:
        """Choose the number of this process and open its spool, once."""
        settings = self.settings
        with self._moving:
            if self._slot is not None:
                return
            slot = Slot(settings.service, settings.spool_dir)
            if settings.spool_dir:
                self._open_spool(slot)
            self._slot = slot if slot.is_locked else Slot(settings.service)
            self._source = f"{settings.service or 'sdk'}@{socket.gethostname()}#{self._slot.number}"
        with self._changed:
            self._changed.notify_all()

    def _open_spool(self, slot: Slot) -> None:
        try:
            if not slot.is_locked:
                raise OSError("no file can be locked")
            spool = WaitingOnDisk(self.settings.spool_dir, slot)
        except (OSError, ValueError) as error:
            warn(
                "spool",
                f"LLMMONITOR_SPOOL_DIR={self.settings.spool_dir} cannot be used ({error}). Events wait in memory.",
            )
            return
        while (batch := self._waiting.first()) is not None:  # those of `put_many`
            self._waiting.remove(batch)
            self._drop(spool.add(batch), "waiting", NO_ROOM)
        self._waiting = spool

    def _take_and_send(self, at_once: bool) -> bool:
        """Move the queue to the batches that wait, and post them for a second, until a post fails.

        Return whether more wait and may be posted now.
        """
        self._take()
        self._has_tried = False
        if not at_once and time.monotonic() < self._not_before:
            return False
        until = time.monotonic() + EVERY_SECONDS
        while (batch := self._first()) is not None and time.monotonic() < until:
            if not self._post(batch):
                break
        else:
            for sample in batches(self._samples.samples(list(self.in_flight), self._source), {}):
                if not self._post(sample):
                    break
        self._has_tried = batch is None or self._failures > 0
        return not self._has_tried

    def _take(self) -> None:
        """Move the queue to the batches that wait."""
        items = self._items
        with self._moving:
            unwritten = self._keep([items.popleft() for _ in range(len(items))])
            self._drop(unwritten, "unwritten", UNWRITTEN)
        excess = len(self.in_flight) - MAX_IN_FLIGHT
        if excess > 0:
            for call in list(self.in_flight)[:excess]:  # a copy, because other threads start and end calls
                if self.in_flight.pop(call, self) is None:
                    self._drop(
                        1,
                        "in flight",
                        f"{MAX_IN_FLIGHT:,} calls have not ended; the oldest are dropped.",
                        were_queued=False,
                    )

    def _keep(self, items: list[Call | Recorded] | list[Recorded]) -> int:
        """Add the items to the batches that wait. Return how many are in none, because they cannot be written."""
        unwritten = len(items)
        with self._moving:
            for batch in batches(items, self._common):
                unwritten -= batch.events
                self._drop(self._waiting.add(batch), "waiting", NO_ROOM)
        return unwritten

    def _first(self) -> Batch | None:
        with self._moving:
            return self._waiting.first()

    def _post(self, batch: Batch) -> bool:
        """Post a batch, and remove it from those that wait. Return False if it must be posted again later."""
        if not batch.body:
            self._done(batch, 0, 0)
            return True
        try:
            response = self._connection.send("POST", batch.path, batch.body, is_compressed=batch.is_compressed)
        except NoResponse as error:
            self._fail(str(error), 0.0)
            return False
        rejected = response.rejected_of(batch.events)
        if rejected is None:
            self._fail(f"{self.settings.url} did not accept events: {response.reason}", response.retry_after)
            return False
        self._failures = 0
        self._done(batch, batch.events - rejected, rejected)
        if rejected:
            self.last_error = f"{rejected:,} of {batch.events:,} events were rejected: {response.reason}"
            warn("rejected", self.last_error)
        return True

    def _done(self, batch: Batch, sent: int, rejected: int) -> None:
        """Remove a batch that was answered, or that cannot be read, and count its events."""
        with self._moving, self._changed:
            if self._waiting.remove(batch):  # neither a sample, nor dropped meanwhile
                self._finished += batch.events
                self._sent += sent
                self._rejected += rejected
                self._dropped += batch.events - sent - rejected
                self._changed.notify_all()

    def _fail(self, reason: str, retry_after: float) -> None:
        """Wait before the next attempt: longer after each failure, and at least as long as the server demands."""
        self._failures += 1
        longest = min(LONGEST_WAIT_SECONDS, 2.0 ** min(self._failures, 10))
        jitter = random.uniform(0.5, 1.0)  # noqa: S311
        self._not_before = time.monotonic() + max(longest * jitter, retry_after * (2 - jitter))
        self.last_error = reason
        warn("failed", f"{reason.rstrip('.')}. Events that wait: {self._queued:,}. Run `llmmonitor check`.")

    def _drop(self, count: int, subject: str, text: str, *, were_queued: bool = True) -> None:
        """Count events that are dropped."""
        if count:
            with self._changed:
                self._dropped += count
                if were_queued:
                    self._finished += count
            self.last_error = text
            warn(subject, text)

    def _send_here(self, until: float) -> None:
        """Send from this thread what no other will send, because none may start or the process ends."""
        with suppress(Exception), self._moving:
            if not self._items and (self._failures or not self._waiting.count):
                return
            self._open()
            self._take()
            if self._thread is None and (left := until - time.monotonic()) > 0:
                self._connection = Connection(self.settings, left)
                while self._take_and_send(at_once=True) and time.monotonic() < until:
                    pass


def _run(started: list[Sender]) -> None:
    """Send what was recorded, each second, until the sender is closed.

    started: the sender, which is removed. When nothing can record with it any more, as after `del monitor`, it and its
    thread end, too: so the thread refers to it only while it sends, or has something to send that did not fail before.
    """
    reference, wake = weakref.ref(started[0]), started[0]._wake
    try:
        started[0]._open()
        sender: Sender | None = started.pop()
        while sender is not None and not sender._is_done():
            if sender._failures or not sender._queued:
                sender = None
            wake.wait(EVERY_SECONDS)
            wake.clear()
            if (sender := reference()) is not None:
                sender._send()
    finally:
        if (left := reference()) is not None:
            left._stopped()
