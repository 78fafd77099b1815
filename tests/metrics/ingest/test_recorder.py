"""The recorder: many callers, one thread, one transaction; each is told what became of theirs, after the commit."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.db import DataError, OperationalError, connections
from django.test import override_settings

from llmmonitor.infra import throttled_log
from metrics.events import Event, InferenceEvent, Rejection
from metrics.ingest import recorder as module
from metrics.ingest.recorder import (
    CommitResult,
    QueueFull,
    Recorder,
    RecorderPolicy,
    StoreUnavailable,
    close_recorder,
    drain_recorder,
    get_recorder,
)

# Threads that end by an exception are what some of these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

SECONDS = 20  # longer than anything here takes: a wait that ends this way is a failure
AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)

DEFAULTS = {"max_batch": 5_000, "max_delay": 0.0, "max_queued": 50_000, "max_queued_bytes": 2**26}


def events(*names: str) -> list[Event]:
    return [InferenceEvent(timestamp=AT, request_id=name, model_name="m") for name in names]


class FakeStore:
    """Remembers what was committed. It waits at its gate before each commit, and fails when it is told to."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)
        self.transactions: list[list[str]] = []
        self.failures: list[BaseException] = []
        self.bad: set[str] = set()
        self.made = 0
        self.due = 0
        self.compact_error: Exception | None = None
        self.steps = threading.Semaphore(0)

    def __call__(self) -> FakeStore:
        self.made += 1
        return self

    def commit(self, batch: Sequence[Event]) -> CommitResult:
        self.begun.release()
        assert self.gate.wait(SECONDS)
        if self.failures:
            raise self.failures.pop(0)
        names = [event.request_id for event in batch if isinstance(event, InferenceEvent)]
        if self.bad.intersection(names):
            raise DataError(f"{self.bad} cannot be stored")
        self.transactions.append(names)
        repeats = [place for place, name in enumerate(names) if name.startswith("again")]
        refusals = [Rejection(place, "timestamp", "too old") for place, name in enumerate(names) if name == "old"]
        return CommitResult(len(names) - len(repeats) - len(refusals), len(repeats), repeats, refusals)

    def compact(self) -> bool:
        self.steps.release()
        if self.compact_error is not None:
            raise self.compact_error
        self.due = max(0, self.due - 1)
        return self.due > 0


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


Make = Callable[..., Recorder]


@pytest.fixture
def make(store: FakeStore) -> Iterator[Make]:
    made: list[Recorder] = []

    def recorder(**policy: Any) -> Recorder:
        made.append(Recorder(RecorderPolicy(**DEFAULTS | policy), store=store))
        return made[-1]

    yield recorder
    store.gate.set()
    for one in made:
        one.close(SECONDS)


@pytest.fixture
def recorder(make: Make) -> Recorder:
    return make()


def hold(store: FakeStore, recorder: Recorder) -> Future[CommitResult]:
    """Stop the recorder in the middle of a commit of one event, so that what comes now gathers."""
    while store.begun.acquire(blocking=False):
        pass  # earlier commits
    store.gate.clear()
    future = recorder.submit(events("held"))
    assert store.begun.acquire(timeout=SECONDS)
    return future


class ASubmission:
    def test_is_answered_after_the_commit_that_holds_it(self, store: FakeStore, recorder: Recorder) -> None:
        future = hold(store, recorder)
        assert not future.done()
        store.gate.set()
        assert future.result(SECONDS) == CommitResult(1, 0, [], [])
        assert store.transactions == [["held"]]

    def test_of_nothing_is_answered_at_once(self, store: FakeStore, recorder: Recorder) -> None:
        assert recorder.submit([]).result(0) == CommitResult(0, 0)
        assert store.made == 0

    def test_shares_a_transaction_with_what_gathered_meanwhile(self, store: FakeStore, recorder: Recorder) -> None:
        hold(store, recorder)
        futures = [
            recorder.submit(events("a", "again")),
            recorder.submit(events("old")),
            recorder.submit(events("again", "b")),
        ]
        store.gate.set()
        assert [future.result(SECONDS) for future in futures] == [
            CommitResult(1, 1, [1], []),
            CommitResult(0, 0, [], [Rejection(0, "timestamp", "too old")]),
            CommitResult(1, 1, [0], []),
        ]
        assert store.transactions == [["held"], ["a", "again", "old", "again", "b"]]

    def test_is_never_cut_in_two(self, store: FakeStore, make: Make) -> None:
        recorder = make(max_batch=3)
        hold(store, recorder)
        futures = [recorder.submit(events(*names)) for names in ("ab", "cd", "efghi", "j", "k", "l", "m")]
        store.gate.set()
        wait(futures, SECONDS)
        assert store.transactions == [["held"], [*"ab"], [*"cd"], [*"efghi"], [*"jkl"], [*"m"]]

    def test_that_its_caller_gave_up_is_not_stored(self, store: FakeStore, recorder: Recorder) -> None:
        held = hold(store, recorder)
        given_up, kept = recorder.submit(events("given up")), recorder.submit(events("kept"))
        assert given_up.cancel()
        assert not held.cancel()
        store.gate.set()
        kept.result(SECONDS)
        assert store.transactions == [["held"], ["kept"]]
        assert recorder.drain(SECONDS)

    def test_waits_for_company_only_where_there_was_some(self, store: FakeStore, make: Make) -> None:
        recorder = make(max_delay=SECONDS)
        recorder.record(events("alone"), SECONDS / 2)  # no wait
        hold(store, recorder)
        together = [recorder.submit(events("a")), recorder.submit(events("b"))]
        store.gate.set()
        wait(together, SECONDS)
        first = recorder.submit(events("c"))
        second = recorder.submit(events("d"))  # all who were there are there again
        assert [future.result(SECONDS / 2).accepted for future in (first, second)] == [1, 1]
        assert store.transactions[-2:] == [["a", "b"], ["c", "d"]]


class AFullQueue:
    def test_refuses_what_is_beyond_its_bound(self, store: FakeStore, make: Make) -> None:
        recorder = make(max_queued=4)
        hold(store, recorder)
        recorder.submit(events("a", "b"))
        with pytest.raises(QueueFull) as refused:
            recorder.submit(events("c", "d"))
        assert refused.value.retry_after_seconds == 1
        last = recorder.submit(events("e"))
        assert (recorder.stats().queued_events, recorder.stats().rejected) == (4, 2)
        store.gate.set()
        last.result(SECONDS)
        assert recorder.drain(SECONDS)
        assert recorder.record(events("c", "d"), SECONDS).accepted == 2

    def test_refuses_bodies_beyond_its_size(self, store: FakeStore, make: Make) -> None:
        recorder = make(max_queued_bytes=100)
        hold(store, recorder)
        recorder.submit(events("a"), 60)
        with pytest.raises(QueueFull):
            recorder.submit(events("b", "c"), 41)
        last = recorder.submit(events("d"), 40)
        assert (recorder.stats().queued_events, recorder.stats().rejected) == (3, 2)
        store.gate.set()
        last.result(SECONDS)
        assert recorder.drain(SECONDS)
        hold(store, recorder)
        again = recorder.submit(events("b", "c"), 100)
        store.gate.set()
        assert again.result(SECONDS).accepted == 2

    def test_takes_one_submission_that_is_larger_than_itself(self, make: Make) -> None:
        recorder = make(max_queued=2, max_queued_bytes=2)
        assert recorder.submit(events("a", "b", "c"), 3).result(SECONDS).accepted == 3


class AStoreThatCannotCommit:
    def test_is_told_to_everyone_who_waits(self, store: FakeStore, recorder: Recorder) -> None:
        """A post would otherwise wait for a locked store twice: for the batch before, too."""
        hold(store, recorder)
        futures = [recorder.submit(events("a")), recorder.submit(events("b", "c"))]
        store.failures = [StoreUnavailable("locked")]
        store.gate.set()
        wait(futures, SECONDS)
        assert [future.exception(0).reason for future in futures] == ["locked", "locked"]  # type: ignore[union-attr]
        assert store.transactions == []
        assert recorder.stats().rejected == 4
        assert recorder.record(events("a"), SECONDS).accepted == 1

    def test_is_tried_once_more_where_that_may_help(
        self, store: FakeStore, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def deadlock() -> StoreUnavailable:
            error = StoreUnavailable("locked")
            error.__cause__ = OperationalError("deadlock detected")
            return error

        monkeypatch.setattr(module, "is_transient", lambda error: isinstance(error, OperationalError))
        store.failures = [deadlock()]
        assert recorder.record(events("a"), SECONDS).accepted == 1
        store.failures = [deadlock(), deadlock()]
        with pytest.raises(StoreUnavailable):
            recorder.record(events("b"), SECONDS)
        store.failures = [StoreUnavailable("disk_full")]
        store.failures[0].__cause__ = DataError("disk full")
        with pytest.raises(StoreUnavailable):
            recorder.record(events("c"), SECONDS)
        assert store.transactions == [["a"]]


class ABadSubmission:
    def test_fails_alone(self, store: FakeStore, recorder: Recorder) -> None:
        hold(store, recorder)
        futures = [recorder.submit(events(*names)) for names in (["a"], ["b", "bad"], ["c"])]
        store.bad = {"bad"}
        store.gate.set()
        wait(futures, SECONDS)
        assert [future.exception(0) is None for future in futures] == [True, False, True]
        assert isinstance(futures[1].exception(0), DataError)
        assert store.transactions == [["held"], ["a"], ["c"]]

    def test_does_not_stop_the_recorder(self, store: FakeStore, recorder: Recorder) -> None:
        store.failures = [ZeroDivisionError()]
        with pytest.raises(ZeroDivisionError):
            recorder.record(events("a"), SECONDS)
        assert recorder.record(events("a"), SECONDS).accepted == 1
        assert store.made == 1


class TheThread:
    def test_is_started_by_the_first_event(self, store: FakeStore, recorder: Recorder) -> None:
        assert store.made == 0
        recorder.record(events("a"), SECONDS)
        recorder.record(events("b"), SECONDS)
        assert store.made == 1

    def test_that_dies_lets_nobody_wait_and_is_followed_by_another(self, store: FakeStore, recorder: Recorder) -> None:
        in_commit = hold(store, recorder)
        behind = recorder.submit(events("behind"))
        store.failures = [SystemExit()]
        store.gate.set()
        with pytest.raises(StoreUnavailable):
            in_commit.result(SECONDS)
        assert behind.result(SECONDS).accepted == 1
        assert store.made == 2
        assert recorder.drain(SECONDS)

    def test_that_cannot_make_a_store_lets_nobody_wait(self) -> None:
        def broken() -> Any:
            raise SystemExit

        recorder = Recorder(RecorderPolicy(**DEFAULTS), store=broken)
        with pytest.raises(StoreUnavailable):
            recorder.record(events("a"), SECONDS)
        assert recorder.drain(SECONDS)

    def test_closes_its_connection_when_it_ends(self, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
        closed = []
        monkeypatch.setattr(connections, "close_all", lambda: closed.append(threading.current_thread().name))
        recorder = Recorder(RecorderPolicy(**DEFAULTS), store=store)
        recorder.record(events("a"), SECONDS)
        assert recorder.close(SECONDS)
        assert closed == ["recorder"]


class ADrain:
    def test_waits_until_all_is_committed(self, store: FakeStore, recorder: Recorder) -> None:
        assert recorder.drain(0)
        hold(store, recorder)
        behind = recorder.submit(events("behind"))
        assert not recorder.drain(0.01)
        store.gate.set()
        assert recorder.drain(SECONDS)
        assert behind.done()

    def test_at_the_close_commits_what_waits_and_takes_no_more(self, store: FakeStore, recorder: Recorder) -> None:
        hold(store, recorder)
        behind = recorder.submit(events("behind"))
        closing = threading.Thread(target=recorder.close, args=(SECONDS,))
        closing.start()
        with recorder._changed:
            assert recorder._changed.wait_for(lambda: recorder._closed, SECONDS)
        with pytest.raises(StoreUnavailable):
            recorder.submit(events("late"))
        store.gate.set()
        closing.join(SECONDS)
        assert behind.result(0).accepted == 1

    def test_that_takes_too_long_cancels_what_waits(self, store: FakeStore, recorder: Recorder) -> None:
        held = hold(store, recorder)
        behind = recorder.submit(events("behind"))
        assert not recorder.close(0.01)
        assert behind.cancelled()
        store.gate.set()
        assert held.result(SECONDS).accepted == 1
        assert recorder.drain(SECONDS)
        assert store.transactions == [["held"]]


class TheStats:
    def test_tell_what_was_committed_and_what_waits(self, store: FakeStore, recorder: Recorder) -> None:
        assert recorder.stats() == module.Stats(0, 0, 0, None, 0)
        recorder.record(events("a", "b", "again"), SECONDS)
        hold(store, recorder)
        stats = recorder.stats()
        assert (stats.queued_events, stats.committed_events, stats.commits, stats.rejected) == (1, 2, 1, 0)
        assert stats.last_commit_at is not None

    def test_tell_how_long_events_have_waited_without_a_commit(
        self, store: FakeStore, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert recorder.stats().stuck_seconds == 0.0
        store.gate.clear()
        commit = recorder.submit(events("a"))
        begun = recorder._moved_at
        monkeypatch.setattr("metrics.ingest.recorder.time.monotonic", lambda: begun + 7.0)

        assert recorder.stats().stuck_seconds == 7.0

        monkeypatch.undo()
        store.gate.set()
        commit.result(30)
        assert recorder.drain(30)
        assert recorder.stats().stuck_seconds == 0.0


class AForkedProcess:
    def test_commits_its_own_events_and_none_of_its_parents(self, store: FakeStore, recorder: Recorder) -> None:
        hold(store, recorder)
        recorder.submit(events("parent's"))
        read, write = os.pipe()
        with recorder._changed:  # held at the moment of the fork, and for ever in the child
            pid = os.fork()
            if pid == 0:  # the child
                try:
                    store.gate = threading.Event()
                    store.gate.set()
                    accepted = recorder.record(events("child's"), SECONDS).accepted
                    os.write(write, f"{accepted} {store.transactions} {recorder.stats().queued_events}".encode())
                finally:
                    os._exit(0)
        os.close(write)
        with os.fdopen(read) as answer:
            assert answer.read() == '1 [["child\'s"]] 0'
        os.waitpid(pid, 0)
        store.gate.set()
        assert recorder.drain(SECONDS)
        assert store.transactions == [["held"], ["parent's"]]


class TheRecorderOfAProcess:
    @pytest.fixture(autouse=True)
    def none_yet(self) -> Iterator[None]:
        close_recorder(SECONDS)
        yield
        close_recorder(SECONDS)

    def test_is_one(self) -> None:
        assert get_recorder() is get_recorder()

    def test_is_made_anew_after_it_was_closed(self) -> None:
        first = get_recorder()
        assert close_recorder(SECONDS)
        assert get_recorder() is not first

    def test_is_not_made_to_be_drained(self) -> None:
        assert drain_recorder(0)
        assert module._recorder is None

    def test_is_drained_where_there_is_one(
        self, store: FakeStore, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_recorder", recorder)
        hold(store, recorder)
        assert not drain_recorder(0)
        store.gate.set()
        assert drain_recorder(SECONDS)

    def test_has_the_bounds_of_the_settings(self) -> None:
        own = settings.LLMMONITOR.model_copy(
            update={
                "recorder_max_batch": 7,
                "recorder_max_delay_ms": 20.0,
                "recorder_queue_events": 11,
                "recorder_queue_bytes": 13,
            }
        )
        with override_settings(LLMMONITOR=own):
            assert RecorderPolicy.from_settings() == RecorderPolicy(7, 0.02, 11, 13)


class TheMergeOfRollupRows:
    def test_goes_on_until_nothing_is_due(self, store: FakeStore, recorder: Recorder) -> None:
        store.due = 50
        recorder.record(events("a"), SECONDS)
        for _ in range(50):
            assert store.steps.acquire(timeout=SECONDS)
        assert not store.due

    def test_lets_a_waiting_post_commit(self, store: FakeStore, recorder: Recorder) -> None:
        store.due = 10**12
        for name in ("a", "b", "c"):
            recorder.record(events(name), SECONDS)
        assert store.transactions == [["a"], ["b"], ["c"]]
        assert store.due

    def test_that_fails_is_logged_and_stops_no_commit(
        self, store: FakeStore, recorder: Recorder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(throttled_log, "_throttle", throttled_log.LogThrottle())
        store.compact_error = OperationalError("database is locked")
        for name in ("a", "b"):
            recorder.record(events(name), SECONDS)
        assert recorder.close(SECONDS)
        assert (store.transactions, store.made) == ([["a"], ["b"]], 1)
        assert "compaction" in caplog.text

    def test_does_not_delay_the_end(self, store: FakeStore, recorder: Recorder) -> None:
        store.due = 10**12
        recorder.record(events("a"), SECONDS)
        assert recorder.close(SECONDS)
        assert recorder._thread is None
