"""Requests whose label set is beyond the limit share a series, but each row has its own labels."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from metrics import queries
from metrics.events import QueueEvent
from metrics.queries import Filters, Window
from tests.metrics.queries.known_events import NOW, request, write

pytestmark = [pytest.mark.store, pytest.mark.django_db]


@pytest.fixture
def crowded(db: Any) -> None:
    """Write requests of five models while the limit is two label sets."""
    with override_settings(LLMMONITOR=settings.LLMMONITOR.model_copy(update={"max_series": 2})):
        write(
            [
                request(NOW - timedelta(seconds=n), n, model_name=f"model-{n % 5}", provider=f"provider-{n % 5}")
                for n in range(20)
            ]
        )
        write([QueueEvent(timestamp=NOW, source="gateway", model_name="queued", pending=3, provider="p")])


@pytest.mark.usefixtures("crowded")
class AQueueWhoseModelIsBeyondTheLimit:
    def test_is_exported_with_the_name_of_its_model(self) -> None:
        for filters in (Filters(), Filters(model=("queued",))):
            (row,) = queries.export("queue", Window.last(60, NOW), filters, now=NOW).rows

            assert (row["model_name"], row["source"], row["pending"]) == ("queued", "gateway", 3)


@pytest.mark.usefixtures("crowded")
class ARowBeyondTheLimit:
    def test_shows_its_own_labels(self) -> None:
        rows = queries.requests(Filters()).results

        assert [row["model_name"] for row in rows] == [f"model-{n % 5}" for n in range(20)]
        assert [row["provider"] for row in rows] == [f"provider-{n % 5}" for n in range(20)]

    @pytest.mark.parametrize("number", range(5))
    def test_matches_its_own_labels(self, number: int) -> None:
        page = queries.requests(Filters(model=(f"model-{number}",), provider=(f"provider-{number}",)))

        assert [row["request_id"] for row in page.results] == [f"r-{n}" for n in range(number, 20, 5)]

    def test_does_not_match_other_labels(self) -> None:
        assert queries.requests(Filters(model=("model-4",), provider=("provider-3",))).results == []

    def test_is_exported_with_its_own_labels(self) -> None:
        table = queries.export("inference", Window.last(60, NOW), Filters(model=("model-4",)), now=NOW)

        assert [row["request_id"] for row in table.rows] == ["r-19", "r-14", "r-9", "r-4"]

    def test_counts_for_the_shared_series(self) -> None:
        rows = queries.models(Window.last(60, NOW), Filters(), NOW).results

        volume = {row["model_name"]: row["total_requests"] for row in rows}
        assert volume.pop("__other__") == 12
        assert list(volume.values()) == [4, 4]
