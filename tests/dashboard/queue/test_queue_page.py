"""The figures of the Queue page, compared with those of the API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from dashboard.formatting import duration
from dashboard.queue.page import PROCESSING, WAIT
from metrics.events import InferenceEvent, QueueEvent
from metrics.store.writing.transaction import Store

pytestmark = pytest.mark.django_db
AN_HOUR_AGO = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
WINDOW = {"from": AN_HOUR_AGO.isoformat(), "to": (AN_HOUR_AGO + timedelta(hours=1)).isoformat()}
MODELS = {"llama": 1.0, "mistral": 7.0}


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    yield
    for name in ("queries", "ring"):
        caches[name].clear()


@pytest.fixture
def visitor() -> Client:
    """A browser on this machine, after an hour with 120 requests of each model."""
    Store().commit(
        [
            InferenceEvent(
                timestamp=AN_HOUR_AGO + timedelta(seconds=25 * number),
                request_id=f"{model}-{number}",
                model_name=model,
                queue_time_ms=factor * number**1.5,
                processing_time_ms=100 + factor * number,
                success=True,
            )
            for model, factor in MODELS.items()
            for number in range(120)
        ]
    )
    return Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")


def lines(history: dict[str, Any]) -> dict[tuple[str, str, str], list[Any]]:
    """The values of each series, by metric, statistic and model."""
    return {
        (one["metric"], one["stat"], one["labels"].get("model", "")): one["values"]
        if "values" in one
        else [value for _, value in one["points"]]
        for one in history["series"]
    }


class APercentileOfThePage:
    @pytest.mark.parametrize(
        ("metric", "stat", "group_by"),
        [
            *((WAIT, stat, "") for stat in ("p50", "p95", "p99")),
            *((PROCESSING, stat, "") for stat in ("p50", "p95")),
            (WAIT, "p95", "model"),
            (PROCESSING, "p95", "model"),
        ],
    )
    def test_equals_that_of_the_history(self, visitor: Client, metric: str, stat: str, group_by: str) -> None:
        page = visitor.get("/dashboard/data/queue", WINDOW).json()["history"]
        query = WINDOW | {"metric": metric, "stat": stat, "step": str(page["step_seconds"])}

        history = lines(visitor.get("/metrics/history", query | ({"group_by": group_by} if group_by else {})).json())

        assert len(history) == (len(MODELS) if group_by else 1)
        shown = lines(page)
        for key, values in history.items():
            assert any(value is not None for value in values)
            assert shown[key] == [value and float(f"{value:.6g}") for value in values]  # as charts have them

    def test_equals_that_of_the_distribution_in_the_table(self, visitor: Client) -> None:
        table = visitor.get("/dashboard/data/queue", WINDOW).json()["tables"]["waits"]

        for model in MODELS:
            for metric, stats in ((WAIT, ("p50", "p95", "p99")), (PROCESSING, ("p50", "p95"))):
                query = WINDOW | {"metric": metric, "model": model}
                percentiles = visitor.get("/metrics/distribution", query).json()["percentiles"]
                for stat in stats:
                    assert str(duration(percentiles[stat])) in table


class TheSourcesOfAPastWindow:
    def test_have_the_levels_of_its_end(self, visitor: Client) -> None:
        end = AN_HOUR_AGO + timedelta(hours=1)
        levels = ((timedelta(minutes=40), 7), (timedelta(minutes=1), 41), (timedelta(seconds=-1), 99))
        Store().commit(
            [
                QueueEvent(timestamp=end - before, source="engine", model_name="llama", pending=pending, processing=2)
                for before, pending in levels
            ]
        )

        page = visitor.get("/dashboard/data/queue", WINDOW).json()

        assert page["sentence"]["title"] == "41 requests waited for llama at the end of this time range."
        assert '<td class="figure">41</td>' in page["tables"]["sources"]
