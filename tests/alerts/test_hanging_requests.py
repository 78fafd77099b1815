"""A request that hangs is not recorded before it ends. Its queue reports its age."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.evaluation.evaluate import EVERY_SECONDS, evaluate
from alerts.models import AlertRule
from metrics import queries
from metrics.events import IngestPolicy, Kind, validate_many
from metrics.store.writing.transaction import Store

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
POLICY = IngestPolicy(future_tolerance=timedelta(minutes=5), max_age=timedelta(days=400))


def at(second: int) -> datetime:
    return NOW + timedelta(seconds=second)


def report(second: int, **queue: Any) -> None:
    """Store a sample of a queue, as it is sent."""
    event = {"timestamp": at(second).isoformat(), "source": "gateway", "model_name": "m", **queue}
    validated = validate_many(Kind.QUEUE, [event], at(second), POLICY)
    assert (validated.rejected, validated.corrected) == ([], {})
    Store(clock=lambda: at(second)).commit(validated.events)


def hang(seconds: range, **queue: Any) -> list[tuple[int, str, str, float | None]]:
    """Report one request that never ends, every five seconds. Return (second, rule, state, value) of the changes."""
    changes = []
    for second in seconds:
        report(second, processing=1, oldest_seconds=second, **queue)
        changes += [(second, change.alert.rule_id, change.to, change.value) for change in evaluate(at(second))]
    return changes


class AHangingRequest:
    def test_fires_the_rule_once_it_is_enabled(self) -> None:
        AlertRule.objects.filter(pk="hanging-request").update(enabled=True)

        changes = hang(range(0, 400, EVERY_SECONDS))

        assert changes == [(305, "hanging-request", "firing", 305.0)]
        report(400, processing=0, oldest_seconds=0)
        resolved = [(change.alert.rule_id, change.to) for change in evaluate(at(470))]
        assert resolved == [("hanging-request", "resolved")]

    def test_fires_nothing_while_the_rule_is_off(self) -> None:
        assert hang(range(0, 400, EVERY_SECONDS)) == []


class TheAgeOfTheOldestRequest:
    def test_is_the_highest_of_all_sources(self) -> None:
        report(0, oldest_seconds=12.5)
        report(0, source="other", oldest_seconds=80)
        report(0, source="third", pending=3)

        tick = queries.current(at(1))["queue"]
        assert (tick["oldest_seconds"], tick["pending"]) == (80, 3)
        spec = queries.SeriesSpec.of("queue.oldest_seconds", "max", "model")
        values = queries.evaluate([spec], 60, queries.Filters(), at(1))[spec]
        assert values == {(("model", "m"),): (80.0, 1)}

    def test_is_known_if_the_sdk_counts_and_a_gateway_reports_the_rest(self) -> None:
        report(0, kind="sdk", oldest_seconds=40)
        report(0, source="other", pending=3)

        assert queries.current(at(1))["queue"]["oldest_seconds"] == 40
