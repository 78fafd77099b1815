"""The retention in force: that of the settings, or what a person has changed."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics import retention_policy
from metrics.models import RetentionChange
from metrics.retention_policy import CACHE_SECONDS, SETTINGS, RetentionPolicy, change_retention, kept, set_by
from metrics.sizes.tables import stored_tables
from tests.metrics.store.kept import record, request

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 1, 20, 12, 0, 30, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock, of a process that has read the changes just now."""
    times = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: times[0])
    monkeypatch.setattr(retention_policy, "_changes", retention_policy._Changes(1000.0 + CACHE_SECONDS, ()))
    return times


def change_in_another_process(setting: str, value: float) -> None:
    RetentionChange.objects.create(setting=setting, value=value, at=NOW)


class TheRetentionInForce:
    def test_is_that_of_the_settings(self) -> None:
        policy = RetentionPolicy.current()

        assert (policy.raw_inferences, policy.errors, policy.samples) == (30 * DAY, 90 * DAY, DAY)
        assert policy.rollups == {1: timedelta(minutes=135), 60: 8 * DAY, 3600: 400 * DAY}
        assert policy.recent_ids == timedelta(minutes=15)
        assert set_by("errors_days") == "LLMMONITOR_ERRORS_DAYS"

    def test_is_what_a_person_changed_in_the_unit_of_the_setting(self) -> None:
        for number, setting in enumerate(SETTINGS, 1):
            change_retention(setting, number, NOW)

        policy = RetentionPolicy.current()
        assert (policy.raw_inferences, policy.errors, policy.samples) == (DAY, 2 * DAY, timedelta(hours=3))
        assert policy.rollups == {1: timedelta(minutes=4), 60: 5 * DAY, 3600: 6 * DAY}
        assert policy.recent_ids == timedelta(minutes=7)
        assert set_by("errors_days") == "Retention in the admin"

    def test_is_that_of_the_setting_again_without_a_value(self) -> None:
        change_retention("errors_days", 1.0, NOW)
        change_retention("errors_days", None, NOW)

        assert kept("errors_days") == 90 * DAY

    def test_of_a_setting_that_this_version_does_not_have_is_ignored(self) -> None:
        change_retention("dreams_days", 1.0, NOW)

        assert kept("errors_days") == 90 * DAY

    def test_is_that_of_another_process_after_ten_seconds(self, clock: list[float]) -> None:
        change_in_another_process("errors_days", 1.0)

        assert kept("errors_days") == 90 * DAY
        clock[0] += CACHE_SECONDS
        assert kept("errors_days") == DAY

    def test_is_that_of_this_process_at_once(self, clock: list[float]) -> None:
        change_retention("errors_days", 1.0, NOW)

        assert kept("errors_days") == DAY

    def test_is_read_at_most_once_in_ten_seconds_by_commits(self, clock: list[float]) -> None:
        clock[0] += CACHE_SECONDS
        for number in range(3):
            with CaptureQueriesContext(connection) as queries:
                record([request(NOW, f"r{number}")], at=NOW)
            asked = [query for query in queries if RetentionChange._meta.db_table in query["sql"]]
            assert len(asked) == (1 if number == 0 else 0)

    def test_is_what_was_read_last_where_no_query_may_run(self, clock: list[float]) -> None:
        async def kept_on_the_event_loop() -> timedelta:
            return kept("errors_days")

        change_retention("errors_days", 1.0, NOW)
        assert kept("errors_days") == DAY
        clock[0] += CACHE_SECONDS

        assert asyncio.run(kept_on_the_event_loop()) == DAY


class TheSettings:
    def test_names_the_tables_that_it_applies_to(self) -> None:
        assert {table.setting for table in stored_tables()} - {None} == set(SETTINGS)
