"""A store that cannot commit: everyone is told why, nothing is half stored, and it works again afterwards."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, connections
from django.db.backends.signals import connection_created

from metrics.events import Event
from metrics.ingest.recorder import Recorder, StoreUnavailable
from metrics.models import ErrorMetrics, InferenceMetrics, InferenceRollup, RecentId, Series
from metrics.store import disk
from metrics.store.writing import transaction
from tests.metrics.store.stored import assert_raw_and_rollups_agree, error, request

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

SECONDS = 20
AT = datetime.now(UTC)  # the recorder has the wall clock, and with it retention
TABLES = (InferenceMetrics, InferenceRollup, ErrorMetrics, Series, RecentId)


def batch(name: str, size: int = 50) -> list[Event]:
    large = {"text": "x" * 4_000}  # so that it needs pages of its own
    requests: list[Event] = [request(f"{name}{n}", AT, stamped=n % 2 == 0, metadata=large) for n in range(size)]
    return [*requests, error(f"{name}-error", AT)]


def assert_nothing_stored() -> None:
    assert {model.__name__: model.objects.count() for model in TABLES} == {model.__name__: 0 for model in TABLES}


def only_on(vendor: str) -> None:
    if connection.vendor != vendor:
        pytest.skip(f"about {vendor}")


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    connection.ensure_connection()  # the test's own, before some tests change how one is made
    made = Recorder()
    yield made
    assert made.close(SECONDS)


def assert_refused(recorder: Recorder, reason: str) -> StoreUnavailable:
    """Several submissions are refused for this reason, and nothing of them is stored."""
    futures = [recorder.submit(batch(name)) for name in "abc"]
    wait(futures, SECONDS)
    errors = [future.exception(0) for future in futures]
    assert [getattr(one, "reason", one) for one in errors] == [reason] * 3
    assert_nothing_stored()
    [first, *_] = errors
    assert isinstance(first, StoreUnavailable)
    assert 1 <= first.retry_after_seconds <= 3
    return first


def assert_works(recorder: Recorder) -> None:
    """The same events are taken now."""
    for name in "abc":
        assert recorder.record(batch(name), SECONDS).accepted == 51
    assert_raw_and_rollups_agree()


class ALockedDatabase:
    def test_is_named_and_works_when_it_is_free_again(
        self, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        only_on("sqlite")
        monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "timeout", 0.05)
        other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert "lock" in assert_refused(recorder, "locked").detail
        other.execute("ROLLBACK")
        other.close()
        assert_works(recorder)

    def test_is_waited_for(self, recorder: Recorder) -> None:
        only_on("sqlite")
        other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        future = recorder.submit(batch("a"))
        release = threading.Timer(0.2, other.execute, ["ROLLBACK"])
        release.start()
        assert future.result(SECONDS).accepted == 51
        release.join()
        other.close()


class AFullDisk:
    @pytest.fixture(autouse=True)
    def _on_sqlite(self) -> None:
        only_on("sqlite")

    @pytest.fixture
    def limits(self, settings: Any) -> Any:
        def change(**values: int) -> None:
            settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update=values)

        return change

    def test_reports_the_limit_when_the_file_has_its_largest_size(self, recorder: Recorder, limits: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")  # no free pages that would hold the events
        limits(max_disk=1)
        assert "LLMMONITOR_MAX_DISK" in assert_refused(recorder, "disk_full").detail
        limits(max_disk=5 * 2**30)
        assert_works(recorder)

    def test_that_other_programs_have_filled_does_not_report_the_limit(
        self, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fill_disk() -> None:
            connection.connection.execute("PRAGMA max_page_count=1").fetchone()

        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
        monkeypatch.setattr(transaction, "enforce_disk_limits", fill_disk)
        monkeypatch.setattr(disk, "free_bytes", lambda: 0)
        detail = assert_refused(recorder, "disk_full").detail
        assert detail == "The store's disk is full. Free space on it."
        [logged] = [record for record in caplog.records if record.name == "metrics.ingest.recorder"]
        assert (logged.levelname, logged.exc_info) == ("WARNING", None)
        assert f"{detail} The store is {connection.settings_dict['NAME']}." in logged.getMessage()

    def test_below_its_floor_reports_the_floor(
        self, recorder: Recorder, limits: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        limits(disk_floor=2**60)
        assert "LLMMONITOR_DISK_FLOOR" in assert_refused(recorder, "disk_full").detail
        assert caplog.text.count("LLMMONITOR_DISK_FLOOR") == 1  # logged once for the three
        limits(disk_floor=0)
        assert_works(recorder)


class AReadOnlyDatabase:
    def test_is_named_and_works_when_it_can_be_written_again(self, recorder: Recorder) -> None:
        only_on("sqlite")

        def read_only(connection: Any, **kwargs: Any) -> None:
            if threading.current_thread().name == "recorder":
                connection.cursor().execute("PRAGMA query_only=1")

        connection_created.connect(read_only)
        try:
            assert_refused(recorder, "read_only")
        finally:
            connection_created.disconnect(read_only)
        assert_works(recorder)  # on a new connection: the old one stays as it was opened


class AServerThatCutTheConnection:
    def test_goes_unnoticed(self, recorder: Recorder) -> None:
        only_on("postgresql")
        recorder.record(batch("a"), SECONDS)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert recorder.record(batch("b"), SECONDS).accepted == 51

    def test_for_good_is_named(self, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
        only_on("postgresql")
        with monkeypatch.context() as away:
            away.setitem(connections.settings["default"], "PORT", "1")
            assert_refused(recorder, "down")
        assert_works(recorder)


class AReadOnlyServer:
    def test_is_named_and_works_when_it_can_be_written_again(
        self, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        only_on("postgresql")
        with monkeypatch.context() as read_only:
            options = {"options": "-c default_transaction_read_only=on"}
            read_only.setitem(connections.settings["default"], "OPTIONS", options)
            assert_refused(recorder, "read_only")
        assert_works(recorder)


class ABadSubmission:
    def test_fails_alone_on_the_database_itself(self, recorder: Recorder) -> None:
        # What the door lets nobody send: nothing, where the column wants something.
        bad = request("bad", AT).model_copy(update={"success": None})
        held = threading.Event()
        recorder.submit(batch("first")).add_done_callback(lambda future: held.wait(SECONDS))
        futures = [recorder.submit(events) for events in (batch("a"), [request("beside", AT), bad], batch("c"))]
        held.set()
        wait(futures, SECONDS)
        assert [type(future.exception(0)).__name__ for future in futures] == ["NoneType", "IntegrityError", "NoneType"]
        assert not InferenceMetrics.objects.filter(request_id="beside").exists()
        assert InferenceMetrics.objects.count() == 150
        assert_raw_and_rollups_agree()
