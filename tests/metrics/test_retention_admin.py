"""The admin page of the retention: its list, a change, and what a shorter retention asks to confirm."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from llmmonitor.access import roles
from llmmonitor.access.models import AuditEntry
from metrics.admin import retention as page_of_retention
from metrics.models import InferenceMetrics, RetentionChange, TableSize
from metrics.retention_policy import change_retention, kept
from tests.llmmonitor.access.asgi_requests import CSRF, ELSEWHERE, Reply, send_request, session_of
from tests.metrics.store.kept import failure, machine, queue, record, request

pytestmark = pytest.mark.django_db

NOW = timezone.now().replace(microsecond=0)
DAY = timedelta(days=1)


class Browser:
    """A person's browser."""

    def __init__(self, role: str) -> None:
        user = User.objects.create_user(role)
        roles.set_role(user, role)
        self.headers = session_of(user)

    def open(self, path: str = "") -> Reply:
        return send_request("GET", f"/admin/metrics/retentionchange/{path}", headers=self.headers, client=ELSEWHERE)

    def send(self, setting: str, value: str, **more: str) -> Reply:
        form: dict[str, str | list[str]] = {"value": value, "csrfmiddlewaretoken": CSRF, **more}
        path = f"/admin/metrics/retentionchange/{setting}/change/"
        return send_request("POST", path, body=form, headers=self.headers, client=ELSEWHERE)


@pytest.fixture
def browser() -> Browser:
    return Browser("admin")


def text_of(page: Reply) -> str:
    """The words of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


class TheList:
    def test_has_every_setting_with_its_variable_and_the_value_in_force(self, browser: Browser) -> None:
        change_retention("samples_hours", 1.0, NOW)

        text = text_of(browser.open())

        assert "Single requests 30 days 30 days LLMMONITOR_RAW_INFERENCE_DAYS" in text
        assert f"1 hour changed {NOW:%Y-%m-%d} 24 hours LLMMONITOR_SAMPLES_HOURS" in text
        assert "Ids of events without a timestamp" not in text  # the words of the setting, not of the table
        assert text.count("LLMMONITOR_") == 7

    def test_has_the_rows_that_were_measured_last(self, browser: Browser) -> None:
        for hours, rows in ((2, 5), (1, 1_234)):
            at = NOW - timedelta(hours=hours)
            TableSize.objects.create(at=at, table="host_samples", rows=rows, oldest=NOW - 2 * DAY)
            TableSize.objects.create(at=at, table="gpu_samples", rows=1, oldest=NOW - 3 * DAY)

        with CaptureQueriesContext(connection) as queries:
            text = text_of(browser.open())

        assert f"LLMMONITOR_SAMPLES_HOURS 1,235 {NOW - 3 * DAY:%Y-%m-%d %H:%M}" in text
        assert "LLMMONITOR_ERRORS_DAYS not counted yet –" in text
        assert not [query for query in queries if "COUNT(" in query["sql"]]

    def test_is_on_the_first_page_of_the_admin(self, browser: Browser) -> None:
        change_retention("samples_hours", 1.0, NOW)

        page = send_request("GET", "/admin/", headers=browser.headers, client=ELSEWHERE)

        assert "1 of 7 changed" in page.text
        assert "retentionchange/add" not in page.text

    @pytest.mark.parametrize("role", ["viewer", "operator"])
    def test_is_for_admins_only(self, role: str) -> None:
        browser = Browser(role)

        for reply in (browser.open(), browser.send("errors_days", "1")):
            assert reply.headers["location"].startswith("/admin/login/")
        assert not RetentionChange.objects.exists()


class AChange:
    def test_is_in_force_at_once(self, browser: Browser) -> None:
        assert browser.send("raw_inference_days", "45").status == 302
        assert kept("raw_inference_days") == 45 * DAY

    def test_is_in_the_history_and_in_the_audit_log(self, browser: Browser) -> None:
        browser.send("raw_inference_days", "45")
        browser.send("raw_inference_days", "")

        messages = [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]
        assert messages == ["From 30 days to 45 days.", "From 45 days to 30 days."]
        entry = AuditEntry.objects.filter(action="changed retention").earliest("pk")
        assert (entry.actor, entry.subject) == ("admin", "raw_inference_days: 30 to 45")
        assert "From 30 days to 45 days." in text_of(browser.open("raw_inference_days/history/"))

    def test_to_no_value_is_that_of_the_setting(self, browser: Browser) -> None:
        change_retention("errors_days", 100.0, NOW)

        assert "Empty: 90 days, the value of LLMMONITOR_ERRORS_DAYS." in text_of(browser.open("errors_days/change/"))
        browser.send("errors_days", "")

        assert kept("errors_days") == 90 * DAY

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("0", "Expected a number above 0."),
            ("-1", "Expected a number above 0."),
            ("36501", "Expected 36500 or less."),
            ("nan", "Enter a number."),
            ("1e999", "Enter a number."),
            ("many", "Enter a number."),
        ],
    )
    def test_has_the_limits_of_the_setting(self, browser: Browser, value: str, message: str) -> None:
        assert message in text_of(browser.send("errors_days", value))
        assert not RetentionChange.objects.exists()

    @pytest.mark.parametrize("setting", ["max_disk", "port", "7"])
    def test_is_of_a_retention_only(self, browser: Browser, setting: str) -> None:
        assert browser.send(setting, "1").status == 302  # to the first page, as for any row that does not exist
        assert not RetentionChange.objects.exists()


class AShorterRetention:
    @pytest.fixture(autouse=True)
    def _rows(self) -> None:
        record([request(NOW - timedelta(hours=hours), f"r{hours}") for hours in (1, 30, 50)], at=NOW)
        record([failure(NOW - timedelta(hours=50), "f"), machine(NOW - timedelta(hours=20))], at=NOW)
        record([queue(NOW - timedelta(hours=20))], at=NOW)

    def test_shows_how_many_rows_it_deletes_and_asks(self, browser: Browser) -> None:
        text = text_of(browser.send("raw_inference_days", "1"))

        assert "Keep single requests for 1 day only?" in text
        assert "Requests: 2 rows" in text
        assert "They are deleted from the next minute on." in text
        assert kept("raw_inference_days") == 30 * DAY

    def test_names_each_of_its_tables(self, browser: Browser) -> None:
        samples = text_of(browser.send("samples_hours", "19"))
        hours = text_of(browser.send("one_hour_days", "1"))

        assert "Samples of hosts: 1 row Samples of GPUs: 1 row Samples of queues: 1 row" in samples
        assert "Rollups of requests, 1 h: 3 rows Errors by hour: 1 row" in hours

    def test_counts_no_further_than_its_limit(self, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(page_of_retention, "MAX_COUNTED", 1)

        assert "Requests: more than 1 rows" in text_of(browser.send("raw_inference_days", "1"))

    def test_is_stored_when_it_is_confirmed(self, browser: Browser) -> None:
        [confirmed] = re.findall(r'name="confirmed" value="([^"]*)"', browser.send("raw_inference_days", "1").text)

        assert browser.send("raw_inference_days", "1", confirmed=confirmed).status == 302
        assert kept("raw_inference_days") == DAY
        assert InferenceMetrics.objects.count() == 3  # upkeep deletes them

    def test_is_not_confirmed_by_another_value(self, browser: Browser) -> None:
        assert "only?" in text_of(browser.send("raw_inference_days", "1", confirmed="2"))
        assert kept("raw_inference_days") == 30 * DAY

    def test_that_deletes_nothing_is_not_asked_for(self, browser: Browser) -> None:
        assert browser.send("raw_inference_days", "3").status == 302

    def test_asks_where_the_value_of_the_setting_is_shorter(self, browser: Browser) -> None:
        change_retention("one_hour_days", 500.0, NOW)
        record([request(NOW - 399 * DAY, "long ago")], at=NOW - 399 * DAY)

        assert browser.send("one_hour_days", "450").status == 302
        assert "Rollups of requests, 1 h: 1 row" in text_of(browser.send("one_hour_days", "398"))

    def test_names_the_archive(self, browser: Browser, settings: Any, tmp_path: Path) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"archive_dir": tmp_path})

        assert "They are written to the archive, then deleted" in text_of(browser.send("raw_inference_days", "1"))
        assert "They are deleted" in text_of(browser.send("samples_hours", "1"))
