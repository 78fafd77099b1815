"""Rules in words."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.rules.spec import check_rule
from alerts.rules.words import measured_in_words, seconds_in_words, sentence

LATENCY = {
    "id": "x", "name": "x", "metric_type": "inference", "metric_name": "response_time_ms", "stat": "p95",
    "window_seconds": 300, "threshold": 5_000, "clear_threshold": 4_500, "for_seconds": 60,
}  # fmt: skip
QUEUE = {"id": "x", "name": "x", "metric_type": "queue", "metric_name": "pending", "threshold": 1_000}


class ASentence:
    @pytest.mark.parametrize(
        ("rule", "words"),
        [
            (
                LATENCY,
                (
                    "Warns when the P95 response time over 5 minutes is above 5 s for 1 minute, for each model. "
                    "Clears below 4.5 s."
                ),
            ),
            (
                LATENCY
                | {
                    "severity": "critical",
                    "filters": {"model": ["a", "b"]},
                    "group_by": [],
                    "for_seconds": 0,
                    "clear_threshold": None,
                },
                "Raises a critical alert when the P95 response time with model a or b over 5 minutes is above 5 s.",
            ),
            (
                LATENCY | {"kind": "change", "compare_to_seconds": 3_600, "threshold": 50, "clear_threshold": 25},
                (
                    "Warns when the change in the P95 response time over 5 minutes since 1 hour before is above 50 % "
                    "for 1 minute, for each model. Clears below 25 %."
                ),
            ),
            (
                QUEUE | {"kind": "no_data", "threshold": None, "for_seconds": 90, "severity": "info"},
                "Informs when the pending requests metric has no data over 1 minute for 90 seconds, for each model.",
            ),
            (
                QUEUE | {"comparison": "le", "clear_threshold": 1_200.5, "group_by": ["model", "source"]},
                (
                    "Warns when the mean pending requests over 1 minute is at most 1,000 requests, for each model and "
                    "source. Clears above 1,200.5 requests."
                ),
            ),
            (
                LATENCY | {"filters": {"outcome": ["success_or_timeout"]}, "clear_threshold": None},
                (
                    "Warns when the P95 response time including timeouts over 5 minutes is above 5 s for 1 minute, for "
                    "each model."
                ),
            ),
            (
                LATENCY | {"filters": {"outcome": ["failed"]}, "clear_threshold": None, "for_seconds": 0},
                "Warns when the P95 response time of failed requests over 5 minutes is above 5 s, for each model.",
            ),
            (
                QUEUE | {"metric_name": "oldest_seconds", "stat": "max", "threshold": 300},
                "Warns when the oldest request over 1 minute is above 5 minutes, for each model.",
            ),
        ],
    )
    def test_says_what_the_rule_does(self, rule: dict[str, Any], words: str) -> None:
        assert "".join(text for text, _ in sentence(check_rule(rule))) == words


class ANumber:
    def test_has_its_largest_unit(self) -> None:
        words = [seconds_in_words(seconds) for seconds in (0, 1, 90, 3_600, 5_400, 172_800)]
        assert words == ["0 seconds", "1 second", "90 seconds", "1 hour", "90 minutes", "2 days"]

    def test_that_is_measured_has_four_digits(self) -> None:
        measured = [
            (0.0001, "%"),
            (-0.0, "%"),
            (29_724.6, "ms"),
            (999.96, "ms"),
            (12_345.6, "tokens"),
            (0.586, "requests"),
            (1.04, "requests"),
            (1.0, "tokens/s"),
            (1.0, "ms"),
            (45.5, "s"),
            (756.4, "s"),
            (190_123.4, "s"),
        ]
        assert [measured_in_words(*value) for value in measured] == [
            "0 %",
            "0 %",
            "29.72 s",
            "1 s",
            "12,350 tokens",
            "0.6 requests",
            "1 request",
            "1 tokens/s",
            "1 ms",
            "45.5 s",
            "13 minutes",
            "53 hours",
        ]
