"""Rules as code: the example of the documentation runs as it is written."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command

from alerts import AlertRule, MetricType, models
from alerts.rules.manager import alert_manager

pytestmark = pytest.mark.django_db

EXAMPLE = """
alert_manager.add_alert_rule(AlertRule(
    id="token_throughput_low",
    name="Low Token Throughput",
    metric_type=MetricType.INFERENCE,
    metric_name="tokens_per_second",
    threshold=10.0,
    comparison="lt",
    severity=AlertLevel.WARNING
))
"""


def check_example() -> None:
    rule = models.AlertRule.objects.get(pk="token_throughput_low")
    assert (rule.metric_type, rule.metric_name, rule.stat) == ("inference", "tokens_per_second", "avg")
    assert (rule.comparison, rule.threshold, rule.severity) == ("lt", 10.0, "warning")
    assert (rule.window_seconds, rule.group_by, rule.min_count, rule.no_data) == (60, ["model"], 1, "ok")


class TheExample:
    def test_runs_in_the_shell(self) -> None:
        call_command("shell", command=EXAMPLE, verbosity=0)

        check_example()

    def test_runs_with_an_import(self) -> None:
        exec("from alerts import alert_manager, AlertRule, AlertLevel, MetricType\n" + EXAMPLE)  # noqa: S102

        check_example()

    def test_can_be_repeated(self) -> None:
        for _ in range(2):
            call_command("shell", command=EXAMPLE, verbosity=0)

        assert len(alert_manager.get_alert_rules()) == 15


class ARuleWithAnotherMetric:
    def test_keeps_no_field_of_the_metric_before(self) -> None:
        fields: dict[str, Any] = {"id": "r", "name": "R", "metric_type": "inference", "metric_name": "response_time_ms"}
        more = {"stat": "p95", "threshold": 5_000, "filters": {"model": ["m"]}, "min_count": 3, "for_seconds": 30}
        alert_manager.add_alert_rule(AlertRule(**fields, **more))
        same = {"metric_type": MetricType.INFERENCE, "metric_name": "inference.response_time_ms"}
        unchanged = alert_manager.add_alert_rule(AlertRule(id="r", name="R", **same))
        assert (unchanged.stat, unchanged.min_count, unchanged.group_by) == ("p95", 3, ("model",))

        gpu = alert_manager.add_alert_rule(
            AlertRule(id="r", name="R", metric_type="gpu", metric_name="temperature", threshold=90)
        )

        assert (gpu.stat, gpu.filters, gpu.group_by, gpu.min_count) == ("avg", {}, ("host", "gpu"), 1)
        assert gpu.for_seconds == 30
