"""What the rate limit of a provider still allows is the lowest that any source reports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts import AlertLevel, AlertRule, MetricType, alert_manager
from alerts.evaluation.evaluate import EVERY_SECONDS, evaluate
from metrics import catalogue, queries
from metrics.events import IngestPolicy, Kind, validate_many
from metrics.store.writing.transaction import Store
from tests.metrics.queries.series_of import series_of

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
POLICY = IngestPolicy(future_tolerance=timedelta(minutes=5), max_age=timedelta(days=400))


def at(second: int) -> datetime:
    return NOW + timedelta(seconds=second)


def report(second: int, requests: int | None = None, tokens: int | None = None, **queue: Any) -> None:
    """Store a sample of a queue, as it is sent."""
    headroom = {"ratelimit_remaining_requests": requests, "ratelimit_remaining_tokens": tokens}
    event = {"timestamp": at(second).isoformat(), "source": "a", "model_name": "m", "kind": "sdk", **headroom, **queue}
    validated = validate_many(Kind.QUEUE, [event], at(second), POLICY)
    assert (validated.rejected, validated.corrected) == ([], {})
    Store(clock=lambda: at(second)).commit(validated.events)


def history(stat: str, step: int, name: str = "requests") -> list[float | None]:
    metric = catalogue.get(f"queue.ratelimit_remaining_{name}")
    window = queries.Window.of_seconds(NOW.timestamp(), NOW.timestamp() + 120)
    (line,) = series_of([(metric, stat)], window, queries.Filters(), step=step, now=at(120)).lines
    return list(line.values)


def tick(second: int) -> tuple[int | None, int | None]:
    queue = queries.current(at(second))["queue"]
    return queue["ratelimit_remaining_requests"], queue["ratelimit_remaining_tokens"]


class TheHeadroom:
    def test_is_the_lowest_of_all_sources_in_history_and_tick_alike(self) -> None:
        for second in range(0, 60, 5):
            report(second, 90, 5_000)
            report(second, 40, 7_000, source="b")
            report(second, processing=1, source="c")

        assert tick(56) == (40, 5_000)
        assert history("avg", 60)[0] == history("last", 60)[0] == history("min", 60)[0] == 40
        assert history("max", 60)[0] == 90
        assert set(history("avg", 5)[:12]) == {40}
        assert set(history("avg", 5, "tokens")[:12]) == {5_000}

    def test_counts_while_it_is_valid_though_later_samples_lack_it(self) -> None:
        for second in range(0, 30, 5):
            report(second, 40 if second == 0 else None, processing=1)

        assert tick(14)[0] == 40
        assert tick(26)[0] is None
        assert history("last", 5)[:4] == [40, 40, 40, None]

    def test_fires_a_rule_when_little_is_left_and_one_when_no_source_reports_it(self) -> None:
        little: dict[str, Any] = {"comparison": "lt", "threshold": 50, "stat": "min", "window_seconds": 60}
        for name, more in (("little", little), ("silent", {"kind": "no_data", "window_seconds": 60})):
            alert_manager.add_alert_rule(
                AlertRule(
                    id=name,
                    name=name,
                    metric_type=MetricType.QUEUE,
                    metric_name="ratelimit_remaining_requests",
                    severity=AlertLevel.WARNING,
                    **more,
                )
            )
        changes = []
        for second in range(0, 300, EVERY_SECONDS):
            if second < 100:
                report(second, 90 if second < 50 else 40)
            changes += [(one.alert.rule_id, one.to, one.value, second) for one in evaluate(at(second))]

        assert [change[:3] for change in changes] == [
            ("little", "firing", 40),
            ("little", "resolved", None),
            ("silent", "firing", None),
        ]
        assert changes[0][3] == 50
