"""Which part of a model's mean response time is the cause of a rise."""

from __future__ import annotations

import pytest

from dashboard.latency.parts_of_time import cause_of_rise, parts_of

BEFORE = {"avg_response_time_ms": 1000, "avg_queue_time_ms": 100, "avg_ttft_ms": 300}


class TheCauseOfARise:
    @pytest.mark.parametrize(
        ("now", "cause"),
        [
            (BEFORE | {"avg_response_time_ms": 2000}, "decode"),
            ({"avg_response_time_ms": 2000, "avg_queue_time_ms": 1100, "avg_ttft_ms": 1300}, "queue"),
            ({"avg_response_time_ms": 2000, "avg_queue_time_ms": 600, "avg_ttft_ms": 800}, ""),
            (BEFORE | {"avg_response_time_ms": 900}, ""),
            ({"avg_response_time_ms": 2000}, ""),
        ],
        ids=["one part", "an earlier part", "two parts, half each", "no rise", "other parts"],
    )
    def test_is_the_part_that_explains_over_half_of_it(self, now: dict[str, float], cause: str) -> None:
        assert cause_of_rise(parts_of(now), parts_of(BEFORE)) == cause
