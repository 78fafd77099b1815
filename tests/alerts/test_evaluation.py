"""An evaluation stores, logs and counts what the events of a moment mean for the rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from alerts import publishing
from alerts.evaluation import evaluate as evaluate_module
from alerts.evaluation.evaluate import EVERY_SECONDS, evaluate
from alerts.models import Alert, AlertRule, Evaluation
from alerts.rules.manager import alert_manager
from alerts.rules.spec import check_rule
from metrics import queries
from metrics.events import Event, InferenceEvent, SystemEvent
from metrics.store.forgetting import forget
from metrics.store.writing.transaction import Store

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)


def write(events: Sequence[Event]) -> None:
    Store(clock=lambda: NOW + timedelta(minutes=30)).commit(events)


def follow(seconds: int, start: datetime = NOW) -> list[tuple[int, str, str]]:
    """Evaluate every five seconds. Return the changes: (seconds since the start, rule, state)."""
    return [
        (second, change.alert.rule_id, change.to)
        for second in range(0, seconds + 1, EVERY_SECONDS)
        for change in evaluate(start + timedelta(seconds=second))
    ]


def request(at: datetime, number: int, **more: Any) -> InferenceEvent:
    return InferenceEvent(timestamp=at, request_id=f"r-{number}", **({"model_name": "m"} | more))


def host(second: int, **fields: Any) -> SystemEvent:
    return SystemEvent(timestamp=NOW + timedelta(seconds=second), host="h", **fields)


class TheDefaultRules:
    def test_have_the_thresholds_of_the_documentation(self) -> None:
        stored = AlertRule.objects.all()
        rules = {rule.name: (rule.threshold, rule.clear_threshold, rule.for_seconds) for rule in stored}

        assert rules == {
            "High CPU Usage": (80, 75, 60),
            "High Memory Usage": (85, 80, 60),
            "Slow Response Time": (5000, None, 60),
            "High Error Rate": (10, None, 60),
            "GPU Overheating": (85, 80, 30),
            "Queue Backlog": (100, 80, 30),
            "Hanging Request": (300, None, 0),
            "Alerting Unhealthy": (0, None, 0),
            "Slow Commits": (2000, None, 60),
            "Events Waiting": (10_000, None, 30),
            "Late Ticks": (3000, None, 60),
            "Disk Almost Full": (90, 88, 60),
            "Backup Overdue": (172_800, None, 60),
            "Archive Failing": (0, None, 300),
        }
        assert len(alert_manager.get_alert_rules()) == 14  # all are valid
        assert [rule.id for rule in stored if not rule.enabled] == ["hanging-request"]


def add(**fields: Any) -> None:
    alert_manager.add_alert_rule(check_rule({"id": "r", "name": "R"} | fields))


class TheRulesOnCopies:
    def test_fire_for_a_backup_that_is_two_days_old_and_an_archive_that_fails_for_five_minutes(self) -> None:
        write(
            [
                host(second, monitor_backup_age_seconds=172_700 + second, monitor_archive_problems=float(second >= 0))
                for second in range(-60, 420, 10)
            ]
        )

        changes = [(rule, to) for _, rule, to in follow(400)]

        assert changes == [
            ("archive-failing", "pending"),
            ("backup-overdue", "pending"),
            ("backup-overdue", "firing"),
            ("archive-failing", "firing"),
        ]


class ARuleWithoutData:
    def test_fires_for_a_host_that_has_stopped_sending(self) -> None:
        add(kind="no_data", metric_type="system", metric_name="cpu_percent", window_seconds=60)
        write([host(second, cpu_percent=5) for second in range(-300, 0, 10)])

        # The last sample was 10 s ago, and is held for half a minute.
        assert follow(120) == [(80, "r", "firing")]

    def test_fires_for_a_model_that_has_fallen_silent_if_no_data_is_to_alert(self) -> None:
        add(metric_type="inference", metric_name="response_time_ms", threshold=1000, window_seconds=10, no_data="alert")
        write([request(NOW - timedelta(seconds=2), 1, response_time_ms=500)])

        assert follow(60) == [(10, "r", "firing")]


class AnAlertOfAGroupThatIsGone:
    """Of a rule whose alerts stay while there is no data."""

    GONE = "There is no data any more."

    @pytest.fixture(
        autouse=True, params=[{"kind": "no_data"}, *({"threshold": 90, "no_data": at} for at in ("alert", "keep"))]
    )
    def firing(self, db: Any, request: pytest.FixtureRequest) -> None:
        AlertRule.objects.all().delete()
        add(metric_type="system", metric_name="cpu_percent", **request.param)
        write([host(second, cpu_percent=95) for second in range(-300, 0, 10)])
        follow(120)
        assert Alert.objects.get().state == "firing"

    def test_ends_a_day_after_it_began(self) -> None:
        assert evaluate(NOW + timedelta(hours=23)) == []

        (change,) = evaluate(NOW + timedelta(hours=25))

        assert (change.to, change.note) == ("resolved", self.GONE)

    def test_ends_when_the_host_is_forgotten(self) -> None:
        forget(host="h", at=NOW)

        (change,) = evaluate(NOW + timedelta(seconds=125))

        assert (change.to, change.note) == ("resolved", self.GONE)


class AnAlertOfANewGroup:
    def test_stays_without_data_in_the_minute_in_which_it_began(self) -> None:
        AlertRule.objects.all().delete()
        add(metric_type="inference", metric_name="response_time_ms", threshold=1, window_seconds=10, no_data="keep")
        minute = NOW.replace(second=0)
        write([request(minute + timedelta(seconds=5), 1, response_time_ms=500)])

        assert [change.to for second in (6, 30, 90) for change in evaluate(minute + timedelta(seconds=second))] == [
            "firing"
        ]


class ARuleOnChanges:
    def test_compares_with_the_hour_before(self) -> None:
        at = NOW - timedelta(hours=1)
        add(kind="change", metric_type="inference", metric_name="requests", stat="rate", comparison="lt",
            threshold=-50, compare_to_seconds=3_600, min_count=2)  # fmt: skip
        write([request(at, n) for n in range(10)] + [request(NOW, 20), request(NOW, 21)])

        (change,) = evaluate(NOW)

        assert (change.to, change.value) == ("firing", pytest.approx(-80))

    def test_says_why_it_does_not_judge_a_change_from_zero(self) -> None:
        add(kind="change", metric_type="system", metric_name="cpu_percent", threshold=50, compare_to_seconds=3_600)
        write(
            [host(second, cpu_percent=cpu) for start, cpu in ((-3_630, 0), (-30, 90)) for second in (start, start + 5)]
        )

        assert [change for change in evaluate(NOW) if change.alert.rule_id == "r"] == []
        assert Evaluation.objects.get().problems["r"] == "0 before"


class AFiringRule:
    @pytest.fixture(autouse=True)
    def firing(self, db: Any) -> None:
        """A rule on a host, whose alerts stay without data."""
        AlertRule.objects.all().delete()
        add(metric_type="system", metric_name="cpu_percent", threshold=70, no_data="keep")
        write([host(second, cpu_percent=75, memory_percent=80) for second in range(-60, 60, 5)])
        evaluate(NOW)

    @pytest.mark.parametrize("change", [{"group_by": []}, {"filters": {"host": ["other"]}}])
    def test_ends_the_alerts_of_groups_that_it_no_longer_has(self, change: dict[str, Any]) -> None:
        add(metric_type="system", metric_name="cpu_percent", no_data="alert", threshold=90, **change)

        changes = evaluate(NOW + timedelta(seconds=5))

        assert [(c.alert.labels, c.to, c.note) for c in changes] == [
            ({"host": "h"}, "resolved", "The rule was changed.")
        ]

    @pytest.mark.parametrize(
        ("change", "metric", "threshold", "value"),
        [
            ({"metric_name": "memory_percent"}, "system.memory_percent", 70, 80),
            ({"stat": "max"}, "system.cpu_percent", 70, 75),
            ({"kind": "no_data", "threshold": None}, "", None, None),
            ({"kind": "change", "compare_to_seconds": 3_600}, "", None, None),
            ({"comparison": "lt", "threshold": 99}, "system.cpu_percent", 99, 75),
        ],
    )
    def test_ends_its_alerts_and_judges_anew_when_it_gets_another_value(
        self, change: dict[str, Any], metric: str, threshold: float | None, value: float | None
    ) -> None:
        add(**{"metric_type": "system", "metric_name": "cpu_percent", "threshold": 70} | change)

        changes = evaluate(NOW + timedelta(seconds=5))

        assert [(c.to, c.note) for c in changes][:1] == [("resolved", "The rule was changed.")]
        news = [(c.to, c.alert.metric, c.alert.threshold, c.value) for c in changes[1:]]
        assert news == ([("firing", metric, threshold, value)] if metric else [])

    def test_gives_its_alerts_its_new_name_severity_and_threshold(
        self, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
    ) -> None:
        sent: list[Any] = []
        monkeypatch.setattr(publishing, "send_to_clients", lambda messages, or_else: sent.extend(messages))
        add(metric_type="system", metric_name="cpu_percent", threshold=72, name="New", severity="critical",
            filters={"host": ["h"]})  # fmt: skip

        with django_capture_on_commit_callbacks(execute=True):
            assert evaluate(NOW + timedelta(seconds=5)) == evaluate(NOW + timedelta(seconds=10)) == []

        assert sent == [publishing.REREAD]
        alert = Alert.objects.get()
        assert (alert.rule_name, alert.severity, alert.threshold, alert.unit) == ("New", "critical", 72, "%")


class WhenTheQueryOfOneWindowIsStopped:
    def test_its_alerts_stay_and_the_other_rules_are_judged(self, monkeypatch: pytest.MonkeyPatch) -> None:
        add(metric_type="system", metric_name="cpu_percent", threshold=70, window_seconds=600)
        write([host(second, cpu_percent=75) for second in range(-60, 60, 5)])
        assert [(change.alert.rule_id, change.to) for change in evaluate(NOW)] == [("r", "firing")]
        add(id="other", metric_type="system", metric_name="cpu_percent", threshold=71, window_seconds=30)
        judged = queries.evaluate

        def evaluate_shorter_windows(specs: Any, seconds: int, *rest: Any, **more: Any) -> Any:
            if seconds == 600:
                raise queries.QueryTooSlow(5)
            return judged(specs, seconds, *rest, **more)

        monkeypatch.setattr(queries, "evaluate", evaluate_shorter_windows)

        changes = evaluate(NOW + timedelta(seconds=5))

        assert [(change.alert.rule_id, change.to) for change in changes] == [("other", "firing")]
        assert Alert.objects.get(rule_id="r").state == "firing"
        assert Evaluation.objects.get().problems["r"].startswith("stopped after 5 s: ")


class AnEvaluatorBesideAnother:
    def test_store_each_change_once(self) -> None:
        add(metric_type="system", metric_name="cpu_percent", threshold=70)
        write([host(0, cpu_percent=75)])

        assert len(evaluate(NOW)) == 1
        assert evaluate(NOW) == evaluate(NOW - timedelta(seconds=1)) == []
        assert Alert.objects.count() == 1

    def test_does_nothing_if_it_has_waited_for_minutes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read_values = evaluate_module.read_values
        now = [0.0]

        def wait_and_read(*of: Any) -> Any:
            if now == [0.0]:
                now[0] = 120.0
                evaluate(NOW + timedelta(seconds=120))
            return read_values(*of)

        monkeypatch.setattr(evaluate_module, "read_values", wait_and_read)
        monkeypatch.setattr(evaluate_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
        add(metric_type="system", metric_name="cpu_percent", threshold=70)
        write([host(0, cpu_percent=75)])

        assert evaluate(NOW) == []
        assert Evaluation.objects.get().at == NOW + timedelta(seconds=120)


class ARestart:
    def test_continues_with_the_stored_alerts(self) -> None:
        write([host(second, cpu_percent=95) for second in range(-60, 200)])
        follow(30)

        assert follow(90, NOW + timedelta(seconds=35)) == [(25, "high-cpu-usage", "firing")]


class AFiringAlert:
    @pytest.mark.parametrize("end", ["disabled", "deleted"])
    def test_ends_with_its_rule_and_says_so(self, end: str) -> None:
        write([host(second, cpu_percent=95.0) for second in range(0, 90, 5)])
        follow(80)
        rule = AlertRule.objects.filter(pk="high-cpu-usage")
        assert rule.update(enabled=False) if end == "disabled" else rule.delete()

        (change,) = evaluate(NOW + timedelta(seconds=85))

        assert (change.to, change.value, change.note) == ("resolved", None, f"The rule was {end}.")
