"""The bars of histograms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from dashboard.chart_histogram import MAX_BARS, chart_histograms, counts_between
from dashboard.page_query import read
from dashboard.reading import Reading
from metrics.events import validate_many
from metrics.store.writing.transaction import Store
from tests.support.policies import make_ingest_policy


class TheBars:
    @given(
        edges=st.lists(st.floats(0.01, 1e6), min_size=2, max_size=20, unique=True).map(sorted),
        counts=st.lists(st.integers(0, 1_000), min_size=1, max_size=60),
    )
    def test_lose_no_value_whatever_their_edges(self, edges: list[float], counts: list[int]) -> None:
        buckets = [(1.1**n, 1.1 ** (n + 1), count) for n, count in enumerate(counts)]
        assert sum(counts_between(edges, buckets)) == sum(counts)

    def test_have_the_values_that_lie_between_their_edges(self) -> None:
        assert counts_between([1, 2, 4], [(0, 0, 5), (1, 2, 1), (2, 3, 7), (3, 4, 2)]) == [6, 9]


@pytest.mark.django_db
class TheHistogramsOfAPage:
    def test_add_up_to_the_requests_that_carry_the_value(self) -> None:
        at = datetime.now(UTC)
        values = {"a": [1, 10, 100, 1_000, 10_000] * 20, "b": [7] * 30}
        items = [
            {
                "request_id": f"{model}{n}",
                "model_name": model,
                "timestamp": (at - timedelta(seconds=30)).isoformat(),
                "prompt_tokens": tokens,
                "success": True,
            }
            for model, tokens_of in values.items()
            for n, tokens in enumerate(tokens_of)
        ]
        items.append({**items[0], "request_id": "none", "prompt_tokens": None})
        validated = validate_many("inference", items, at, make_ingest_policy(tags=settings.LLMMONITOR.tags))
        Store().commit(validated.events)

        histograms = chart_histograms("inference.prompt_tokens", Reading(read(QueryDict("range=1h"), at), at))

        assert len(histograms["edges"]) <= MAX_BARS + 2
        shown = {model["name"]: model for model in histograms["models"]}
        assert {name: sum(model["counts"]) for name, model in shown.items()} == {"a": 100, "b": 30}
        assert {name: model["count"] for name, model in shown.items()} == {"a": 100, "b": 30}
