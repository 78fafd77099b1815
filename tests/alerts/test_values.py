"""The values that rules are judged by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.evaluation.judging import Reading
from alerts.evaluation.values import read_values
from alerts.rules.spec import RuleSpec, check_rule
from metrics import catalogue
from metrics.events import ErrorEvent, GPUSample, QueueEvent, SystemEvent
from tests.metrics.queries.known_events import request, write

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
AGO = NOW - timedelta(seconds=2)


def rule(metric: Any, **more: Any) -> RuleSpec:
    return check_rule(
        {"id": f"rule-{metric.name}".replace(".", "-").replace("_", "-"), "name": metric.name, "threshold": 1}
        | {"metric_type": metric.type, "metric_name": metric.short}
        | more
    )


class ARuleOnManyGroups:
    def test_has_the_value_of_each(self) -> None:
        names = [f"m-{number:04}" for number in range(2_001)]
        write([QueueEvent(timestamp=AGO, source="gateway", model_name=name, pending=7) for name in names], now=NOW)

        (readings,) = read_values([rule(catalogue.get("queue.pending"))], NOW).values()

        assert [dict(labels)["model"] for labels in readings] == names


class ARuleOnAMean:
    def test_has_the_value_of_equal_samples(self) -> None:
        ago = [NOW - timedelta(seconds=5 * number) for number in range(1, 8)]
        write([SystemEvent(timestamp=at, host="h", cpu_percent=80.1) for at in ago], now=NOW)

        (readings,) = read_values([rule(catalogue.get("system.cpu_percent"))], NOW).values()

        assert readings == {(("host", "h"),): Reading(80.1, 1)}


class ARuleOnErrors:
    def test_counts_those_of_each_model_at_both_ends_of_its_window(self) -> None:
        def error(ago: int, model: str) -> ErrorEvent:
            at = NOW - timedelta(seconds=ago)
            return ErrorEvent(
                timestamp=at, request_id=f"{model}-{ago}", model_name=model, error_type="E", error_message=""
            )

        write([error(0, "one"), error(29, "one"), error(30, "one"), error(0, "two")], now=NOW)
        judged = rule(catalogue.get("error.count"), window_seconds=30)

        (readings,) = read_values([judged], NOW).values()

        assert {labels: reading.value for labels, reading in readings.items()} == {
            (("model", "one"),): 2,
            (("model", "two"),): 1,
        }


class ARuleOnSevenDays:
    def test_counts_what_is_kept_by_the_hour_only(self) -> None:
        write([request(NOW - timedelta(days=days), days) for days in (1, 4, 6)], now=NOW + timedelta(days=9))
        judged = rule(catalogue.get("inference.requests"), stat="sum", window_seconds=7 * 86_400)

        (readings,) = read_values([judged], NOW).values()

        assert [reading.value for reading in readings.values()] == [3]


class ARuleOnRequestsWithoutALabel:
    def test_has_no_others(self) -> None:
        write([request(AGO, 1, provider="openai", model_name="one"), request(AGO, 2, model_name="two")], now=NOW)
        judged = rule(catalogue.get("inference.requests"), filters={"provider": [""]})

        assert read_values([judged], NOW)[judged.id].keys() == {(("model", "two"),)}


class TheRulesOfOneWindow:
    """Their metrics are read together."""

    def test_have_the_values_that_each_has_alone(self) -> None:
        write(
            [
                *(request(AGO, number, model_name="m", response_time_ms=100.0 * number) for number in (1, 2, 3)),
                QueueEvent(timestamp=AGO, source="gateway", model_name="m", pending=7),
                QueueEvent(timestamp=AGO, source="gateway", model_name="without-requests", pending=101),
                SystemEvent(
                    timestamp=AGO, host="h", cpu_percent=5.0, gpu_metrics=(GPUSample(gpu_id="0", temperature=60.0),)
                ),
            ],
            now=NOW,
        )
        rules = [rule(metric) for metric in catalogue.ALL if metric.type not in ("engine", "monitor")]

        together = read_values(rules, NOW)

        for alone in rules:
            assert together[alone.id] == read_values([alone], NOW)[alone.id], alone.name
        assert together["rule-queue-pending"][(("model", "without-requests"),)] == Reading(101.0, 1)
        assert together["rule-inference-requests"][(("model", "m"),)] == Reading(3 / 60, 3)
