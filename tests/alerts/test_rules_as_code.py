"""Rules as code: the example of the documentation runs as it is written."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command

from alerts.models import AlertRule as StoredRule
from alerts.rules.manager import alert_manager
from alerts.rules.spec import BadRule, check_rule

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
VALID: dict[str, Any] = {
    "id": "r", "name": "R", "metric_type": "inference", "metric_name": "response_time_ms", "threshold": 5,
}  # fmt: skip


def check_example() -> None:
    rule = StoredRule.objects.get(pk="token_throughput_low")
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

        assert len(alert_manager.get_alert_rules()) == 8


class ARuleThatMakesNoSense:
    @pytest.mark.parametrize(
        ("changed", "field", "reason"),
        [
            ({"id": "A b"}, "id", "must be lower-case letters"),
            ({"name": ""}, "name", "must not be empty."),
            ({"metric_type": "cpu"}, "metric_type", "must be one of 'inference'"),
            ({"metric_name": "cpu_percent"}, "metric_name", "must be a metric of the type inference."),
            ({"stat": "last"}, "stat", "must be a statistic of inference.response_time_ms."),
            ({"threshold": None}, "threshold", "is required."),
            ({"threshold": "high"}, "threshold", "must be a number."),
            ({"threshold": float("nan")}, "threshold", "must be a finite number."),
            ({"comparison": ">"}, "comparison", "must be one of 'gt'"),
            ({"clear_threshold": 6}, "clear_threshold", "must be at most the threshold, 5."),
            (
                {"comparison": "ne", "clear_threshold": 5},
                "clear_threshold",
                "must not be given with the comparison ne.",
            ),
            ({"window_seconds": 1}, "window_seconds", "must be at least 5."),
            ({"window_seconds": 1_001}, "window_seconds", "must be a multiple of 60"),
            ({"window_seconds": 90_060}, "window_seconds", "must be a multiple of 3600"),
            ({"for_seconds": -1}, "for_seconds", "must be at least 0."),
            ({"kind": "change"}, "compare_to_seconds", "must be one of 3600, 86400, 604800"),
            ({"compare_to_seconds": 3600}, "compare_to_seconds", "is a field of the kind change only."),
            ({"kind": "no_data"}, "threshold", "must not be given"),
            ({"filters": {"host": ["h"]}}, "filters", "host is not a label of inference.response_time_ms."),
            ({"filters": {"modell": ["m"]}}, "filters", "modell is not a parameter"),
            ({"group_by": ["gpu"]}, "group_by", "must be labels of inference.response_time_ms."),
            ({"min_count": 0}, "min_count", "must be at least 1."),
            ({"runbook_url": "wiki"}, "runbook_url", "must be an address that begins with http:// or https://."),
            ({"colour": "red"}, "colour", "is not a field of a rule."),
        ],
    )
    def test_is_refused_with_its_field_and_a_reason(self, changed: dict[str, Any], field: str, reason: str) -> None:
        with pytest.raises(BadRule) as error:
            check_rule(VALID | changed)

        assert field in dict(error.value.errors), error.value.errors
        assert dict(error.value.errors)[field].startswith(reason), error.value.errors

    def test_names_all_its_faults(self) -> None:
        with pytest.raises(BadRule) as error:
            check_rule({})

        assert [field for field, _ in error.value.errors] == ["id", "name", "metric_type", "metric_name"]
