"""What sends requests, and the first request that arrives after a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from metrics import queries
from metrics.events import QueueEvent, validate_many
from metrics.queries.answers import senders as answers
from metrics.store.writing.transaction import Store
from tests.support.policies import make_ingest_policy

pytestmark = [pytest.mark.django_db, pytest.mark.store]

NOW = datetime.now(UTC)  # the rollups of seconds of an older time are not kept


def store(*items: dict[str, Any], seconds_ago: float = 5, demo: bool = False) -> None:
    at = (NOW - timedelta(seconds=seconds_ago)).isoformat()
    plain = {"timestamp": at, "model_name": "m", "response_time_ms": 5, "success": True}
    plain |= {"metadata": {"llmmonitor.demo": True}} if demo else {}
    result = validate_many("inference", [plain | item for item in items], NOW, make_ingest_policy())
    assert not result.rejected
    Store().commit(result.events)


def arrived_after(position: queries.Position) -> str | None:
    event, _ = queries.arrived(position, "invoice-bot")
    return event and event["model_name"]


class TheFirstRequest:
    def test_is_any_while_there_is_none(self) -> None:
        start = queries.position()
        assert arrived_after(start) is None
        store({"model_name": "first"})
        store({"model_name": "second"})
        assert arrived_after(start) == "first"

    def test_is_one_of_a_new_source_where_others_send(self) -> None:
        store({"service": "chat"})
        start = queries.position()
        store({"service": "chat", "request_id": "again"})
        assert arrived_after(start) is None
        store({"service": "reports", "model_name": "new"})
        assert arrived_after(start) == "new"

    def test_is_one_of_the_named_service_also_if_it_is_known(self) -> None:
        store({"service": "invoice-bot", "request_id": "1"})
        start = queries.position()
        store({"service": "invoice-bot", "request_id": "2"})
        assert arrived_after(start) == "m"

    def test_is_found_by_its_arrival_and_not_by_its_time(self) -> None:
        store({"service": "chat"})
        start = queries.position()
        store({"service": "late", "model_name": "late"}, seconds_ago=3_600)
        assert arrived_after(start) == "late"

    def test_is_one_of_a_label_set_that_had_only_queue_lengths(self) -> None:
        store({"service": "chat"})
        Store().commit([QueueEvent(timestamp=NOW, source="s", model_name="queued", service="worker", pending=1)])
        start = queries.position()
        store({"service": "worker", "model_name": "queued"})
        assert arrived_after(start) == "queued"

    def test_is_no_demo_data(self) -> None:
        start = queries.position()
        store({"service": "invoice-bot"}, demo=True)
        assert arrived_after(start) is None
        store({"service": "chat", "model_name": "real"})
        assert arrived_after(start) == "real"

    def test_is_searched_among_newer_rows_only_the_next_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(answers, "OVERLAP", 1)
        store({"service": "chat", "request_id": "0"})
        start = queries.position()
        store(*({"service": "chat", "request_id": str(number)} for number in range(1, 5)))
        _, later = queries.arrived(start, "invoice-bot")
        assert (later.request - start.request, later.start) == (3, start.start)
        store({"service": "reports", "model_name": "new"})
        assert arrived_after(later) == "new"


class TheSenders:
    def test_are_services_with_their_models_the_newest_first(self) -> None:
        store({"service": "chat", "model_name": "a"}, seconds_ago=60)
        store({"service": "chat", "model_name": "b"}, {"service": "reports", "model_name": "a"}, seconds_ago=30)
        store({"service": "chat", "model_name": "b"}, seconds_ago=10)
        listed = queries.senders(NOW)["results"]
        assert [(row["service"], row["models"], row["requests"]) for row in listed] == [
            ("chat", ["b", "a"], 3),
            ("reports", ["a"], 1),
        ]
        assert datetime.fromisoformat(listed[0]["last_seen"]) == NOW - timedelta(seconds=10)
        assert listed[0]["requests_per_second"] == pytest.approx(3 / 300, rel=0.05)

    def test_stay_listed_without_requests_in_the_last_minutes(self) -> None:
        store({"service": "nightly"}, seconds_ago=7_200)
        [row] = queries.senders(NOW)["results"]
        assert (row["service"], row["requests"]) == ("nightly", 0)

    def test_are_told_from_senders_of_queue_lengths(self) -> None:
        store({"service": "chat"})
        Store().commit([QueueEvent(timestamp=NOW, source="s", model_name="m", service="worker", pending=1)])
        assert [(row["service"], row["sends_requests"]) for row in queries.senders(NOW)["results"]] == [
            ("worker", False),
            ("chat", True),
        ]

    def test_keep_demo_data_apart(self) -> None:
        store({"service": "chat"})
        store({"service": "chat"}, demo=True)
        assert sorted(row["is_demo"] for row in queries.senders(NOW)["results"]) == [False, True]

    def test_are_cut_with_the_number_of_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(answers, "MAX_SENDERS", 2)
        store(*({"service": str(number)} for number in range(5)))
        cut = queries.senders(NOW)
        assert (len(cut["results"]), cut["omitted"]) == (2, 3)

    def test_name_some_of_many_models(self) -> None:
        store(*({"service": "router", "model_name": f"m{number}"} for number in range(7)))
        [row] = queries.senders(NOW)["results"]
        assert (len(row["models"]), row["models_omitted"]) == (4, 3)
