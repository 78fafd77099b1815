"""Who sent what was not stored is counted, by the fast lane and by Django."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from llmmonitor.access.keys import create_key
from llmmonitor.infra import refusals
from llmmonitor.infra.refusals import DUPLICATE, EVENTS, REFUSED_POSTS, REJECTED_EVENTS
from llmmonitor.infra.telemetry import Telemetry
from tests.metrics.api.asgi_client import AsgiClient

pytestmark = pytest.mark.store


@pytest.fixture(params=[True, False], ids=["fast lane", "Django"])
def lane(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def work(api: AsgiClient, monkeypatch: pytest.MonkeyPatch) -> Telemetry:
    own = Telemetry()
    monkeypatch.setattr(refusals, "telemetry", own)
    return own


class TheSender:
    def test_of_a_post_with_a_key_is_the_name_of_the_key(self, api: AsgiClient, work: Telemetry) -> None:
        _, token = create_key("chat-api", ["ingest"], at=timezone.now())
        for _ in range(3):
            api.post("/track/inference", {"model_name": ""}, authorization=f"Bearer {token}")

        assert refusals.main_sender(work.totals(), REJECTED_EVENTS, "model_name") == "chat-api"
        assert work.totals().count(f"{REJECTED_EVENTS}_from") == 3

    @pytest.mark.parametrize(
        ("path", "sender"),
        [
            ("/track/inference", "requests without a key"),
            ("/track/error", "errors without a key"),
            ("/track/queue", "queues without a key"),
            ("/track/system", "machines without a key"),
        ],
    )
    def test_of_other_posts_is_the_kind_of_their_events(
        self, path: str, sender: str, api: AsgiClient, work: Telemetry
    ) -> None:
        api.post(path, b"{")

        assert refusals.main_sender(work.totals(), REFUSED_POSTS, "bad_json") == sender

    def test_is_counted_for_events_that_the_store_rejects(self, api: AsgiClient, work: Telemetry) -> None:
        event = {"model_name": "m", "request_id": "r", "timestamp": datetime.now(UTC).isoformat()}
        for _ in range(3):
            api.post("/track/inference", event)

        totals = work.totals()

        assert totals.count(EVENTS, DUPLICATE) == 2
        assert refusals.main_sender(totals, EVENTS, DUPLICATE) == "requests without a key"
        assert refusals.last_at(totals, EVENTS, DUPLICATE) is not None
