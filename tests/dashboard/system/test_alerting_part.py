"""The part of the monitor that judges rules and sends messages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from alerts.health import LATE_SECONDS, AlertingHealth, FailingChannel
from dashboard.system.alerting import part_of

WELL = AlertingHealth(datetime(2026, 3, 1, tzinfo=UTC), 2.2, 1.0, 7, {}, 0, 0, ())


class TheAlerting:
    def test_works_while_rules_are_judged_and_messages_sent(self) -> None:
        part = part_of(WELL)

        assert (part.text, part.problem) == ("7 rules judged in 2 ms", "")

    def test_works_before_the_first_evaluation(self) -> None:
        part = part_of(replace(WELL, evaluated_at=None, duration_ms=None, lag_seconds=None))

        assert (part.text, part.problem) == ("rules not judged yet", "")

    @pytest.mark.parametrize(
        ("health", "problem"),
        [
            (replace(WELL, lag_seconds=LATE_SECONDS + 1), "the alert rules are not judged"),
            (replace(WELL, rules_in_error={"a": "no metric"}), "1 alert rule cannot be judged"),
            (replace(WELL, failing=(FailingChannel("o", "ops", 2, 400.0, "refused"),)), "ops accepts no messages"),
            (replace(WELL, failing=(FailingChannel("o", "ops", 0, 0.0, "refused"),)), "ops accepts no heartbeats"),
            (replace(WELL, dead=3), "3 messages were given up in the last day"),
        ],
    )
    def test_names_its_problems(self, health: AlertingHealth, problem: str) -> None:
        part = part_of(health)

        assert (part.text, part.problem, part.is_critical) == (problem, problem, False)

    def test_names_all_of_them(self) -> None:
        health = replace(WELL, rules_in_error={"a": "", "b": ""}, dead=1)

        assert part_of(health).problem == "2 alert rules cannot be judged and 1 message was given up in the last day"
