"""A backtest finds what the evaluations did, and says how precisely it does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from django.test import Client

from alerts.backtest.backtest import backtest
from alerts.backtest.result import Backtest
from alerts.evaluation.evaluate import EVERY_SECONDS, evaluate
from alerts.models import AlertRule
from alerts.rules.manager import alert_manager
from alerts.rules.spec import check_rule
from metrics import catalogue, queries
from metrics.events import ErrorEvent, Event, InferenceEvent, QueueEvent, QueueKind, SystemEvent
from metrics.queries import Window
from metrics.queries.answers import moving
from metrics.queries.read import budget
from metrics.queries.read.budget import query_budget
from metrics.store.writing.transaction import Store
from tests.alerts.test_api import client
from tests.metrics.queries.known_events import request, write

__all__ = ["client"]

pytestmark = [pytest.mark.store, pytest.mark.django_db]

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTES = 8
REQUESTS = {"metric_type": "inference", "for_seconds": 0}
RULES: dict[str, dict[str, Any]] = {
    "p95": {"metric_name": "response_time_ms", "stat": "p95", "window_seconds": 60, "threshold": 900, "min_count": 8},
    "mean": {"metric_name": "response_time_ms", "window_seconds": 17, "threshold": 700, "for_seconds": 10,
             "filters": {"model": ["a"], "outcome": ["success_or_timeout"]}},
    "highest": {"metric_name": "ttft_ms", "stat": "max", "threshold": 60, "clear_threshold": 50, "window_seconds": 30,
                "group_by": ["model", "provider"]},
    "few": {"metric_name": "requests", "stat": "rate", "comparison": "lt", "threshold": 0.5, "window_seconds": 20},
    "all": {"metric_name": "total_tokens", "stat": "sum", "threshold": 900, "window_seconds": 45, "group_by": []},
    "failing": {"metric_name": "error_rate_percent", "threshold": 12, "window_seconds": 120, "clear_threshold": 8,
                "for_seconds": 20},
    "change": {"metric_name": "response_time_ms", "kind": "change", "compare_to_seconds": 3600, "threshold": 30,
               "window_seconds": 60},
    "silent": {"metric_name": "requests", "kind": "no_data", "window_seconds": 30},
    "missing": {"metric_name": "response_time_ms", "threshold": 700, "window_seconds": 10, "no_data": "alert"},
    "kept": {"metric_name": "response_time_ms", "threshold": 800, "window_seconds": 10, "no_data": "keep"},
    "errors": {"metric_type": "error", "metric_name": "count", "stat": "sum", "threshold": 1, "window_seconds": 30},
    "cpu": {"metric_type": "system", "metric_name": "cpu_percent", "threshold": 80, "clear_threshold": 75,
            "for_seconds": 15, "window_seconds": 15},
    "cpu-last": {"metric_type": "system", "metric_name": "cpu_percent", "stat": "last", "threshold": 85,
                 "window_seconds": 5},
    "gone": {"metric_type": "system", "metric_name": "cpu_percent", "kind": "no_data", "window_seconds": 5},
    "network": {"metric_type": "system", "metric_name": "network_bytes_sent", "threshold": 1500, "window_seconds": 30},
    "memory": {"metric_type": "system", "metric_name": "memory_used_gb", "threshold": 17, "window_seconds": 10,
               "group_by": []},
    "queue": {"metric_type": "queue", "metric_name": "pending", "threshold": 90, "window_seconds": 10},
    "oldest": {"metric_type": "queue", "metric_name": "oldest_seconds", "stat": "max", "threshold": 25,
               "window_seconds": 5, "comparison": "ge"},
    "long": {"metric_name": "response_time_ms", "window_seconds": 960, "threshold": 600, "stat": "p90"},
}  # fmt: skip


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def commit(events: list[Event]) -> None:
    Store(clock=lambda: START + timedelta(hours=1)).commit(events)


def events_of(begin: int, end: int, chance: random.Random) -> Iterator[Event]:
    """Yield events of seconds that are neither regular nor without pauses; a slow time every five minutes."""
    for second in range(begin, end):
        phase = second % 300
        for model in "ab":
            if model == "b" and 180 < phase < 240:
                continue
            for number in range(chance.choice((0, 0, 1, 2))):
                slow = 900 if 100 < phase < 160 else 0
                yield InferenceEvent(
                    timestamp=at(second + chance.random()), request_id=f"{model}-{second}-{number}", model_name=model,
                    provider=chance.choice(("x", "y")), response_time_ms=chance.uniform(100, 900) + slow,
                    ttft_ms=chance.uniform(5, 62), prompt_tokens=chance.randrange(40), completion_tokens=5,
                    success=chance.random() > 0.1,
                )  # fmt: skip
        if chance.random() < 0.05:
            yield ErrorEvent(
                timestamp=at(second), error_type="E", error_message="m", model_name="a", request_id=f"e{second}"
            )
        for host, every in (("h", 7), ("i", 31)):
            if second % every == 0 and not (host == "h" and 200 < phase < 290):
                yield SystemEvent(
                    timestamp=at(second + chance.random()), host=host, cpu_percent=chance.uniform(60, 100),
                    memory_used_gb=chance.uniform(5, 11),
                    network_bytes_sent=1_000 * (second + 10_000) + (40_000 if 100 < phase < 130 else 0),
                )  # fmt: skip
        for source, kind in (("s", "track"), ("t", "track"), ("u", "engine")):
            if second % 9 == 0 and not (source == "u" and phase > 120):
                yield QueueEvent(
                    timestamp=at(second + chance.random()), model_name="a", source=source, kind=QueueKind(kind),
                    pending=chance.randrange(70), oldest_seconds=chance.uniform(0, 30),
                )  # fmt: skip


@pytest.fixture(autouse=True)
def no_rules(db: Any) -> None:
    AlertRule.objects.all().delete()


class ABacktestOfTheLastMinutes:
    def test_finds_each_change_that_the_evaluations_made(self) -> None:
        rules = {name: check_rule(REQUESTS | {"id": name, "name": name} | fields) for name, fields in RULES.items()}
        for rule in rules.values():
            alert_manager.add_alert_rule(rule)
        chance = random.Random(4)
        commit(list(events_of(-3_700, -2_600, chance)))
        done: dict[str, list[Any]] = {name: [] for name in rules}
        for second in range(0, 60 * MINUTES, EVERY_SECONDS):
            # An evaluation reads the second of its time, which has ended when it begins.
            begin = 0 if second == 0 else second - EVERY_SECONDS + 1
            commit(list(events_of(begin, second + 1, chance)))
            for change in evaluate(at(second)):
                done[change.alert.rule_id].append(_shown(second, change.alert.labels, change.to, change.value))

        now = at(60 * MINUTES - 1)
        found = {name: backtest(rule, Window(START, at(60 * MINUTES)), now) for name, rule in rules.items()}

        assert all(done.values()), "a rule has no change, so that it tests nothing"
        for name, result in found.items():
            changes = [
                _shown((change.at - START).seconds, dict(change.labels), change.to, change.state.value)
                for change in result.changes
            ]
            assert sorted(changes, key=_order) == sorted(done[name], key=_order), name

    def test_does_not_judge_a_second_before_its_end(self) -> None:
        rule = check_rule(REQUESTS | {"id": "few", "name": "Few", "metric_name": "requests", "stat": "sum",
                                      "window_seconds": 5, "comparison": "lt", "threshold": 5})  # fmt: skip
        Store(clock=lambda: at(10)).commit([request(at(second), second) for second in range(-60, 10)])

        assert backtest(rule, Window(at(-30), at(11)), at(10.5)).firings == []


def _shown(second: int, labels: dict[str, str], to: str, value: float | None) -> tuple[Any, ...]:
    return second, labels, str(to), None if value is None else pytest.approx(value, rel=1e-9)


def _order(change: tuple[Any, ...]) -> tuple[Any, ...]:
    """At one moment, groups may change in any order."""
    return change[0], sorted(change[1].items())


NOW = START + timedelta(hours=1)
SLOW = {"id": "slow", "name": "Slow", "metric_type": "inference", "metric_name": "response_time_ms", "threshold": 1_000}


def send(begin: datetime, minutes: int, milliseconds: float, model: str = "a", every: int = 10) -> None:
    """Commit requests of some minutes, which are old already."""
    Store(clock=lambda: NOW).commit(
        [
            InferenceEvent(
                timestamp=begin + timedelta(seconds=second), request_id=f"{model}-{begin}-{second}", model_name=model,
                response_time_ms=milliseconds,
            )
            for second in range(0, 60 * minutes, every)
        ]
    )  # fmt: skip


def judged(days: float = 7, **fields: Any) -> Backtest:
    return backtest(check_rule(SLOW | fields), Window.last(int(days * 86_400), NOW), NOW)


def firings(result: Backtest) -> list[tuple[int, int, int, bool]]:
    """The firings: seconds before NOW at which they begin and end, the precision, and whether they are certain."""
    now = int(NOW.timestamp())
    return [(now - one.start, now - one.end, one.precision, one.is_certain) for one in result.firings]


class ABacktestOfTheLastDays:
    def test_judges_whole_minutes(self) -> None:
        send(NOW - timedelta(days=2), 60, 200)
        send(NOW - timedelta(days=2, minutes=-20, seconds=-30), 10, 5_000)

        found = judged(for_seconds=120)

        # From 20:30 on, a window of a minute has a slow request; at 21:00 this is seen first.
        begin = 2 * 86_400 - 21 * 60
        assert firings(found) == [(begin - 120, begin - 660, 60, True)]
        assert found.sentence(NOW) == "It would have fired once in the last 7 days, for 9 minutes in all."
        assert found.notes()[1].endswith("on (± 1 minute).")

    def test_says_since_when_of_a_time_that_is_no_usual_range(self) -> None:
        assert judged(days=1.5).sentence(NOW) == "It would not have fired since 28 February, 01:00 UTC."

    @pytest.mark.parametrize(("window", "minutes"), [(10, 2), (90, 3)])
    def test_says_that_what_fires_is_possible_if_the_window_is_not_of_whole_minutes(
        self, window: int, minutes: int
    ) -> None:
        send(NOW - timedelta(days=2), 2, 5_000)

        found = judged(window_seconds=window)

        assert firings(found) == [(2 * 86_400 - 60, 2 * 86_400 - 60 - 60 * minutes, 60, False)]
        assert found.sentence(NOW) == (
            f"It would possibly have fired once in the last 7 days, for up to {minutes} minutes."
        )

    def test_goes_on_from_minutes_to_seconds(self) -> None:
        send(NOW - timedelta(hours=5), 299, 5_000)

        found = judged(days=1)

        assert firings(found) == [(5 * 3_600 - 60, 10, 60, True)]  # the last request was 70 s ago

    def test_compares_with_a_day_before(self) -> None:
        for days, milliseconds in ((2, 100), (1, 150)):
            send(NOW - timedelta(days=days), 5, milliseconds)

        found = judged(days=1.5, kind="change", compare_to_seconds=86_400, threshold=40)

        assert [peak.peak for peak in found.firings] == [pytest.approx(50)]


class ABacktestOfQueues:
    @pytest.mark.parametrize("days", [0, 2])
    def test_does_not_miss_those_that_do_not_count_beside_a_preferred_kind(self, days: int) -> None:
        begin = NOW - timedelta(days=days, minutes=5)
        Store(clock=lambda: NOW).commit(
            [
                QueueEvent(
                    timestamp=begin + timedelta(seconds=second), model_name="a", source=kind, kind=kind, pending=1
                )
                for second in range(0, 300, 10)
                for kind in (QueueKind.TRACK, QueueKind.ENGINE)
            ]
        )
        rule = {"metric_type": "queue", "metric_name": "pending", "kind": "no_data", "threshold": None}

        found = judged(days + 0.1, group_by=["source"], **rule)

        assert {dict(one.labels)["source"] for one in found.firings} <= {"engine"}


class ABacktestByHours:
    BEGIN = NOW - timedelta(days=20)

    def test_is_certain_if_the_value_of_an_hour_meets_the_condition(self) -> None:
        send(self.BEGIN, 60, 5_000)

        assert firings(judged(days=30)) == [(480 * 3_600, 479 * 3_600, 3_600, True)]

    @pytest.mark.parametrize(
        "fields", [{"for_seconds": 60}, {"min_count": 5}, {"window_seconds": 70}, {"window_seconds": 6}]
    )
    def test_is_not_certain_if_perhaps_no_window_met_the_condition_for_long_enough(
        self, fields: dict[str, Any]
    ) -> None:
        send(self.BEGIN, 60, 5_000)

        assert [one.is_certain for one in judged(days=30, **fields).firings] == [False]

    def test_is_possible_after_another_one_up_to_the_clear_threshold(self) -> None:
        for hour, milliseconds in enumerate((700, 5_000, 700, 200, 700)):
            send(self.BEGIN + timedelta(hours=hour), 60, milliseconds)

        assert firings(judged(days=30, clear_threshold=500)) == [
            (479 * 3_600, 478 * 3_600, 3_600, True),
            (478 * 3_600, 477 * 3_600, 3_600, False),
        ]

    @pytest.mark.parametrize(
        ("metric", "halves", "threshold", "expected"),
        [
            ("cpu_percent", [(100, 0), (100, 0)], 45, [False]),
            # The mean of the hour is 60, and no window has it: `a` was down in the second half.
            ("cpu_percent", [(100, 0), (None, 40)], 55, [False]),
            # The window in which `a` ends and `b` begins has the sum of both.
            ("memory_used_gb", [(100, None), (None, 100)], 150, [False]),
            ("memory_used_gb", [(100, None), (None, 100)], 50, [True]),
            ("memory_used_gb", [(100, None), (None, 100)], 200, []),
        ],
    )
    def test_of_several_hosts_does_not_assume_that_they_were_up_at_the_same_times(
        self, metric: str, halves: list[tuple[int | None, int | None]], threshold: float, expected: list[bool]
    ) -> None:
        samples = [
            SystemEvent(timestamp=self.BEGIN + timedelta(minutes=30 * half + minute), host=host, **{metric: value})
            for half, of_hosts in enumerate(halves)
            for host, value in zip("ab", of_hosts, strict=True)
            if value is not None
            for minute in range(30)
        ]
        Store(clock=lambda: NOW).commit(samples)
        rule = {"metric_type": "system", "metric_name": metric, "group_by": [], "window_seconds": 300}

        assert [one.is_certain for one in judged(days=30, threshold=threshold, **rule).firings] == expected

    def test_is_possible_if_one_request_meets_the_condition(self) -> None:
        send(self.BEGIN, 50, 100)
        send(self.BEGIN + timedelta(minutes=55), 1, 5_000, every=60)

        found = judged(days=30, stat="p95")

        assert firings(found) == [(480 * 3_600, 479 * 3_600, 3_600, False)]

    def test_does_not_fire_if_no_request_meets_the_condition(self) -> None:
        send(self.BEGIN, 60, 900)

        assert judged(days=30).sentence(NOW) == "It would not have fired in the last 30 days."

    def test_of_failures_knows_the_hours_with_none_and_with_some(self) -> None:
        send(self.BEGIN, 60, 900)
        Store(clock=lambda: NOW).commit([
            InferenceEvent(timestamp=self.BEGIN + timedelta(hours=3), request_id=f"f-{number}", model_name="a",
                           success=number > 0)
            for number in range(100)
        ])  # fmt: skip

        found = judged(days=30, metric_name="error_rate_percent", threshold=10)

        assert firings(found) == [(477 * 3_600, 476 * 3_600, 3_600, False)]

    def test_of_sums_adds_the_hours_that_a_window_lies_in(self) -> None:
        send(self.BEGIN, 120, 900)  # 360 in an hour

        def shares(threshold: float) -> list[bool]:
            rule = {"metric_name": "requests", "stat": "sum", "window_seconds": 1_800, "threshold": threshold}
            return [one.is_certain for one in judged(days=30, **rule).firings]

        assert [shares(threshold) for threshold in (170, 400, 700, 720)] == [[True, False], [False], [False], []]

    def test_says_from_when_on_there_is_data(self) -> None:
        assert judged(days=30).notes()[-1] == "There is no data in this time."

        send(self.BEGIN, 60, 900)

        assert judged(days=30).notes()[-1] == "There is no data before 9 February, 13:00 UTC."

    def test_is_not_made_for_missing_data(self) -> None:
        found = judged(days=30, kind="no_data", threshold=None)

        assert found.notes()[-2].endswith("changes and missing data are not judged by hours.")


class ABacktestOfAnyMetric:
    @pytest.mark.parametrize("has_data", [False, True])
    def test_says_something(self, has_data: bool) -> None:
        events = events_of(-60, 60, random.Random(1)) if has_data else ()
        Store(clock=lambda: at(60)).commit(list(events))
        variants: list[dict[str, Any]] = [{}, {"no_data": "alert"}, {"group_by": []}]
        for metric, stat, more in product(catalogue.ALL, ("", "max"), variants):
            if not stat or stat in metric.stats:
                fields = {"metric_type": metric.type, "metric_name": metric.short, "stat": stat} | more
                rule = check_rule({"id": "r", "name": "R", "threshold": 1, "window_seconds": 3_600} | fields)

                result = backtest(rule, Window.last(30 * 86_400, at(60)), at(60)).as_dict(at(60))

                assert "in the last 30 days" in result["sentence"], metric.name


class ABacktestOfFewRows:
    def test_waits_for_other_heavy_queries_if_it_has_many_moments(self) -> None:
        send(NOW - timedelta(days=2), 1, 900)

        with (
            budget._heavy_query.hold(1),
            query_budget(0.05),
            pytest.raises(queries.QueryStopped, match="Other queries"),
        ):
            judged(days=7)


class ABacktestOverTheAPI:
    def test_stores_nothing(self, client: Client) -> None:
        response = post(client, SLOW | {"range": "1h"})

        assert response.status_code == 200, response.content
        assert response.json()["sentence"] == "It would not have fired in the last hour."
        assert not AlertRule.objects.exists()

    def test_of_a_stored_rule_needs_its_id_only(self, client: Client) -> None:
        alert_manager.add_alert_rule(check_rule(SLOW))

        response = post(client, {"id": "slow"}).json()

        assert response["sentence"] == "It would not have fired in the last 7 days."
        assert [part["precision_seconds"] for part in response["precision"]][-2:] == [60, 5]

    @pytest.mark.parametrize(
        ("body", "field", "detail"),
        [
            (SLOW | {"threshold": "x"}, "threshold", "must be a number."),
            (SLOW | {"id": "backtest"}, "id", "must not be backtest, which is an address of the API."),
            (SLOW | {"days": 3}, "days", "is not a field of a rule."),
        ],
    )
    def test_refuses_a_rule_that_cannot_be_stored(self, client: Client, body: Any, field: str, detail: str) -> None:
        response = post(client, body)

        assert response.status_code == 400
        assert response.json()["errors"] == [{"field": field, "detail": detail}]

    @pytest.mark.parametrize(
        ("window", "detail"),
        [
            ({"range": ["1h"]}, "range must be a known range"),
            ({"from": "2020-01-01", "to": "2020-01-02"}, "range has nothing that the rule can be judged by"),
            ({"from": "2020-01-01"}, "range must be at most 90 days for a backtest."),
        ],
    )
    def test_refuses_a_window_that_is_not_kept(self, client: Client, window: Any, detail: str) -> None:
        response = post(client, SLOW | window)

        assert response.status_code == 400
        assert response.json()["detail"].startswith(detail)

    def test_names_what_is_too_much(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(moving, "MAX_VALUES", 10)
        now = datetime.now(UTC)
        write([request(now - timedelta(minutes=1), 1)], now=now)

        assert post(client, SLOW).json()["detail"] == (
            "range is too long for 1 groups. Choose a shorter one, or filters in the rule."
        )


def post(client: Client, body: Any) -> Any:
    return client.post("/alerts/rules/backtest", body, "application/json")
