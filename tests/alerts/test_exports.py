"""Alerts and their history as files."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

from alerts import exports, queries
from alerts.evaluation.evaluate import evaluate
from alerts.models import Alert, AlertRule
from alerts.rules.manager import alert_manager
from alerts.rules.spec import check_rule
from llmmonitor.access.keys import create_key
from metrics.events import SystemEvent
from metrics.queries import Filters, Window, export
from metrics.store.writing.transaction import Store

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
WINDOW = {"from": "2026-03-01T12:00:00Z", "to": "2026-03-01T13:00:00Z"}
HOSTS = ["=HYPERLINK(1)", "alpha", "beta"]


@pytest.fixture
def alerts(db: Any) -> None:
    """Alerts of three hosts that fire, and end after twenty minutes."""
    AlertRule.objects.all().delete()
    rule = {"id": "hot", "name": "=Hot", "metric_type": "system", "metric_name": "cpu_percent", "threshold": 90}
    alert_manager.add_alert_rule(check_rule(rule))
    Store(clock=lambda: NOW).commit([SystemEvent(timestamp=NOW, host=host, cpu_percent=95) for host in HOSTS])
    evaluate(NOW)
    evaluate(NOW + timedelta(minutes=20))


def read(path: str, **query: str) -> str:
    _, token = create_key("reader", ["read"], at=NOW)

    async def get() -> str:
        response: Any = await AsyncClient().get(path, WINDOW | query, headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 200, response.content
        return b"".join([chunk async for chunk in response.streaming_content]).decode()

    return async_to_sync(get)()


def hosts_of(kind: str, window: Window, filters: Filters | None = None) -> list[str]:
    rows = list(export(kind, window, filters or Filters(), now=NOW).rows)
    return [row["labels"]["host"] for row in rows]


class TheExport:
    def test_of_alerts_has_the_fields_of_the_list(self, alerts: None) -> None:
        rows = json.loads(read("/export/alerts.json"))

        assert [row["labels"] for row in rows] == [{"host": host} for host in HOSTS]
        assert {(row["state"], row["ended_at"]) for row in rows} == {("resolved", "2026-03-01T12:54:56Z")}

    def test_of_the_history_has_its_changes_oldest_first(self, alerts: None) -> None:
        rows = [json.loads(line) for line in read("/export/alert_history.ndjson").splitlines()]

        assert [row["to"] for row in rows] == ["firing"] * 3 + ["resolved"] * 3
        assert rows == queries.history()[::-1]

    def test_as_csv_has_a_row_of_each_and_no_formulas(self, alerts: None) -> None:
        rows = list(csv.DictReader(io.StringIO(read("/export/alerts.csv"))))

        assert [json.loads(row["labels"])["host"] for row in rows] == HOSTS
        assert {row["name"] for row in rows} == {"'=Hot"}
        assert len(list(csv.DictReader(io.StringIO(read("/export/alert_history.csv"))))) == 6

    def test_has_its_columns_without_rows(self, db: Any) -> None:
        assert read("/export/alerts.csv").startswith("id,rule,name,state,severity,")
        assert read("/export/alert_history.csv").startswith("id,at,to,value,")

    def test_has_what_matches_the_filters(self, alerts: None) -> None:
        assert len(json.loads(read("/export/alerts.json", host="beta"))) == 1
        assert len(json.loads(read("/export/alert_history.json", host="beta"))) == 2
        assert json.loads(read("/export/alerts.json", model="beta")) == []

    def test_of_a_window_has_alerts_of_a_part_of_it(self, alerts: None) -> None:
        def window(start: int, end: int) -> Window:
            return Window(NOW + timedelta(seconds=start), NOW + timedelta(seconds=end))

        assert hosts_of("alerts", window(-60, 0)) == []
        assert hosts_of("alerts", window(0, 1)) == hosts_of("alerts", window(1199, 9999)) == HOSTS
        assert hosts_of("alerts", window(1200, 9999)) == []
        assert hosts_of("alert_history", window(0, 1)) == HOSTS
        assert hosts_of("alert_history", window(1, 1200)) == []

    def test_by_a_label_reads_the_rows_of_alerts_with_it_only(
        self, alerts: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compared = []

        def has_labels(alert: Alert, labels: Any) -> bool:
            compared.append(alert.labels["host"])
            return True

        for module in (exports, queries):
            monkeypatch.setattr(module, "has_labels", has_labels)
        for host in ("beta", '50% "_\\é'):
            Alert.objects.filter(labels_hash=Alert.objects.order_by("pk")[0].labels_hash).update(labels={"host": host})
            window, filters = Window.last(3600, NOW + timedelta(minutes=30)), Filters(host=(host, "other"))
            firsts = [name for kind in ("alerts", "alert_history") for name in hosts_of(kind, window, filters)]
            firsts += [row["labels"]["host"] for row in queries.history(labels={"host": [host, "other"], "model": []})]

            assert set(firsts) == {host} == set(compared), firsts
            compared.clear()

    def test_is_read_in_chunks(self, alerts: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(exports, "CHUNK_ROWS", 2)

        assert hosts_of("alert_history", Window.last(3600, NOW + timedelta(minutes=30))) == HOSTS * 2
