"""Demo data has alerts: those of its incident, and of the short ones of the present. They end with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings

from alerts.evaluation import evaluate as evaluate_module
from alerts.evaluation.evaluate import EVERY_SECONDS, evaluate
from alerts.models import Alert, AlertChange, AlertRule
from alerts.rules.manager import alert_manager
from alerts.rules.spec import RuleSpec
from alerts.spans import read_spans
from llmmonitor.environment import read_environment
from metrics import queries
from metrics.events import IngestPolicy, Kind, validate_many
from metrics.store import forgetting
from metrics.store.forgetting import forget
from metrics.store.writing.transaction import Store
from metrics.traffic.demo import filling
from metrics.traffic.demo.filling import fill
from metrics.traffic.demo.workload import TROUBLED, Workload

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAYS = 41 / 1_440  # with the incident
POLICY = IngestPolicy(future_tolerance=timedelta(minutes=5), max_age=timedelta(days=400))


def store(kind: str, items: list[dict[str, Any]], at: datetime = NOW) -> dict[str, Any]:
    validated = validate_many(Kind(kind), items, at, POLICY)
    assert not validated.rejected
    Store(clock=lambda: at).commit(validated.events)
    return {"accepted": len(items), "duplicates": 0, "rejected": []}


@pytest.fixture
def workload(monkeypatch: pytest.MonkeyPatch) -> Workload:
    """Demo data that is stored without the recorder's thread."""
    monkeypatch.setattr(filling, "record", store)
    return Workload(NOW, days=DAYS)


@pytest.fixture
def filled(workload: Workload) -> Workload:
    fill(workload, NOW)
    return workload


def go_live(workload: Workload, first: int, last: int) -> list[tuple[int, str, str]]:
    """Send the present of a workload, and evaluate. Return the changes: (second, rule, state)."""
    start, changes = NOW.timestamp(), []
    for second in range(first, last, EVERY_SECONDS):
        span, at = (start + second, start + second + EVERY_SECONDS), NOW + timedelta(seconds=second + EVERY_SECONDS)
        store("inference", workload.requests(*span), at)
        store("queue", workload.queues(*span, step=1), at)
        store("system", workload.system(*span, step=1), at)
        changes += [(second, change.alert.rule_id, change.to) for change in evaluate(at)]
    return changes


def own_backlog(at: datetime) -> None:
    """Store a queue of a person's own model, for which the rule fires later."""
    samples = [
        {"timestamp": at.timestamp() + n, "source": "s", "model_name": "own", "pending": 300} for n in range(-60, 60)
    ]
    store("queue", samples, at + timedelta(minutes=1))


class TheIncidentOfDemoData:
    def test_has_the_alerts_that_the_rules_mean_by_its_figures(self, filled: Workload) -> None:
        alerts = {alert.rule_id: alert for alert in Alert.objects.exclude(fired_at=None)}
        assert alerts.keys() >= {"queue-backlog", "slow-response-time"}
        assert {alert.labels["model"] for alert in alerts.values()} == {TROUBLED}
        incident = filled.incident
        assert incident
        for alert in alerts.values():
            assert (alert.state, alert.is_demo) == ("resolved", True)
            assert alert.fired_at
            assert alert.ended_at
            assert incident.start < alert.since < alert.fired_at < incident.end
            assert [change.to for change in alert.changes.order_by("at")] == ["pending", "firing", "resolved"]
        for rule in ("queue-backlog", "slow-response-time"):
            ended_at = alerts[rule].ended_at
            assert ended_at
            assert incident.end < ended_at + timedelta(minutes=2)
        firing = alerts["slow-response-time"].changes.get(to="firing")
        spec = queries.SeriesSpec.of("inference.response_time_ms", "p95", "model")
        filters = queries.Filters(outcome="success_or_timeout")
        values = queries.evaluate([spec], 300, filters, firing.at)[spec]
        assert values[(("model", TROUBLED),)].value == pytest.approx(firing.value)

    def test_is_in_the_spans_of_its_hour(self, filled: Workload) -> None:
        listed = read_spans(NOW - timedelta(hours=1), NOW, {"model": [TROUBLED]}).results

        assert {"queue-backlog", "slow-response-time"} <= {span["rule"] for span in listed if span["is_demo"]}

    def test_has_its_alerts_though_its_figures_take_longer_than_a_query_may(self, workload: Workload) -> None:
        with override_settings(LLMMONITOR=read_environment().model_copy(update={"query_budget_seconds": 1e-6})):
            fill(workload, NOW)
        assert Alert.objects.filter(rule_id="queue-backlog").exists()

    def test_stores_nothing_while_the_demo_data_is_being_removed(self, workload: Workload) -> None:
        calls: list[float] = []

        def wanted(share: float) -> bool:
            calls.append(share)
            return len(calls) < 4

        fill(workload, NOW, wanted)

        assert len(calls) >= 4
        assert not Alert.objects.exists()


class TheLiveDemo:
    def test_fires_a_default_rule_within_two_minutes_of_its_start(self, workload: Workload) -> None:
        changes = go_live(workload, 0, 120)

        assert ("queue-backlog", "firing") in [change[1:] for change in changes]
        assert set(Alert.objects.values_list("is_demo", flat=True)) == {True}

    def test_repeats_its_incident(self, workload: Workload) -> None:
        def pending(second: int) -> int:
            at = NOW.timestamp() + second
            return max(queue["pending"] for queue in workload.queues(at, at + 1))

        assert [pending(second) > 100 for second in (5, 60, 600, 1_260, 1_800)] == [False, True, False, True, False]

    def test_does_not_count_as_silent_after_its_end(self, workload: Workload) -> None:
        alert_manager.add_alert_rule(
            RuleSpec(id="silent", name="S", kind="no_data", metric_type="system", metric_name="cpu_percent")
        )
        alert_manager.add_alert_rule(
            RuleSpec(
                id="cold", name="C", metric_type="system", metric_name="cpu_percent", threshold=200, no_data="alert"
            )
        )
        samples = [{"timestamp": NOW.timestamp() + n, "host": "own", "cpu_percent": 5} for n in range(5)]
        store("system", samples, NOW + timedelta(seconds=5))
        go_live(workload, 0, 5)

        evaluate(NOW + timedelta(minutes=10))

        assert [alert.labels for alert in Alert.objects.all()] == [{"host": "own"}] * 2


class AnAlertOfManyModels:
    @pytest.fixture(autouse=True)
    def rules(self, db: Any) -> None:
        AlertRule.objects.all().delete()
        for metric_type, name in (("inference", "requests"), ("queue", "pending")):
            of_metric = {"name": "R", "metric_type": metric_type, "metric_name": name}
            for group_by in ((), ("provider",)):
                fields = {"id": "-".join([metric_type, *group_by]), "group_by": group_by, "comparison": "ge"}
                alert_manager.add_alert_rule(RuleSpec(**of_metric, **fields, threshold=0))

    def test_is_one_of_demo_data_if_all_of_them_are(self, workload: Workload) -> None:
        go_live(workload, 0, 10)

        assert set(Alert.objects.values_list("rule_id", "is_demo")) == {
            (rule, True) for rule in ("inference", "inference-provider", "queue", "queue-provider")
        }
        forget(demo=True, at=NOW + timedelta(seconds=10))
        assert not Alert.objects.exists()

    def test_is_none_of_demo_data_if_one_of_them_is_not(self, workload: Workload) -> None:
        request = {"model_name": "own", "provider": "p", "request_id": "1", "response_time_ms": 5}
        store("inference", [request | {"timestamp": NOW.timestamp() - 1}])

        go_live(workload, 0, 5)

        marks = {(a.rule_id, a.labels.get("provider") == "p"): a.is_demo for a in Alert.objects.all()}
        assert marks.pop(("queue", False))
        assert marks.pop(("queue-provider", False))
        assert marks == {
            ("inference", False): False,
            ("inference-provider", True): False,
            ("inference-provider", False): True,
        }


class TheRemovalOfDemoData:
    def test_removes_its_alerts_and_no_others(self, workload: Workload) -> None:
        fill(workload, NOW)
        own_backlog(NOW + timedelta(seconds=60))
        go_live(workload, 0, 120)
        own = Alert.objects.get(is_demo=False)
        assert (own.labels, own.state) == ({"model": "own"}, "firing")
        assert Alert.objects.filter(is_demo=True, state="firing").exists()
        at = NOW + timedelta(seconds=120)

        removed = forget(demo=True, at=at)

        assert removed.counts["alerts"] >= 3
        assert list(Alert.objects.all()) == [own]
        assert {change.alert for change in AlertChange.objects.all()} == {own}

    def test_is_not_undone_by_an_evaluation_that_has_read_the_data_before(
        self, workload: Workload, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        go_live(workload, 0, 90)
        at = NOW + timedelta(seconds=95)
        read = evaluate_module.read_values

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return at

        def read_and_lose(*arguments: Any) -> Any:
            readings = read(*arguments)
            forget(demo=True, at=at)
            return readings

        monkeypatch.setattr(forgetting, "datetime", Clock)
        monkeypatch.setattr(evaluate_module, "read_values", read_and_lose)

        assert evaluate(at) == []
        assert not Alert.objects.exists()
