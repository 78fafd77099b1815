"""Names of models that are read as one: sums and percentiles of a group, filters, and what keeps the name as sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics import queries
from metrics.events import Kind, validate_many
from metrics.models import InferenceMetrics, ModelAlias, QueueMetrics, Series
from metrics.queries import Filters, SeriesSpec, Window
from metrics.queries.answers.queue_levels import queue_levels
from metrics.store.writing.transaction import Store
from tests.support.policies import make_ingest_policy

pytestmark = [pytest.mark.django_db, pytest.mark.store]
RESPONSE = "inference.response_time_ms"
TIMES = {"gpt-4o": (100, 200, 300), "gpt-4o-2024-08-06": (1_000, 2_000), "openai/gpt-4o": (5_000,), "llama": (50, 60)}
ALL = Filters()
GROUPED = ("gpt-4o", "gpt-4o-2024-08-06", "openai/gpt-4o")


@pytest.fixture
def now() -> datetime:
    """The time at which requests of four names were written."""
    at = datetime.now(UTC)
    sent = (at - timedelta(seconds=5)).isoformat()
    events = [
        {"timestamp": sent, "request_id": f"{name}{ms}", "model_name": name, "response_time_ms": ms, "success": True}
        for name, times in TIMES.items()
        for ms in times
    ]
    write(Kind.INFERENCE, events, at)
    queue = [("gpt-4o", "sdk", 3), ("gpt-4o-2024-08-06", "track", 4), ("llama", "track", 1)]
    write(
        Kind.QUEUE,
        [
            {"timestamp": sent, "model_name": m, "source": k, "kind": k, "pending": n, "processing": 0}
            for m, k, n in queue
        ],
        at,
    )
    return at


@pytest.fixture
def grouped(now: datetime) -> datetime:
    """The same with an alias for two of the names."""
    for name in GROUPED[1:]:
        ModelAlias.objects.create(name=name, group="gpt-4o")
    return now


def write(kind: Kind, events: list[dict[str, Any]], at: datetime) -> None:
    result = validate_many(kind, events, at, make_ingest_policy())
    assert not result.rejected
    Store().commit(result.events)


def window(now: datetime) -> Window:
    return Window.last(3_600, now)


def rows(now: datetime, filters: Filters = ALL, **options: Any) -> dict[str, dict[str, Any]]:
    return {row["model_name"]: row for row in queries.models(window(now), filters, now, **options).results}


def lines(now: datetime, metric: str, stat: str, filters: Filters = ALL) -> dict[str, list[Any]]:
    spec = SeriesSpec.of(metric, stat, "model")
    result = queries.series([spec], window(now), filters, step=3_600, now=now)
    return {line.labels["model"]: [value for value in line.values if value is not None] for line in result.lines}


class AGroupOfNames:
    def test_has_the_sums_of_its_names(self, now: datetime) -> None:
        alone = rows(now)
        for name in GROUPED[1:]:
            ModelAlias.objects.create(name=name, group="gpt-4o")
        merged = rows(now)
        assert set(merged) == {"gpt-4o", "llama"}
        for figure in ("total_requests", "failed_requests", "requests_per_second"):
            assert merged["gpt-4o"][figure] == pytest.approx(sum(alone[name][figure] for name in GROUPED))
        assert merged["gpt-4o"]["aliases"] == sorted(GROUPED)
        assert merged["llama"] == alone["llama"]

    def test_has_the_percentiles_of_the_requests_of_all_its_names(self, grouped: datetime) -> None:
        merged = rows(grouped)["gpt-4o"]
        as_one = queries.summary(window(grouped), Filters(model=GROUPED), grouped).figures
        for figure in ("p50_response_time_ms", "p95_response_time_ms", "p99_response_time_ms", "avg_response_time_ms"):
            assert merged[figure] == as_one[figure]
        assert merged["p50_response_time_ms"] == pytest.approx(300, rel=0.011)

    def test_is_selected_by_its_name_with_all_its_names(self, grouped: datetime) -> None:
        group = Filters(model=("gpt-4o",))
        assert queries.summary(window(grouped), group, grouped).figures["total_requests"] == 6
        assert sum(lines(grouped, RESPONSE, "count", group)["gpt-4o"]) == 6
        row = queries.model("gpt-4o-2024-08-06", window(grouped), Filters(), grouped)
        assert row is not None
        assert (row["model_name"], row["total_requests"]) == ("gpt-4o", 6)
        one = Filters(model=("gpt-4o-2024-08-06",))
        assert queries.summary(window(grouped), one, grouped).figures["total_requests"] == 2

    def test_is_one_line_choice_row_and_group_of_a_rule(self, grouped: datetime) -> None:
        assert {name: sum(counts) for name, counts in lines(grouped, RESPONSE, "count").items()} == {
            "gpt-4o": 6,
            "llama": 2,
        }
        choices = queries.choices(window(grouped), grouped)["model"]["choices"]
        assert choices == [{"value": "gpt-4o", "count": 6}, {"value": "llama", "count": 2}]
        spec = SeriesSpec.of(RESPONSE, "p95", "model")
        evaluated = queries.evaluate([spec], 300, Filters(), grouped)[spec]
        assert {dict(labels)["model"] for labels in evaluated} == {"gpt-4o", "llama"}

    def test_adds_the_queues_of_its_names_each_of_its_preferred_kind(self, grouped: datetime) -> None:
        assert {name: level.pending for name, level in queue_levels(Filters(), grouped).items()} == {
            "gpt-4o": 7,
            "llama": 1,
        }
        pending = lines(grouped, "queue.pending", "max", Filters(model=("gpt-4o",)))
        assert pending == {"gpt-4o": [7]}

    def test_is_searched_by_its_name_and_those_as_sent(self, grouped: datetime) -> None:
        assert set(rows(grouped, search="2024")) == {"gpt-4o"}
        assert rows(grouped, search="GPT-4O")["gpt-4o"]["total_requests"] == 6

    def test_of_a_name_that_nobody_sends_has_a_row(self, now: datetime) -> None:
        ModelAlias.objects.create(name="llama", group="<b>meta</b>")
        assert set(rows(now)) == {*GROUPED, "<b>meta</b>"}
        assert queries.is_known("model", "<b>meta</b>")


class AnAlias:
    @pytest.fixture(autouse=True)
    def stored(self, now: datetime) -> Iterator[None]:
        def read() -> list[Any]:
            requests = InferenceMetrics.objects.order_by("id").values_list("id", "series_id")
            samples = QueueMetrics.objects.order_by("id").values_list("id", "labels_id")
            return [*Series.objects.order_by("id").values_list("id", "model_name"), *requests, *samples]

        before = read()
        yield
        assert read() == before

    def test_keeps_the_name_as_sent_in_lists_and_exports(self, grouped: datetime) -> None:
        page = queries.requests(Filters(model=("gpt-4o",)), limit=50)
        assert sorted({row["model_name"] for row in page.results}) == sorted(GROUPED)

    def test_costs_no_further_statement(self, now: datetime) -> None:
        def statements() -> int:
            with CaptureQueriesContext(connection) as captured:
                queries.summary_and_models(window(now), Filters(model=("gpt-4o",)), now)
                lines(now, RESPONSE, "p95")
            return len(captured)

        without = statements()
        ModelAlias.objects.create(name="openai/gpt-4o", group="gpt-4o")
        assert statements() == without


class TheAdmin:
    @pytest.mark.parametrize(
        ("name", "group"),
        [
            ("a", "a"),
            ("b", "old"),
            ("new", "x"),
            ("__other__", "x"),
            ("a", "__other__"),
            ("a" * 600, "x"),
        ],
    )
    def test_refuses_chains_cycles_and_impossible_names(self, name: str, group: str) -> None:
        ModelAlias.objects.create(name="old", group="new")
        with pytest.raises(ValidationError):
            ModelAlias(name=name, group=group).full_clean()

    def test_accepts_further_names_of_a_group(self) -> None:
        ModelAlias.objects.create(name="old", group="new")
        ModelAlias(name="older", group="new").full_clean()
