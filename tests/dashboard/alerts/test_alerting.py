"""The health of the alerting in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from alerts.health import AlertingHealth, FailingChannel
from dashboard.alerts.alerting import describe

WELL = AlertingHealth(datetime(2026, 3, 1, tzinfo=UTC), 41.4, 3.0, 7, {}, 0, 0, ())


class TheCard:
    def test_counts_the_rules_and_the_messages(self) -> None:
        assert describe(WELL, {}, 2) == {
            "rules": "7 judged in 41 ms", "messages": "0 waiting", "channels": 2, "count": 0, "problems": [],
            "omitted": 0,
        }  # fmt: skip

    def test_says_that_nobody_is_notified_without_a_channel(self) -> None:
        assert describe(WELL, {}, 0)["messages"] == "no channel: nobody is notified"

    def test_names_each_problem(self) -> None:
        unwell = replace(
            WELL,
            lag_seconds=130.0,
            rules_in_error={"slow": "metric_name must be a metric. Allowed: a, b."},
            dead=2,
            failing=(
                FailingChannel("slack", "Slack", 3, 725.0, "answered 503"),
                FailingChannel("cron", "Cron", 0, 0.0, "heartbeat: answered 404"),
            ),
        )
        card = describe(unwell, {"slow": "Slow Response Time"}, 2)

        assert card["rules"] == "not judged for 2 minutes"
        assert card["count"] == unwell.problems == 6  # as the rule counts them: each message that was given up
        assert card["problems"] == [
            "The rules are not judged: check the worker of the queue ticks, and the log.",
            "Slow Response Time cannot be judged: metric_name must be a metric.",
            "3 messages of Slack have not been accepted for 12 minutes: answered 503",
            "Cron does not accept heartbeats: answered 404",
            "2 messages were given up in the last day. Try them again in the admin.",
        ]

    def test_has_at_most_eight_problems_and_counts_the_others(self) -> None:
        many = replace(WELL, rules_in_error={f"rule-{number}": "is broken." for number in range(10)})

        assert (len(describe(many, {}, 1)["problems"]), describe(many, {}, 1)["omitted"]) == (8, 2)
