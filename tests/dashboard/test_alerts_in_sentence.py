"""The sentences of the pages about one subject, while an alert about it fires and after it has fired."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from alerts.models import Alert
from dashboard.alerts_in_sentence import with_alerts
from dashboard.sentence import Sentence
from metrics.events import InferenceEvent
from metrics.store.writing.transaction import Store

WELL = Sentence("ok", "Nothing waits.", "95 % of requests waited at most 20 ms.")
SUBJECTS = {"queue.pending": "pending"}
NOW = datetime.now(UTC).replace(microsecond=0)


def span(**more: Any) -> dict[str, Any]:
    """Queue Backlog of llama-3-70b, which fires."""
    return {
        "name": "Queue Backlog",
        "kind": "threshold",
        "severity": "warning",
        "metric_name": "queue.pending",
        "stat": "avg",
        "unit": "requests",
        "labels": {"model": "llama-3-70b"},
        "filters": {},
        "since": "2026-03-01T14:21:00Z",
        "from": "2026-03-01T14:22:00Z",
        "to": None,
        "value": 41,
        "peak": 120,
        "threshold": 20,
        "state": "firing",
        "acknowledged": False,
        "silenced": False,
    } | more


ENDED = span(to="2026-03-01T14:40:00Z")


class TheSentenceOfAPage:
    def test_begins_with_the_alert_that_fires(self) -> None:
        sentence = with_alerts(WELL, [span()], SUBJECTS)
        assert (sentence.state, sentence.about) == ("warning", "pending")
        assert sentence.title.startswith("llama-3-70b has a backlog: 41\u00a0requests waiting, over 20")
        assert sentence.text == f"{WELL.title} {WELL.text}"

    def test_begins_with_the_alert_that_fired_in_a_window_of_the_past(self) -> None:
        sentence = with_alerts(WELL, [ENDED], SUBJECTS, past=True)
        assert sentence.state == "warning"
        assert sentence.title.startswith("llama-3-70b had a backlog: up to 120")
        assert sentence.title.endswith("to 2026-03-01T14:40:00Z.")

    def test_names_an_alert_that_is_over(self) -> None:
        sentence = with_alerts(WELL, [ENDED], SUBJECTS)
        assert sentence.state == "quiet"
        assert sentence.title.startswith("Nothing waits. Queue Backlog fired for llama-3-70b from ")

    @pytest.mark.parametrize("mark", ["acknowledged", "silenced"])
    def test_is_not_that_all_is_well_where_an_alert_is_handled(self, mark: str) -> None:
        sentence = with_alerts(WELL, [span(**{mark: True})], SUBJECTS)
        assert (sentence.state, sentence.title) == ("quiet", "No alert needs attention.")
        assert sentence.text.startswith(f"{mark.capitalize()}: Queue Backlog for llama-3-70b since")

    def test_keeps_what_the_figures_show_where_that_is_bad(self) -> None:
        waiting = Sentence("warning", "41 requests wait.", "Long.", "pending")
        sentence = with_alerts(waiting, [ENDED], SUBJECTS)
        assert (sentence.state, sentence.title) == ("warning", "41 requests wait.")
        assert sentence.text.startswith("Long. Over: Queue Backlog for llama-3-70b from ")

    def test_names_an_alert_that_is_pending(self) -> None:
        assert "Pending: Queue Backlog" in with_alerts(WELL, [span(state="pending")], SUBJECTS).text

    def test_is_not_about_other_metrics(self) -> None:
        assert with_alerts(WELL, [span(metric_name="gpu.temperature")], SUBJECTS) == WELL


@pytest.mark.django_db
class APage:
    @pytest.fixture(autouse=True)
    def fast_requests(self, db: Any) -> None:
        """A hundred requests without a wait or an error."""
        for name in ("default", "queries", "ring"):
            caches[name].clear()
        Store().commit(
            [
                InferenceEvent(
                    timestamp=NOW - timedelta(minutes=1 + number % 2),
                    request_id=str(number),
                    model_name="llama-3-70b",
                    response_time_ms=900,
                    queue_time_ms=5,
                    success=True,
                )
                for number in range(100)
            ]
        )

    @pytest.mark.parametrize(
        ("page", "metric"),
        [
            ("latency", "inference.response_time_ms"),
            ("queue", "queue.pending"),
            ("queue", "inference.queue_time_ms"),
            ("models", "inference.response_time_ms"),
            ("models", "inference.error_rate_percent"),
            ("errors", "inference.error_rate_percent"),
            ("system", "monitor.alerting_problems"),
        ],
    )
    @pytest.mark.parametrize("past", [False, True])
    def test_is_not_green_while_or_after_an_alert_about_its_subject_fires(
        self, page: str, metric: str, past: bool
    ) -> None:
        Alert.objects.create(
            rule_id="a-rule", rule_name="A Rule", severity="warning", metric=metric, stat="p50", unit="ms",
            labels={"model": "llama-3-70b"}, labels_hash=sha256(metric.encode()).hexdigest(),
            state="resolved" if past else "firing", since=NOW - timedelta(minutes=3), updated_at=NOW,
            fired_at=NOW - timedelta(minutes=2), ended_at=NOW - timedelta(seconds=30) if past else None,
            value=7, peak=9, threshold=5,
        )  # fmt: skip
        query = "range=15m"
        if past:
            query = f"from={NOW - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}&to={NOW:%Y-%m-%dT%H:%M:%SZ}"
        client = Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")
        sentence = client.get(f"/dashboard/data/{page}/figures?{query}").json()["sentence"]
        assert sentence["state"] == "warning"
        assert "llama-3-70b" in sentence["title"]
