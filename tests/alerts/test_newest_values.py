"""The newest value of each rule, which pages show."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from alerts.evaluation import newest_values
from alerts.evaluation.evaluate import evaluate
from alerts.evaluation.judging import Reading
from alerts.models import AlertRule
from alerts.queries import rules
from alerts.rules.manager import alert_manager
from alerts.rules.spec import check_rule
from metrics.events import SystemEvent
from metrics.store.writing.transaction import Store

NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
RULE = {"id": "hot", "name": "Hot", "metric_type": "system", "metric_name": "cpu_percent", "threshold": 80}


def rule(**fields: Any) -> Any:
    return check_rule(RULE | fields)


class TheShareOfTheThreshold:
    @pytest.mark.parametrize(
        ("comparison", "threshold", "value", "share"),
        [
            ("gt", 80, 60, 0.75),
            ("gt", 80, -5, 0),
            ("lt", 10, 40, 0.25),
            ("lt", 10, 0, newest_values.MAX_SHARE),
            ("lt", -60, -15, 0.25),
            ("gt", -10, -40, 0.25),
            ("gt", 0, 5, None),
            ("ne", 80, 60, None),
        ],
    )
    def test_grows_to_one_at_the_threshold(
        self, comparison: str, threshold: float, value: float, share: float | None
    ) -> None:
        assert newest_values.share_of_threshold(comparison, threshold, value) == share


class TheNewestValue:
    def test_is_that_of_the_group_nearest_to_firing(self) -> None:
        readings = {(("host", name),): Reading(value) for name, value in (("a", 20), ("b", 60), ("c", None))}

        assert newest_values.nearest(rule(), readings) == {
            "value": 60, "group": {"host": "b"}, "count": 1, "share_of_threshold": 0.75, "groups": 3,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("comparison", "threshold", "values", "nearest"),
        [
            ("gt", 0, (1, 9, 3), 9),
            ("lt", 0, (5, 2, 4), 2),
            ("eq", 80, (100, 79, 20), 79),
            ("ne", 80, (80, 90, 80), 90),
            ("gt", 80, (-9, -1, -5), -1),
            ("gt", 1, (20, 90, 50), 90),
        ],
    )
    def test_is_known_without_a_share_of_the_threshold(
        self, comparison: str, threshold: float, values: tuple[float, ...], nearest: float
    ) -> None:
        readings = {(("host", str(value)),): Reading(value) for value in values}

        assert newest_values.nearest(rule(comparison=comparison, threshold=threshold), readings)["value"] == nearest

    def test_is_none_of_a_group_with_too_few_requests(self) -> None:
        few = rule(metric_type="inference", metric_name="ttft_ms", min_count=3)

        assert newest_values.nearest(few, {(): Reading(900, 2)})["value"] is None

    @pytest.mark.django_db
    def test_is_stored_by_each_evaluation(self) -> None:
        AlertRule.objects.all().delete()
        alert_manager.add_alert_rule(rule())
        Store(clock=lambda: NOW).commit([SystemEvent(timestamp=NOW, host="alpha", cpu_percent=40)])

        evaluate(NOW)

        assert [(listed["value"], listed["group"], listed["share_of_threshold"]) for listed in rules()] == [
            (40.0, {"host": "alpha"}, 0.5)
        ]
