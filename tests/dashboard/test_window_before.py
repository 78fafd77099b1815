"""The series of the window before, which charts show as faint lines."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client
from django.utils import timezone

from metrics.events import InferenceEvent, QueueEvent
from metrics.store.writing.transaction import Store

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_cached_results() -> None:
    for name in ("default", "queries", "ring"):
        caches[name].clear()


def requests(count: int, minutes: float) -> None:
    """Store requests and a queue, from that many minutes ago on."""
    start = timezone.now() - timedelta(minutes=minutes)
    Store().commit(
        [
            InferenceEvent(
                timestamp=start + timedelta(seconds=number),
                request_id=f"{minutes}-{number}",
                model_name="a",
                response_time_ms=900,
                queue_time_ms=5,
                success=True,
            )
            for number in range(count)
        ]
        + [QueueEvent(timestamp=start, source="s", model_name="a", pending=1, processing=1)]
    )


def before(page: str) -> set[str]:
    client = Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")
    data: dict[str, Any] = client.get(f"/dashboard/data/{page}?range=5m").json().get("before") or {"series": []}
    return {series["metric"] for series in data["series"]}


class TheWindowBefore:
    def test_is_shown_where_it_has_enough_requests_to_compare(self) -> None:
        requests(30, 4)
        requests(30, 9)
        assert before("latency") == {"inference.response_time_ms", "inference.ttft_ms"}
        assert before("queue") == {"queue.pending", "inference.queue_time_ms", "inference.processing_time_ms"}

    def test_has_no_lines_of_a_few_requests(self) -> None:
        requests(30, 4)
        requests(3, 9)
        assert before("latency") == set()
        assert before("queue") == {"queue.pending"}
