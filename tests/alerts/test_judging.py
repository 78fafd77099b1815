"""How a rule is judged: when it fires, when it does not, and when it is resolved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.evaluation.judging import LONGEST_PAUSE, Change, GroupState, Labels, Reading, Status, judge
from alerts.rules.spec import RuleSpec, check_rule

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GROUP: Labels = (("host", "alpha"),)
OTHER: Labels = (("host", "beta"),)
EVERY = 5  # seconds between two judgements


def rule(**fields: Any) -> RuleSpec:
    """Return a rule on the CPU of a host: more than 80 %."""
    defaults: dict[str, Any] = {"id": "r", "name": "R", "metric_type": "system", "metric_name": "cpu_percent"}
    if fields.get("kind") != "no_data":
        defaults["threshold"] = 80.0
    return check_rule(defaults | fields)


def requests_rule(**fields: Any) -> RuleSpec:
    """Return a rule on the response time of a model: more than 80 ms."""
    return rule(metric_type="inference", metric_name="response_time_ms", **fields)


class Judged:
    """A rule that is judged every five seconds."""

    def __init__(self, rule: RuleSpec) -> None:
        self.rule = rule
        self.states: dict[Labels, GroupState] = {}
        self.changes: list[Change] = []
        self.at: datetime | None = None
        self.not_judged: dict[Labels, str] = {}

    def judge(self, value: float | Reading | None, at: datetime, labels: Labels = GROUP) -> Status:
        reading = value if isinstance(value, Reading) else Reading(value)
        self.states, changes, self.not_judged = judge(self.rule, {labels: reading}, self.states, at, self.at)
        self.changes += changes
        self.at = at
        return self.states[labels].status if labels in self.states else Status.INACTIVE

    def follow(self, values: Iterable[float | Reading | None]) -> list[str]:
        """Judge one value after another. Return the states."""
        start = NOW if self.at is None else self.at + timedelta(seconds=EVERY)
        return [self.judge(value, start + timedelta(seconds=EVERY * n)).value for n, value in enumerate(values)]


class ARule:
    @pytest.mark.parametrize(
        ("comparison", "below", "equal", "above"),
        [
            ("gt", False, False, True),
            ("ge", False, True, True),
            ("lt", True, False, False),
            ("le", True, True, False),
            ("eq", False, True, False),
            ("ne", True, False, True),
        ],
    )
    def test_fires_if_its_comparison_holds(self, comparison: str, below: bool, equal: bool, above: bool) -> None:
        fires = [Judged(rule(comparison=comparison)).judge(value, NOW) is Status.FIRING for value in (79.9, 80.0, 80.1)]

        assert fires == [below, equal, above]

    def test_is_pending_until_its_condition_has_held_for_long_enough(self) -> None:
        judged = Judged(rule(for_seconds=10))

        assert judged.follow([70, 90, 91, 92, 93]) == ["inactive", "pending", "pending", "firing", "firing"]
        assert [change.to for change in judged.changes] == ["pending", "firing"]
        state = judged.states[GROUP]
        assert state.since == NOW + timedelta(seconds=5)
        assert state.fired_at == NOW + timedelta(seconds=15)
        assert (state.value, state.peak) == (93, 93)

    def test_begins_to_wait_again_after_a_value_below_its_threshold(self) -> None:
        judged = Judged(rule(for_seconds=10))

        assert judged.follow([90, 90, 70, 90, 90, 90]) == [
            "pending", "pending", "inactive", "pending", "pending", "firing",
        ]  # fmt: skip
        assert [change.to for change in judged.changes] == ["pending", "inactive", "pending", "firing"]

    def test_is_resolved_below_its_clear_threshold(self) -> None:
        judged = Judged(rule(clear_threshold=75))

        assert judged.follow([81, 79, 76, 75, 79]) == ["firing", "firing", "firing", "inactive", "inactive"]
        assert [change.to for change in judged.changes] == ["firing", "resolved"]
        assert judged.changes[-1].state.peak == 81

    def test_judges_each_group_by_itself(self) -> None:
        readings = {GROUP: Reading(90), OTHER: Reading(10)}

        states, changes, _ = judge(rule(), readings, {}, NOW, None)

        assert set(states) == {GROUP}
        assert [change.labels for change in changes] == [GROUP]

    def test_resolves_a_group_that_has_no_more_data(self) -> None:
        judged = Judged(rule())
        judged.follow([90])

        states, changes, not_judged = judge(judged.rule, {}, judged.states, NOW + timedelta(seconds=5), NOW)

        assert states == {}
        assert [change.to for change in changes] == ["resolved"]
        assert not_judged == {GROUP: "no data"}


class ARuleWithoutData:
    @pytest.mark.parametrize(
        ("no_data", "states"),
        [
            ("ok", ["firing", "inactive", "firing"]),
            ("keep", ["firing", "firing", "firing"]),
            ("alert", ["firing", "firing", "firing"]),
        ],
    )
    def test_does_what_it_says(self, no_data: str, states: list[str]) -> None:
        judged = Judged(rule(no_data=no_data))

        assert judged.follow([90, None, 90]) == states
        if no_data == "alert":
            assert Judged(judged.rule).judge(None, NOW) is Status.FIRING

    def test_is_not_below_a_threshold(self) -> None:
        judged = Judged(rule(comparison="lt", threshold=10))

        assert judged.follow([None, 9]) == ["inactive", "firing"]

    def test_fires_if_that_is_its_kind(self) -> None:
        judged = Judged(rule(kind="no_data", for_seconds=5))

        assert judged.follow([0, None, None, 1]) == ["inactive", "pending", "firing", "inactive"]


class ARuleOnFewRequests:
    def test_does_not_judge(self) -> None:
        judged = Judged(requests_rule(min_count=3))

        assert judged.judge(Reading(500.0, 2), NOW) is Status.INACTIVE
        assert judged.not_judged == {GROUP: "2 of 3 requests"}
        assert judged.judge(Reading(500.0, 3), NOW) is Status.FIRING
        assert judged.not_judged == {}


class WhenThereWasAPause:
    def test_a_firing_alert_continues(self) -> None:
        judged = Judged(rule())
        judged.judge(90, NOW)

        judged.judge(91, NOW + timedelta(hours=8))

        assert judged.states[GROUP].fired_at == NOW
        assert len(judged.changes) == 1

    def test_a_pending_rule_continues_if_it_was_short(self) -> None:
        judged = Judged(rule(for_seconds=30))
        judged.judge(90, NOW)

        assert judged.judge(90, NOW + timedelta(seconds=30)) is Status.FIRING

    def test_a_pending_rule_begins_again_if_it_was_long(self) -> None:
        judged = Judged(rule(for_seconds=30))
        judged.judge(90, NOW)

        later = NOW + LONGEST_PAUSE + timedelta(seconds=1)
        assert judged.judge(90, later) is Status.PENDING
        assert judged.states[GROUP].since == later

    def test_of_a_clock_that_was_set_back_a_pending_rule_begins_again(self) -> None:
        judged = Judged(rule(for_seconds=30))
        judged.judge(90, NOW)

        assert judged.judge(90, NOW - timedelta(hours=1)) is Status.PENDING
        assert judged.judge(90, NOW - timedelta(hours=1) + timedelta(seconds=30)) is Status.FIRING


VALUES = st.lists(st.one_of(st.none(), st.floats(0, 100, allow_nan=False)), max_size=60)


class TheJudgement:
    @given(VALUES, st.integers(0, 40), st.sampled_from(["ok", "keep", "alert"]))
    def test_fires_only_after_its_condition_has_held_for_long_enough(
        self, values: Sequence[float | None], for_seconds: int, no_data: str
    ) -> None:
        judged = Judged(rule(for_seconds=for_seconds, clear_threshold=70, no_data=no_data))
        judged.follow(values)

        for change in judged.changes:
            if change.to is Status.FIRING:
                assert change.at - change.state.since >= timedelta(seconds=for_seconds)
                first = int((change.state.since - NOW).total_seconds()) // EVERY
                last = int((change.at - NOW).total_seconds()) // EVERY
                held = values[first : last + 1]
                assert all((v > 80 if v is not None else no_data != "ok") for v in held)

    @given(st.lists(st.floats(75.01, 80, allow_nan=False), max_size=40), st.integers(0, 20))
    def test_does_not_change_inside_its_band(self, values: Sequence[float], for_seconds: int) -> None:
        quiet = Judged(rule(for_seconds=for_seconds, clear_threshold=75))
        assert set(quiet.follow(values)) <= {"inactive"}

        firing = Judged(rule(clear_threshold=75))
        firing.judge(90, NOW)
        assert set(firing.follow(values)) <= {"firing"}

    @given(VALUES, st.integers(0, 40))
    def test_has_an_end_for_each_firing_that_is_not_open(
        self, values: Sequence[float | None], for_seconds: int
    ) -> None:
        judged = Judged(rule(for_seconds=for_seconds, clear_threshold=60))
        judged.follow(values)

        to = [change.to for change in judged.changes]
        is_open = GROUP in judged.states and judged.states[GROUP].status is Status.FIRING
        assert to.count(Status.FIRING) == to.count(Status.RESOLVED) + is_open
        assert all(before != after for before, after in pairwise(to))
