"""Many threads, and more than one recorder in a process, with the same events at once: each is stored once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from metrics.events import Event, SystemEvent
from metrics.ingest.recorder import CommitResult, Recorder
from metrics.models import ErrorMetrics, GaugeRollup, InferenceMetrics, Series
from metrics.store.writing import transaction as writing
from tests.metrics.store.stored import assert_raw_and_rollups_agree, commit, error, failed, outcomes, request, requests

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

SECONDS = 30
THREADS = 6
START = datetime.now(UTC) - timedelta(minutes=5)  # the recorder has the wall clock, and with it retention


def batch(number: int) -> list[Event]:
    """Requests with and without a time of their own, failed ones, and the errors of the batch after the next."""
    at = START + timedelta(milliseconds=number * 300)
    stamped: list[Event] = [request(f"{number}-{n}", at, model_name=f"m{n % 3}") for n in range(20)]
    unstamped: list[Event] = [request(f"{number}-u{n}", START, stamped=False) for n in range(5)]
    failures: list[Event] = [failed(f"{number}-f{n}", at, response_time_ms=1e3) for n in range(5)]
    errors: list[Event] = [error(f"{number + 2}-f{n}", at) for n in range(5)]
    return [*stamped, *unstamped, *failures, *errors]


class TheSameEventsFromManyThreads:
    def test_are_stored_once_and_answered_as_duplicates_to_all_others(self) -> None:
        recorders = [Recorder(), Recorder()]
        together = threading.Barrier(THREADS)

        def post(thread: int) -> list[CommitResult]:
            numbers = list(range(8)) if thread % 3 else list(reversed(range(8)))
            together.wait(SECONDS)
            return [recorders[thread % 2].record(batch(number), SECONDS) for number in numbers]

        with ThreadPoolExecutor(THREADS) as pool:
            answers = [answer for own in pool.map(post, range(THREADS)) for answer in own]
        assert all(recorder.close(SECONDS) for recorder in recorders)

        sent = 8 * 35
        assert sum(answer.accepted for answer in answers) == sent
        assert sum(answer.duplicates for answer in answers) == sent * (THREADS - 1)
        assert (InferenceMetrics.objects.count(), ErrorMetrics.objects.count()) == (8 * 30, 8 * 5)
        # Six batches of errors have their failed inference here; those of the last two stand for themselves.
        assert ErrorMetrics.objects.exclude(counted_outcome=None).count() == 2 * 5
        assert requests() == 8 * 30 + 2 * 5
        assert_raw_and_rollups_agree()


class TheTransactionsOfOneRequest:
    """On PostgreSQL neither has committed when the other looks: only waiting keeps both from counting the request."""

    @pytest.mark.parametrize("error_first", [True, False])
    @pytest.mark.parametrize("most_locks", [writing.MAX_REQUEST_LOCKS, 0])
    def test_count_a_failed_request_once(
        self, monkeypatch: pytest.MonkeyPatch, error_first: bool, most_locks: int
    ) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("SQLite has one writer at a time")
        # Apart in series and time: no row of theirs makes one wait for the other.
        after_two_hours = failed("r", START, response_time_ms=7_200_000.0)
        pair: list[Event] = [error("r", START - timedelta(hours=2), model_name="unknown"), after_two_hours]
        first, second = pair if error_first else reversed(pair)
        # Nor is one of their series new, for which one would wait for the other, too.
        Series.objects.create(model_name="chatty", first_seen=START, last_seen=START)
        after = threading.Thread(target=commit_in_its_own_connection, args=(second,))

        with transaction.atomic():
            with monkeypatch.context() as many_failures:
                many_failures.setattr(writing, "MAX_REQUEST_LOCKS", most_locks)
                commit(first, at=datetime.now(UTC))
            after.start()
            wait_until_ended_or_waiting(after)
        after.join(SECONDS)

        assert outcomes(3600) == {"server_error": 1}
        assert_raw_and_rollups_agree((60, 3600))


class TheTransactionsOfOneHost:
    def test_count_the_growth_between_their_samples_once(self) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("SQLite has one writer at a time")
        start = START.replace(second=10)
        first, second, third = (
            SystemEvent(timestamp=start + timedelta(seconds=10 * n), host="h", network_bytes_sent=n * 500)
            for n in range(3)
        )
        commit(first, at=datetime.now(UTC))
        after = threading.Thread(target=commit_in_its_own_connection, args=(third,))

        with transaction.atomic():
            commit(second, at=datetime.now(UTC))
            after.start()
            wait_until_ended_or_waiting(after)
        after.join(SECONDS)

        rows = GaugeRollup.objects.filter(metric="system.network_bytes_sent", growth__isnull=False)
        assert list(rows.order_by("id").values_list("growth", "covered_seconds")) == [(500, 10), (500, 10)]


def commit_in_its_own_connection(event: Event) -> None:
    try:
        commit(event, at=datetime.now(UTC))
    finally:
        connection.close()


def wait_until_ended_or_waiting(thread: threading.Thread) -> None:
    """Wait until a thread has ended, or waits for an advisory lock."""
    until = time.monotonic() + SECONDS
    while thread.is_alive() and not somebody_waits() and time.monotonic() < until:
        thread.join(0.01)


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(cursor.fetchone()[0])
